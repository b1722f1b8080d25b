"""A file that is still arriving: which of its bytes are here, even after the process was killed.

The file has its full size from the start, with holes. It is cut into segments that fill up from
their first byte, by different connections; a journal beside it holds how far each has come, eight
bytes a segment, written after the bytes it counts. A kill between the two costs the piece in hand.
After a power cut the journal may be ahead of the disk; the checksum at the end finds that.
"""

import os
import struct
import threading
from bisect import bisect, bisect_left
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

_SUFFIX = ".qvq.incomplete"
_SEGMENT_BYTES = 256 << 20
_COUNT = struct.Struct("<Q")


def part_path(path: Path) -> Path:
    """What a file is called as long as it isn't complete."""
    return path.with_name(path.name + _SUFFIX)


def journal_path(part: Path) -> Path:
    """Where the journal of an unfinished file lies."""
    return part.with_name(part.name + ".journal")


def is_unfinished(path: Path) -> bool:
    """Whether this is the name of one of our unfinished files, or of its journal."""
    return path.name.removesuffix(".journal").endswith(_SUFFIX)


class Segment(NamedTuple):
    """Bytes start..end of the file, all from one source."""

    source: int
    start: int
    end: int


class Partial:
    """An unfinished file. Safe to use from several threads, not from several processes.

    Args:
        path: of the unfinished file; its journal lies beside it.
        sizes: of the sources that make up the file, in order; mostly one.
    Raises: OSError, from all that writes.
    """

    def __init__(self, path: Path, sizes: Sequence[int]):
        self.path = path
        self.sizes = tuple(sizes)
        self.segments = tuple(_segments(sizes))
        self._starts = [segment.start for segment in self.segments]
        self._lock = threading.Lock()
        self._done = _read_journal(path, self.segments)
        self._found = tuple(self._done)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not any(self._done):
            journal_path(path).write_bytes(bytes(_COUNT.size * len(self.segments)))
            path.write_bytes(b"")
            os.truncate(path, sum(sizes))
        self._file = path.open("r+b", buffering=0)
        self._journal = journal_path(path).open("r+b", buffering=0)

    @staticmethod
    def bytes_on_disk(path: Path, sizes: Sequence[int]) -> tuple[int, ...]:
        """How much of each source is in the unfinished file at `path`, which needn't exist."""
        segments = tuple(_segments(sizes))
        done = _read_journal(path, segments)
        return tuple(_sum_of(source, segments, done) for source in range(len(sizes)))

    @staticmethod
    def start_on_disk(path: Path, sizes: Sequence[int]) -> int:
        """How many bytes at the very start of the unfinished file at `path` are there."""
        done = _read_journal(path, tuple(_segments(sizes)))
        return done[0] if done else 0

    def done_bytes(self, source: int) -> int:
        """How much of a source is here, holes left out."""
        with self._lock:
            return _sum_of(source, self.segments, self._done)

    def next_byte(self, segment: int) -> int:
        """Where a segment has to go on; its end when it is complete."""
        with self._lock:
            return self.segments[segment].start + self._done[segment]

    def frontier(self, source: int) -> int:
        """The first byte of the file that is still missing of a source, or the source's end."""
        with self._lock:
            at = sum(self.sizes[:source])
            for segment, done in zip(self.segments, self._done, strict=True):
                if segment.source == source:
                    at = segment.start + done
                    if at < segment.end:
                        break
            return at

    def store(self, offset: int, piece: bytes) -> None:
        """Keep bytes that belong at `offset`; those that are here already are left alone.

        A piece that would leave a hole inside a segment is dropped, and so is one after `close`.
        """
        with self._lock:
            if self._file.closed:
                return
            stop = offset + len(piece)
            for i in range(bisect(self._starts, offset) - 1, bisect_left(self._starts, stop)):
                segment = self.segments[i]
                at, end = segment.start + self._done[i], min(segment.end, stop)
                if not offset <= at < end:
                    continue
                self._file.seek(at)
                _write_all(self._file.write, memoryview(piece)[at - offset : end - offset])
                self._note(i, end - segment.start)

    def reset(self, source: int) -> None:
        """Forget the bytes of a source: they turned out to be wrong."""
        with self._lock:
            for i, segment in enumerate(self.segments):
                if segment.source == source:
                    self._note(i, 0)
            if not any(self._done):
                self._file.truncate(0)  # gives the disk its room back
                self._file.truncate(sum(self.sizes))

    def forget_new(self, source: int) -> None:
        """Forget what came of a source since this object was made: it isn't to be trusted."""
        with self._lock:
            for i, segment in enumerate(self.segments):
                if segment.source == source and self._done[i] > self._found[i]:
                    self._note(i, self._found[i])

    def close(self) -> None:
        with self._lock:
            self._file.close()
            self._journal.close()

    def finish(self, path: Path) -> None:
        """Give the complete file its final name."""
        with self._lock:
            os.fsync(self._file.fileno())
            self._file.close()
            self._journal.close()
            path.parent.mkdir(parents=True, exist_ok=True)
            self.path.replace(path)
            journal_path(self.path).unlink(missing_ok=True)

    def _note(self, i: int, done: int) -> None:
        self._done[i] = done
        self._journal.seek(i * _COUNT.size)
        self._journal.write(_COUNT.pack(done))


def _segments(sizes: Sequence[int]) -> Iterator[Segment]:
    offset = 0
    for source, n_bytes in enumerate(sizes):
        for start in range(offset, offset + n_bytes, _SEGMENT_BYTES):
            yield Segment(source, start, min(start + _SEGMENT_BYTES, offset + n_bytes))
        offset += n_bytes


def _read_journal(path: Path, segments: Sequence[Segment]) -> list[int]:
    """What is known to be here; nothing where file and journal are not of these segments."""
    nothing = [0] * len(segments)
    try:
        data = journal_path(path).read_bytes()
        size = path.stat().st_size
    except OSError:
        return nothing
    expected = segments[-1].end if segments else 0
    if len(data) != _COUNT.size * len(segments) or size != expected:
        return nothing
    done = [count for (count,) in _COUNT.iter_unpack(data)]
    is_sound = all(n <= each.end - each.start for n, each in zip(done, segments, strict=True))
    return done if is_sound else nothing


def _sum_of(source: int, segments: Sequence[Segment], done: Sequence[int]) -> int:
    return sum(n for n, each in zip(done, segments, strict=True) if each.source == source)


def _write_all(write: Callable[[memoryview], int | None], data: memoryview) -> None:
    """Write it all: a raw file may take less at a time, as when the disk is nearly full."""
    while data:
        data = data[write(data) or 0 :]
