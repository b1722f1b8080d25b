"""The commands about models as people meet them: on a terminal, asked, interrupted, going on."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_hub import FakeHub
from model_shop import FILES, MODEL, MODEL_FILE, REPO, hub
from qvq_cli.cli.app import main
from qvq_cli.errors import ExitCode

__all__ = ["hub"]

if sys.platform == "win32":
    pytest.skip("pseudo-terminals and signals are POSIX", allow_module_level=True)

from test_program import on_terminal


@pytest.fixture
def slow_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with FakeHub({REPO: FILES}, bytes_per_s=2_000_000) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


@pytest.mark.usefixtures("slow_hub")
def test_a_pull_shows_bars_and_ctrl_c_leaves_what_is_there() -> None:
    with on_terminal(MODEL, command="pull", columns=100) as program:
        program.wait_for("MB? [Y/n]")
        program.type_in(b"\r")
        program.wait_for("in all")
        program.wait_for("MB/s")
        program.press_ctrl_c()
        assert program.finish() == ExitCode.INTERRUPTED
        last = program.text.splitlines()[-2:]
        assert last[0].startswith("qvq: interrupted: ")
        assert "of 13.5 MB are here and stay here" in last[0]
        assert last[1] == f"hint: to go on where it stopped: qvq pull {MODEL}:Q8_0"
        assert "in all" not in program.text, "the bars are gone"
        assert program.raw.rfind(b"\x1b[?25h") > program.raw.rfind(b"\x1b[?25l"), "no cursor"


def test_the_next_pull_goes_on_where_it_stopped(slow_hub: FakeHub) -> None:
    with on_terminal(MODEL, "--yes", command="pull", columns=100) as program:
        program.wait_for("MB/s")
        program.press_ctrl_c()
        program.finish()
    slow_hub.bytes_per_s = None
    with on_terminal(MODEL, "--yes", command="pull", columns=100) as program:
        assert program.finish() == 0
        assert "are here already" in program.text
        assert "every byte checked" in program.text
    for name, path in FILES.items():
        # What was on its way when the first run was stopped is fetched again, no more.
        assert slow_hub.n_sent(name) < 1.5 * path.stat().st_size


def test_removing_asks_and_enter_keeps(hub: FakeHub, capfd: pytest.CaptureFixture[str]) -> None:
    assert hub.endpoint
    assert main(["pull", MODEL]) == 0
    path = Path(capfd.readouterr().out.strip())
    with on_terminal(MODEL, command="rm", columns=200) as program:
        program.wait_for("Remove it? [y/N]")
        assert "frees 13.5 MB" in program.text
        assert MODEL_FILE in program.text
        program.type_in(b"\r")
        assert program.finish() == ExitCode.INTERRUPTED
        assert "nothing was removed" in program.text
    assert path.is_file()
    with on_terminal(MODEL, command="rm", columns=200) as program:
        program.wait_for("Remove it? [y/N]")
        program.type_in(b"y\r")
        assert program.finish() == 0
        assert "13.5 MB are free again" in program.text
    assert not path.exists()


def test_verify_offers_to_repair(hub: FakeHub, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", MODEL]) == 0
    path = Path(capfd.readouterr().out.strip())
    before = hub.n_sent(MODEL_FILE)
    damage(path)
    with on_terminal(MODEL, command="verify", columns=200) as program:
        program.wait_for(f"Get {MODEL_FILE} again (7.2 MB)? [Y/n]")
        program.type_in(b"\r")
        assert program.finish() == 0
    assert path.read_bytes() == FILES[MODEL_FILE].read_bytes()
    assert before < hub.n_sent(MODEL_FILE) <= before + path.stat().st_size


def damage(path: Path) -> None:
    """Flip a byte and leave size and time as they were: only a hash can tell."""
    blob = path.resolve()
    times = blob.stat()
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 0xFF
    blob.write_bytes(data)
    os.utime(blob, ns=(times.st_atime_ns, times.st_mtime_ns))
