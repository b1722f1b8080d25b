"""A buffer that is being filled: its pages are there before their turn, and nobody else's are."""

import mmap
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from qvq_cli.engine.page_faults import FaultsAhead

N = 80 << 20
PAGE = mmap.PAGESIZE

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2,
    reason="Linux only, and a second processor does it",
)


@contextmanager
def new_memory(n_bytes: int) -> Iterator[mmap.mmap]:
    """As malloc gets it for something large."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    with closing(mmap.mmap(-1, n_bytes, flags=flags)) as memory:
        yield memory


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def settle(faults: FaultsAhead, n_bytes: int) -> int:
    """Wait until so much was touched, or for long enough to tell that it won't be."""
    give_up_at = time.monotonic() + (20.0 if n_bytes else 0.3)
    while faults.n_touched < max(n_bytes, 1) and time.monotonic() < give_up_at:
        time.sleep(0.005)
    return faults.n_touched


def test_the_buffer_is_there_before_it_is_filled_and_holds_what_was_written() -> None:
    shares: list[float] = []
    with FaultsAhead(N) as faults:
        report = faults.watch(shares.append)
        report(0.0)
        before = resident_bytes()
        with new_memory(N) as memory:
            memory[:PAGE] = memory[-PAGE:] = b"w" * PAGE
            report(0.1)
            assert settle(faults, N) == N
            assert resident_bytes() - before > 0.9 * N
            report(1.0)
            assert memory[:PAGE] == memory[-PAGE:] == b"w" * PAGE
            assert not any(memory[PAGE : 2 * PAGE])
    assert shares == [0.0, 0.1, 1.0]


def test_memory_that_was_there_stays_untouched_beside_the_new() -> None:
    with new_memory(N), FaultsAhead(N) as faults, new_memory(N):
        before = resident_bytes()
        faults.watch(lambda _: None)(0.1)
        assert settle(faults, N) == N
        assert resident_bytes() - before < 1.1 * N


def test_no_more_than_the_file_is_touched_of_what_the_system_joined() -> None:
    with FaultsAhead(N) as faults, new_memory(N), new_memory(N):
        faults.watch(lambda _: None)(0.1)
        assert settle(faults, N) == N
        assert settle(faults, 0) == N


@pytest.mark.parametrize(
    ("file_bytes", "buffer_bytes", "share"),
    [
        pytest.param(N, N // 2 - (4 << 20), 0.1, id="something else"),
        pytest.param(N, N, 0.0, id="the buffer may be still to come"),
        pytest.param(N, N, 1.0, id="all is read"),
        pytest.param(1 << 20, N, 0.1, id="a small file"),
    ],
)
def test_what_is_left_alone(file_bytes: int, buffer_bytes: int, share: float) -> None:
    with FaultsAhead(file_bytes) as faults, new_memory(buffer_bytes):
        faults.watch(lambda _: None)(share)
        assert settle(faults, 0) == 0


def test_a_system_that_allows_no_further_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in a report would end the load."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    shares: list[float] = []
    with FaultsAhead(N) as faults, new_memory(N):
        faults.watch(shares.append)(0.1)
    assert shares == [0.1]
    assert faults.n_touched == 0


def test_it_ends_with_the_reading() -> None:
    with ExitStack() as stack:
        with FaultsAhead(20 * N) as faults:
            stack.enter_context(new_memory(20 * N))
            faults.watch(lambda _: None)(0.1)
        n_touched = faults.n_touched
        assert n_touched < 20 * N
        time.sleep(0.1)
        assert faults.n_touched == n_touched
