"""How many threads run a pass of several tokens, where a pass of one has fewer.

At every operation all threads wait for the last. A tiny model's single tokens are less work than
that, so they have one thread; several at once, as drafts, votes and prompts are, gain from two
(nano, two cores of a Xeon: passes of 2, 4 and 8 take 1.1, 1.9 and 3.7 ms instead of 1.9, 3.5 and
6.8). Beside other programs two threads have taken up to six times as long as one, as each waits for
the other to get its turn. So passes are timed, and rest from the second thread when it doesn't pay.

Rows are shared out among threads, so what is computed doesn't depend on it.
"""

import math
from collections.abc import Callable

N_LARGE = 64
"""Tokens of a pass from which on it has work enough for all, and isn't compared with others."""
N_REST = 256
"""Passes after which another look is taken: the other programs may be done by then."""
N_SLOW = 2
"""Passes in a row that must have been slow: one may just have been interrupted."""


class BatchThreads:
    """Chooses for each pass of several tokens, and learns from what they take.

    Args:
        set_threads: has passes of several tokens run with so many from now on.
        n_few, n_many: the two to choose from.
    """

    def __init__(self, set_threads: Callable[[int], object], n_few: int, n_many: int) -> None:
        self._set_threads = set_threads
        self._n_few, self._n_many = n_few, n_many
        self._n_now = n_many
        # Passes still to run with few threads.
        self._n_rest = 0
        # Seconds a token: with few threads; and with many when they were slow N_SLOW times.
        self._few_s = math.inf
        self._suspect_s: float | None = None
        self._slow: list[float] = []

    def begin(self) -> None:
        """The prompt is read: the next pass shows what few threads take, and all are compared.

        A prompt's passes say nothing of later ones: only the last of their tokens gets logits.
        """
        self._n_rest = 1

    def choose(self, n_tokens: int) -> None:
        """Set the threads for a pass that is about to run."""
        n = self._n_few if self._n_rest and n_tokens < N_LARGE else self._n_many
        if n != self._n_now:
            self._set_threads(n)
            self._n_now = n

    def passed(self, n_tokens: int, seconds: float) -> None:
        """The pass that choose was asked for has taken so long."""
        if self._n_few == self._n_many or not 1 < n_tokens < N_LARGE:
            return
        token_s = seconds / n_tokens
        if self._n_rest:
            self._few_s = token_s
            self._n_rest -= 1
            if self._suspect_s is not None and self._suspect_s > token_s:
                self._n_rest = N_REST
            self._suspect_s = None
        elif token_s <= self._few_s:
            self._slow.clear()
        else:
            self._slow.append(token_s)
            if len(self._slow) == N_SLOW:
                # The text may only have become longer: see what few threads take by now.
                self._suspect_s = min(self._slow)
                self._n_rest = 1
                self._slow.clear()
