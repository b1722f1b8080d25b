"""Carry out a pull: fetch, verify, put in place, check the pair, write it down.

A kill at any moment leaves unfinished files that the next run goes on with, and whole ones that
were verified; nothing in between has a name that anything would use. Refuses to know: what to fetch
(pull_planning.py), how bytes arrive (transfer.py).
"""

import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from qvq_cli.errors import CannotWriteError
from qvq_cli.hub.gguf import read_gguf
from qvq_cli.hub.hf_cache import cache_dir, link_snapshot, write_ref
from qvq_cli.hub.identify import identify
from qvq_cli.hub.installed import is_verified, record_verified
from qvq_cli.hub.manifest import (
    Installed,
    InstalledFile,
    Role,
    Unfinished,
    change_manifest,
    data_dir,
    read_manifest,
)
from qvq_cli.hub.pair import check_pair
from qvq_cli.hub.partial import journal_path
from qvq_cli.hub.pull_plan import PullFile as PullFile
from qvq_cli.hub.pull_plan import PullPlan as PullPlan
from qvq_cli.hub.pull_plan import PullTarget, State
from qvq_cli.hub.pull_plan import require_disk as require_disk
from qvq_cli.hub.pull_planning import DEFAULT_MODEL as DEFAULT_MODEL
from qvq_cli.hub.pull_planning import plan_pull as plan_pull
from qvq_cli.hub.removal import discard, register

_LOCK_POLL_S = 0.2
_PIECE_BYTES = 4 << 20
_ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class FileProgress:
    """done_bytes: on disk now; start_bytes: on disk when this run began."""

    file: PullFile
    state: State
    done_bytes: int
    start_bytes: int


OnProgress = Callable[[tuple[FileProgress, ...]], None]


def pull(
    plan: PullPlan, on_progress: OnProgress, *, environ: Mapping[str, str] = os.environ
) -> Installed:
    """Fetch what is missing of a plan, and register the model.

    on_progress is called on this thread, about ten times a second and once at the end. Ctrl-C goes
    through; what is here by then stays.
    Raises: TransferError: it broke off. UnreachableError, DeniedError, UnavailableError: the Hub
        refuses. DataError: wrong bytes, which are thrown away. CannotWriteError: disk full, or a
        file in the way. GgufError: the files are no pair.
    """
    progress = _Progress(plan, on_progress)
    with ExitStack() as stack:
        for path in sorted({_lock_path(target, environ) for target in plan.targets}):
            stack.enter_context(_lock(path, progress))
        require_disk(plan.looked_at())
        missing = [each for each in plan.targets if not _is_there(each, environ, progress)]
        begun = _begun(plan)
        if missing:
            # Whoever gives up on this pull finds by it what lies here, wherever that is.
            change_manifest(lambda manifest: manifest.with_unfinished(begun), environ)
            _fetch(plan, missing, progress, environ)
        progress.tell()
        return _register(plan, begun, environ)


def _begun(plan: PullPlan) -> Unfinished:
    parts = [target.part_path for target in plan.targets]
    paths = [target.path for target in plan.targets]
    return Unfinished(plan.model_id, "pull", (*paths, *parts, *map(journal_path, parts)))


class _Progress:
    """What is known of each file of a plan, told as a whole."""

    def __init__(self, plan: PullPlan, on_progress: OnProgress):
        self._on_progress = on_progress
        self._files = plan.files
        self._known: dict[str, tuple[State, int]] = {
            file.url: ("waiting", file.have_bytes) for file in plan.files
        }

    def set(self, file: PullFile, state: State, done_bytes: int) -> None:
        self._known[file.url] = (state, done_bytes)

    def tell(self) -> None:
        self._on_progress(
            tuple(
                FileProgress(each, *self._known[each.url], each.have_bytes) for each in self._files
            )
        )


def _is_there(target: PullTarget, environ: Mapping[str, str], progress: _Progress) -> bool:
    """Whether the file is on disk, whole and right; hashed now where that isn't known.

    A wrong one is removed where it is ours to remove. Raises: CannotWriteError: it isn't.
    """
    verified = read_manifest(environ).files
    found = target.found_path()
    sha256: str | None = None
    if found == target.path and is_verified(found, target.sha256, verified):
        sha256 = verified[str(found)].sha256
    elif found is not None:
        sha256 = _proven(found, target, progress)
    if sha256 is None:
        _clear(target, verified.keys(), environ)
        return False
    _place(target, sha256, environ)
    for file in target.files:
        progress.set(file, "done", file.n_bytes)
    return True


def _proven(path: Path, target: PullTarget, progress: _Progress) -> str | None:
    """Hash a file that is there. Returns: its sha256, None where its bytes are wrong."""
    whole = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as content:
            for file in target.files:
                own = file.new_digest()
                for n_bytes in range(0, file.n_bytes, _PIECE_BYTES):
                    data = content.read(min(_PIECE_BYTES, file.n_bytes - n_bytes))
                    own.update(data)
                    whole.update(data)
                    progress.set(file, "checking", file.n_bytes)
                    progress.tell()
                if own.hexdigest() != file.digest:
                    return None
    except OSError as error:
        raise CannotWriteError(f"{path} can't be read: {error.strerror or error}") from error
    return whole.hexdigest()


def _clear(target: PullTarget, ours: Collection[str], environ: Mapping[str, str]) -> None:
    """Make way for a file: what lies in its place is broken, or somebody else's."""
    path = target.path
    is_ours = str(path) in ours or cache_dir(environ) in path.parents
    if path.exists() and not is_ours:
        raise CannotWriteError(
            f"{path} is there already and is not the file to be fetched",
            hint="move it away, or choose another folder with --to DIR",
            reference="file-in-the-way",
        )
    try:
        path.unlink(missing_ok=True)
        target.content_path.unlink(missing_ok=True)
    except OSError as error:
        raise CannotWriteError(
            f"{path} can't be replaced: {error.strerror or error}",
            hint="move it away, or choose another folder with --to DIR or HF_HOME",
        ) from error


def _fetch(
    plan: PullPlan, targets: Sequence[PullTarget], progress: _Progress, environ: Mapping[str, str]
) -> None:
    from qvq_cli.hub.transfer import SourceProgress, Transfer

    def place(target: PullTarget, sha256: str) -> None:
        _place(target, sha256, environ)

    def tell(states: list[list[SourceProgress]]) -> None:
        for target, sources in zip(targets, states, strict=True):
            for file, source in zip(target.files, sources, strict=True):
                progress.set(file, source.state, source.done_bytes)
        progress.tell()

    Transfer(targets, place, plan.heads).run(tell)


def _place(target: PullTarget, sha256: str, environ: Mapping[str, str]) -> None:
    """Give a verified file the name it is found under, and write down that it is verified."""
    file = target.files[0]
    try:
        if file.blob is not None and file.blob.exists():
            link_snapshot(file.blob, file.path)
    except OSError as error:
        raise CannotWriteError(f"{file.path} can't be made: {error.strerror or error}") from error
    record_verified(file.path, sha256, environ)


def _register(plan: PullPlan, begun: Unfinished, environ: Mapping[str, str]) -> Installed:
    """Check that the files are a pair, and list them as a model. Raises: GgufError."""
    files = {role: [each for each in plan.targets if each.files[0].role == role] for role in _ROLES}
    pair = check_pair(read_gguf(files["model"][0].path), read_gguf(files["mmproj"][0].path))
    verified = read_manifest(environ).files
    installed = Installed(
        name=plan.name,
        quant=plan.quant,
        repo=plan.repo,
        commit=plan.commit,
        source="pull",
        dialect=identify(pair).profile.dialect,
        files=tuple(
            InstalledFile.of(verified[str(target.path)], role, target.files[0].name)
            for role in _ROLES
            for target in files[role]
        ),
    )
    discard(register(installed, begun, environ), environ)
    _write_refs(plan, environ)
    return installed


def _write_refs(plan: PullPlan, environ: Mapping[str, str]) -> None:
    """Let the other tools find the commit as `main`. Raises: CannotWriteError."""
    cached = {file.repo: file.commit for file in plan.files if file.blob is not None}
    try:
        for repo, commit in cached.items():
            write_ref(repo, commit, environ)
    except OSError as error:
        raise CannotWriteError(f"{error.filename} can't be written: {error.strerror}") from error


@contextmanager
def _lock(path: Path, progress: _Progress) -> Iterator[None]:
    """Wait until no other run, nor another tool, is fetching the file of this lock.

    Raises: CannotWriteError.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, mode=0o664)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while not lock.is_locked:
            try:
                lock.acquire(timeout=_LOCK_POLL_S)
            except Timeout:
                progress.tell()
    except OSError as error:
        raise CannotWriteError(
            f"{path.parent} can't be written to: {error.strerror or error}",
            hint="choose a folder that you may write to with --to DIR, HF_HOME or QVQ_DATA",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _lock_path(target: PullTarget, environ: Mapping[str, str]) -> Path:
    """In the cache, the lock that huggingface_hub takes for the same file."""
    blob = target.files[0].blob
    if blob is None:
        name = hashlib.sha256(str(target.path).encode()).hexdigest()
        return data_dir(environ) / "locks" / f"{name}.lock"
    return cache_dir(environ) / ".locks" / blob.parents[1].name / f"{blob.name}.lock"
