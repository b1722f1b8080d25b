"""The program's outermost layer: arguments in, exit code out.

`main` is the one place that catches QvqError. It imports Typer only when there is something to
parse: `qvq --version` answers before that.
"""

import contextlib
import os
import sys
import time
from collections.abc import Sequence

STARTED_S = time.perf_counter()
"""When the program began; ttft_s and total_s count from here."""


def main(argv: Sequence[str]) -> int:
    """Run one command line.

    Args:
        argv: what was typed after `qvq`.
    Returns: the exit code; nothing a person can do makes it raise.
    """
    if list(argv) in (["--version"], ["-V"]) and sys.stdout is not None:
        from qvq_cli import __version__

        # Where stdout fails, the long way says what is wrong with it.
        with contextlib.suppress(OSError):
            print(f"qvq {__version__}", flush=True)
            return 0
    try:
        return _run_command(argv)
    except KeyboardInterrupt:  # while the command was still being imported
        return 130


def _run_command(argv: Sequence[str]) -> int:
    worker = None
    if _will_solve(argv):
        from qvq_cli.engine.spawn import spawn_worker
        from qvq_cli.errors import EngineDiedError

        # The engine's process starts while the rest of the program is read. That it can't be
        # started is told when it is asked for.
        with contextlib.suppress(EngineDiedError):
            worker = spawn_worker()
    from qvq_cli.cli.commands import run_typer
    from qvq_cli.cli.session import Session
    from qvq_cli.errors import CannotWriteError, ExitCode, QvqError
    from qvq_cli.ui.streams import Environment, ReaderGoneError

    session = Session(Environment.from_process(), STARTED_S, tuple(argv), worker=worker)
    try:
        return run_typer(session)
    except QvqError as error:
        # With --json an error goes to stdout too; where that fails, the first error counts.
        with contextlib.suppress(CannotWriteError, ReaderGoneError):
            session.show_error(error)
        return error.exit_code
    except ReaderGoneError:
        return ExitCode.BROKEN_PIPE
    finally:
        if session.worker is not None:  # the command line was refused
            from qvq_cli.engine.spawn import dismiss

            dismiss(session.worker)


def _will_solve(argv: Sequence[str]) -> bool:
    """Whether an engine is wanted, as far as that shows before the command line is read."""
    asks_help = not {"-h", "--help"}.isdisjoint(argv)
    return list(argv[:1]) == ["solve"] and len(argv) > 1 and not asks_help


def run() -> None:
    """The console script; after main nothing is worth the 20 ms of an orderly teardown."""
    _fill_closed_streams()
    code = main(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            code = code or 73
    os._exit(code)


def _fill_closed_streams() -> None:
    """Open the null device in place of the streams that were closed (`2>&-`).

    Else the next pipe would get their numbers, and what a C library prints to stderr would end up
    between two frames to the worker. Python's own sys.stdout and sys.stderr stay None.
    """
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
