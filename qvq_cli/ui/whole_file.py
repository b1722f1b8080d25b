"""A file that a person named with an option: written whole or not at all.

It can be checked before the work whose result it takes, and is written beside its name first and
then renamed, so that it is never half of one.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from qvq_cli.errors import CannotWriteError


def check_writable(path: Path, option: str) -> None:
    """Would `write_whole` succeed? Leaves nothing behind.

    Raises: CannotWriteError: no such folder, not writable.
    """
    path = _target(path, option)
    temporary = _temporary_beside(path)
    try:
        if path.exists() and not path.is_file():
            raise _cannot_write(path, option, "it is a folder or a device, not a file")
        if path.exists() and not os.access(path, os.W_OK):
            raise _cannot_write(path, option, "it is write-protected")
        if not path.parent.exists():
            raise _cannot_write(path, option, f"there is no folder {path.parent}")
        temporary.touch(exist_ok=False)
        temporary.unlink()
    except OSError as error:
        raise _cannot_write(path, option, error.strerror or str(error)) from error


def write_whole(path: Path, text: str, option: str) -> None:
    """Write the text, replacing what was there.

    Raises: CannotWriteError: disk full, no permission; the file is then as it was before.
    """
    path = _target(path, option)
    temporary = _temporary_beside(path)
    try:
        with temporary.open("xb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _cannot_write(path, option, error.strerror or str(error)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _target(path: Path, option: str) -> Path:
    """The file behind any symbolic links: renaming onto a link would replace the link.

    Raises: CannotWriteError: a relative path in a folder that has been removed.
    """
    try:
        return Path(os.path.realpath(path))
    except OSError as error:
        raise _cannot_write(path, option, "the current folder is gone") from error


def _temporary_beside(path: Path) -> Path:
    return path.with_name(f".qvq-{secrets.token_hex(4)}.tmp")


def _cannot_write(path: Path, option: str, reason: str) -> CannotWriteError:
    return CannotWriteError(
        f"{option} can't write {path}: {reason}",
        hint=f"give {option} a file in a folder you can write to, with room for it",
        reference=f"{option.lstrip('-')}-failed",
    )
