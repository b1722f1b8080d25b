"""How far files are while they are fetched or checked: pure bookkeeping and its sentences.

One `Transfer` follows all files of one command. What it says is drawn by `transfer_views.py`.
"""

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from qvq_cli.sizes import share_of, size
from qvq_cli.ui.clean import clean_line
from qvq_cli.ui.quantities import rate, time_left

_RATE_WINDOW_S = 15.0
_SAMPLE_EVERY_S = 0.5
_RATE_FROM_S = 1.0
_WIDE_COLUMNS = 100
_BAR_CELLS, _WIDE_BAR_CELLS = 10, 20
_NAME_CELLS = 20
IN_ALL = "in all"
_FOLDERS = re.compile(r".*[/\\]")


class Phase(StrEnum):
    """The value is the word that people see."""

    WAITING = "waiting"
    FETCHING = "fetching"
    CHECKING = "checking"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class TransferFile:
    """n_there: bytes that an earlier run left."""

    name: str
    n_bytes: int
    n_there: int = 0


class _Meter:
    """Bytes against time: the rate over the last seconds, so that a stall shows."""

    def __init__(self, clock: Callable[[], float], n_done: int):
        self._clock = clock
        self._samples = deque([(clock(), n_done)])
        self.n_done = n_done

    def update(self, n_done: int) -> None:
        self.n_done = n_done
        now = self._clock()
        if now - self._samples[-1][0] >= _SAMPLE_EVERY_S:
            self._samples.append((now, n_done))
        while len(self._samples) > 1 and now - self._samples[1][0] > _RATE_WINDOW_S:
            self._samples.popleft()

    def bytes_per_s(self) -> float | None:
        """None while a number would be a guess."""
        began_s, n_before = self._samples[0]
        elapsed_s = self._clock() - began_s
        if elapsed_s < _RATE_FROM_S:
            return None
        return max(self.n_done - n_before, 0) / elapsed_s


class _FileState:
    def __init__(self, file: TransferFile, clock: Callable[[], float]):
        self.label = label_of(file.name)
        self.n_bytes = file.n_bytes
        self.phase = Phase.WAITING
        self.meter = _Meter(clock, file.n_there)
        self._clock = clock

    def update(self, n_done: int, phase: Phase) -> None:
        if phase != self.phase:
            # Waiting is no part of the rate, and checking begins again at the first byte.
            n_before = 0 if phase is Phase.CHECKING else self.meter.n_done
            self.phase, self.meter = phase, _Meter(self._clock, n_before)
        self.meter.update(n_done)


def label_of(name: str) -> str:
    """A file as people know it: without its folders."""
    return clean_line(_FOLDERS.sub("", name))


class Transfer:
    """The state of all files. Not for two threads at once.

    Args:
        counted: the phase whose bytes the total counts.
        clock: seconds that only grow.
    """

    def __init__(
        self, files: Sequence[TransferFile], counted: Phase, clock: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._counted = counted
        self._files: dict[str, _FileState] = {}
        self._n_counted: dict[str, int] = {}
        for file in files:
            self._add(file)
        self._total = _Meter(clock, sum(self._n_counted.values()))

    @property
    def n_bytes(self) -> int:
        return sum(file.n_bytes for file in self._files.values())

    @property
    def n_done(self) -> int:
        """Bytes of all files that are through the counted phase."""
        return self._total.n_done

    @property
    def share(self) -> float:
        return min(self.n_done / self.n_bytes, 1.0) if self.n_bytes else 1.0

    def update(self, name: str, n_done: int, phase: Phase, n_bytes: int = 0) -> bool:
        """Take what is known of a file now; n_bytes is its size where it is new here.

        Returns: whether this made it done.
        """
        if name not in self._files:
            self._add(TransferFile(name, n_bytes))
        file = self._files[name]
        was_done = file.phase is Phase.DONE
        file.update(n_done, phase)
        is_done = phase is Phase.DONE
        if phase is self._counted or is_done:
            self._n_counted[name] = file.n_bytes if is_done else n_done
            self._total.update(sum(self._n_counted.values()))
        return is_done and not was_done

    def _add(self, file: TransferFile) -> None:
        self._files[file.name] = _FileState(file, self._clock)
        self._n_counted[file.name] = file.n_there if self._counted is Phase.FETCHING else 0

    def total_line(self) -> str:
        """`31 % of 48.8 GB, 112 MB/s, 5 min 02 s left`"""
        parts = [f"{int(self.share * 100)} % of {size(self.n_bytes)}"]
        return ", ".join(parts + _pace(self._total, self.n_bytes))

    def rows(self, columns: int) -> list[str]:
        """A row for each file that is being worked on and one for all, narrower than `columns`."""
        active = [f for f in self._files.values() if f.phase in (Phase.FETCHING, Phase.CHECKING)]
        entries = [(f.label, f.phase, f.meter, f.n_bytes) for f in active]
        if len(self._files) > 1:
            entries.append((IN_ALL, self._counted, self._total, self.n_bytes))
        bar_cells = _WIDE_BAR_CELLS if columns >= _WIDE_COLUMNS else _BAR_CELLS
        facts = [_facts(*entry[1:], bar_cells) for entry in entries]
        room = columns - 1
        name_cells = max((len(name) for name, *_ in entries), default=0)
        longest = max((len("  ".join(each)) for each in facts), default=0)
        least = min(_NAME_CELLS, room // 3)
        name_cells = min(name_cells, max(room - 2 - longest, least))
        rows = []
        for (name, *_), parts in zip(entries, facts, strict=True):
            kept = _fitting(parts, room - name_cells - 2)
            rows.append(f"{_middle_cut(name, name_cells):<{name_cells}}  {kept}"[:room])
        return rows


def _facts(phase: Phase, meter: _Meter, n_bytes: int, bar_cells: int) -> list[str]:
    """What there is to say, most telling first."""
    share = min(meter.n_done / n_bytes, 1.0) if n_bytes else 1.0
    done = int(share * bar_cells)
    bar = "━" * done + "─" * (bar_cells - done)
    word = "checking  " if phase is Phase.CHECKING else ""
    percent = f"{word}{bar} {int(share * 100):3} %"
    return [percent, share_of(meter.n_done, n_bytes), *_pace(meter, n_bytes)]


def _pace(meter: _Meter, n_bytes: int) -> list[str]:
    bytes_per_s = meter.bytes_per_s()
    if bytes_per_s is None:
        return []
    if bytes_per_s < 1:
        return ["stalled"] if meter.n_done < n_bytes else []
    left_s = max(n_bytes - meter.n_done, 0) / bytes_per_s
    return [rate(bytes_per_s), *([time_left(left_s)] if left_s >= 1 else [])]


def _fitting(parts: Sequence[str], cells: int) -> str:
    kept = list(parts)
    while len(kept) > 1 and len("  ".join(kept)) > cells:
        kept.pop()
    return "  ".join(kept)


def _middle_cut(name: str, cells: int) -> str:
    """Names of one model differ at their end: the quant, the part."""
    if len(name) <= cells:
        return name
    tail = (cells - 1) * 2 // 3
    return f"{name[: cells - 1 - tail]}…{name[-tail:]}"
