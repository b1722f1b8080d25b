"""The status line: what the program is doing, how far it is, how long it has been at it."""

from collections.abc import Callable

from qvq_cli.reasoning.events import (
    AnswerDelta,
    Event,
    Forced,
    Progress,
    ReasoningDelta,
    ReasoningStarted,
    Voted,
)
from qvq_cli.ui.spotlight import Shown
from qvq_cli.ui.wording import clock_time, tally

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_SPINNER_FPS = 8
_BAR_CELLS = 20
_BAR_FROM_COLUMNS = 60
_SPEED_FROM_S = 1.0

STAGE_LABELS = {
    "load": "loading the model",
    "image": "looking at the picture",
    "prefill": "reading the question",
}


class Status:
    """Follows the events of one run; `line` says where it stands at this moment."""

    def __init__(self, clock: Callable[[], float]):
        self._clock = clock
        self._began_s = clock()
        self._stage: Progress | None = None
        self._started: ReasoningStarted | None = None
        self._is_forced = False
        self._reasoning_tokens = 0
        self._answer_tokens: int | None = None
        self._vote: Voted | None = None

    def handle(self, event: Event | Shown) -> None:
        match event:
            case Progress():
                if self._stage is None or self._stage.stage != event.stage:
                    self._began_s = self._clock()
                self._stage = event
            case ReasoningStarted():
                self._started, self._began_s = event, self._clock()
            case ReasoningDelta():
                self._reasoning_tokens = event.reasoning_tokens
            case AnswerDelta():
                self._answer_tokens = event.answer_tokens
            case Forced():
                self._is_forced = True
            case Voted():
                self._vote = event
            case Shown():
                self._is_forced, self._reasoning_tokens = False, event.reasoning_tokens

    def line(self, columns: int) -> str:
        """Returns: as many of the facts as fit, most telling first, narrower than `columns`."""
        parts = self._stage_parts(columns) if self._started is None else self._token_parts()
        while len(parts) > 1 and len(" · ".join(parts)) > columns - 3:
            parts.pop()
        spinner = _SPINNER[int(self._clock() * _SPINNER_FPS) % len(_SPINNER)]
        return f"{spinner} {' · '.join(parts)}"[: columns - 1]

    def _stage_parts(self, columns: int) -> list[str]:
        if self._stage is None:
            return ["starting", self._elapsed()]
        share = min(max(self._stage.share, 0.0), 1.0)
        label = STAGE_LABELS[self._stage.stage]
        if share == 0.0:
            return [label, self._elapsed()]
        done = int(share * _BAR_CELLS)
        bar = "━" * done + "─" * (_BAR_CELLS - done) + " " if columns >= _BAR_FROM_COLUMNS else ""
        return [label, f"{bar}{share:.0%}", self._elapsed()]

    def _token_parts(self) -> list[str]:
        assert self._started is not None
        if self._answer_tokens is not None:
            return [f"answering, {self._answer_tokens} tokens", *self._speed(), self._elapsed()]
        tokens, budget = self._reasoning_tokens, self._started.max_thinking_tokens
        count = f"{tokens} tokens" if budget is None else f"{tokens}/{budget} tokens"
        elapsed = self._elapsed()
        if self._started.max_thinking_s is not None:
            elapsed += f"/{clock_time(self._started.max_thinking_s)}"
        votes = [] if self._vote is None else [tally(self._vote)]
        parts = [*votes, count, *self._speed(), elapsed]
        return parts if self._is_forced else [*parts, "Ctrl-C to answer now"]

    def _speed(self) -> list[str]:
        """Returns: the mean since the model started; nothing while that would be a guess."""
        elapsed_s = self._clock() - self._began_s
        n_tokens = self._reasoning_tokens + (self._answer_tokens or 0)
        return [f"{n_tokens / elapsed_s:.1f} tok/s"] if elapsed_s >= _SPEED_FROM_S else []

    def _elapsed(self) -> str:
        return clock_time(self._clock() - self._began_s)
