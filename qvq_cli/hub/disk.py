"""Folders that files are to go into: can they be written to, and is there room.

They need not be there yet. Asked before the work begins, so that nobody waits for hours to
hear it. Writes nothing.
"""

import os
import shutil
from pathlib import Path

from qvq_cli.errors import CannotWriteError


def is_folder(path: Path) -> bool:
    """Whether it is one, as far as may be seen: pathlib's own raises in a folder that is closed."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path) -> bool:
    """Whether it is one, as far as may be seen; False too of a name that no file can have."""
    return os.path.isfile(path)  # noqa: PTH113


def expand_home(path: Path) -> Path:
    """With `~` and `~user` written out where there is such a home; pathlib's own raises."""
    return Path(os.path.expanduser(path))  # noqa: PTH111


def existing_parent(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there and may be looked at."""
    folder = folder.absolute()
    return next((each for each in (folder, *folder.parents) if is_folder(each)), Path(os.sep))


def free_bytes(folder: Path) -> int:
    """What the disk of a folder can still take."""
    return shutil.disk_usage(existing_parent(folder)).free


def write_problem(folder: Path) -> str | None:
    """Why no file could be put into a folder, whether it is there or is to be made; None: it could.

    A full disk is no such reason. Windows and network drives may still refuse the first write.
    """
    folder = folder.absolute()
    nearest = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    if not is_folder(nearest):
        return f"{nearest} is not a folder"
    # A file system without any room (/proc) keeps no files, whatever its permissions say.
    if not os.access(nearest, os.W_OK | os.X_OK) or shutil.disk_usage(nearest).total == 0:
        return f"{folder} can't be written to"
    return None


def require_writable(folder: Path, *, hint: str) -> None:
    """Raises: CannotWriteError: no file could be put into the folder."""
    problem = write_problem(folder)
    if problem is not None:
        raise CannotWriteError(problem, hint=hint)
