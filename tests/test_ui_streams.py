"""Streams that are full, closed, of another encoding or without a reader; and how errors look.

The last word on these has a real process with real pipes, so most of this runs one.
"""

import io
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from qvq_cli.errors import CannotWriteError, UsageError
from qvq_cli.ui.failure import render_error
from qvq_cli.ui.streams import Environment, OutputStream
from screens import FakeTerminal, wait_until

TESTS = Path(__file__).parent
PROGRAM = """
    import sys
    from qvq_cli.errors import QvqError
    from qvq_cli.reasoning.events import *
    from qvq_cli.ui.failure import render_error
    from qvq_cli.ui.streams import Environment, ReaderGoneError
    from qvq_cli.ui.view import *
    from ui_samples import *

    env = Environment.from_process()
    try:
        with make_view(ViewOptions(), env) as view:
            view.handle(EVENTS["reasoning"])
            {middle}
            view.handle(Solved(RECORD))
    except ReaderGoneError:
        sys.exit(141)
    except QvqError as error:
        render_error(error, env)
        sys.exit(int(error.exit_code))
"""


def _program(middle: str = "pass") -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(PROGRAM).replace("{middle}", middle)]


def _variables(**more: str) -> dict[str, str]:
    path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    return {**os.environ, "PYTHONPATH": path, "PYTHONUTF8": "0", "PYTHONUNBUFFERED": "", **more}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_stdout_is_73_and_full_stderr_costs_nothing() -> None:
    with open("/dev/full", "w") as full:
        run = subprocess.run(
            _program(), stdout=full, stderr=subprocess.PIPE, env=_variables(), text=True
        )
        assert run.returncode == 73
        assert "qvq: error: standard output cannot be written: No space left" in run.stderr
        assert "Exception ignored" not in run.stderr
        run = subprocess.run(
            _program(), stdout=subprocess.PIPE, stderr=full, env=_variables(), text=True
        )
    assert (run.returncode, run.stdout) == (0, "\\frac{1}{5}\n")


def test_a_reader_that_left_is_141_and_silence() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run(
        _program(), stdout=writer, stderr=subprocess.PIPE, env=_variables(), text=True
    )
    assert (run.returncode, run.stderr) == (141, "So h = f*g.\n")
    run = subprocess.run(
        _program("sys.exit('went on')"), stdout=writer, stderr=writer, env=_variables()
    )
    assert run.returncode == 141
    run = subprocess.run(
        _program(), stdout=subprocess.PIPE, stderr=writer, env=_variables(), text=True
    )
    assert (run.returncode, run.stdout) == (0, "\\frac{1}{5}\n")
    os.close(writer)


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell closes the streams")
def test_closed_streams() -> None:
    for closing, code, text in [(">&-", 73, "standard output is closed"), ("2>&-", 0, "")]:
        run = subprocess.run(
            ["sh", "-c", f'"$@" {closing}', "sh", *_program()],
            capture_output=True,
            env=_variables(),
            text=True,
        )
        assert run.returncode == code
        assert text in run.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_other_encodings_never_raise(encoding: str) -> None:
    middle = (
        "view.handle(Notice('x', '640 → 644 – é 题 \\udce9')); "
        "RECORD = RECORD._replace(answer=Answer('题½', (), 'boxed'))"
    )
    run = subprocess.run(
        _program(middle),
        capture_output=True,
        env=_variables(PYTHONIOENCODING=encoding),
    )
    assert run.returncode == 0
    assert run.stdout.decode(encoding).strip() == ("??" if encoding == "ascii" else "?½")
    assert "qvq: 640 > 644 " in run.stderr.decode(encoding)
    assert b"Traceback" not in run.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
@pytest.mark.parametrize("signal_name", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_killed_process_leaves_the_terminal_in_order(signal_name: str) -> None:
    import pty
    import threading

    controller, terminal = pty.openpty()
    seen = FakeTerminal()

    def read() -> None:
        while True:
            try:
                data = os.read(controller, 65536)
            except OSError:
                return
            seen.write(data.decode(errors="replace"))

    process = subprocess.Popen(
        _program("__import__('time').sleep(60)"),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=_variables(TERM="xterm", COLUMNS="50"),
    )
    os.close(terminal)
    reader = threading.Thread(target=read)
    reader.start()
    wait_until(lambda: "starting" in seen.getvalue())
    process.send_signal(signal.Signals[signal_name])
    process.wait()
    reader.join()
    os.close(controller)
    screen = seen.screen(50)
    assert not screen.cursor.hidden
    assert not screen.cursor.attrs.blink and screen.cursor.attrs.fg == "default"


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_width_is_the_terminals_own_unless_columns_says_otherwise() -> None:
    import fcntl
    import pty
    import struct
    import termios

    controller, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as file:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 43, 0, 0))
        stream = OutputStream(file, {}, vital=True)
        assert stream.is_terminal and stream.columns() == 43
        assert OutputStream(file, {"COLUMNS": "30"}, vital=True).columns() == 30
        assert OutputStream(file, {"COLUMNS": "many"}, vital=True).columns() == 43
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
        assert stream.columns() == 80
    os.close(controller)


def test_what_the_environment_says() -> None:
    def environment(**variables: str) -> Environment:
        return Environment.of(io.StringIO(), FakeTerminal(), None, variables)

    assert environment().has_colour and environment(NO_COLOR="").has_colour
    assert not environment(NO_COLOR="0").has_colour
    assert environment(TERM="dumb").is_dumb and not environment(TERM="xterm").is_dumb
    assert not environment().stdin_is_terminal
    assert Environment.of(FakeTerminal(), None, None, {}).stdin_is_terminal
    assert environment().stdout.is_terminal and not environment().stderr.is_terminal
    assert environment().stderr.write("into nothing") == 12


def test_writing_to_a_stream_closed_meanwhile() -> None:
    file = io.StringIO()
    env = Environment.of(None, file, file, {})
    file.close()
    assert env.stderr.write("x") == 1
    with pytest.raises(CannotWriteError):
        env.stdout.write("x")


def test_errors_in_a_pipe_and_on_a_terminal() -> None:
    error = UsageError("two\n\n\n  answers\x1b[2J asked for", hint="drop --json,\nor --jsonl")
    pipe = io.StringIO()
    render_error(error, Environment.of(None, None, pipe, {}))
    told = "qvq: error: two\n  answers[2J asked for\nhint: drop --json,\nor --jsonl\n"
    assert pipe.getvalue() == told
    terminal = FakeTerminal()
    render_error(error, Environment.of(None, None, terminal, {"COLUMNS": "20"}))
    assert terminal.rows(20) == [
        "qvq: error: two",
        "  answers[2J asked",
        "for",
        "hint: drop --json,",
        "or --jsonl",
    ]
    screen = terminal.screen(20)
    assert screen.buffer[0][0].fg == "red" and screen.buffer[3][0].blink


def test_an_error_without_hint_is_one_line() -> None:
    pipe = io.StringIO()
    render_error(UsageError("no"), Environment.of(None, None, pipe, {}))
    assert pipe.getvalue() == "qvq: error: no\n"
