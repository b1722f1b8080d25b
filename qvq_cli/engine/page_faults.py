"""New memory that llama.cpp is about to fill, made ready by a second thread.

The system gives out a page of memory when it is first touched, and clears it then: a third of the
time in which 1.3 GB of mmproj are copied from the page cache, and most of it where a virtual
machine has given memory back to its host and gets it again page by page. llama.cpp fills its
buffer from the start on in one thread; another one touches it from the end on meanwhile.

For a mmproj only: weights that llama.cpp repacks keep several threads busy as they come, which is
slowed down. Linux only: elsewhere, and on kernels before 5.14, nothing happens.
"""

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

_WORTHWHILE_BYTES = 64 << 20
_STEP_BYTES = 2 << 20  # a huge page of most processors; the thread can be stopped after each
_MADV_POPULATE_WRITE = 23


class _Span(NamedTuple):
    """Addresses from start up to end."""

    start: int
    end: int

    def size(self) -> int:
        return self.end - self.start


class FaultsAhead:
    """A context in which llama.cpp reads a file into memory: `watch` what tells of its progress.

    Args:
        n_bytes: of the file; whatever new memory is half as large is taken for its buffer.

    n_touched: bytes that the second thread went through.
    """

    def __init__(self, n_bytes: int) -> None:
        self.n_touched = 0
        self._n_bytes = n_bytes
        self._has_ended = False
        self._thread: threading.Thread | None = None
        # While it is None, nothing is looked for.
        self._before: list[_Span] | None = None
        if n_bytes >= _WORTHWHILE_BYTES and _has_second_processor():
            self._before = list(_anonymous_spans())

    def __enter__(self) -> "FaultsAhead":
        return self

    def __exit__(self, *_: object) -> None:
        self._has_ended = True
        if self._thread is not None:
            self._thread.join()

    def watch(self, report: Callable[[float], None]) -> Callable[[float], None]:
        """A report of progress that also looks for the buffer, once there must be one."""

        def report_and_look(share: float) -> None:
            if self._before is not None and 0 < share < 1:
                before, self._before = self._before, None
                self._begin(before)
            report(share)

        return report_and_look

    def _begin(self, before: list[_Span]) -> None:
        new = [span for now in _anonymous_spans() for span in _without(now, before)]
        largest = max(new, key=_Span.size, default=_Span(0, 0))
        if 2 * largest.size() < self._n_bytes:
            return
        # Systems put new memory below the old: what else has come since then lies behind it.
        end = min(largest.end, largest.start + self._n_bytes)
        thread = threading.Thread(target=self._touch, args=(largest.start, end), daemon=True)
        with contextlib.suppress(RuntimeError):  # none is allowed: it takes longer
            thread.start()
            self._thread = thread

    def _touch(self, start: int, end: int) -> None:
        """Have every page there, the last first; what is there already takes no time."""
        madvise = ctypes.CDLL(None).madvise
        madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        while end > start and not self._has_ended:
            step = max(start, (end - 1) // _STEP_BYTES * _STEP_BYTES)
            if madvise(step, end - step, _MADV_POPULATE_WRITE) != 0:
                return  # this kernel can't, there is no memory, or the buffer is gone
            self.n_touched += end - step
            end = step


def _has_second_processor() -> bool:
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


def _anonymous_spans() -> Iterator[_Span]:
    """Memory of this process that is no file's and can be written, in order."""
    with contextlib.suppress(OSError), Path("/proc/self/maps").open() as maps:
        for line in maps:
            span, access, _, _, _, *path = line.split()
            is_anonymous = not path or path[0].startswith("[anon")
            if is_anonymous and access.startswith("rw"):
                yield _Span(*(int(address, 16) for address in span.split("-")))


def _without(span: _Span, others: list[_Span]) -> Iterator[_Span]:
    """What is left of a span without others, which come in order: the kernel joins neighbours."""
    start = span.start
    for other in others:
        if other.end <= start or other.start >= span.end:
            continue
        if other.start > start:
            yield _Span(start, other.start)
        start = other.end
    if start < span.end:
        yield _Span(start, span.end)
