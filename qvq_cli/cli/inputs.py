"""Which of the things typed are pictures and which is the question.

`qvq solve PICTURE... QUESTION`: the question is the last. It may come from a file (`@question.txt`)
or from stdin (`-`, or left out when something is piped in).
"""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from qvq_cli.engine.sources import CLIPBOARD
from qvq_cli.errors import InputNotFoundError, PromptError, UsageError

PICTURE_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("png", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "dib", "tif", "tiff"),
        *("avif", "heic", "heif", "hif", "pdf", "svg"),
    )
)
MAX_QUESTION_BYTES = 1 << 20
EXAMPLE = 'qvq solve diagram.png "find h\'(2)"'
PIPED_PICTURE_HINT = (
    "a picture on stdin is written as -, before the question: "
    'cat diagram.png | qvq solve - "find x"'
)
QUESTION_FILE_HINT = "@FILE reads the question, as text; a picture goes before it, without the @"


class Inputs(NamedTuple):
    """Picture sources in the order typed, and the question."""

    pictures: tuple[str, ...]
    question: str


def read_inputs(arguments: Sequence[str], stdin: BinaryIO, *, stdin_is_terminal: bool) -> Inputs:
    """Split the positional arguments, reading the question from where it is.

    Raises:
        UsageError: no picture, no question, the question not last, or stdin asked for twice.
        InputNotFoundError: the question's file isn't there.
        PromptError: the question is too long or not text.
    """
    *pictures, last = arguments
    if looks_like_picture(last):
        if pictures and not any(is_stdin(each) or looks_like_picture(each) for each in pictures):
            raise UsageError(
                f"the question goes last, after the pictures, but {last!r} is a picture",
                hint=EXAMPLE,
                reference="question-not-last",
            )
        pictures, last = [*arguments], "" if stdin_is_terminal else "-"
    elif not pictures and not is_stdin(last):
        raise UsageError(
            f"there is a question but no picture: {last!r}",
            hint=EXAMPLE if stdin_is_terminal else f"{EXAMPLE}; {PIPED_PICTURE_HINT}",
            reference="no-picture",
        )
    elif not pictures or last.startswith("-#"):
        # `qvq solve -`: the picture is piped in, so nothing is left to ask.
        pictures, last = [*arguments], ""
    _check_pictures(pictures)
    if sum(map(is_stdin, [*pictures, last])) > 1:
        if looks_like_picture(arguments[-1]):  # `cat a.png | qvq solve - b.png`
            raise _no_question(pictures)
        raise UsageError(
            "stdin can give one thing only: a picture or the question",
            hint=EXAMPLE,
            reference="stdin-twice",
        )
    question = _read_question(last, stdin).strip()
    if not question:
        raise _no_question(pictures, last)
    return Inputs(tuple(pictures), question)


def reads_keyboard(arguments: Sequence[str], *, stdin_is_terminal: bool) -> bool:
    """Whether the question will be what somebody types now."""
    return stdin_is_terminal and len(arguments) > 1 and arguments[-1] == "-"


def typed_text(typed: str, what: str) -> str:
    """What was typed, as text.

    Python keeps bytes that are no text in the locale's encoding as lone surrogates; under LC_ALL=C
    that is all of UTF-8.

    Raises: PromptError: it isn't UTF-8 either.
    """
    try:
        typed.encode()
    except UnicodeEncodeError:
        try:
            return os.fsencode(typed).decode()
        except UnicodeError as error:
            raise PromptError(
                f"{what} is not UTF-8 text",
                hint="write it to a file in UTF-8 and give that as @FILE",
                reference="question-not-text",
            ) from error
    return typed


def is_stdin(argument: str) -> bool:
    """Whether an argument stands for stdin: `-`, or `-#3`, a page of a PDF there."""
    return argument == "-" or argument.startswith("-#")


def looks_like_picture(argument: str) -> bool:
    """Whether an argument can only mean a picture: by its suffix (`a.pdf#3` too) or as a file."""
    if argument == CLIPBOARD:
        return True
    if argument.startswith("@") or is_stdin(argument):
        return False
    path = argument.rpartition("#")[0] if "#" in argument else argument
    if any(character.isspace() for character in path) and not _exists(path):
        return False
    # A word of the question may be the name of a folder here; with a separator in it, it is none.
    is_path = _exists(argument) and (Path(argument).name != argument or not _is_folder(argument))
    return _has_picture_suffix(path) or is_path


def _check_pictures(pictures: Sequence[str]) -> None:
    """Refuse what can be no picture, and the question in the wrong place."""
    for typed in pictures:
        if not typed:
            raise UsageError(
                "the name of a picture is empty",
                hint="perhaps a variable of the shell that isn't set",
                reference="empty-name",
            )
        is_at_file = typed.startswith("@") and typed != CLIPBOARD and not _exists(typed)
        if is_at_file and _exists(typed[1:]):
            raise UsageError(
                f"{typed} reads the question from a file, and the question goes last",
                hint=f"a picture is given without the @: {typed[1:]}"
                if _has_picture_suffix(typed)
                else f"qvq solve PICTURE... {typed}",
                reference="question-not-last",
            )


def _no_question(pictures: Sequence[str], source: str = "") -> UsageError:
    """Say why what may have been meant as the question was taken for a picture.

    Args: source: where the question was to come from, if not from what was typed.
    """
    last = pictures[-1]
    message = f"there is no question about {', '.join(pictures)}"
    hint = EXAMPLE
    if len(pictures) > 1 and _exists(last) and not _has_picture_suffix(last):
        if _is_folder(last):
            message += f": {last!r} is a folder"
        else:
            message += f": {last!r} is a file here, so it was taken for a picture"
            hint = (
                f"@{last} reads the question from that file; if it is the question itself: "
                f"echo {shlex.quote(last)} | qvq solve {shlex.join(pictures[:-1])} -"
            )
    elif source == "-":
        message += ": standard input is empty"
    elif source.startswith("@"):
        message += f": the file {source[1:]} is empty"
    return UsageError(message, hint=hint, reference="no-question")


def _exists(path: str) -> bool:
    """Whether there is a file, a folder or a pipe of that name."""
    try:
        return path != "" and Path(path).exists()
    except (OSError, ValueError):  # too long to be a name, or a NUL in it
        return False


def _is_folder(path: str) -> bool:
    return _exists(path) and Path(path).is_dir()


def _has_picture_suffix(path: str) -> bool:
    return Path(path).suffix.lower() in PICTURE_SUFFIXES


def _read_question(argument: str, stdin: BinaryIO) -> str:
    if argument == "-":
        return _text(stdin.read(MAX_QUESTION_BYTES + 1), "stdin", PIPED_PICTURE_HINT)
    if argument.startswith("@") and not argument[1:2].isspace():
        return _question_from_file(Path(argument[1:]))
    return typed_text(argument, "the question")


def _question_from_file(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return _text(file.read(MAX_QUESTION_BYTES + 1), str(path), QUESTION_FILE_HINT)
    except OSError as error:
        raise InputNotFoundError(
            f"the question's file {path} can't be read: {error.strerror}",
            hint='@FILE reads the question from a file; write "@ ..." with a space if that was '
            "the question itself",
            reference="question-file",
        ) from error


def _text(data: bytes, source: str, hint: str) -> str:
    if len(data) > MAX_QUESTION_BYTES:
        raise PromptError(
            f"the question from {source} is longer than 1 MiB; it can't be a question",
            reference="question-too-long",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PromptError(
            f"the question from {source} is not UTF-8 text",
            hint=hint,
            reference="question-not-text",
        ) from error
