"""Guesses at the next tokens: what followed the last time, or what a smaller model would say.

QVQ reads values off again and repeats its own phrases. Where the last tokens of the text stood
before, the tokens behind that place are a draft; a second model (--draft) can make others. The
engine runs a draft in one batch with the token that is due and keeps those of its tokens that the
model chooses itself. What the model says stays what it would have said.

A longer batch costs more than a short one, on some machines nearly as much as its tokens one by
one. `Drafter` therefore times passes, learns how often drafts come true, takes the length that
saves most, and keeps accounts: what trials of a batch size cost, and what drafts lost that were
expected to save time, may never be more than LOSS_SHARE each of the time that decoding took. To
look for a draft costs time as well, which for a tiny model counts: where a look found none, it
rests until that was no more than LOOK_SHARE.

It reads no clock and knows no model: tokens and seconds come in, drafts come out.
"""

from collections import deque
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

N_GRAMS = (3, 2, 1)
"""Lengths of what is looked up, the longest first."""
BATCHES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Tokens of a pass with a draft, the due token included; few sizes, so that each is well known."""
LOSS_SHARE = 0.01
"""Of decoding time, that each account may lose in all."""
LOOK_SHARE = 0.0025
"""Of decoding time, that looks may take which find no draft."""
N_REST_MAX = 32
"""Passes that a look is paid for with at most: one that took long may have been interrupted."""
PREFILL_SHARE = 0.0025
"""Of the prompt's time, that is there for the first drafts of each account."""
N_TIMES = 9
N_STALE = 256
"""Timed passes after which a batch size that wasn't used counts as unknown: the machine may be
another by then, with other programs running."""
N_STALE_SINGLE = 64
"""The same for a pass without a draft, which all others are compared with."""
N_SINGLE_MIN = 3
"""Passes without a draft to time before the first draft."""
AFTER_DRAFT = 0
"""Stands for the batch of a single token behind a draft, where costs are kept by batch size."""

# How often the token behind a match of so many tokens came next, and the weight of that prior.
# Measured on QVQ's four published transcripts, 5,829 tokens of its own vocabulary.
PRIOR = ((1, 0.25), (2, 0.46), (3, 0.53), (4, 0.63), (6, 0.69), (10, 0.75), (16, 0.88))
PRIOR_WEIGHT = 8.0
PRIOR_MAX = 16

GUESSED = 0
"""Stands for a guesser's draft where others are told apart by the length of their match."""
GUESS_PRIOR = 0.6
"""How often a guesser is thought right before anything is known."""
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
            share = GUESS_PRIOR if length == GUESSED else prior.get(length, share)
            self._came.append(share * PRIOR_WEIGHT)

    def chance(self, match: int) -> float:
        """Between 0 and 1, for a match of so many tokens."""
        match = min(match, PRIOR_MAX)
        return self._came[match] / self._tried[match]

    def learn(self, match: int, n_draft: int, n_accepted: int) -> None:
        """A draft behind a match of so many tokens: each accepted token made the match longer."""
        for i in range(min(n_accepted + 1, n_draft)):
            length = match if match == GUESSED else min(match + i, PRIOR_MAX)
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
        if times is None or (n_batch > 1 and self._is_stale(n_batch)):
            times = self._times[n_batch] = deque(maxlen=N_TIMES)
        times.append(seconds)
        self._last[n_batch] = self._n
        if n_batch == 1 and self.single is not None and self._n % N_TIMES:
            return False
        self._table = None
        self.single = self._find_single()
        if self.single is not None and AFTER_DRAFT in self._times:
            self._extra = max(0.0, self._median(AFTER_DRAFT) - self.single)
        return True

    def _find_single(self) -> float | None:
        n_known = len(self._times.get(1, ()))
        return self._median(1) if n_known >= N_SINGLE_MIN and not self._is_stale(1) else None

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


class Guesser(Protocol):
    """A second model that reads the text and says how it would go on."""

    def guess(self, text: Sequence[int], n: int) -> list[int]:
        """Up to n tokens behind the text, in which BREAK stands for what it can't read."""


Kind = Literal["draft", "trial"]


class Offer(NamedTuple):
    """A draft of this length; `kind` says whether it is a trial of its batch size.

    saved_s: seconds that it is expected to save. risk_s: seconds that it loses, on average, should
    the batch take as long as it may at worst.
    """

    saved_s: float
    length: int
    risk_s: float
    kind: Kind


class Drafter:
    """Decides for each pass what to put behind the due token, if anything.

    Args:
        guesser: makes drafts where the text itself has none that is as good.
        guess_share: what a guessed token costs, as a share of a pass, until that has been measured.

    drafted, accepted: tokens, since the prompt.
    """

    def __init__(self, guesser: Guesser | None = None, guess_share: float = 0.0) -> None:
        self.index = NgramIndex()
        self.drafted = 0
        self.accepted = 0
        self._guesser = guesser
        self._guess_share = guess_share
        self._acceptance = Acceptance()
        self._costs = PassCosts()
        self._credit_s: dict[Kind, float] = {"trial": 0.0, "draft": 0.0}
        self._n_draft_before = 1  # the prompt: its batch makes the next pass slower as a draft does
        self._offers: dict[int, list[Offer]] = {}
        # Of the draft that is being run: how its batch was chosen, and the match it stood behind.
        self._kind: Kind = "draft"
        self._match = 0
        self._guess_times: deque[float] = deque(maxlen=N_TIMES)
        self._n_rest = 0

    def prefilled(self, seconds: float) -> None:
        """The prompt took this long."""
        self._credit_s = dict.fromkeys(self._credit_s, PREFILL_SHARE * seconds)

    def take_rest(self, n_max: int) -> int:
        """Passes to run with nothing behind the due token, and to tell nothing of: n_max at most.

        They count as run; what is over n_max stays for the next to ask.
        """
        n_rest = min(self._n_rest, n_max)
        self._n_rest -= n_rest
        return n_rest

    def propose(self, n_max: int) -> list[int]:
        """Tokens that may come next, n_max at most; mostly none."""
        if n_max < 1 or self._costs.single is None:
            return []
        at, match = self.index.find()
        found = self._best_offer(match, n_max) if match else None
        guessed = self._best_offer(GUESSED, n_max) if self._guesser is not None else None
        if guessed is not None and (found is None or guessed.saved_s > found.saved_s):
            assert self._guesser is not None
            self._kind, self._match = guessed.kind, GUESSED
            return self._guesser.guess(self.index.tokens, guessed.length)
        if found is None:
            return []
        self._kind, self._match = found.kind, match
        return self._behind(at, found.length)

    def passed(self, n_draft: int, n_accepted: int, pass_s: float, draft_s: float = 0.0) -> None:
        """A pass with the due token and n_draft more has taken pass_s, making the draft draft_s."""
        is_after_draft = self._n_draft_before > 0
        self._n_draft_before = n_draft
        single = self._costs.single
        decoded_s = pass_s
        if n_draft == 0 and single is not None:
            self._n_rest = min(N_REST_MAX, int(draft_s / (LOOK_SHARE * single)))
            decoded_s += self._n_rest * single
        for kind in self._credit_s:
            self._credit_s[kind] += LOSS_SHARE * decoded_s
        if n_draft == 0 and not is_after_draft:
            if self._costs.learn(1, pass_s):
                self._offers.clear()
            return
        self._offers.clear()
        self._costs.learn(n_draft + 1 if n_draft else AFTER_DRAFT, pass_s)
        if single is not None:
            self._credit_s[self._kind] += (n_accepted + 1) * single - pass_s - draft_s
        if n_draft:
            self.drafted += n_draft
            self.accepted += n_accepted
            self._acceptance.learn(self._match, n_draft, n_accepted)
            if self._match == GUESSED:
                self._guess_times.append(draft_s / n_draft)

    def _best_offer(self, match: int, n_max: int) -> Offer | None:
        """The draft that saves the most seconds, among those that may turn out useless."""
        offers = self._offers.get(match)
        if offers is None:
            offers = self._offers[match] = self._worthwhile(match)
        for offer in offers:
            if offer.risk_s <= self._credit_s[offer.kind] and offer.length <= n_max:
                return offer
        return None

    def _worthwhile(self, match: int) -> list[Offer]:
        """Drafts that are expected to save time, the best first."""
        single = self._costs.single
        assert single is not None
        each_s = self._guess_s(single) if match == GUESSED else 0.0
        offers: list[Offer] = []
        expected, chance, length = 1.0, 1.0, 0
        for n_batch, likely, worst in self._costs.table():
            while length < n_batch - 1:
                chance *= self._acceptance.chance(match if match == GUESSED else match + length)
                expected += chance
                length += 1
            gain_s = expected * single - length * each_s
            if gain_s > likely:
                kind: Kind = "draft" if worst == likely else "trial"
                offers.append(Offer(gain_s - likely, length, max(0.0, worst - gain_s), kind))
        return sorted(offers, reverse=True)

    def _guess_s(self, single: float) -> float:
        times = sorted(self._guess_times)
        return times[len(times) // 2] if times else self._guess_share * single

    def _behind(self, at: int, n: int) -> list[int]:
        """The n tokens from index `at` on; where the text ends they repeat."""
        tokens = self.index.tokens
        draft = tokens[at : at + n]
        while len(draft) < n:
            draft += draft[: n - len(draft)]
        return draft[: draft.index(BREAK)] if BREAK in draft else draft
