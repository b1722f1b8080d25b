"""Text for pipes, files and terminals that can't move their cursor: nothing drawn, nothing wrapped.

Control characters are dropped here too: what leaves a pipe usually ends on a terminal.
"""

from collections.abc import Callable

from qvq_cli.errors import QvqError
from qvq_cli.reasoning.events import (
    Answer,
    Event,
    Forced,
    ImageReady,
    LookedAgain,
    Notice,
    Progress,
    ReasoningDelta,
    Solved,
    Voted,
)
from qvq_cli.ui.clean import clean
from qvq_cli.ui.spotlight import Shown
from qvq_cli.ui.status import STAGE_LABELS
from qvq_cli.ui.streams import Environment
from qvq_cli.ui.wording import image_line, look_line, shown_line, summary, vote_line

FormatAnswer = Callable[[Answer], str]


def as_written(answer: Answer) -> str:
    """The answer's text, LaTeX and all."""
    return answer.text


class PlainNarrator:
    """Tells the events of one run on stderr, line by line.

    Args:
        full: also show reasoning, pictures and timings; else only notices.
    """

    def __init__(self, env: Environment, *, full: bool):
        self._stderr = env.stderr
        self._full = full
        self.tells_reasoning, self.tells_answer = full, False
        self._is_mid_line = False
        self._stage: str | None = None

    def handle(self, event: Event | Shown) -> None:
        match event:
            case Notice() | Forced():
                self._line(clean(event.message))
            case Progress() if self._stderr.is_terminal and event.stage != self._stage:
                self._stage = event.stage
                self._line(STAGE_LABELS[event.stage])
            case ImageReady() if self._full:
                self._line(image_line(event.image))
            case LookedAgain() if self._full:
                self._line(look_line(event))
            case ReasoningDelta() if self._full and (text := clean(event.text)):
                self._stderr.write(text)
                self._is_mid_line = not text.endswith("\n")
            case Voted() if self._full:
                self._line(vote_line(event))
            case Shown() if self._full:
                self._line(shown_line(event))
            case Solved() if self._full:
                self._line(summary(event.record))

    def settle(self, *, is_answered: bool) -> None:  # noqa: ARG002  # there is nothing to take away
        if self._is_mid_line:
            self._stderr.write("\n")
            self._is_mid_line = False

    def close(self) -> None:
        self.settle(is_answered=False)

    def _line(self, text: str) -> None:
        self.settle(is_answered=False)
        self._stderr.write(f"qvq: {text}\n")


class PlainSink:
    """Writes the answer and a newline to stdout, nothing else ever."""

    def __init__(self, env: Environment, format_answer: FormatAnswer | None):
        self._stdout = env.stdout
        self._format_answer = format_answer or as_written

    def handle(self, event: Event) -> None:
        if isinstance(event, Solved) and event.record.answer is not None:
            self._stdout.write(clean(self._format_answer(event.record.answer)).strip("\n") + "\n")

    def error(self, error: QvqError) -> None:
        """Errors are for stderr."""
