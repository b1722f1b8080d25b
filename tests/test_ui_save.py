"""--save: self-contained, nothing breaks out of it, all or nothing on the disk."""

import base64
import errno
import html.parser
import json
import os
import sys
from pathlib import Path

import pytest

from qvq_cli.errors import CannotWriteError, ExitCode, UsageError
from qvq_cli.ui.pictures import Picture
from qvq_cli.ui.save import check_save_path, save_record
from ui_samples import RECORD, UNANSWERED

PICTURE = Picture('di"agram<1>.png', "image/png", b"\x89PNG not really")
HOSTILE = RECORD._replace(
    question="</title><script>alert(1)</script> `` ``` ```` & \x1b[31m",
    reasoning="````\n# not a heading\n</div><img src=x onerror=alert(1)>\n$x^2$ \udce9",
    system="a | b `c` \n new line",
)


class _Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def _saved(tmp_path: Path, name: str, record=RECORD, pictures=(PICTURE,)) -> str:
    path = tmp_path / name
    save_record(path, record, pictures)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    return path.read_text(encoding="utf-8")


def test_html_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = _saved(tmp_path, "run.html")
    parser = _Tags()
    parser.feed(page)
    assert not {"script", "link", "iframe", "style src"} & {tag for tag, _ in parser.tags}
    (image,) = [attrs for tag, attrs in parser.tags if tag == "img"]
    assert image["alt"] == PICTURE.name
    assert image["src"].startswith("data:image/png;base64,")
    assert base64.b64decode(image["src"].partition(",")[2]) == PICTURE.data
    assert "http://" not in page and "https://" not in page
    assert "prefers-color-scheme: dark" in page
    for text in ("find h&#x27;(2)", "1/5", "So h = f*g.", "greedy", "cd" * 32, "640x480 → 644x476"):
        assert text in page


def test_html_lets_nothing_out(tmp_path: Path) -> None:
    page = _saved(tmp_path, "run.html", HOSTILE)
    parser = _Tags()
    parser.feed(page)
    assert "script" not in {tag for tag, _ in parser.tags}
    assert all("onerror" not in attrs for _, attrs in parser.tags)
    assert "x²" in page and "\x1b" not in page and "\ufffd" in page


def test_markdown_fences_what_others_wrote(tmp_path: Path) -> None:
    text = _saved(tmp_path, "run.md", HOSTILE)
    assert PICTURE.data_uri() in text
    outside, fence = [], ""
    for line in text.splitlines():
        if fence:
            fence = "" if line == fence else fence
        elif line.startswith("```"):
            fence = line.removesuffix("text")
        else:
            outside.append(line)
    assert not fence
    headings = [line for line in outside if line.startswith("#")]
    assert "# not a heading" not in headings and "## Reasoning" in headings
    assert not any("script" in line or "onerror" in line for line in outside)
    assert "| system | `` a \\| b `c`   new line `` |" in outside


def test_json_is_the_result_with_the_pictures(tmp_path: Path) -> None:
    saved = json.loads(_saved(tmp_path, "RUN.JSON"))
    assert saved["schema"] == 1
    assert saved["answer"] == r"\frac{1}{5}"
    assert saved["pictures"] == [{"name": PICTURE.name, "data_uri": PICTURE.data_uri()}]


def test_the_title_of_a_page_is_one_line(tmp_path: Path) -> None:
    page = _saved(tmp_path, "run.html", RECORD._replace(question="first\n\nsecond\tthird"))
    assert "<title>first second third</title>" in page


def test_the_hint_keeps_the_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        check_save_path(tmp_path / "run.txt")
    assert str(tmp_path / "run.html") in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["run.md", "run.html", "run.json"])
def test_a_run_without_answer_or_pictures_is_saved_too(tmp_path: Path, name: str) -> None:
    record = UNANSWERED._replace(images=())
    text = _saved(tmp_path, name, record, ())
    assert "So h = f*g." in text
    assert ("no answer was reached" in text) == (name != "run.json")


@pytest.mark.parametrize("name", ["run.txt", "run", "run.md.gz", ".md"])
def test_unknown_suffix_is_a_usage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="Markdown, HTML or JSON"):
        check_save_path(tmp_path / name)


def test_check_leaves_nothing_and_touches_nothing(tmp_path: Path) -> None:
    check_save_path(tmp_path / "new.md")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old.md").write_text("old")
    check_save_path(tmp_path / "old.md")
    assert (tmp_path / "old.md").read_text() == "old"


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "file").write_text("")
    for path in ("folder.md", "missing/run.md", "file/run.md"):
        with pytest.raises(CannotWriteError) as caught:
            check_save_path(tmp_path / path)
        assert caught.value.exit_code == ExitCode.CANNOT_WRITE


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a folder that is in use")
def test_a_current_folder_that_has_been_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(CannotWriteError, match="the current folder is gone"):
        check_save_path(Path("run.md"))
    check_save_path(tmp_path / "run.md")


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="permissions don't bind root or Windows"
)
def test_protected_file_and_folder(tmp_path: Path) -> None:
    protected = tmp_path / "old.md"
    protected.write_text("old")
    protected.chmod(0o444)
    with pytest.raises(CannotWriteError, match="write-protected"):
        check_save_path(protected)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(CannotWriteError):
            check_save_path(tmp_path / "new.md")
    finally:
        tmp_path.chmod(0o755)


def test_a_full_disk_leaves_the_old_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.md").write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotWriteError, match="No space left") as caught:
        save_record(tmp_path / "run.md", RECORD, [PICTURE])
    assert caught.value.exit_code == ExitCode.CANNOT_WRITE
    assert (tmp_path / "run.md").read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.md"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.md").write_text("old")
    (tmp_path / "link.md").symlink_to("real.md")
    save_record(tmp_path / "link.md", RECORD, [])
    assert (tmp_path / "link.md").is_symlink()
    assert "So h" in (tmp_path / "real.md").read_text(encoding="utf-8")
