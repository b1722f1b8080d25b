"""When the pictures are put in front of the model again, and how much room that takes.

    WAITING --N tokens since the last look--> DUE --sentence over, or allowance used up--> a look

A model that reasons for long attends less and less to its picture: QVQ's makers name it a limit of
theirs, and a picture removed half-way hardly changes what such models answer. The cue is a sentence
the model could have said itself, the pictures stand behind it as in the prompt, and the reasoning
goes on on a line of its own.

Source of the idea: Sun et al., "Mitigating Visual Forgetting via Take-along Visual Conditioning for
Multi-modal Long CoT Reasoning" (arXiv 2503.13360); the model there was trained for it, QVQ was not.
"""

from typing import NamedTuple, Self

from qvq_cli.reasoning.boundary import BLANKS
from qvq_cli.reasoning.language import Language
from qvq_cli.reasoning.sentences import ends_sentence

_N_CUE = 64
"""KV cells kept for the cue: its bytes, the most tokens that any vocabulary can make of it."""
_N_AROUND = 2
"""`<|vision_start|>` and `<|vision_end|>`."""
_ALLOWANCE_TOKENS_MAX = 128

_CUES = {
    Language.EN: ("Let me look at the image again.", "Let me look at the images again."),
    Language.ZH: ("我再看一下图。", "我再看一下这些图。"),
}


class Look(NamedTuple):
    """A step of a chain: append before, all pictures of the prompt, after."""

    before: str
    after: str


class LookAgain(NamedTuple):
    """What `--look-again` asks for.

    every: tokens of reasoning between two looks; image_tokens: what each picture costs; n_max: the
    most looks.
    """

    every: int
    image_tokens: tuple[int, ...]
    n_max: int = 1 << 30

    @property
    def n_cells(self) -> int:
        """KV cells that one look takes at most."""
        return sum(self.image_tokens) + _N_AROUND * len(self.image_tokens) + _N_CUE

    @property
    def n_useful(self) -> int:
        """Tokens that must be left to think about what was seen: a quarter of a stretch."""
        return max(1, self.every // 4)

    @property
    def allowance_tokens(self) -> int:
        """Tokens past `every` in which to finish the sentence."""
        return min(_ALLOWANCE_TOKENS_MAX, self.every // 2)

    def n_looks(self, n_thinking: int) -> int:
        """The most looks that come due in so much thinking."""
        return min(self.n_max, max(0, n_thinking - self.n_useful) // self.every)

    def within(self, room: int, n_thinking: int, n_looks: int) -> Self:
        """No more looks than room has cells for, each with the whole stretch that follows it.

        Args:
            room: KV cells for thinking and looking.
            n_thinking: cells that are wanted for thinking.
            n_looks: looks that are wanted.
        """
        if n_thinking + n_looks * self.n_cells > room:
            n_fitting = max(0, room - self.every) // (self.every + self.n_cells)
            n_looks = min(n_looks, n_fitting)
        return self._replace(n_max=n_looks)

    def look(self, language: Language, tail: str) -> Look:
        """A look after a text that ends in `tail`."""
        stem = tail.rstrip(BLANKS)
        n_newlines = tail.count("\n", len(stem))
        gap = "\n" * max(0, 2 - n_newlines) if stem else ""
        one, several = _CUES[language]
        return Look(gap + (one if len(self.image_tokens) == 1 else several), "\n\n")


class Looking:
    """Says when the next look is due. Ask after each token of reasoning."""

    def __init__(self, looks: LookAgain) -> None:
        self.n_looks = 0
        self._looks = looks
        self._due = looks.every

    def is_fair(self, n_tokens: int, text_tail: str, *, is_whole: bool) -> bool:
        """Whether to look after n_tokens tokens of reasoning.

        Args:
            text_tail: the end of the text, a few hundred characters.
            is_whole: neither a character nor what may be the boundary is cut at the last token.
        """
        if n_tokens < self._due or self.n_looks >= self._looks.n_max or not is_whole:
            return False
        return n_tokens >= self._due + self._looks.allowance_tokens or ends_sentence(text_tail)

    def most_tokens(self, n_tokens: int) -> int | None:
        """How many more tokens may come before the next decision; None if no more looks come."""
        if self.n_looks >= self._looks.n_max:
            return None
        last = self._due + (self._looks.allowance_tokens if n_tokens >= self._due else 0)
        return max(1, last - n_tokens)

    def looked(self, n_tokens: int) -> None:
        """A look was taken after n_tokens tokens of reasoning."""
        self.n_looks += 1
        self._due = n_tokens + self._looks.every

    def pass_over(self) -> None:
        """No look can be used any more."""
        self._looks = self._looks._replace(n_max=self.n_looks)
