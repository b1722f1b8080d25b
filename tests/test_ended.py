"""Ended by the system: what a signal leaves of a pull or an import, and what is said about it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import NANO
from fake_hub import FakeHub
from model_shop import FILES, MODEL, MODEL_FILE, REPO

if sys.platform == "win32":
    pytest.skip("signals are POSIX", allow_module_level=True)

PATIENCE_S = 60


@pytest.fixture
def slow_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with FakeHub({REPO: FILES}, bytes_per_s=2_000_000) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


def start(*arguments: str | Path, ignored: signal.Signals | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "qvq_cli", *map(str, arguments)]
    if ignored is not None:
        code = f"import os, signal, sys; signal.signal({int(ignored)}, signal.SIG_IGN)"
        command = [sys.executable, "-c", f"{code}; os.execv(sys.argv[1], sys.argv[1:])", *command]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )


def wait_for(folder: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not any(folder.rglob(pattern)):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("slow_hub")
def test_a_pull_says_what_stays(tmp_path: Path, number: signal.Signals) -> None:
    process = start("pull", MODEL)
    wait_for(tmp_path / "hf", "*.journal", process)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + number
    told, hint = err.splitlines()[-2:]
    assert told.startswith(f"qvq: ended by {number.name}: ")
    assert told.endswith(" stay here")
    assert hint == f"hint: to go on where it stopped: qvq pull {MODEL}:Q8_0"


@pytest.mark.usefixtures("slow_hub")
def test_nohup_goes_on(tmp_path: Path) -> None:
    process = start("pull", MODEL, ignored=signal.SIGHUP)
    wait_for(tmp_path / "hf", "*.journal", process)
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert MODEL_FILE in out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_an_import_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    for path in NANO.glob("*.gguf"):
        (stick / path.name).write_bytes(path.read_bytes())
    # A hole that takes long to hash, and that the disk would have room for.
    os.truncate(stick / "nano-q8_0.gguf", min(20_000_000_000, free_half(tmp_path)))
    process = start("import", stick)
    wait_for(tmp_path / "data", "*.qvq.incomplete", process)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert "nothing was imported" in err.splitlines()[-2]
    assert process.returncode == 128 + number
    assert list((tmp_path / "data" / "models").iterdir()) == []
    assert '"unfinished": []' in (tmp_path / "data" / "models.json").read_text()


def free_half(folder: Path) -> int:
    """Half of what the disk has, so that the import begins."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize // 2
