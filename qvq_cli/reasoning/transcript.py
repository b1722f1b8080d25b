"""A state machine on text: reasoning until the boundary, the answer after it.

    REASONING --boundary--> ANSWER          (plain: ANSWER from the start)

Text comes in deltas of any size; how it is cut never changes the outcome. Reasoning is passed on
as soon as it can't belong to a boundary, so at most blanks and the start of a possible boundary
wait. Only the first boundary counts: a model that thinks on after its heading does so in the
answer, whose parser takes the last box.

Nothing is lost: reasoning + boundary + answer is the text itself, the blanks around the boundary
being the boundary's. Two exceptions, both kept in `text`: what comes before tagged reasoning
(blanks, `<think>`), and the `**` that closes `**Final Answer: 42**`.
"""

from enum import StrEnum
from typing import Literal, NamedTuple

from qvq_cli.reasoning.boundary import BLANKS, Conclusion, Cut, Splitter
from qvq_cli.reasoning.heading import HeadingSplitter
from qvq_cli.reasoning.language import Language
from qvq_cli.reasoning.tags import TagSplitter

TAIL_CHARS = 1000


class Dialect(StrEnum):
    """How a model separates its reasoning from its answer."""

    HEADING = "heading"
    THINK_TAGS = "think-tags"
    PLAIN = "plain"


class Channelled(NamedTuple):
    """A stretch of text that has found its channel."""

    channel: Literal["reasoning", "answer"]
    text: str


class Transcript:
    """What one model said, in two channels."""

    def __init__(self, dialect: Dialect) -> None:
        self._splitter: Splitter | None = None
        if dialect is Dialect.HEADING:
            self._splitter = HeadingSplitter()
        elif dialect is Dialect.THINK_TAGS:
            self._splitter = TagSplitter()
        self._text: list[str] = []
        self._tail = ""
        self._reasoning: list[str] = []
        self._boundary: list[str] = []
        self._answer: list[str] = []
        self._has_answer_begun = False
        self._is_bold_open = False
        self._held_star = ""

    @property
    def in_answer(self) -> bool:
        """Whether the boundary has been passed."""
        return self._splitter is None

    @property
    def may_be_at_boundary(self) -> bool:
        """Whether the last characters may turn out to be the start of the boundary."""
        return self._splitter is not None and bool(self._splitter.held.strip(BLANKS))

    @property
    def text(self) -> str:
        """Everything that was fed, unchanged."""
        return "".join(self._text)

    @property
    def tail(self) -> str:
        """The last characters that were fed, held back or not, TAIL_CHARS at most."""
        return self._tail

    @property
    def reasoning(self) -> str:
        return "".join(self._reasoning)

    @property
    def boundary(self) -> str:
        """What stands between reasoning and answer, blanks included; "" until it is reached."""
        return "".join(self._boundary)

    @property
    def answer(self) -> str:
        return "".join(self._answer)

    def feed(self, delta: str) -> list[Channelled]:
        """Take the next piece of text. Returns: what it settles, at most one piece a channel."""
        if not delta:
            return []
        self._text.append(delta)
        self._tail = (self._tail + delta)[-TAIL_CHARS:]
        if self._splitter is None:
            return self._settle_answer(delta)
        return self._settle(self._splitter.push(delta))

    def finish(self) -> list[Channelled]:
        """The text is over. Returns: what was held back."""
        settled: list[Channelled] = []
        if self._splitter is not None:
            settled = self._settle(self._splitter.flush())
        if self._held_star:
            self._answer.append(self._held_star)
            settled.append(Channelled("answer", self._held_star))
            self._held_star = ""
        return settled

    def conclusion(self, language: Language) -> Conclusion | None:
        """What to append so that the model answers now; fed back here, it passes the boundary.

        Returns: None where there is nothing to conclude: in the answer, or in the plain dialect.
        """
        return None if self._splitter is None else self._splitter.conclusion(language, self._tail)

    def _settle(self, cut: Cut) -> list[Channelled]:
        settled: list[Channelled] = []
        if cut.reasoning:
            self._reasoning.append(cut.reasoning)
            settled.append(Channelled("reasoning", cut.reasoning))
        if cut.boundary is not None:
            self._splitter = None
            self._boundary.append(cut.boundary)
            self._is_bold_open = cut.is_bold_open
            settled += self._settle_answer(cut.answer)
        return settled

    def _settle_answer(self, text: str) -> list[Channelled]:
        if not self._has_answer_begun:
            body = text.lstrip(BLANKS)
            self._boundary.append(text[: len(text) - len(body)])
            self._has_answer_begun = bool(body)
            text = body
        if self._is_bold_open:
            text = self._drop_closing_bold(text)
        if not text:
            return []
        self._answer.append(text)
        return [Channelled("answer", text)]

    def _drop_closing_bold(self, text: str) -> str:
        """Take the first `**` off the answer's first line, where it closes the boundary's."""
        text, self._held_star = self._held_star + text, ""
        line, newline, rest = text.partition("\n")
        before, stars, after = line.partition("**")
        if stars or newline:
            self._is_bold_open = False
            return before + after + newline + rest
        if text.endswith("*"):
            self._held_star = "*"
            return text[:-1]
        return text
