"""Guesses at the next tokens that cost no second model: what followed the last time.

QVQ reads values off again and repeats its own phrases. Where the last tokens of the text stood
before, the tokens behind that place are a draft: the engine runs them in one batch with the token
that is due and keeps those that the model chooses itself. What the model says stays what it would
have said.

A longer batch costs more than a short one, on some machines nearly as much as its tokens one by
one. `Drafter` therefore times every pass, learns how often drafts come true, takes the length that
saves most, and keeps accounts: what trials of a batch size cost, and what drafts lost that were
expected to save time, may never be more than LOSS_SHARE each of the time that decoding took.

It reads no clock and knows no model: tokens and seconds come in, drafts come out.
"""

from collections import deque
from typing import Literal, NamedTuple

N_GRAMS = (3, 2, 1)
"""Lengths of what is looked up, the longest first."""
N_DRAFT_MAX = 15
BATCHES = (2, 3, 4, 6, 8, 12, 16)
"""Tokens of a pass with a draft, the due token included; few sizes, so that each is well known."""
LOSS_SHARE = 0.01
"""Of decoding time, that each account may lose in all."""
PREFILL_SHARE = 0.0025
"""Of the prompt's time, that is there for the first drafts of each account."""
N_TIMES = 9
N_STALE = 256
"""Passes after which a batch size that wasn't used counts as unknown: the machine may be another
by then, with other programs running."""
N_STALE_SINGLE = 32
"""The same for a pass without a draft, which all others are compared with."""
AFTER_DRAFT = 0
"""Stands for the batch of a single token behind a draft, where costs are kept by batch size."""

# How often the token behind a match of so many tokens came next, and the weight of that prior.
# Measured on QVQ's four published transcripts, 5,829 tokens of its own vocabulary.
PRIOR = ((1, 0.25), (2, 0.46), (3, 0.53), (4, 0.63), (6, 0.69), (10, 0.75), (16, 0.88))
PRIOR_WEIGHT = 8.0
PRIOR_MAX = 16

BREAK = -1
"""Stands in the text for something that is no token, such as a picture."""


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

        Returns: the index of the token that followed there, and how many tokens agree, PRIOR_MAX at
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
                while n < PRIOR_MAX and at > n and tokens[at - n - 1] == tokens[end - n - 1]:
                    n += 1
                return at, n
        return 0, 0

    def _index_all_but_last(self) -> None:
        """The n-grams that end at the text's end are left out: they would find themselves."""
        tokens, ends = self.tokens, self._ends
        for end in range(self._n_indexed + 1, len(tokens)):
            if tokens[end - 1] != BREAK:
                for n in N_GRAMS:
                    ends[tuple(tokens[max(0, end - n) : end])] = end
        self._n_indexed = max(self._n_indexed, len(tokens) - 1)


class Acceptance:
    """How likely the token behind a match comes next, by the length of the match."""

    def __init__(self) -> None:
        self._tried = [PRIOR_WEIGHT] * (PRIOR_MAX + 1)
        prior = dict(PRIOR)
        share = 0.0
        self._came: list[float] = []
        for length in range(PRIOR_MAX + 1):
            share = prior.get(length, share)
            self._came.append(share * PRIOR_WEIGHT)

    def chance(self, match: int) -> float:
        """Between 0 and 1, for a match of so many tokens."""
        match = min(match, PRIOR_MAX)
        return self._came[match] / self._tried[match]

    def learn(self, match: int, n_draft: int, n_accepted: int) -> None:
        """A draft behind a match of so many tokens: each accepted token made the match longer."""
        for i in range(min(n_accepted + 1, n_draft)):
            length = min(match + i, PRIOR_MAX)
            self._tried[length] += 1
            self._came[length] += i < n_accepted


class PassCosts:
    """Seconds that a pass takes, by the tokens in its batch: medians of the last few.

    llama.cpp uses a graph again for a batch of the size before, so a single pass behind a draft
    takes longer than one behind another single pass. What it takes longer is the draft's cost.
    """

    def __init__(self) -> None:
        self._times: dict[int, deque[float]] = {}
        self._last: dict[int, int] = {}
        self._n = 0
        self._extra = 0.0
        self._table: list[tuple[int, float, float]] | None = None
        self.single: float | None = None
        """Seconds of a pass without a draft; None while that isn't known, or not any more."""

    def learn(self, n_batch: int, seconds: float) -> bool:
        """A pass has taken this long. Returns: whether costs are counted anew for it."""
        self._n += 1
        times = self._times.get(n_batch)
        if times is None or self._is_stale(n_batch):
            times = self._times[n_batch] = deque(maxlen=N_TIMES)
        times.append(seconds)
        self._last[n_batch] = self._n
        if n_batch != 1 or self.single is None or self._n % N_TIMES == 0:
            self._table = None
            self.single = self._median(1) if 1 in self._times and not self._is_stale(1) else None
            if self.single is not None and AFTER_DRAFT in self._times:
                self._extra = max(0.0, self._median(AFTER_DRAFT) - self.single)
            return True
        return False

    def table(self) -> list[tuple[int, float, float]]:
        """For each batch size what a pass is expected to take and what it may take at worst.

        It ends with the first size that hasn't been tried (lately), which is expected to follow the
        ones below it, and at worst takes as long as its tokens would one by one, or as it did
        before. `single` must be known.
        """
        if self._table is None:
            single = base = self._median(1)
            below = 1
            slope = 0.1 * single
            self._table = []
            for size in BATCHES:
                if size in self._times and not self._is_stale(size):
                    base, below = self._median(size), size
                    slope = max(0.0, (base - single) / (size - 1))
                    self._table.append((size, base + self._extra, base + self._extra))
                    continue
                likely = base + (size - below) * slope
                worst = base + (size - below) * max(single, slope)
                if size in self._times:
                    worst = max(worst, self._median(size))
                self._table.append((size, likely + self._extra, worst + self._extra))
                break
        return self._table

    def _median(self, n_batch: int) -> float:
        times = sorted(self._times[n_batch])
        return times[len(times) // 2]

    def _is_stale(self, n_batch: int) -> bool:
        return self._n - self._last[n_batch] > (N_STALE_SINGLE if n_batch == 1 else N_STALE)


Kind = Literal["draft", "trial"]


class Offer(NamedTuple):
    """A draft of this length may cost risk_s seconds; whether that is a trial of its batch size."""

    length: int
    risk_s: float
    kind: Kind


class Drafter:
    """Decides for each pass what to put behind the due token, if anything.

    drafted, accepted: tokens, since the prompt.
    """

    def __init__(self) -> None:
        self.index = NgramIndex()
        self.drafted = 0
        self.accepted = 0
        self._acceptance = Acceptance()
        self._costs = PassCosts()
        self._credit_s: dict[Kind, float] = {"trial": 0.0, "draft": 0.0}
        self._kind: Kind = "draft"
        self._match = 0
        self._n_draft_before = 0
        self._offers: dict[int, list[Offer]] = {}

    def prefilled(self, seconds: float) -> None:
        """The prompt took this long."""
        self._credit_s = dict.fromkeys(self._credit_s, PREFILL_SHARE * seconds)

    def propose(self, n_max: int) -> list[int]:
        """Tokens that may come next, n_max at most; mostly none."""
        if n_max < 1 or self._costs.single is None:
            return []
        at, match = self.index.find()
        if match == 0:
            return []
        n_draft = self._best_length(match, n_max)
        if n_draft == 0:
            return []
        self._match = match
        return self._behind(at, n_draft)

    def passed(self, n_draft: int, n_accepted: int, seconds: float) -> None:
        """A pass with the due token and n_draft more has taken this long."""
        is_after_draft = self._n_draft_before > 0
        self._n_draft_before = n_draft
        for kind in self._credit_s:
            self._credit_s[kind] += LOSS_SHARE * seconds
        single = self._costs.single
        if n_draft == 0 and not is_after_draft:
            if self._costs.learn(1, seconds):
                self._offers.clear()
            return
        self._offers.clear()
        self._costs.learn(n_draft + 1 if n_draft else AFTER_DRAFT, seconds)
        if single is not None:
            self._credit_s[self._kind] += (n_accepted + 1) * single - seconds
        if n_draft:
            self.drafted += n_draft
            self.accepted += n_accepted
            self._acceptance.learn(self._match, n_draft, n_accepted)

    def _best_length(self, match: int, n_max: int) -> int:
        """The draft length that saves the most seconds, among those that may turn out useless."""
        offers = self._offers.get(match)
        if offers is None:
            offers = self._offers[match] = self._worthwhile(match)
        for length, risk_s, kind in offers:
            if risk_s <= self._credit_s[kind] and length <= n_max:
                self._kind = kind
                return length
        return 0

    def _worthwhile(self, match: int) -> list[Offer]:
        """Draft lengths that are expected to save time, the best first."""
        single = self._costs.single
        assert single is not None
        offers: list[tuple[float, Offer]] = []
        expected, chance, length = 1.0, 1.0, 0
        for n_batch, likely, worst in self._costs.table():
            while length < n_batch - 1:
                chance *= self._acceptance.chance(match + length)
                expected += chance
                length += 1
            saved = expected * single - likely
            if saved > 0:
                kind: Kind = "draft" if worst == likely else "trial"
                offers.append((saved, Offer(length, worst - single, kind)))
        return [offer for _, offer in sorted(offers, reverse=True)]

    def _behind(self, at: int, n: int) -> list[int]:
        """The n tokens from index `at` on; where the text ends they repeat."""
        tokens = self.index.tokens
        draft = tokens[at : at + n]
        while len(draft) < n:
            draft += draft[: n - len(draft)]
        return draft[: draft.index(BREAK)] if BREAK in draft else draft
