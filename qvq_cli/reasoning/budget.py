"""How long the model may think, and the fairest moment to stop it.

    COUNTING --budget used up--> FINISHING --sentence over, or allowance used up--> FORCE
    COUNTING --used up at the end of a sentence, or with a budget of 0--> FORCE

FORCE never splits a UTF-8 character. The clock comes in as numbers: this module reads none.

Source of the idea: llama.cpp `common/reasoning-budget.h`, which waits for the character; the
sentence is ours.
"""

import re
from enum import StrEnum
from typing import Literal, NamedTuple

from qvq_cli.errors import UsageError
from qvq_cli.reasoning.sentences import ends_sentence

_ALLOWANCE_SHARE = 1 / 8
_ALLOWANCE_TOKENS_MAX = 64
_ALLOWANCE_S_MAX = 30.0
_UTF8_TOKENS_MAX = 3
"""Tokens that may still be needed to end a character: it has four bytes at most."""

_TOKENS = re.compile(r"([0-9]{1,9})(k?)")
_DURATION = re.compile(
    r"(?:(?P<h>[0-9]{1,6}(?:\.[0-9]{1,6})?)h)?"
    r"(?:(?P<m>[0-9]{1,6}(?:\.[0-9]{1,6})?)m)?"
    r"(?:(?P<s>[0-9]{1,6}(?:\.[0-9]{1,6})?)s)?"
)


class ThinkingBudget(NamedTuple):
    """What `--max-thinking` allows; None is no limit. Of two, the one used up first counts."""

    max_tokens: int | None = None
    max_s: float | None = None

    @property
    def allowance_tokens(self) -> int:
        """Tokens past the budget in which to finish the sentence: an eighth of it, 64 at most."""
        if self.max_tokens is None:
            return _ALLOWANCE_TOKENS_MAX
        return min(_ALLOWANCE_TOKENS_MAX, int(self.max_tokens * _ALLOWANCE_SHARE))

    @property
    def allowance_s(self) -> float:
        """Seconds past the budget in which to finish the sentence: an eighth of it, 30 at most."""
        return min(_ALLOWANCE_S_MAX, (self.max_s or 0.0) * _ALLOWANCE_SHARE)

    @property
    def reserve_tokens(self) -> int | None:
        """KV cells that reasoning can take at most; None where only the clock limits it."""
        if self.max_tokens is None:
            return None
        return self.max_tokens + self.allowance_tokens + _UTF8_TOKENS_MAX


def parse_thinking_budget(text: str) -> ThinkingBudget:
    """Read `2048`, `2k` (1k is 1024 tokens), `90s`, `5m`, `1h30m`, `0` or `none`.

    Raises: UsageError: none of these.
    """
    word = text.strip().lower()
    if word in ("none", "unlimited"):
        return ThinkingBudget()
    if match := _TOKENS.fullmatch(word):
        return ThinkingBudget(max_tokens=int(match[1]) * (1024 if match[2] else 1))
    match = _DURATION.fullmatch(word) if word else None
    if match is None:
        raise UsageError(
            f"--max-thinking {text!r} is neither a number of tokens (0 to 999999999) nor a time",
            hint="give tokens (2048, 2k), a time (90s, 5m, 1h30m), 0 to answer at once, or none",
            reference="bad-thinking-budget",
        )
    hours, minutes, seconds = (float(match[unit] or 0) for unit in "hms")
    max_s = hours * 3600 + minutes * 60 + seconds
    return ThinkingBudget(max_s=max_s) if max_s else ThinkingBudget(max_tokens=0)


class BudgetState(StrEnum):
    """Whether to go on (COUNTING, FINISHING) or to conclude now (FORCE)."""

    COUNTING = "counting"
    FINISHING = "finishing"
    FORCE = "force"


class Budget:
    """Holds one run to its ThinkingBudget. Ask before the first token and after each."""

    def __init__(self, limit: ThinkingBudget) -> None:
        self._limit = limit
        self._state = BudgetState.COUNTING
        self._last_token = 0
        self._used_up: Literal["tokens", "time"] | None = None

    @property
    def used_up(self) -> Literal["tokens", "time"] | None:
        """Which limit ended the counting; None while it goes on."""
        return self._used_up

    def update(
        self, n_tokens: int, elapsed_s: float, text_tail: str, is_utf8_complete: bool
    ) -> BudgetState:
        """Decide after n_tokens tokens of reasoning and elapsed_s seconds of it.

        Args:
            text_tail: the end of the text, a few hundred characters.
            is_utf8_complete: no character is cut at the last token.
        """
        if self._used_up is None:
            self._used_up = self._find_used_up(n_tokens, elapsed_s)
            if self._used_up is None:
                return self._state
            self._last_token = self._last_allowed(n_tokens)
            self._state = BudgetState.FINISHING
        if self._state is BudgetState.FORCE:
            return self._state
        if is_utf8_complete:
            is_over = n_tokens >= self._last_token or self._is_out_of_time(elapsed_s)
            is_fair = is_over or ends_sentence(text_tail)
        else:
            is_fair = n_tokens >= self._last_token + _UTF8_TOKENS_MAX
        if is_fair:
            self._state = BudgetState.FORCE
        return self._state

    def most_tokens(self, n_tokens: int) -> int | None:
        """How many more tokens may come before the next decision; None if only a clock limits them.

        Never 0 before FORCE: an engine can be told how far it may run ahead.
        """
        if self._state is BudgetState.FINISHING:
            return self._last_token + _UTF8_TOKENS_MAX - n_tokens
        if self._limit.max_tokens is None:
            return None
        return self._limit.max_tokens - n_tokens

    def _find_used_up(self, n_tokens: int, elapsed_s: float) -> Literal["tokens", "time"] | None:
        limit = self._limit
        if limit.max_tokens is not None and n_tokens >= limit.max_tokens:
            return "tokens"
        if limit.max_s is not None and elapsed_s >= limit.max_s:
            return "time"
        return None

    def _last_allowed(self, n_tokens: int) -> int:
        """The token the allowance ends with; time that runs out buys no tokens past their limit."""
        limit = self._limit
        last = n_tokens + limit.allowance_tokens
        return (
            last
            if limit.max_tokens is None
            else min(last, limit.max_tokens + limit.allowance_tokens)
        )

    def _is_out_of_time(self, elapsed_s: float) -> bool:
        limit = self._limit
        return limit.max_s is not None and elapsed_s >= limit.max_s + limit.allowance_s
