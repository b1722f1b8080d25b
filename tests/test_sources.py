"""Where bytes come from: every way to name a picture, and every way that goes wrong."""

import io
import os
import sys
import threading
from pathlib import Path

import pytest

from qvq_cli.engine import sources
from qvq_cli.engine.sources import read_source
from qvq_cli.errors import ExitCode, ImageError, InputNotFoundError, QvqError

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="FIFOs and /dev are POSIX")


def refusal(typed: str | Path, stdin: io.BytesIO | None = None) -> QvqError:
    with pytest.raises(QvqError) as caught:
        read_source(str(typed), stdin)
    return caught.value


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    path.write_bytes(b"\x89PNG" * 1_000_000)
    read = read_source(str(path))
    assert read.data == b"\x89PNG" * 1_000_000
    assert (read.typed, read.base, read.page) == (str(path), str(path), None)


def test_standard_input_is_read_whole() -> None:
    read = read_source("-", io.BytesIO(b"x" * 3_000_000))
    assert read.data == b"x" * 3_000_000
    assert read.name == "standard input"


def test_standard_input_that_is_no_pipe() -> None:
    error = refusal("-", None)
    assert isinstance(error, InputNotFoundError)
    assert error.reference == "no-stdin"


def test_nothing_on_standard_input() -> None:
    error = refusal("-", io.BytesIO())
    assert isinstance(error, ImageError)
    assert error.message == "standard input is empty (0 bytes)"


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.touch()
    error = refusal(path)
    assert (error.exit_code, error.reference) == (ExitCode.BAD_DATA, "empty-file")


@pytest.mark.parametrize("fragment", ["#3", "#page=3", "#003"])
def test_a_page_of_a_pdf(tmp_path: Path, fragment: str) -> None:
    path = tmp_path / "exam.pdf"
    path.write_bytes(b"%PDF-")
    read = read_source(f"{path}{fragment}")
    assert (read.page, read.base, read.data) == (3, str(path), b"%PDF-")


def test_a_page_of_a_pdf_on_standard_input() -> None:
    read = read_source("-#2", io.BytesIO(b"%PDF-"))
    assert (read.page, read.name) == (2, "standard input")


def test_a_file_that_is_really_called_so(tmp_path: Path) -> None:
    path = tmp_path / "figure#3"
    path.write_bytes(b"picture")
    read = read_source(str(path))
    assert (read.data, read.page) == (b"picture", None)


@pytest.mark.parametrize("page", ["", "0", "three", "2-4", "-1", "9" * 5000])
def test_a_page_that_is_no_number(tmp_path: Path, page: str) -> None:
    path = tmp_path / "exam.pdf"
    path.write_bytes(b"%PDF-")
    error = refusal(f"{path}#{page}")
    assert (error.exit_code, error.reference) == (ExitCode.BAD_DATA, "no-such-page")
    assert f"{path}#1" in (error.hint or "")


def test_a_name_with_a_hash_in_it(tmp_path: Path) -> None:
    error = refusal(tmp_path / "task#two.png")
    assert error.message == f"there is no picture '{sources.shown(str(tmp_path / 'task#two.png'))}'"


def test_a_name_that_is_nearly_right(tmp_path: Path) -> None:
    (tmp_path / "diagram.png").write_bytes(b"picture")
    error = refusal(tmp_path / "diagramm.png")
    assert (error.exit_code, error.reference) == (ExitCode.NO_INPUT, "no-such-picture")
    assert error.hint == f"did you mean {tmp_path / 'diagram.png'}?"
    assert refusal(tmp_path / "diagram.pgn").hint == error.hint


def test_a_name_that_only_its_suffix_likens(tmp_path: Path) -> None:
    for name in ("one.png", "b.png", "a\nhint: rm.png"):
        try:
            (tmp_path / name).write_bytes(b"picture")
        except OSError:  # Windows has no such names
            continue
    searched = f"check the name; it was looked for in {sources.shown(str(tmp_path))}"
    assert refusal(tmp_path / "nothere.png").hint == searched
    assert refusal(tmp_path / "a.png").hint == searched
    assert refusal(tmp_path / "a hint: rm.png").hint == searched, "a name that nobody can type"


@pytest.mark.parametrize("question", ["which gear turns clockwise?", "h(3.5 m)/2 = ?", "面积"])
def test_a_question_in_the_place_of_a_picture(question: str) -> None:
    error = refusal(question)
    assert error.exit_code is ExitCode.NO_INPUT
    assert "question last and in quotes" in (error.hint or "")


def test_a_question_too_long_for_a_file_name_is_cut_in_the_message() -> None:
    error = refusal("why " * 2000)
    assert error.exit_code is ExitCode.NO_INPUT
    assert len(error.message) < 200
    assert "question last" in (error.hint or "")


def test_a_file_with_a_space_in_its_name_is_no_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    searched = f"check the name; it was looked for in {sources.shown(str(tmp_path))}"
    assert refusal("my drawing.png").hint == searched


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use can't be removed there")
def test_a_name_in_a_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert refusal("nope.png").reference == "no-such-picture"


def test_a_question_file_in_the_place_of_a_picture() -> None:
    error = refusal("@question.txt")
    assert error.exit_code is ExitCode.NO_INPUT
    assert "@clipboard" in (error.hint or "")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    error = refusal(tmp_path / "nowhere" / "figure.png")
    assert error.exit_code is ExitCode.NO_INPUT
    assert "no folder" in (error.hint or "")


def test_a_file_taken_for_a_folder(tmp_path: Path) -> None:
    (tmp_path / "figure.png").write_bytes(b"picture")
    assert refusal(tmp_path / "figure.png" / "part.png").exit_code is ExitCode.NO_INPUT


def test_a_name_with_a_null_character() -> None:
    assert refusal("figure\0.png").exit_code is ExitCode.NO_INPUT


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"text")
    (tmp_path / "figure.png").write_bytes(b"picture")
    error = refusal(tmp_path)
    assert (error.exit_code, error.reference) == (ExitCode.NO_INPUT, "is-a-folder")
    assert str(tmp_path / "figure.png") in (error.hint or "")


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    assert refusal(tmp_path).hint == "name a picture file"


@pytest.mark.parametrize(
    "url", ["http://example.org/a.png", "https://example.org/a%20b.png?x=1&y=2"]
)
def test_an_address_is_not_opened(url: str) -> None:
    error = refusal(url)
    assert (error.exit_code, error.reference) == (ExitCode.NO_INPUT, "url-not-fetched")
    assert error.hint == f"curl -s '{url}' | qvq solve - \"question\""


@pytest.mark.parametrize("url", ["ftp://example.org/a.png", "data:image/png;base64,iVBORw0KGgo="])
def test_other_addresses_are_not_opened_either(url: str) -> None:
    assert refusal(url).reference == "url-not-fetched"


@posix_only
def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(b"picture")

    def deny(*_args: object, **_options: object) -> io.BytesIO:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", deny)  # root, who runs tests in containers, may read all
    error = refusal(path)
    assert (error.exit_code, error.reference) == (ExitCode.NO_INPUT, "unreadable-file")
    assert error.message == f"can't read {sources.shown(str(path))}: permission denied"
    assert "permissions" in (error.hint or "")


def test_standard_input_that_breaks() -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    assert refusal("-", Broken()).message == "can't read standard input: input/output error"


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scan.tiff"
    path.write_bytes(b"x" * 1001)
    monkeypatch.setattr(sources, "MAX_SOURCE_BYTES", 1000)
    error = refusal(path)
    assert (error.exit_code, error.reference) == (ExitCode.BAD_DATA, "source-too-large")


def test_standard_input_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.BytesIO):
        n_read = 0

        def read(self, size: int | None = -1, /) -> bytes:
            assert size and size > 0, "an endless stream must be read in pieces"
            self.n_read += size
            return bytes(size)

    monkeypatch.setattr(sources, "MAX_SOURCE_BYTES", 5 * 2**20)
    stream = Endless()
    assert refusal("-", stream).reference == "source-too-large"
    assert stream.n_read <= 7 * 2**20


@posix_only
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/random"])
def test_devices_are_refused(device: str) -> None:
    error = refusal(device)
    assert (error.exit_code, error.reference) == (ExitCode.BAD_DATA, "not-a-file")


@posix_only
def test_process_substitution() -> None:
    reader, writer = os.pipe()

    def write() -> None:
        with open(writer, "wb") as stream:
            stream.write(b"picture" * 100_000)  # more than a pipe holds at once

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert read_source(f"/dev/fd/{reader}").data == b"picture" * 100_000
    finally:
        thread.join()
        os.close(reader)


@posix_only
def test_process_substitution_whose_command_is_done() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"picture")
    os.close(writer)
    try:
        assert read_source(f"/dev/fd/{reader}").data == b"picture"
    finally:
        os.close(reader)


@posix_only
def test_a_pipe_that_stays_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "PIPE_SILENCE_S", 0.01)
    reader, writer = os.pipe()
    try:
        error = refusal(f"/dev/fd/{reader}")
    finally:
        os.close(reader)
        os.close(writer)
    assert (error.exit_code, error.reference) == (ExitCode.NO_INPUT, "silent-pipe")


@posix_only
def test_a_named_pipe_that_nobody_writes_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "PIPE_SILENCE_S", 0.01)
    path = tmp_path / "pipe.png"
    os.mkfifo(path)
    # Linux keeps waiting for a writer; macOS reports the end of the pipe at once.
    assert refusal(path).reference in ("silent-pipe", "empty-file")
