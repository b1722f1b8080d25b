"""Loops that aren't exact: sentences that come back with another number, or in another order.

Two signs, both over sentences and lines:

- a cycle in which only a counter moves ("Attempt 17: let me try again."). Told from a list that
  works through cases ("Square 12: side 3, area 9") by its numbers: every one that changes must
  change by the same step each turn, so the cycle says nothing that the first two turns didn't.
  Lists of like things look the same, so without words of going back ("again", "wait", "重新") far
  more turns are needed.
- staleness: for a long while no sentence is new. A new one, an equation with other numbers among
  them, is progress and pays off several old ones.
"""

import re
from collections import Counter, deque
from itertools import pairwise
from typing import NamedTuple

from qvq_cli.reasoning.language import HAN, prose_words

_UNIT_END = re.compile(r"(?:[.!?]+(?=\s)|[。！？；\n])\s*(?=\S)")
_UNIT_CHARS_MAX = 1000
_TOKEN = re.compile(r"[a-z]+|\d+(?:\.\d+)?|[^\s\w.,;:!?*，。、；：！？]|[^\W\da-z_]")
_FILLERS = frozenset(
    re.findall(
        r"[a-z]+|[^a-z\s]",
        """
        the a an so and but then now well ok okay just that this it is thus therefore hence
        那么 所以 因此 然后 就
        """,
    )
)
_GOING_BACK = re.compile(
    r"\b(?:wait|hmm+|again|once more|start(?:ing)? over|double-?check\w*"
    r"|re-?(?:check|examin|think|evaluat|consider|verif|read|calculat|count)\w*)\b"
    r"|等等|等一下|再次|重新|再看|再检查|再试|再确认|不对",
    re.IGNORECASE,
)

_UNITS_KEPT = 512
_CYCLE_UNITS_MAX = 16
_CYCLE_WORDS_MIN = 3
_TURNS_MIN = 6
_STALE_MIN = 32
_NEW_PAYS_OFF = 3


class NearLoop(NamedTuple):
    """One turn of the cycle as it was last said, the turns seen, and the characters they cover."""

    sample: str
    repeats: int
    chars: int


class _Unit(NamedTuple):
    """A sentence or line. exact, masked: its words without fillers, with and without numbers."""

    text: str
    exact: str
    masked: str
    numbers: tuple[float, ...]
    n_words: int
    goes_back: bool


class NearLoopDetector:
    """Cuts a stream into sentences and lines and watches them come back."""

    def __init__(self) -> None:
        self._rest = ""
        self._units: deque[_Unit] = deque()
        self._exact_seen: Counter[str] = Counter()
        self._masked_seen: Counter[str] = Counter()
        self._run_lengths = [0] * (_CYCLE_UNITS_MAX + 1)
        self._staleness = 0
        self._stale_units = 0

    def feed(self, text: str) -> NearLoop | None:
        """Take the next piece, cut at the same places whatever the deltas were."""
        self._rest += text
        start = 0
        for match in _UNIT_END.finditer(self._rest):
            loop = self._add(self._rest[start : match.end()])
            start = match.end()
            if loop is not None:
                self._rest = self._rest[start:]
                return loop
        self._rest = self._rest[start:]
        if len(self._rest) < _UNIT_CHARS_MAX:
            return None
        unit, self._rest = self._rest, ""
        return self._add(unit)

    def _add(self, text: str) -> NearLoop | None:
        unit = _read_unit(text)
        if not unit.exact:
            return None
        self._count_staleness(unit)
        self._keep(unit)
        return self._find_cycle() or self._find_staleness(unit)

    def _keep(self, unit: _Unit) -> None:
        units = self._units
        for period in range(1, min(_CYCLE_UNITS_MAX, len(units)) + 1):
            if units[-period].masked == unit.masked:
                self._run_lengths[period] += 1
            else:
                self._run_lengths[period] = 0
        units.append(unit)
        self._exact_seen[unit.exact] += 1
        self._masked_seen[unit.masked] += 1
        if len(units) > _UNITS_KEPT:
            oldest = units.popleft()
            _forget(self._exact_seen, oldest.exact)
            _forget(self._masked_seen, oldest.masked)

    def _count_staleness(self, unit: _Unit) -> None:
        n_seen = self._exact_seen[unit.exact]
        if n_seen >= 2:
            if unit.n_words >= _CYCLE_WORDS_MIN:
                self._staleness += 2 if unit.goes_back else 1
        elif n_seen == 0 and not (unit.goes_back and self._masked_seen[unit.masked] >= 2):
            self._staleness = max(0, self._staleness - _NEW_PAYS_OFF)
        self._stale_units = self._stale_units + 1 if self._staleness else 0

    def _find_staleness(self, unit: _Unit) -> NearLoop | None:
        if self._staleness < _STALE_MIN:
            return None
        stale = list(self._units)[-self._stale_units :]
        n_chars = sum(len(one.text) for one in stale)
        return NearLoop(unit.text.strip(), self._exact_seen[unit.exact], n_chars)

    def _find_cycle(self) -> NearLoop | None:
        periods = [p for p in range(1, _CYCLE_UNITS_MAX + 1) if self._turns(p) >= _TURNS_MIN]
        if not periods:
            return None
        units = list(self._units)
        for period in periods:
            needed = _turns_needed(units[-period:])
            if needed is None or min(self._turns(period), len(units) // period) < needed:
                continue
            seen = units[-needed * period :]
            if _only_counts(seen, period):
                sample = "".join(unit.text for unit in units[-period:]).strip()
                return NearLoop(sample, needed, sum(len(unit.text) for unit in seen))
        return None

    def _turns(self, period: int) -> int:
        return self._run_lengths[period] // period + 1


def _read_unit(text: str) -> _Unit:
    tokens = [token for token in _TOKEN.findall(text.lower()) if token not in _FILLERS]
    return _Unit(
        text=text,
        exact=" ".join(tokens),
        masked=" ".join("#" if token[0].isdecimal() else token for token in tokens),
        numbers=tuple(float(token) for token in tokens if token[0].isdecimal()),
        n_words=len(prose_words(text)) + len(HAN.findall(text)) // 2,
        goes_back=_GOING_BACK.search(text) is not None,
    )


def _turns_needed(cycle: list[_Unit]) -> int | None:
    """Turns it takes to call this a loop; None when it has no words to go by."""
    if sum(unit.n_words for unit in cycle) < _CYCLE_WORDS_MIN:
        return None
    is_long = len(cycle) >= 3 and sum(len(unit.text) for unit in cycle) >= 150
    if any(unit.goes_back for unit in cycle):
        return _TURNS_MIN if is_long else 12
    return 24 if is_long else 64


def _only_counts(units: list[_Unit], period: int) -> bool:
    """Whether all numbers that change from turn to turn change by one and the same step."""
    counter_steps: set[float] = set()
    for position in range(period):
        turns = units[position::period]
        for values in zip(*(unit.numbers for unit in turns), strict=True):
            steps = {after - before for before, after in pairwise(values)}
            if len(steps) > 1:
                return False
            counter_steps |= steps
    return len(counter_steps - {0.0}) <= 1


def _forget(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
