"""A Hugging Face Hub on this machine, with faults: what huggingface_hub asks of one, no more.

    with FakeHub({"owner/repo": {"model.gguf": b"..."}}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        hub.fail(Cut(after_bytes=1000), where="cdn", times=1)
        ...
        assert hub.n_sent("model.gguf") == 1000 + rest

Two servers, as with the real one: the Hub (metadata, redirects) and the CDN that it redirects large
files to, on another origin, which must never see a token. Set HF_ENDPOINT before huggingface_hub is
imported: it reads its environment once. Source: huggingface_hub 2.4.0, `hf_api.py` and
`file_download.py`, and the headers that huggingface.co answers them with. What goes over the wire
is in fake_hub_wire.py, the faults are in fake_hub_faults.py.
"""

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from types import TracebackType
from typing import Self

from fake_hub_faults import (
    Cut,
    Fault,
    Hang,
    HubFile,
    NewCommit,
    Page,
    Request,
    Slow,
    Status,
    Truncated,
    Where,
    WholeFile,
    Wrong,
)
from fake_hub_wire import serve

__all__ = [
    "Cut",
    "FakeHub",
    "Hang",
    "HubFile",
    "NewCommit",
    "Page",
    "Request",
    "Slow",
    "Status",
    "Truncated",
    "WholeFile",
    "Wrong",
    "sparse_file",
]


@dataclass
class _Rule:
    fault: Fault
    where: Where
    file: str
    times: int | None
    skip: int


@dataclass
class _Repo:
    commits: dict[str, dict[str, HubFile]] = field(default_factory=dict)
    main: str = ""


class FakeHub:
    """Repositories, who may read them, what goes wrong, and a log of what was asked.

    gated: anyone sees the file list, only tokens in `granted` get files. private: without a token
    in `granted` there is no such repository. tokens: other tokens of people the Hub knows.
    bytes_per_s: of every body, None for all the speed there is.
    """

    def __init__(
        self,
        repos: Mapping[str, Mapping[str, bytes | Path | HubFile]],
        *,
        gated: Iterable[str] = (),
        private: Iterable[str] = (),
        granted: Iterable[str] = ("hf_granted",),
        tokens: Iterable[str] = ("hf_other",),
        bytes_per_s: int | None = None,
    ):
        self.gated, self.private = frozenset(gated), frozenset(private)
        self.granted = frozenset(granted)
        self.tokens = self.granted | frozenset(tokens)
        self.bytes_per_s = bytes_per_s
        self.log: list[Request] = []
        self.closing = threading.Event()
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self._repos: dict[str, _Repo] = {}
        self._blobs: dict[str, HubFile] = {}
        for repo, files in repos.items():
            self.commit(repo, files)

    def __enter__(self) -> Self:
        self._servers = serve(self)
        self.endpoint, self.cdn_endpoint = (
            f"http://127.0.0.1:{server.server_address[1]}" for server in self._servers
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def commit(self, repo: str, files: Mapping[str, bytes | Path | HubFile]) -> str:
        """Push these files as the whole of main. Returns: the new commit."""
        hashed = {
            name: (file if isinstance(file, HubFile) else HubFile(file)).hashed()
            for name, file in files.items()
        }
        listing = "\n".join(f"{name} {file.sha256}" for name, file in sorted(hashed.items()))
        revision = hashlib.sha1(f"{repo}\n{listing}".encode()).hexdigest()
        with self._lock:
            stored = self._repos.setdefault(repo, _Repo())
            stored.commits[revision] = hashed
            stored.main = revision
            self._blobs.update({file.sha256: file for file in hashed.values()})
        return revision

    def fail(
        self,
        fault: Fault,
        *,
        where: Where = "any",
        file: str = "*",
        times: int | None = None,
        skip: int = 0,
    ) -> None:
        """Let `times` requests of a place and a file (a glob) fail, after the first `skip`."""
        with self._lock:
            self._rules.append(_Rule(fault, where, file, times, skip))

    def heal(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._rules.clear()

    def requests(self, where: Where = "any", file: str = "*") -> list[Request]:
        with self._lock:
            return [entry for entry in self.log if _matches(entry, where, file)]

    def n_sent(self, file: str = "*") -> int:
        """Bytes of a file's content that were sent, whether they arrived or not."""
        return sum(entry.n_sent for entry in self.requests("cdn", file))

    def revision(self, repo: str) -> str:
        return self._repos[repo].main

    # What the wire asks.

    def note(self, entry: Request) -> None:
        with self._lock:
            self.log.append(entry)

    def faults(self, entry: Request) -> list[Fault]:
        """The faults this request meets; each use counts. A new commit takes effect here."""
        with self._lock:
            met = [rule for rule in self._rules if _matches(entry, rule.where, rule.file)]
            due = [rule.fault for rule in met if _use(rule)]
        for fault in due:
            if isinstance(fault, NewCommit):
                self.commit(entry.repo, fault.files)
        return due

    def find(self, repo: str, revision: str) -> tuple[str, dict[str, HubFile]] | None:
        """A commit by its id or "main", with its files."""
        with self._lock:
            stored = self._repos.get(repo)
            if stored is None:
                return None
            commit = stored.main if revision == "main" else revision
            return (commit, stored.commits[commit]) if commit in stored.commits else None

    def has(self, repo: str) -> bool:
        return repo in self._repos

    def blob(self, sha256: str) -> HubFile | None:
        return self._blobs.get(sha256)


@contextmanager
def sparse_file(path: Path, n_bytes: int, head: bytes = b"") -> Iterator[Path]:
    """A file that takes no room on disk, whatever its size, with real bytes at its start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(n_bytes)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _matches(entry: Request, where: Where, file: str) -> bool:
    return where in ("any", entry.where) and fnmatch(entry.file, file)


def _use(rule: _Rule) -> bool:
    if rule.skip:
        rule.skip -= 1
        return False
    if rule.times == 0:
        return False
    if rule.times is not None:
        rule.times -= 1
    return True
