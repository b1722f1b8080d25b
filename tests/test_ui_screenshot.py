"""The screenshot tool runs a real program in a terminal and draws what it really showed."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")

TOOL = Path(__file__).parent / "make_screenshot.py"


def _draw(svg: Path, code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), str(svg), "--columns", "40", "--shown", "qvq solve x.png"]
    return subprocess.run(
        [*command, "--", sys.executable, "-c", code], capture_output=True, text=True
    )


def test_the_last_screen_is_drawn(tmp_path: Path) -> None:
    code = (
        "import sys; assert sys.stdout.isatty();"
        "print('gone', end='\\r\\x1b[2K'); print('\\x1b[2mdim 题\\x1b[0m \\x1b[33mnote\\x1b[0m')"
    )
    run = _draw(tmp_path / "a.svg", code)
    assert run.returncode == 0, run.stderr
    svg = (tmp_path / "a.svg").read_text(encoding="utf-8")
    text = "".join(ElementTree.fromstring(svg).itertext()).replace("\xa0", " ")
    assert "qvq solve x.png" in text and "dim 题" in text and "note" in text
    assert "gone" not in text
    assert "@font-face" not in svg and "cdnjs" not in svg


def test_a_command_that_fails_makes_no_picture(tmp_path: Path) -> None:
    run = _draw(tmp_path / "a.svg", "import sys; sys.exit(7)")
    assert run.returncode == 7
    assert not (tmp_path / "a.svg").exists()
