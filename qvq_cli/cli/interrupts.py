"""Ctrl-C: once means conclude now, twice means stop; before there is reasoning, once means stop.

SIGTERM and SIGHUP end the program as politely as Ctrl-C does, so that the terminal is left in order
and the worker with its gigabytes goes at once.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from qvq_cli.errors import AbortedError, HungUpError, TerminatedError
from qvq_cli.reasoning.control import Control


class EndRequested(SystemExit):
    """A signal asked the program to end; no library takes it for an error of its own.

    error: what to tell people once everything is in order.
    """

    def __init__(self, error: AbortedError) -> None:
        super().__init__(int(error.exit_code))
        self.error = error


@contextmanager
def interrupts(control: Control) -> Iterator[None]:
    """Handle the signals while the block runs.

    Args:
        control: told to conclude at the first Ctrl-C. Nothing is printed from a handler, since it
            may have interrupted whoever is printing.

    Raises:
        KeyboardInterrupt: at the second Ctrl-C, or the first with nothing to conclude yet.
        EndRequested: at SIGTERM or SIGHUP.
    """

    def on_interrupt(_signal: int, _frame: FrameType | None) -> None:
        if not control.can_conclude or control.conclude_requested:
            raise KeyboardInterrupt
        control.conclude_requested = True

    def on_end(number: int, _frame: FrameType | None) -> None:
        kind = TerminatedError if number == signal.SIGTERM else HungUpError
        raise EndRequested(kind(f"ended by {signal.Signals(number).name}"))

    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets only the main thread have signal handlers
        return
    wanted = {signal.SIGINT: on_interrupt, signal.SIGTERM: on_end}
    if hasattr(signal, "SIGHUP"):
        wanted[signal.SIGHUP] = on_end
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
