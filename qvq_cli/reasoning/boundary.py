"""What every way of finding the end of the reasoning has in common."""

from typing import NamedTuple, Protocol

from qvq_cli.reasoning.language import Language

BLANKS = " \t\r\n\u3000"
"""The whitespace that is trimmed around a boundary."""

HELD_BLANKS_MAX = 64
"""Blanks held back because a boundary may follow; more are let go, so that a run of them shows."""


class Cut(NamedTuple):
    """What a piece of text settled.

    reasoning: text that is now certainly reasoning. boundary: None until it is reached, then the
    stretch with the blanks before it. answer: what follows in the same piece. is_bold_open: the
    boundary opened a `**` that the answer will close.
    """

    reasoning: str
    boundary: str | None = None
    answer: str = ""
    is_bold_open: bool = False


class Conclusion(NamedTuple):
    """What to put in the model's mouth so that it stops reasoning and answers."""

    text: str
    parse_special: bool


class Splitter(Protocol):
    """Finds the boundary in a stream of text; after its first Cut with a boundary it is done."""

    def push(self, delta: str) -> Cut: ...

    def flush(self) -> Cut:
        """The text is over: settle what was held back."""
        ...

    @property
    def held(self) -> str:
        """What waits: blanks, and behind them the start of a possible boundary."""
        ...

    def conclusion(self, language: Language, tail: str) -> Conclusion:
        """The shortest text that turns what was pushed (it ends in `tail`) into a boundary."""
        ...


class Held(NamedTuple):
    """Blanks in two: those let go, and those a boundary might still take."""

    let_go: str
    kept: str


def hold_blanks(blanks: str) -> Held:
    """Keep the last HELD_BLANKS_MAX of a run of blanks, wherever the run was cut into deltas."""
    at = max(0, len(blanks) - HELD_BLANKS_MAX)
    return Held(blanks[:at], blanks[at:])
