"""Where a text's last tokens stood before: in itself, and in texts of earlier runs.

What followed there is a guess at what comes next. How good a guess is, drafts.py knows.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

BREAK = -1
"""Stands in a text for something that is no token: a picture, or where one text ends."""
N_GRAMS = (3, 2, 1)
"""Lengths of what is looked up in the text itself, the longest first."""
PAST_N_GRAM = 3
"""Length of what is looked up in texts of earlier runs: shorter ones stand everywhere."""
MATCH_MAX = 16
"""Tokens that are compared, at most."""


class NgramIndex:
    """The text so far, and where each of its n-grams stood last.

    tokens: the text, to be added to.

    Entries are never taken out: `truncate` leaves some that point behind the text or at tokens that
    have changed, so a find is compared with the text itself.
    """

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self._ends: dict[tuple[int, ...], int] = {}
        self._n_indexed = 0

    def truncate(self, n_drop: int) -> None:
        """Take the last n_drop tokens away."""
        del self.tokens[len(self.tokens) - n_drop :]
        self._n_indexed = min(self._n_indexed, max(0, len(self.tokens) - 1))

    def find(self) -> tuple[int, int]:
        """Where the text's last tokens stood before.

        Returns: the index of the token that followed there, and how many tokens agree, MATCH_MAX at
        most; (0, 0) when the last token is new.
        """
        tokens = self.tokens
        self._index_all_but_last()
        end = len(tokens)
        for n in N_GRAMS:
            if n > end:
                continue
            gram = tuple(tokens[end - n :])
            at = self._ends.get(gram)
            if at is not None and at < end and tuple(tokens[at - n : at]) == gram:
                return at, _n_agreeing(tokens, at, tokens, n)
        return 0, 0

    def _index_all_but_last(self) -> None:
        """The n-grams that end at the text's end are left out: they would find themselves."""
        tokens, ends = self.tokens, self._ends
        for end in range(self._n_indexed + 1, len(tokens)):
            if tokens[end - 1] != BREAK:
                for n in N_GRAMS:
                    ends[tuple(tokens[max(0, end - n) : end])] = end
        self._n_indexed = max(self._n_indexed, len(tokens) - 1)


class PastIndex:
    """Texts of earlier runs, and where each n-gram stood first in the last of them that has it.

    Who says such a text again does so from its beginning, and there may be loops in it.

    Args: texts: the most promising last.

    tokens: all of them, each behind a BREAK.
    """

    def __init__(self, texts: Iterable[Sequence[int]] = ()) -> None:
        self.tokens: list[int] = []
        self._ends: dict[tuple[int, ...], int] = {}
        for text in texts:
            first_end = len(self.tokens) + 1 + PAST_N_GRAM
            self.tokens += (BREAK, *text)
            # Without its last token: behind the n-gram at the end nothing comes.
            grams = list(zip(*(text[i:-1] for i in range(PAST_N_GRAM)), strict=False))
            last_end = first_end + len(grams) - 1
            self._ends.update(zip(reversed(grams), range(last_end, 0, -1), strict=False))
        self._breaks = [i for i, token in enumerate(self.tokens) if token == BREAK]
        self._breaks.append(len(self.tokens))
        # The place that was found last, and how long the text was then.
        self._at = self._n_text = 0

    def find(self, text: list[int]) -> tuple[int, int]:
        """Where the last tokens of a text stood.

        Where it goes on as it did from the place found last, that place is followed, though what it
        says may stand elsewhere too.
        Returns: as NgramIndex.find does; a place counts where PAST_N_GRAM tokens or more agree and
        something comes behind them.
        """
        at = self._at + len(text) - self._n_text if self._at else 0
        match = self._n_agreeing(text, at)
        if match < MATCH_MAX:
            first_at = self._ends.get(tuple(text[-PAST_N_GRAM:]), 0)
            n = self._n_agreeing(text, first_at)
            if n > match:
                at, match = first_at, n
        self._at, self._n_text = (at, len(text)) if match >= PAST_N_GRAM else (0, 0)
        return (at, match) if self._at else (0, 0)

    def n_left(self, at: int) -> int:
        """How many tokens stand from index `at` on, up to the next BREAK."""
        return self._breaks[bisect_left(self._breaks, at)] - at

    def _n_agreeing(self, text: list[int], at: int) -> int:
        if not 0 < at < len(self.tokens) or self.tokens[at] == BREAK:
            return 0
        if at >= MATCH_MAX and self.tokens[at - MATCH_MAX : at] == text[-MATCH_MAX:]:
            return MATCH_MAX
        return _n_agreeing(self.tokens, at, text)


def _n_agreeing(tokens: Sequence[int], at: int, text: Sequence[int], n: int = 0) -> int:
    """How many tokens before index `at` are the text's last ones; n of them are known to be."""
    end = len(text)
    most = min(MATCH_MAX, at, end)
    while n < most and tokens[at - n - 1] == text[end - n - 1]:
        n += 1
    return n
