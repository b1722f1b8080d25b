"""Shows a `Transfer` on stderr: bars on a terminal that can move its cursor, else a line at times.

Updates may come from any thread and as often as they like: a terminal is repainted by a thread of
its own ten times a second, a pipe gets a line at every tenth of the way or every minute.
"""

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from qvq_cli.sizes import size
from qvq_cli.ui.streams import Environment
from qvq_cli.ui.transfer import Phase, Transfer, TransferFile, label_of

_REPAINT_EVERY_S = 0.1
_LINE_EVERY_S = 60.0
_STEPS = 10
Clock = Callable[[], float]


class TransferView(Protocol):
    """Shows one transfer; leave its `with` in any case: the terminal is then in order."""

    def update(self, name: str, n_done: int, phase: Phase, n_bytes: int = 0) -> None:
        """Say how many bytes of a file are through its present phase.

        Args: n_bytes: its size, for a file that was not among those at the start.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def make_transfer_view(
    files: Sequence[TransferFile],
    counted: Phase,
    env: Environment,
    *,
    clock: Clock = time.monotonic,
) -> TransferView:
    """Pick the view for this stderr.

    Args: counted: the phase whose bytes the total counts: FETCHING for a pull, CHECKING for a
        verify.
    """
    transfer = Transfer(files, counted, clock)
    if env.stderr.is_terminal and not env.is_dumb:
        return TerminalTransferView(transfer, env)
    return PlainTransferView(transfer, env, clock)


class PlainTransferView:
    """Lines for a pipe or a log."""

    def __init__(self, transfer: Transfer, env: Environment, clock: Clock) -> None:
        self._transfer = transfer
        self._stderr = env.stderr
        self._clock = clock
        self._lock = threading.Lock()
        self._told_s = clock()
        self._told_step = int(transfer.share * _STEPS)

    def update(self, name: str, n_done: int, phase: Phase, n_bytes: int = 0) -> None:
        with self._lock:
            if self._transfer.update(name, n_done, phase, n_bytes):
                self._stderr.write(f"qvq: {_done_line(name, n_done)}\n")
            step = int(self._transfer.share * _STEPS)
            is_late = self._clock() - self._told_s >= _LINE_EVERY_S
            if step < _STEPS and (step > self._told_step or is_late):
                self._told_step, self._told_s = max(step, self._told_step), self._clock()
                self._stderr.write(f"qvq: {self._transfer.total_line()}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """A pipe needs no tidying."""


class TerminalTransferView:
    """A bar for each file and one for all; what is done scrolls up above them."""

    def __init__(self, transfer: Transfer, env: Environment) -> None:
        from rich.style import Style

        from qvq_cli.ui.consoles import make_console
        from qvq_cli.ui.live import LiveRegion, Row

        self._transfer = transfer
        self._columns = env.stderr.columns
        self._region = LiveRegion(make_console(env.stderr, env), self._columns)
        self._row, self._bar_style = Row, Style(color="cyan")
        self._done_style = Style(dim=True)
        self._done: list[str] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._painter = threading.Thread(target=self._keep_painting, daemon=True)

    def update(self, name: str, n_done: int, phase: Phase, n_bytes: int = 0) -> None:
        with self._lock:
            if self._transfer.update(name, n_done, phase, n_bytes):
                self._done.append(_done_line(name, n_done))

    def __enter__(self) -> Self:
        self._painter.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._painter.join()
        with self._lock:
            self._paint(is_last=True)

    def _keep_painting(self) -> None:
        while not self._ended.wait(_REPAINT_EVERY_S):
            with self._lock:
                self._paint(is_last=False)

    def _paint(self, *, is_last: bool) -> None:
        columns = self._columns()
        done, self._done = self._done, []
        above = [self._row(line[: columns - 1], self._done_style) for line in done]
        rows = [] if is_last else self._transfer.rows(columns)
        self._region.paint(above, [self._row(row, self._bar_style) for row in rows])


def _done_line(name: str, n_done: int) -> str:
    return f"{label_of(name)}: {size(n_done)}, checked"
