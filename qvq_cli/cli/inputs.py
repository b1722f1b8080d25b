"""Which of the things typed are pictures and which is the question.

`qvq solve PICTURE... QUESTION`: the question is the last. It may come from a file (`@question.txt`)
or from stdin (`-`, or left out when something is piped in).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

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


class Inputs(NamedTuple):
    """Picture sources in the order typed, and the question."""

    pictures: tuple[str, ...]
    question: str


def read_inputs(arguments: Sequence[str], stdin: BinaryIO, *, stdin_is_terminal: bool) -> Inputs:
    """Split the positional arguments, reading the question from where it is.

    Raises:
        UsageError: no picture, no question, or stdin asked for twice.
        InputNotFoundError: the question's file isn't there.
        PromptError: the question is too long or not text.
    """
    *pictures, last = arguments
    if looks_like_picture(last):
        if pictures and not any(each == "-" or looks_like_picture(each) for each in pictures):
            raise UsageError(
                f"the question goes last, after the pictures, but {last!r} is a picture",
                hint=EXAMPLE,
                reference="question-not-last",
            )
        pictures, last = [*arguments], "-" if not stdin_is_terminal else ""
    elif not pictures and last != "-":
        raise UsageError(
            f"there is a question but no picture: {last!r}", hint=EXAMPLE, reference="no-picture"
        )
    elif not pictures:  # `qvq solve -`: the picture is piped in, so nothing is left to ask
        pictures, last = ["-"], ""
    if [*pictures, last].count("-") > 1:
        if looks_like_picture(arguments[-1]):  # `cat a.png | qvq solve - b.png`
            raise _no_question(pictures)
        raise UsageError(
            "stdin can give one thing only: a picture or the question",
            hint=EXAMPLE,
            reference="stdin-twice",
        )
    question = _read_question(last, stdin).strip()
    if not question:
        raise _no_question(pictures)
    return Inputs(tuple(pictures), question)


def _no_question(pictures: Sequence[str]) -> UsageError:
    return UsageError(
        f"there is no question about {', '.join(pictures)}", hint=EXAMPLE, reference="no-question"
    )


def _read_question(argument: str, stdin: BinaryIO) -> str:
    if argument == "-":
        return _text(stdin.read(MAX_QUESTION_BYTES + 1), "stdin")
    if argument.startswith("@") and not argument[1:2].isspace():
        return _question_from_file(Path(argument[1:]))
    return argument


def looks_like_picture(argument: str) -> bool:
    """Whether an argument can only mean a picture: by its suffix (`a.pdf#3` too) or as a file."""
    if argument == "@clipboard":
        return True
    if argument.startswith("@") or argument == "-":
        return False
    path = argument.rpartition("#")[0] if "#" in argument else argument
    if any(character.isspace() for character in path) and not _is_file(path):
        return False
    return Path(path).suffix.lower() in PICTURE_SUFFIXES or _is_file(argument)


def _is_file(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # too long to be a name, or a NUL in it
        return False


def _question_from_file(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return _text(file.read(MAX_QUESTION_BYTES + 1), str(path))
    except OSError as error:
        raise InputNotFoundError(
            f"the question's file {path} can't be read: {error.strerror}",
            hint='@FILE reads the question from a file; write "@ ..." with a space if that was '
            "the question itself",
            reference="question-file",
        ) from error


def _text(data: bytes, source: str) -> str:
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
            hint="a picture on stdin is written as -, before the question: "
            'cat diagram.png | qvq solve - "find x"',
            reference="question-not-text",
        ) from error
