"""The engine's process is started before the command line is read, and never left over."""

import subprocess
from collections.abc import Callable

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
