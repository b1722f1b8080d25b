"""Where a picture's bytes come from: a file, a pipe, standard input.

Knows names and bytes, not pixels. Whatever is typed, reading it ends: devices are refused, named
pipes that stay silent are given up, and no more than MAX_SOURCE_BYTES are ever kept.
"""

import itertools
import os
import re
import select
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from qvq_cli.errors import ImageError, InputNotFoundError

STDIN = "-"
CLIPBOARD = "@clipboard"

MAX_SOURCE_BYTES = 512 * 2**20
"""More than any scanner or camera writes; keeps /proc oddities and endless pipes out of memory."""

PIPE_SILENCE_S = 60.0
"""How long a named pipe may say nothing. `<(command)` is one, and its command may have to think."""

_CHUNK_BYTES = 2**20
_NAMES_SEARCHED = 5000
_NAMES_WEIGHED, _NAMES_SHOWN = 20, 3
_NAME_SHOWN_CHARS = 80
_COMMON_SUFFIXES = (".png", ".jpg", ".jpeg", ".pdf")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|data:image/")
_FILE_END = re.compile(r"\.[A-Za-z0-9]{2,5}$")
_PAGE = re.compile(r"0*[1-9][0-9]{0,6}")
_FRAGMENT = re.compile(r"(?P<name>.+)#(?:page=)?(?P<page>[^#/\\]*)", re.S)


class SourceBytes(NamedTuple):
    """typed: as the person wrote it; page: the N of `file.pdf#N`, from 1, None without it."""

    typed: str
    data: bytes
    page: int | None = None

    @property
    def base(self) -> str:
        """What was typed, without the page."""
        return self.typed if self.page is None else self.typed.rpartition("#")[0]

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return shown(self.base)


def read_source(typed: str, stdin: BinaryIO | None = None) -> SourceBytes:
    """Read what was typed in the place of a picture: a path, `-`, or either with `#PAGE`.

    Args:
        stdin: where `-` reads from; None where nothing is piped in.
    Raises:
        InputNotFoundError: not there, not permitted, a folder, a URL.
        ImageError: empty, larger than MAX_SOURCE_BYTES, a device, a page that is no number.
    """
    if _URL.match(typed):
        raise InputNotFoundError(
            f"qvq doesn't download pictures: {shown(typed)}",
            hint=f"curl -s '{typed}' | qvq solve - \"question\""
            if typed.startswith(("http:", "https:"))
            else "save the picture to a file and give its path",
            reference="url-not-fetched",
        )
    name, page = _split_page(typed)
    data = _read_stdin(stdin) if name == STDIN else _read_path(name)
    if not data:
        raise ImageError(
            f"{shown(name)} is empty (0 bytes)",
            hint="check the command that should have written the picture",
            reference="empty-file",
        )
    return SourceBytes(typed, data, page)


def _split_page(typed: str) -> tuple[str, int | None]:
    """Take `#3` off `file.pdf#3`, unless a file is really called that."""
    found = _FRAGMENT.fullmatch(typed)
    if found is None or _exists(typed):
        return typed, None
    name, page = found["name"], found["page"]
    if _PAGE.fullmatch(page):
        return name, int(page)
    if name == STDIN or name.lower().endswith(".pdf"):
        raise ImageError(
            f"{shown(typed)}: '{page}' is not the number of a page",
            hint=f"pages count from 1, one at a time: {name}#1",
            reference="no-such-page",
        )
    return typed, None


def _exists(name: str) -> bool:
    try:
        Path(name).stat()
    except (OSError, ValueError):
        return False
    return True


def _read_stdin(stdin: BinaryIO | None) -> bytes:
    if stdin is None:
        raise InputNotFoundError(
            "nothing is piped into standard input",
            hint='curl -s URL | qvq solve - "question"',
            reference="no-stdin",
        )
    try:
        return _read_capped(stdin.read, STDIN)
    except OSError as error:
        raise _unreadable(STDIN, error) from error


def _read_path(name: str) -> bytes:
    path = Path(name)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise _folder(path)
        if stat.S_ISFIFO(status.st_mode):
            return _read_pipe(path)
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(
                f"{shown(name)} is a device, not a picture",
                hint='give a file, or pipe the picture into: qvq solve - "question"',
                reference="not-a-file",
            )
        if status.st_size > MAX_SOURCE_BYTES:
            raise _too_large(name)
        with path.open("rb") as file:
            return _read_capped(file.read, name)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise _not_found(name) from error
    except OSError as error:
        raise _unreadable(name, error) from error


def _read_pipe(path: Path) -> bytes:
    """Read a FIFO to its end without ever waiting longer than PIPE_SILENCE_S."""
    if sys.platform == "win32":  # pragma: no cover - Windows keeps no FIFOs among its files
        with path.open("rb") as file:
            return _read_capped(file.read, str(path))
    # Without O_NONBLOCK, opening a FIFO that nobody writes to already waits forever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def read(n_bytes: int) -> bytes:
        while True:
            readable, _, _ = select.select([descriptor], [], [], PIPE_SILENCE_S)
            if not readable:
                raise InputNotFoundError(
                    f"nothing came from the pipe {shown(str(path))} for {PIPE_SILENCE_S:.0f} s",
                    hint="check the command that should write the picture into it",
                    reference="silent-pipe",
                )
            try:
                return os.read(descriptor, n_bytes)
            except BlockingIOError:
                continue

    try:
        return _read_capped(read, str(path))
    finally:
        os.close(descriptor)


def _read_capped(read: Callable[[int], bytes], name: str) -> bytes:
    """Read to the end, in pieces, so that a short file never costs MAX_SOURCE_BYTES of memory."""
    pieces: list[bytes] = []
    n_bytes = 0
    while piece := read(_CHUNK_BYTES):
        pieces.append(piece)
        n_bytes += len(piece)
        if n_bytes > MAX_SOURCE_BYTES:
            raise _too_large(name)
    return b"".join(pieces)


def _too_large(name: str) -> ImageError:
    return ImageError(
        f"{shown(name)} is larger than {MAX_SOURCE_BYTES // 2**20} MB, the most that is read",
        hint="save a smaller version: the model looks at 13 megapixels at most",
        reference="source-too-large",
    )


def _folder(path: Path) -> InputNotFoundError:
    inside = sorted(n for n in _names_in(path) if n.lower().endswith(_COMMON_SUFFIXES))
    return InputNotFoundError(
        f"{shown(str(path))} is a folder, not a picture",
        hint=f"name a picture in it: {path / inside[0]}" if inside else "name a picture file",
        reference="is-a-folder",
    )


def _unreadable(name: str, error: OSError) -> InputNotFoundError:
    reason = error.strerror or str(error)
    return InputNotFoundError(
        f"can't read {shown(name)}: {reason[:1].lower()}{reason[1:]}",
        hint="check the permissions of the file and of its folder"
        if isinstance(error, PermissionError)
        else _question_hint(name),
        reference="unreadable-file",
    )


def _not_found(name: str) -> InputNotFoundError:
    import difflib

    folder = Path(name).parent
    near = [
        each
        for each in difflib.get_close_matches(Path(name).name, _names_in(folder), n=_NAMES_WEIGHED)
        # Of short names, `.png` alone is half.
        if difflib.get_close_matches(Path(name).stem, [Path(each).stem])
    ][:_NAMES_SHOWN]
    message = f"there is no picture '{shown(name)}'"
    if near:
        hint: str | None = f"did you mean {' or '.join(str(folder / n) for n in near)}?"
    elif name.startswith("@"):
        hint = f"{CLIPBOARD} takes the copied picture; @FILE reads a question and goes last"
    else:
        hint = _question_hint(name)
    if hint is None:
        hint = (
            f"check the name; it was looked for in {shown(_absolute(folder))}"
            if _exists(str(folder))
            else f"there is no folder {shown(str(folder))} either: check the path"
        )
    return InputNotFoundError(message, hint=hint, reference="no-such-picture")


def _absolute(folder: Path) -> str:
    try:
        return str(folder.absolute())
    except OSError:  # somebody has removed the folder that we are in
        return str(folder)


def _question_hint(name: str) -> str | None:
    """For text that looks like words rather than like a file."""
    if not _FILE_END.search(name) and (" " in name or Path(name).parent == Path()):
        return 'picture first, question last and in quotes: qvq solve PICTURE "question"'
    return None


def _names_in(folder: Path) -> list[str]:
    """Names of the files in a folder that can be typed; none where it can't be listed."""
    try:
        with os.scandir(folder) as entries:
            first = itertools.islice(entries, _NAMES_SEARCHED)
            return [e.name for e in first if e.name.isprintable() and e.is_file()]
    except (OSError, ValueError):
        return []


def shown(name: str) -> str:
    """A name as a message can carry it: short, and never just a dash."""
    if name == STDIN:
        return "standard input"
    return name if len(name) <= _NAME_SHOWN_CHARS else f"{name[: _NAME_SHOWN_CHARS - 1]}…"
