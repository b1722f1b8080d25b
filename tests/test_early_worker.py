"""The engine's process is started before the command line is read, and never left over."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import QUESTION, TABLE
from qvq_cli.cli.app import main
from qvq_cli.engine import process, spawn
from qvq_cli.errors import ExitCode


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list["subprocess.Popen[bytes]"]:
    """Every worker that is started early."""
    found: list[subprocess.Popen[bytes]] = []
    real: Callable[[], subprocess.Popen[bytes]] = spawn.spawn_worker

    def spawn_worker() -> "subprocess.Popen[bytes]":
        found.append(real())
        return found[-1]

    monkeypatch.setattr(spawn, "spawn_worker", spawn_worker)
    return found


def test_it_is_the_one_that_solves(
    started: list["subprocess.Popen[bytes]"],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(process, "spawn_worker", lambda: pytest.fail("a second one was started"))
    assert main(["solve", str(TABLE), QUESTION]) == ExitCode.ANSWER
    assert capfd.readouterr().out == "-29\n"
    assert [worker.returncode for worker in started] == [0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nope"],
        [str(TABLE), QUESTION, "--votes", "many"],
        [str(TABLE), QUESTION, "--draft", "x", "--no-drafts"],
        ["no-such-picture.png", "What is it?"],
    ],
    ids=lambda arguments: arguments[-1],
)
def test_a_refused_command_line_leaves_no_process(
    started: list["subprocess.Popen[bytes]"], arguments: list[str]
) -> None:
    assert main(["solve", *arguments]) not in (ExitCode.ANSWER, ExitCode.BUG)
    assert len(started) == 1
    assert started[0].returncode is not None, "ended, and waited for"


@pytest.mark.parametrize("argv", [["solve"], ["solve", "--help"], ["doctor", "-h"], ["--version"]])
def test_nothing_is_started_where_nothing_is_solved(
    started: list["subprocess.Popen[bytes]"], argv: list[str]
) -> None:
    main(argv)
    assert started == []


def test_a_system_without_room_for_a_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert main(["solve", str(TABLE), QUESTION]) == ExitCode.ENGINE_DIED
    assert "llama.cpp's process can't be started" in capsys.readouterr().err


def environment_of_worker() -> bytes:
    """Settings of a worker that has just been started, each with a zero behind it."""
    worker = spawn.spawn_worker()
    environ = Path(f"/proc/{worker.pid}/environ")
    patience_until = time.monotonic() + 10.0
    try:
        while not (settings := environ.read_bytes()):  # still turning into another program
            assert time.monotonic() < patience_until
            time.sleep(0.01)
    finally:
        spawn.dismiss(worker)
    return settings


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", "glibc.malloc.hugetlb=1"),
        ("glibc.malloc.hugetlb=0", "glibc.malloc.hugetlb=1:glibc.malloc.hugetlb=0"),
    ],
)
def test_malloc_asks_for_huge_pages_before_the_persons_own_settings(
    asked: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", asked)
    # Where one ends, some glibc writes a zero over the colon.
    assert f"GLIBC_TUNABLES={expected}:".encode() in environment_of_worker().replace(b"\0", b":")


@pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64", reason="a pause is short there"
)
@pytest.mark.parametrize(
    ("asked", "expected"),
    [({}, b"5000"), ({"GOMP_SPINCOUNT": "7"}, b"7"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_threads_that_wait_soon_sleep_unless_the_person_has_settings(
    asked: dict[str, str], expected: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    settings = environment_of_worker().split(b"\0")
    found = [each for each in settings if each.startswith(b"GOMP_SPINCOUNT=")]
    assert found == ([] if expected is None else [b"GOMP_SPINCOUNT=" + expected])
