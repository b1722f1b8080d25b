"""Which of the things typed are pictures, which is the question, and what is said of neither."""

import io
import sys
from pathlib import Path

import pytest

from conftest import TABLE
from qvq_cli.cli.inputs import read_inputs, typed_text
from qvq_cli.errors import PromptError, QvqError, UsageError


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with a picture, a question's file and a folder called why."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(TABLE.read_bytes())
    (tmp_path / "photo").write_bytes(TABLE.read_bytes())
    (tmp_path / "q.txt").write_text("find x")
    (tmp_path / "why").mkdir()
    return tmp_path


def read(*arguments: str, stdin: bytes = b"") -> tuple[tuple[str, ...], str]:
    return read_inputs(arguments, io.BytesIO(stdin), stdin_is_terminal=not stdin)


def refused(*arguments: str) -> QvqError:
    with pytest.raises(QvqError) as caught:
        read(*arguments)
    return caught.value


def test_a_folder_or_nothing_is_no_picture() -> None:
    assert read("a.png", "why") == (("a.png",), "why")
    assert refused("a.png", "").message == "there is no question about a.png"
    assert refused("", "why").message == "the name of a picture is empty"


def test_a_question_that_names_a_file_says_so() -> None:
    error = refused("a.png", "q.txt")
    assert "'q.txt' is a file here, so it was taken for a picture" in error.message
    assert "@q.txt reads the question" in (error.hint or "")
    assert read("a.png", "@q.txt") == (("a.png",), "find x")
    assert read("a.png", "-", stdin=b"q.txt") == (("a.png",), "q.txt"), "as the hint says"
    assert read("a.png", "photo", stdin=b"why") == (("a.png", "photo"), "why")


def test_a_path_to_a_folder_is_no_question(folder: Path) -> None:
    assert refused("a.png", str(folder / "why")).message.endswith("is a folder")


def test_the_file_of_a_question_goes_last() -> None:
    error = refused("a.png", "@q.txt", "photo")
    assert error.message == "@q.txt reads the question from a file, and the question goes last"
    assert error.hint == "qvq solve PICTURE... @q.txt"
    assert refused("@a.png", "why").hint == "a picture is given without the @: a.png"


def test_a_source_without_a_question(folder: Path) -> None:
    (folder / "empty.txt").write_text(" \n")
    assert refused("a.png", "@empty.txt").message.endswith(": the file empty.txt is empty")
    with pytest.raises(UsageError, match=r"about a\.png: standard input is empty"):
        read("a.png", "-", stdin=b"\n")
    with pytest.raises(UsageError, match=r"about a\.png: standard input is empty"):
        read("a.png", stdin=b"\n")


def test_a_question_without_a_picture() -> None:
    assert "|" not in (refused("why?").hint or "")
    with pytest.raises(UsageError) as caught:
        read("why?", stdin=b"picture")
    assert "cat diagram.png | qvq solve - " in (caught.value.hint or "")


def test_a_picture_for_a_question() -> None:
    error = refused("a.png", "@a.png")
    assert isinstance(error, PromptError)
    assert "stdin" not in (error.hint or "")


def test_a_page_of_a_pdf_on_stdin() -> None:
    assert read("-#2", "why?") == (("-#2",), "why?")
    assert "no question about -#2" in refused("-#2").message
    with pytest.raises(UsageError, match="one thing only"):
        read("-#2", "-")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no bytes to recover")
def test_bytes_that_the_locale_did_not_know() -> None:
    assert typed_text("求 h'(2)".encode().decode("ascii", "surrogateescape"), "it") == "求 h'(2)"
    assert typed_text("求", "it") == "求"
    with pytest.raises(PromptError, match="it is not UTF-8 text"):
        typed_text(b"\xff\xfe what".decode("utf-8", "surrogateescape"), "it")
