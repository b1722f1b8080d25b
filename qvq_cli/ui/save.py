"""`--save FILE`: a record of one run that needs nothing but itself, as Markdown, HTML or JSON.

The path is checked before the run: nobody wants to learn after it that a folder is missing.
The record is written beside FILE first and then renamed, so that FILE is never half of one.
"""

import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from qvq_cli.errors import CannotWriteError, UsageError
from qvq_cli.reasoning.events import Record
from qvq_cli.ui.json import dump, result_object
from qvq_cli.ui.pictures import Picture
from qvq_cli.ui.save_html import to_html
from qvq_cli.ui.save_markdown import to_markdown

Render = Callable[[Record, Sequence[Picture]], str]


def check_save_path(path: Path) -> None:
    """Would `save_record` succeed? Leaves nothing behind.

    Raises: UsageError: not .md, .html or .json. CannotWriteError: no such folder, not writable.
    """
    if path.suffix.lower() not in _RENDERERS:
        raise UsageError(
            f"--save can't write '{path}': a record is Markdown, HTML or JSON",
            hint=f"name it {path.with_suffix('.html') if path.name else path / 'run.html'}"
            " (or .md, .json)",
            reference="save-format",
        )
    path = _target(path)
    temporary = _temporary_beside(path)
    try:
        if path.exists() and not path.is_file():
            raise _cannot_write(path, "it is a folder or a device, not a file")
        if path.exists() and not os.access(path, os.W_OK):
            raise _cannot_write(path, "it is write-protected")
        if not path.parent.exists():
            raise _cannot_write(path, f"there is no folder {path.parent}")
        temporary.touch(exist_ok=False)
        temporary.unlink()
    except OSError as error:
        raise _cannot_write(path, error.strerror or str(error)) from error


def save_record(path: Path, record: Record, pictures: Sequence[Picture]) -> None:
    """Write the record in the format that the suffix names, replacing what was there.

    Raises: CannotWriteError: disk full, no permission; FILE is then as it was before.
    """
    text = _RENDERERS[path.suffix.lower()](record, pictures)
    path = _target(path)
    temporary = _temporary_beside(path)
    try:
        with temporary.open("xb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _cannot_write(path, error.strerror or str(error)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _target(path: Path) -> Path:
    """The file behind any symbolic links: renaming onto a link would replace the link."""
    return Path(os.path.realpath(path))


def _temporary_beside(path: Path) -> Path:
    return path.with_name(f".qvq-{secrets.token_hex(4)}.tmp")


def _cannot_write(path: Path, reason: str) -> CannotWriteError:
    return CannotWriteError(
        f"--save can't write {path}: {reason}",
        hint="give --save a file in a folder you can write to, with room for the picture",
        reference="save-failed",
    )


def _json(record: Record, pictures: Sequence[Picture]) -> str:
    embedded = [{"name": picture.name, "data_uri": picture.data_uri()} for picture in pictures]
    return dump({**result_object(record), "pictures": embedded}) + "\n"


_RENDERERS: dict[str, Render] = {".md": to_markdown, ".html": to_html, ".json": _json}
