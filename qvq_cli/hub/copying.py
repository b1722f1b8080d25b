"""Hash files that are at hand, and copy them in the same pass."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from qvq_cli.errors import CannotWriteError
from qvq_cli.hub.gguf import unreadable
from qvq_cli.hub.partial import part_path

OnProgress = Callable[[Path, int, int], None]
"""Called with a file, how much of it is done, and its size."""

_PIECE_BYTES = 4 << 20


class Taken(NamedTuple):
    """A file that was hashed. source: the file, or its first slice; path: where it is used from."""

    source: Path
    path: Path
    sha256: str
    is_joined: bool


def take(sources: Sequence[Path], copy: Path | None, on_progress: OnProgress) -> Taken:
    """Hash a file, or slices one after the other, and copy them where a copy is wanted.

    The copy gets its name when it is complete; what is left of one that isn't is removed.
    Raises: InputNotFoundError: a source can't be read. CannotWriteError: the copy can't be written.
    """
    path = sources[0] if copy is None else copy
    digest = hashlib.sha256()
    part = Path(os.devnull) if copy is None else part_path(copy)
    try:
        n_bytes, n_done = sum(source.stat().st_size for source in sources), 0
        with part.open("wb") as file:
            for source in sources:
                for data in _pieces(source):
                    digest.update(data)
                    file.write(data)
                    n_done += len(data)
                    on_progress(path, n_done, n_bytes)
        if copy is not None:
            part.replace(copy)
    except OSError as error:
        raise cannot_import(path, error) from error
    finally:
        if copy is not None:
            part.unlink(missing_ok=True)
    return Taken(sources[0], path, digest.hexdigest(), len(sources) > 1)


def cannot_import(path: Path, error: OSError) -> CannotWriteError:
    """A copy that the disk refuses."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CannotWriteError(
            f"the disk of {path.parent} is full",
            hint="make room, or leave the files where they are with --link",
            reference="disk-full",
        )
    return CannotWriteError(
        f"{error.filename or path} can't be written: {error.strerror or error}",
        hint="set QVQ_DATA to a folder of yours",
        reference="cannot-import",
    )


def _pieces(source: Path) -> Iterator[bytes]:
    try:
        with source.open("rb", buffering=0) as file:
            while data := file.read(_PIECE_BYTES):
                yield data
    except OSError as error:
        raise unreadable(source, error) from error
