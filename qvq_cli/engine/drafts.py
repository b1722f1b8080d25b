"""Guesses at the next tokens: what followed the last time, or what a smaller model would say.

QVQ reads values off again and repeats its own phrases. Where the last tokens of the text stood
before, in it or in what was said in an earlier run, the tokens behind that place are a draft; a
second model (--draft) can make others. The engine runs a draft in one batch with the token that is
due and keeps those of its tokens that the model chooses itself. What the model says stays what it
would have said, but where llama.cpp rounds a near tie otherwise for several tokens than for one.

A longer batch costs more than a short one, on some machines nearly as much as its tokens one by
one. `Drafter` therefore times passes, learns how often drafts come true, takes the length that
saves most, and keeps accounts: what trials of a batch size cost, and what drafts lost that were
expected to save time, may never be more than LOSS_SHARE each of the time that decoding took. To
look for a draft costs time as well, which for a tiny model counts: where a look found none, it
rests until that was no more than LOOK_SHARE.

It reads no clock and knows no model: tokens and seconds come in, drafts come out.
"""

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Protocol

from qvq_cli.engine.ngrams import BREAK, MATCH_MAX, NgramIndex, PastIndex
from qvq_cli.engine.tiles import N_UNTILED

LOSS_SHARE = 0.006
"""Of decoding time, that each account may lose in all. On QVQ's transcripts more gains nothing."""
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
N_TRIALS = 2
"""Passes of a batch size before it counts as known: for the first one memory is touched anew."""
AFTER_DRAFT_WEIGHT = 4.0
"""So many drafts are taken to have been followed by a single pass, before any has been run."""
AFTER_DRAFT = 0
"""Stands for the batch of a single token behind a draft, where costs are kept by batch size."""

# How often the token behind a match of so many tokens came next, and the weight of that prior.
# Measured on QVQ's four published transcripts, 5,829 tokens of its own vocabulary.
PRIOR = ((1, 0.25), (2, 0.46), (3, 0.53), (4, 0.63), (6, 0.69), (10, 0.75), (16, 0.88))
PAST_PRIOR = ((3, 0.7), (6, 0.9), (16, 0.97))
"""The same for a match in what was said of the picture before. Measured on nano, which was asked
again with other seeds and temperatures: 0.77, 0.94 and 0.99 at least."""
PRIOR_WEIGHT = 8.0

GUESSED = 0
"""Stands for a guesser's draft where others are told apart by the length of their match."""
GUESS_PRIOR = ((GUESSED, 0.6),)
"""How often a guesser is thought right before anything is known."""


class Acceptance:
    """How likely the token behind a match comes next, by the length of the match.

    Args: prior: what is thought before anything is known, for some lengths.
    """

    def __init__(self, prior: Sequence[tuple[int, float]]) -> None:
        self._tried = [PRIOR_WEIGHT] * (MATCH_MAX + 1)
        known, share = dict(prior), 0.0
        self._came: list[float] = []
        for length in range(MATCH_MAX + 1):
            share = known.get(length, share)
            self._came.append(share * PRIOR_WEIGHT)

    def chance(self, match: int) -> float:
        """Between 0 and 1, for a match of so many tokens."""
        match = min(match, MATCH_MAX)
        return self._came[match] / self._tried[match]

    def learn(self, match: int, n_draft: int, n_accepted: int) -> None:
        """A draft behind a match of so many tokens: each accepted token made the match longer."""
        for i in range(min(n_accepted + 1, n_draft)):
            length = match if match == GUESSED else min(match + i, MATCH_MAX)
            self._tried[length] += 1
            self._came[length] += i < n_accepted


class Batches(NamedTuple):
    """What passes with a draft may be, and what they may turn out to take until that is known.

    sizes: tokens of a pass, the due one included; few, so that each is well known. first_s: what
    the first pass of a size takes besides. token_share: what each token takes, of a pass with one.
    leap: a size may be so many times as large as one that is known.
    """

    sizes: tuple[int, ...] = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
    first_s: float = 0.0
    token_share: float = 1.0
    leap: int = 2


ON_CPU = Batches()
"""From 64 tokens on llama.cpp computes attention in another way there, and rounds otherwise."""
UNTILED = Batches(sizes=(2, 3, 4, 5, N_UNTILED))
ON_GPU = Batches(first_s=0.005, token_share=0.5, leap=8)
"""On an H200 first passes took 3.4 ms longer for nano and 6 ms for the shaped 7B, as CUDA loads its
kernels then; each further token of up to eight took 0.05 to 0.25 of a pass."""


class PassCosts:
    """Seconds that a pass takes, by the tokens in its batch: medians of the last few.

    llama.cpp uses a graph again for a batch of the size before, so a single pass behind a draft
    takes longer than one behind another single pass. What it takes longer is the draft's cost, as
    often as drafts are followed by one.
    """

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._times: dict[int, deque[float]] = {}
        self._last: dict[int, int] = {}
        self._n = 0
        self._extra = 0.0
        self._n_drafts = self._n_after = AFTER_DRAFT_WEIGHT
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
        self._n_drafts += n_batch > 1
        self._n_after += n_batch == AFTER_DRAFT
        self._last[n_batch] = self._n
        if n_batch == 1 and self.single is not None and self._n % N_TIMES:
            return False
        self._table = None
        self.single = self._find_single()
        if self.single is not None and AFTER_DRAFT in self._times:
            share = min(1.0, self._n_after / self._n_drafts)
            self._extra = share * max(0.0, self._median(AFTER_DRAFT) - self.single)
        return True

    def _find_single(self) -> float | None:
        n_known = len(self._times.get(1, ()))
        return self._median(1) if n_known >= N_SINGLE_MIN and not self._is_stale(1) else None

    def table(self) -> list[tuple[int, float, float]]:
        """For each batch size what a pass is expected to take and what it may take at worst.

        Tokens above the largest known size are expected to cost half of what those below do: much
        of that is there once. At worst they take as long as Batches says, or as long as before.
        `single` must be known.
        """
        if self._table is None:
            single = base = self._median(1)
            below = 1
            slope = 0.1 * single
            self._table = []
            for size in self._batches.sizes:
                n_known = len(self._times.get(size, ()))
                if n_known >= N_TRIALS and not self._is_stale(size):
                    base, below = self._median(size), size
                    slope = max(0.0, (base - single) / (size - 1)) / 2
                    self._table.append((size, base + self._extra, base + self._extra))
                    continue
                if size > self._batches.leap * below:
                    break
                likely = base + (size - below) * slope
                token_s = max(slope, self._batches.token_share * single)
                worst = base + (size - below) * token_s + self._batches.first_s
                if n_known:
                    worst = max(worst, self._median(size))
                self._table.append((size, likely + self._extra, worst + self._extra))
        return self._table

    def _median(self, n_batch: int) -> float:
        times = sorted(self._times[n_batch])
        return times[(len(times) - 1) // 2]

    def _is_stale(self, n_batch: int) -> bool:
        return self._n - self._last[n_batch] > (N_STALE_SINGLE if n_batch == 1 else N_STALE)


class Guesser(Protocol):
    """A second model that reads the text and says how it would go on."""

    def guess(self, text: Sequence[int], n: int) -> list[int]:
        """Up to n tokens behind the text, in which BREAK stands for what it can't read."""


Kind = Literal["draft", "trial"]
Source = Literal["text", "past", "guess"]


class Place(NamedTuple):
    """Where a draft of up to n_left tokens can be had.

    at: the index of its first token. match: how many tokens agree before it.
    """

    source: Source
    at: int
    match: int
    n_left: int = sys.maxsize


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
        past: what was said in earlier runs.
        batches: the sizes to choose from.

    drafted, accepted: tokens, since the prompt.
    """

    def __init__(
        self,
        guesser: Guesser | None = None,
        guess_share: float = 0.0,
        past: PastIndex | None = None,
        batches: Batches = ON_CPU,
    ) -> None:
        self.index = NgramIndex()
        self.drafted = 0
        self.accepted = 0
        self._guesser = guesser
        self._guess_share = guess_share
        self._past = past
        self._acceptance: dict[Source, Acceptance] = {
            "text": Acceptance(PRIOR),
            "past": Acceptance(PAST_PRIOR),
            "guess": Acceptance(GUESS_PRIOR),
        }
        self._costs = PassCosts(batches)
        self._credit_s: dict[Kind, float] = {"trial": 0.0, "draft": 0.0}
        # Of the pass before; None behind the prompt, where a pass takes longer than any other.
        self._n_draft_before: int | None = None
        self._offers: dict[tuple[Source, int], list[Offer]] = {}
        # Of the draft that is being run: how its batch was chosen, and where it was found.
        self._kind: Kind = "draft"
        self._place = Place("text", 0, 0)
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
        best: tuple[Offer, Place] | None = None
        for place in self._places():
            offer = self._best_offer(place, min(n_max, place.n_left))
            if offer is not None and (best is None or offer.saved_s > best[0].saved_s):
                best = offer, place
        if best is None:
            return []
        offer, self._place = best
        self._kind = offer.kind
        return self._draft(self._place, offer.length)

    def _places(self) -> Iterator[Place]:
        if self._past is not None:
            at, match = self._past.find(self.index.tokens)
            if match:
                n_left = self._past.n_left(at)
                yield Place("past", at, match, n_left)
                if match == MATCH_MAX <= n_left:
                    return  # nothing is surer, and this costs next to nothing
        at, match = self.index.find()
        if match:
            yield Place("text", at, match)
        if self._guesser is not None:
            yield Place("guess", 0, GUESSED)

    def _draft(self, place: Place, n: int) -> list[int]:
        if place.source == "guess":
            assert self._guesser is not None
            return self._guesser.guess(self.index.tokens, n)
        if place.source == "past":
            assert self._past is not None
            return self._past.tokens[place.at : place.at + n]
        return self._behind(place.at, n)

    def passed(self, n_draft: int, n_accepted: int, pass_s: float, draft_s: float = 0.0) -> None:
        """A pass with the due token and n_draft more has taken pass_s, making the draft draft_s."""
        before, self._n_draft_before = self._n_draft_before, n_draft
        single = self._costs.single
        decoded_s = pass_s
        if n_draft == 0 and single is not None:
            self._n_rest = min(N_REST_MAX, int(draft_s / (LOOK_SHARE * single)))
            decoded_s += self._n_rest * single
        for kind in self._credit_s:
            self._credit_s[kind] += LOSS_SHARE * decoded_s
        if n_draft == 0 and not before:
            if before == 0 and self._costs.learn(1, pass_s):
                self._offers.clear()
            return
        self._offers.clear()
        self._costs.learn(n_draft + 1 if n_draft else AFTER_DRAFT, pass_s)
        if single is not None:
            self._credit_s[self._kind] += (n_accepted + 1) * single - pass_s - draft_s
        if n_draft:
            self.drafted += n_draft
            self.accepted += n_accepted
            source, match = self._place.source, self._place.match
            self._acceptance[source].learn(match, n_draft, n_accepted)
            if source == "guess":
                self._guess_times.append(draft_s / n_draft)

    def _best_offer(self, place: Place, n_max: int) -> Offer | None:
        """The draft that saves the most seconds, among those that may turn out useless."""
        key = place.source, place.match
        offers = self._offers.get(key)
        if offers is None:
            offers = self._offers[key] = self._worthwhile(*key)
        for offer in offers:
            if offer.risk_s <= self._credit_s[offer.kind] and offer.length <= n_max:
                return offer
        return None

    def _worthwhile(self, source: Source, match: int) -> list[Offer]:
        """Drafts that are expected to save time, the best first."""
        single = self._costs.single
        assert single is not None
        acceptance, is_guess = self._acceptance[source], source == "guess"
        each_s = self._guess_s(single) if is_guess else 0.0
        offers: list[Offer] = []
        expected, chance, length = 1.0, 1.0, 0
        for n_batch, likely, worst in self._costs.table():
            while length < n_batch - 1:
                chance *= acceptance.chance(match if is_guess else match + length)
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
