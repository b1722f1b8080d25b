"""Notices that the model goes round in circles, while it streams.

Two kinds. Here: exact cycles, the same characters again and again, with a period of 1 to 2,000. In
`nearloops`: the same sentences again with a counter that counts or in another order.

What is allowed matters as much as what is found: mathematics repeats itself. "0.3333333", rules of
dashes, rows of zeros and lists of like items stay below the thresholds; the fewer words a period
has, the more copies of it are needed. Memory is bounded by a window, and the work by a look every
32 characters, at the same places of the text however it was cut into deltas.
"""

import re
from typing import Literal, NamedTuple

from qvq_cli.reasoning.language import HAN, prose_words
from qvq_cli.reasoning.nearloops import NearLoopDetector

_STEP_CHARS = 32
_PERIOD_CHARS_MAX = 2000
_WINDOW_CHARS = 3 * _PERIOD_CHARS_MAX
_PROBE_CHARS = 24
_CANDIDATES_MAX = 16
_COPIES_MAX = 512
_DIGITS = re.compile(r"\d+")


class Loop(NamedTuple):
    """A cycle: one turn of it, how many turns there were, and how many characters they cover."""

    kind: Literal["exact", "near"]
    sample: str
    repeats: int
    chars: int


class _Evidence(NamedTuple):
    """How much of a period it takes to call it a loop."""

    copies: int
    chars: int


class LoopDetector:
    """Finds the first loop in a stream of text."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._n_pending = 0
        self._window = ""
        self._near = NearLoopDetector()

    def feed(self, delta: str) -> Loop | None:
        """Take the next piece of text. Returns: the loop it completes, if any."""
        self._pieces.append(delta)
        self._n_pending += len(delta)
        if self._n_pending < _STEP_CHARS:
            return None
        pending = "".join(self._pieces)
        loop = None
        at = 0
        while loop is None and at + _STEP_CHARS <= len(pending):
            loop = self._look(pending[at : at + _STEP_CHARS])
            at += _STEP_CHARS
        self._pieces = [pending[at:]]
        self._n_pending = len(pending) - at
        return loop

    def _look(self, step: str) -> Loop | None:
        self._window = (self._window + step)[-_WINDOW_CHARS:]
        if exact := _find_exact(self._window):
            return exact
        if near := self._near.feed(step):
            return Loop("near", near.sample, near.repeats, near.chars)
        return None


def _find_exact(text: str) -> Loop | None:
    """The cycle a text ends in: its last characters, found again further back, give the periods."""
    size = len(text)
    if size < 2 * _PROBE_CHARS:
        return None
    probe = text[-_PROBE_CHARS:]
    first = max(0, size - _PERIOD_CHARS_MAX - _PROBE_CHARS)
    end = size - 1
    for _ in range(_CANDIDATES_MAX):
        at = text.rfind(probe, first, end)
        if at < 0:
            return None
        period = size - _PROBE_CHARS - at
        unit = text[-period:]
        copies = _count_copies(text, unit)
        if copies >= 3:
            needed = _evidence(unit)
            if copies >= needed.copies and copies * period >= needed.chars:
                return Loop("exact", unit, copies, copies * period)
        end = at + _PROBE_CHARS - 1
    return None


def _count_copies(text: str, unit: str) -> int:
    period = len(unit)
    copies = 1
    end = len(text) - period
    while copies < _COPIES_MAX and end >= period and text.startswith(unit, end - period):
        copies += 1
        end -= period
    return copies


def _evidence(unit: str) -> _Evidence:
    """What a period must show, by its distinct words, so that two turns weigh as one."""
    n_words = len(set(prose_words(unit))) + len(set(HAN.findall(unit))) // 2
    if n_words >= 12 and len(unit) >= 60:
        return _Evidence(copies=3, chars=240)
    if n_words >= 3:
        return _Evidence(copies=4, chars=48)
    if n_words >= 1:
        return _Evidence(copies=24, chars=96)
    if _DIGITS.fullmatch(unit):
        return _Evidence(copies=8, chars=160)
    if len(unit) >= 24 and len(set(unit)) >= 10:
        return _Evidence(copies=8, chars=240)
    return _Evidence(copies=24, chars=400)
