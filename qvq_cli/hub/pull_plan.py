"""What a pull will do, before it does it: the files, where they go, and what is there already."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from qvq_cli.errors import CannotWriteError
from qvq_cli.hub.catalog import CatalogEntry
from qvq_cli.hub.disk import free_bytes, require_writable
from qvq_cli.hub.manifest import Role
from qvq_cli.hub.partial import Partial, part_path
from qvq_cli.hub.remote_types import RemoteFile
from qvq_cli.sizes import size

State = Literal["waiting", "downloading", "checking", "done"]
_SPARE_BYTES = 64 << 20  # for what else is written on that disk meanwhile


@dataclass(frozen=True, slots=True)
class PullFile:
    """One file of a repository at one commit.

    path: where it will be found. blob: where its content lies when `path` only points there.
    have_bytes: how much of it was on disk when the plan was made.
    """

    role: Role
    repo: str
    commit: str
    remote: RemoteFile
    url: str
    path: Path
    blob: Path | None = None
    have_bytes: int = 0

    @property
    def name(self) -> str:
        return self.remote.name

    @property
    def n_bytes(self) -> int:
        return self.remote.n_bytes

    @property
    def sha256(self) -> str | None:
        return self.remote.sha256

    @property
    def content_path(self) -> Path:
        return self.blob or self.path

    @property
    def digest(self) -> str | None:
        """What hashing its bytes with `new_digest` must give."""
        return self.remote.sha256 or self.remote.git_sha1

    def new_digest(self) -> "hashlib._Hash":
        """The hash that the Hub publishes: sha256, or git's own for small files outside LFS."""
        if self.remote.sha256 is not None:
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self.n_bytes)


@dataclass(frozen=True, slots=True)
class PullTarget:
    """A file to be, made of one remote file or of several slices."""

    files: tuple[PullFile, ...]

    @property
    def path(self) -> Path:
        return self.files[0].path

    @property
    def content_path(self) -> Path:
        return self.files[0].content_path

    @property
    def part_path(self) -> Path:
        return part_path(self.content_path)

    @property
    def sha256(self) -> str | None:
        """The published one; None of slices, and of a file outside LFS."""
        return self.files[0].sha256 if len(self.files) == 1 else None

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(file.n_bytes for file in self.files)

    @property
    def n_bytes(self) -> int:
        return sum(self.sizes)

    def looked_at(self) -> "PullTarget":
        """With have_bytes as the disk is now."""
        have = Partial.bytes_on_disk(self.part_path, self.sizes)
        if self.found_path() is not None:
            have = self.sizes
        files = zip(self.files, have, strict=True)
        return PullTarget(tuple(replace(file, have_bytes=n_bytes) for file, n_bytes in files))

    def found_path(self) -> Path | None:
        """Where a file of its size is already, right or wrong."""
        paths = (self.path, self.content_path)
        return next((each for each in paths if _size_of(each) == self.n_bytes), None)


@dataclass(frozen=True, slots=True)
class PullPlan:
    """A pull, decided.

    name: of the catalog, or hf:OWNER/REPO. is_complete: all of it is installed and looks unchanged.
    heads: first bytes of files that were looked at, by URL.
    """

    name: str
    title: str
    quant: str
    licence: str
    entry: CatalogEntry | None
    targets: tuple[PullTarget, ...]
    is_complete: bool
    heads: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def looked_at(self) -> "PullPlan":
        """With have_bytes as the disk is now."""
        return replace(self, targets=tuple(target.looked_at() for target in self.targets))

    @property
    def model_id(self) -> str:
        return f"{self.name}:{self.quant}"

    @property
    def files(self) -> tuple[PullFile, ...]:
        return tuple(file for target in self.targets for file in target.files)

    @property
    def repo(self) -> str:
        return next(file.repo for file in self.files if file.role == "model")

    @property
    def commit(self) -> str:
        return next(file.commit for file in self.files if file.role == "model")

    @property
    def n_bytes(self) -> int:
        return sum(file.n_bytes for file in self.files)

    @property
    def missing_bytes(self) -> int:
        """What is still to be fetched."""
        return self.n_bytes - sum(file.have_bytes for file in self.files)

    @property
    def folder(self) -> Path:
        """Where the largest file goes."""
        return max(self.targets, key=lambda target: target.n_bytes).content_path.parent

    @property
    def disk_free_bytes(self) -> int:
        return free_bytes(self.folder)


def require_disk(plan: PullPlan) -> None:
    """Refuse a pull that would fill the disk, or has nowhere to write to.

    Raises: CannotWriteError, with the numbers.
    """
    missing_bytes, there_bytes = plan.missing_bytes, plan.disk_free_bytes
    if missing_bytes == 0:
        return
    require_writable(plan.folder, hint="choose a folder of yours with --to DIR or HF_HOME")
    if missing_bytes + _SPARE_BYTES <= there_bytes:
        return
    raise CannotWriteError(
        f"{plan.title} {plan.quant} needs {size(missing_bytes)} more on the disk of {plan.folder}, "
        f"where {size(there_bytes)} are free and {size(_SPARE_BYTES)} are left to other programs",
        hint="make room there, choose another disk with --to DIR or HF_HOME, or a smaller --quant",
        reference="disk-full",
    )


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
