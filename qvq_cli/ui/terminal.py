"""A run told on a terminal: reasoning dim as it comes, notices in place, a status line beneath.

Events only change what is to be shown; a thread of its own shows it, ten times a second, so that
the clock moves while the model is silent and a fast model costs no more repaints than a slow one.
"""

import threading
import time
from collections.abc import Callable

from rich.style import Style

from qvq_cli.reasoning.events import (
    AnswerDelta,
    Event,
    Forced,
    ImageReady,
    LookedAgain,
    Notice,
    ReasoningDelta,
    ReasoningStarted,
    Solved,
    Voted,
)
from qvq_cli.ui.clean import clean
from qvq_cli.ui.consoles import make_console
from qvq_cli.ui.flow import TextFlow
from qvq_cli.ui.live import LiveRegion, Row
from qvq_cli.ui.spotlight import Shown
from qvq_cli.ui.status import Status
from qvq_cli.ui.streams import Environment
from qvq_cli.ui.wording import image_line, look_line, shown_line, summary, vote_line

_REPAINT_EVERY_S = 0.1
_N_HELD_OF_ANSWER = 1

_PLAIN = Style()
_REASONING = Style(dim=True)
_ANSWER = Style(bold=True)
_NOTICE = Style(color="yellow")
_VOTE = Style(color="cyan")
_FOOTER = Style(dim=True)
_STATUS = Style(color="cyan")


class TerminalNarrator:
    """Tells the events of one run on stderr, which must be a terminal that can move its cursor.

    Args:
        full: also show reasoning, pictures and timings; else only notices and the status line.
        clock: seconds that only grow.
    """

    def __init__(
        self, env: Environment, *, full: bool, clock: Callable[[], float] = time.monotonic
    ):
        self._columns = env.stderr.columns
        self._full = self.tells_reasoning = self.tells_answer = full
        self._region = LiveRegion(make_console(env.stderr, env), self._columns)
        self._status = Status(clock)
        self._flow = TextFlow(self._columns())
        self._lock = threading.Lock()
        self._settled = threading.Event()
        self._painter: threading.Thread | None = None

    def handle(self, event: Event | Shown) -> None:
        with self._lock:
            self._status.handle(event)
            self._tell(event)
            if self._settled.is_set():
                self._region.paint(self._flow.take_done(), [])
            elif self._painter is None:
                self._painter = threading.Thread(target=self._keep_painting, daemon=True)
                self._painter.start()

    def settle(self, *, is_answered: bool) -> None:
        """Take the status line away for good, because the answer comes next or nothing does.

        An answer that was streamed goes with it if it was short; a longer one may say more than the
        answer proper and stays.
        """
        with self._lock:
            if self._settled.is_set():
                return
            self._settled.set()
            if is_answered:
                self._flow.drop_if_brief(_ANSWER)
            self._flow.end(with_blank=self._full and is_answered)
            self._region.paint(self._flow.take_done(), [])
        if self._painter is not None:
            self._painter.join()

    def close(self) -> None:
        self.settle(is_answered=False)

    def _tell(self, event: Event | Shown) -> None:
        match event:
            case Notice() | Forced():
                self._flow.line(f"qvq: {clean(event.message)}", _NOTICE)
            case ImageReady() if self._full:
                self._flow.line(image_line(event.image), _PLAIN)
            case LookedAgain() if self._full:
                self._flow.line(look_line(event), _FOOTER)
            case ReasoningStarted() if self._full:
                self._flow.blank()
            case ReasoningDelta() if self._full:
                self._flow.stream(clean(event.text), _REASONING)
            case AnswerDelta() if self._full:
                self._flow.stream(clean(event.text), _ANSWER, n_held=_N_HELD_OF_ANSWER)
            case Voted() if self._full:
                self._flow.line(vote_line(event), _VOTE)
            case Shown() if self._full:
                self._flow.line(shown_line(event), _VOTE)
            case Solved() if self._full:
                self._flow.line(summary(event.record), _FOOTER)

    def _keep_painting(self) -> None:
        while not self._settled.wait(_REPAINT_EVERY_S):
            with self._lock:
                if not self._settled.is_set():
                    self._paint()

    def _paint(self) -> None:
        columns = self._columns()
        self._flow.resize(columns)
        status = Row(self._status.line(columns), _STATUS)
        self._region.paint(self._flow.take_done(), [*self._flow.growing(), status])
