"""Ctrl-C: once means conclude now, twice means stop; before there is reasoning, once means stop.

SIGTERM and SIGHUP end the program as politely as Ctrl-C does, so that the terminal is left in
order, the worker with its gigabytes goes at once, and no half copied file stays.
"""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from qvq_cli.errors import AbortedError, HungUpError, TerminatedError
from qvq_cli.reasoning.control import Control


class Terminated(SystemExit):
    """A signal asked the program to end; no library takes it for an error of its own.

    error: what to tell people once everything is in order.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        kind = TerminatedError if number == signal.SIGTERM else HungUpError
        self.error = kind(f"ended by {signal.Signals(number).name}")


_Handler = Callable[[int, FrameType | None], None]


@contextmanager
def ends_tidily() -> Iterator[None]:
    """While the block runs, SIGTERM and SIGHUP raise, so that what is half done is tidied up.

    Raises: Terminated.
    """

    def on_end(number: int, _frame: FrameType | None) -> None:
        raise Terminated(number)

    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    # What nohup made the program ignore it goes on ignoring.
    heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    with _handlers(dict.fromkeys(heard, on_end)):
        yield


def stopped(end: KeyboardInterrupt | Terminated, *, state: str, hint: str) -> AbortedError:
    """What a command raises that a person or the system stopped; both get to know how things are.

    Args: state: what is left of the work; hint: how to go on.
    """
    told = end.error if isinstance(end, Terminated) else AbortedError("interrupted")
    return type(told)(f"{told.message}: {state}", hint=hint)


@contextmanager
def interrupts(control: Control) -> Iterator[None]:
    """Handle the signals while the block runs.

    Args:
        control: told to conclude at the first Ctrl-C. Nothing is printed from a handler, since it
            may have interrupted whoever is printing.

    Raises:
        KeyboardInterrupt: at the second Ctrl-C, or the first with nothing to conclude yet.
        Terminated: at SIGTERM or SIGHUP.
    """

    def on_interrupt(_signal: int, _frame: FrameType | None) -> None:
        if not control.can_conclude or control.conclude_requested:
            raise KeyboardInterrupt
        control.conclude_requested = True

    with ends_tidily(), _handlers({signal.SIGINT: on_interrupt}):
        yield


@contextmanager
def _handlers(wanted: Mapping[int, _Handler]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets only the main thread have signal handlers
        return
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
