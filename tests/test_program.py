"""The program as people run it: on a terminal and in pipes, interrupted, killed, disk full."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import QUESTION, TABLE

if sys.platform == "win32":
    pytest.skip("pseudo-terminals and signals are POSIX", allow_module_level=True)

import fcntl
import pty
import select
import struct
import termios

import pyte

from screens import EmulatedScreen

QVQ = [sys.executable, "-P", "-m", "qvq_cli", "solve"]
LONG = [str(TABLE), QUESTION, "--temperature", "30", "--max-thinking", "3000", "--seed", "1"]
"""Hot enough to wander: 2,336 tokens before chance ends it."""
PATIENCE_S = 60


class Program:
    """qvq on a terminal of its own, and what stands on its screen."""

    def __init__(self, fd: int, process: subprocess.Popen[bytes], columns: int, rows: int) -> None:
        self._fd = fd
        self.process = process
        self.raw = b""
        self.screen = EmulatedScreen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)

    def read(self) -> bool:
        """Take what the program wrote; False at its end, or when it says nothing for a minute."""
        if not select.select([self._fd], [], [], PATIENCE_S)[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # Linux says EIO when the other side is closed
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    def wait_for(self, words: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while words not in self.text:
            assert time.monotonic() < deadline, f"{words!r} never came; the screen is\n{self.text}"
            assert self.read(), f"ended without {words!r}; the screen is\n{self.text}"

    def finish(self) -> int:
        while self.read():
            pass
        return self.process.wait(timeout=PATIENCE_S)

    @property
    def text(self) -> str:
        return "\n".join(row.rstrip() for row in self.screen.display).rstrip()

    def type_in(self, keys: bytes) -> None:
        os.write(self._fd, keys)

    def press_ctrl_c(self) -> None:
        self.type_in(b"\x03")


@contextmanager
def on_terminal(
    *arguments: str, command: str = "solve", columns: int = 80, **variables: str
) -> Iterator[Program]:
    """Run a command with a pseudo-terminal as its controlling terminal."""
    rows = 300
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        [*QVQ[:-1], command, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", **variables},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        yield Program(ours, process, columns, rows)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def in_pipes(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [*QVQ, *arguments], capture_output=True, text=True, timeout=PATIENCE_S, **options
    )


def workers_of(pid: int) -> list[int]:
    """The processes whose parent is pid."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


def wait_for_workers(pid: int) -> list[int]:
    deadline = time.monotonic() + PATIENCE_S
    while not (workers := workers_of(pid)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return workers


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def assert_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, pids)), "a worker was left behind"


# on a terminal


@pytest.mark.parametrize("columns", [80, 30])
def test_a_session(columns: int) -> None:
    with on_terminal(str(TABLE), QUESTION, columns=columns) as program:
        assert program.finish() == 0
        screen = program.text
    assert "─ Answer ─" in screen
    assert "│ -29" in screen
    assert "product rule" in " ".join(screen.split())
    assert "boxed" not in screen, "the answer is shown as people write it"
    assert "tok/s" in screen.splitlines()[-1]
    assert not program.screen.cursor.hidden


def test_no_color() -> None:
    with on_terminal(str(TABLE), QUESTION, NO_COLOR="1") as program:
        assert program.finish() == 0
    assert b"[3" not in program.raw.replace(b"[3J", b""), "a colour was set"


def test_a_dumb_terminal_gets_no_escapes() -> None:
    with on_terminal(str(TABLE), QUESTION, TERM="dumb") as program:
        assert program.finish() == 0
    assert b"\x1b" not in program.raw
    assert program.text.splitlines()[-2] == "-29"


def test_ctrl_c_once_concludes() -> None:
    with on_terminal(*LONG) as program:
        program.wait_for("tokens ·")
        program.press_ctrl_c()
        code = program.finish()
        assert "interrupted; asking for the answer now" in " ".join(program.text.split())
    assert code in (0, 3)


def test_ctrl_c_twice_stops() -> None:
    with on_terminal(*LONG, "--max-answer", "3000") as program:
        program.wait_for("tokens ·")
        workers = wait_for_workers(program.process.pid)
        program.press_ctrl_c()
        program.wait_for("interrupted")
        program.press_ctrl_c()
        assert program.finish() == 130
        assert "Traceback" not in program.text
        assert not program.screen.cursor.hidden
    assert_gone(workers)


def test_ctrl_c_before_there_is_anything_to_conclude() -> None:
    with on_terminal(*LONG) as program:
        workers = wait_for_workers(program.process.pid)
        program.press_ctrl_c()
        assert program.finish() == 130
        assert "Traceback" not in program.text
    assert_gone(workers)


VOTES = [*LONG, "--votes", "4"]


def test_ctrl_c_once_concludes_all_chains() -> None:
    with on_terminal(*VOTES, "--max-answer", "64") as program:
        program.wait_for("tokens ·")
        program.press_ctrl_c()
        code = program.finish()
        words = " ".join(program.text.split())
    assert "interrupted; asking for the answer now" in words
    assert "of 4 chains done" in words
    assert code in (0, 3)


def test_the_worker_is_killed_while_chains_think() -> None:
    with on_terminal(*VOTES) as program:
        program.wait_for("tokens ·")
        for worker in wait_for_workers(program.process.pid):
            os.kill(worker, signal.SIGKILL)
        assert program.finish() == 70
        assert "ended by SIGKILL" in " ".join(program.text.split())


# in pipes


def test_the_answer_is_all_a_pipe_gets(tmp_path: Path) -> None:
    done = in_pipes(str(TABLE), QUESTION, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "-29\n")
    assert "\x1b" not in done.stderr


def test_a_locale_without_utf8() -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = in_pipes(str(TABLE), "已知 h(x) = f(x) * g(x)，求 h'(2)。", env={**os.environ, **plain})
    assert (done.returncode, done.stdout) == (0, "-29\n")


def test_bytes_that_are_no_text() -> None:
    done = subprocess.run([*map(os.fsencode, QVQ), bytes(TABLE), b"\xff\xfe"], capture_output=True)
    assert done.returncode == 65
    assert b"qvq: error: the question is not UTF-8 text" in done.stderr


def test_a_question_from_the_keyboard() -> None:
    with on_terminal(str(TABLE), "-") as program:
        program.wait_for("type the question")
        program.type_in(QUESTION.encode() + b"\n\x04")
        assert program.finish() == 0
        assert "│ -29" in program.text


def test_modules_in_the_current_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the current folder')")
    (tmp_path / "ctypes.py").write_text("raise SystemExit('imported from the current folder')")
    assert in_pipes(str(TABLE), QUESTION, cwd=tmp_path).stdout == "-29\n"


def test_a_reader_that_goes_away() -> None:
    process = subprocess.Popen([*QVQ, *LONG, "--jsonl"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=PATIENCE_S) == 141
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()


def test_a_full_disk() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*QVQ, str(TABLE), QUESTION], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 73
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("redirection", "code"), [(">/dev/full", 73), ("| true; exit ${PIPESTATUS[0]}", 141)]
)
def test_the_record_is_saved_whatever_stdout_does(
    tmp_path: Path, redirection: str, code: int
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    command = [*QVQ, shlex.quote(str(TABLE)), shlex.quote(QUESTION), "--save", "run.json"]
    done = subprocess.run(
        ["bash", "-c", f"{' '.join(command)} {redirection}"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == code
    assert json.loads((tmp_path / "run.json").read_text("utf-8"))["answer"] == "-29"


@pytest.mark.parametrize("arguments", ["--help", "--version", "solve --help", "solve"])
def test_help_that_cannot_be_written(arguments: str) -> None:
    def code(redirection: str) -> int:
        done = subprocess.run(
            ["bash", "-c", f"{' '.join(QVQ[:-1])} {arguments} {redirection}"], capture_output=True
        )
        assert b"Traceback" not in done.stderr
        return done.returncode

    assert code("| true; exit ${PIPESTATUS[0]}") == 141
    assert code(">&-") == 73
    if Path("/dev/full").exists():
        assert code(">/dev/full") == 73


def test_a_closed_stdout() -> None:
    command = " ".join([*QVQ, str(TABLE), "why", ">&-"])
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 73
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_asked_to_end(tmp_path: Path, number: signal.Signals) -> None:
    command = [*QVQ, *LONG, "--jsonl", "--save", str(tmp_path / "run.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        workers = wait_for_workers(process.pid)
        cut_off_while_it_thinks(process, lambda: process.send_signal(number))
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + number
    assert f"qvq: ended by {number.name}" in err.decode()
    assert b"Traceback" not in err
    assert json.loads(out.splitlines()[-1])["error"]["exit_code"] == 128 + number
    saved_half(tmp_path / "run.json")
    assert_gone(workers)


def test_killed_outright() -> None:
    process = subprocess.Popen([*QVQ, *LONG], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    workers = wait_for_workers(process.pid)
    process.kill()
    process.wait()
    assert_gone(workers)


def test_the_worker_is_killed_while_it_thinks() -> None:
    with on_terminal(*LONG) as program:
        program.wait_for("tokens ·")
        for worker in wait_for_workers(program.process.pid):
            os.kill(worker, signal.SIGKILL)
        assert program.finish() == 70
        words = " ".join(program.text.split())
    assert "ended by SIGKILL" in words
    assert "hint:" in words
    assert "Traceback" not in words


def cut_off_while_it_thinks(process: subprocess.Popen[bytes], cut: Callable[[], None]) -> None:
    """Act as soon as a `--jsonl` run has told some of its reasoning."""
    assert process.stdout is not None
    while b"reasoning_delta" not in (line := process.stdout.readline()):
        assert line, "it ended before it thought"
    cut()


def saved_half(path: Path) -> dict[str, object]:
    """A record of a run that was cut off."""
    record: dict[str, object] = json.loads(path.read_text("utf-8"))
    assert (record["finish"], record["answer"]) == ("aborted", None)
    assert record["reasoning"]
    return record


def test_what_was_said_is_kept_when_the_worker_dies(tmp_path: Path) -> None:
    save = tmp_path / "run.json"
    command = [*QVQ, *LONG, "--jsonl", "--save", str(save)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        cut_off_while_it_thinks(process, lambda: os.kill(*workers_of(process.pid), signal.SIGKILL))
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 70
    last = json.loads(out.splitlines()[-1])
    assert last["error"]["reference"] == "engine-killed"
    record = saved_half(save)
    assert last["reasoning"] == record["reasoning"]
    assert "engine-killed" in str(record["notices"])
    assert str(save).encode() in err


def test_what_was_said_is_kept_after_the_second_ctrl_c(tmp_path: Path) -> None:
    save = tmp_path / "run.json"
    with on_terminal(*LONG, "--max-answer", "3000", "--save", str(save)) as program:
        program.wait_for("tokens ·")
        program.press_ctrl_c()
        program.wait_for("interrupted")
        program.press_ctrl_c()
        assert program.finish() == 130
    saved_half(save)


def test_a_log_that_nobody_reads_holds_nothing_up() -> None:
    """`qvq solve -v 2>&1 | head`: both streams lose their reader in the middle of the log."""
    process = subprocess.Popen(
        [*QVQ, str(TABLE), QUESTION, "--verbose"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=PATIENCE_S) == 141


def test_a_log_without_a_stderr() -> None:
    command = " ".join(["exec", *QVQ, str(TABLE), "'find h'", "--verbose", "2>&-"])
    done = subprocess.run(
        ["sh", "-c", command], stdout=subprocess.PIPE, text=True, timeout=PATIENCE_S
    )
    assert done.returncode in (0, 3), "it came to an end, whatever the answer"
