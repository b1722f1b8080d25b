"""The GPU as its driver and PyTorch see it: memory taken, bandwidth.

usage: python tests/benchmarks/gpu_memory.py       (prints the bandwidth of a copy, in bytes/s)
"""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from shutil import which

QUERY = ("nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits")
EVERY_MS = 50
MIB = 1 << 20
_COPY_BYTES, _N_COPIES = 4 << 30, 20


class Peak:
    """The most memory that was taken on all GPUs together, and what was taken before."""

    def __init__(self, before_bytes: int) -> None:
        self._before_bytes = before_bytes
        self._peak_bytes: int | None = None

    @property
    def more_bytes(self) -> int | None:
        """By the peak above what was taken before; None where nobody told."""
        return None if self._peak_bytes is None else self._peak_bytes - self._before_bytes

    def saw(self, n_bytes: int) -> None:
        self._peak_bytes = max(n_bytes, self._peak_bytes or 0)


@contextmanager
def gpu_peak() -> Iterator[Peak]:
    """Watch the GPU's memory while something runs on it that nothing else runs beside.

    All of the card is counted and what it had taken before subtracted: a virtual machine's driver
    may not tell which process has what.
    """
    before = _taken_bytes()
    peak = Peak(before or 0)
    if before is None:
        yield peak
        return
    command = [*QUERY, f"--loop-ms={EVERY_MS}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1) as watcher:
        thread = threading.Thread(target=_follow, args=(watcher, peak), daemon=True)
        thread.start()
        try:
            yield peak
        finally:
            watcher.terminate()
            thread.join()


def _follow(watcher: "subprocess.Popen[str]", peak: Peak) -> None:
    assert watcher.stdout is not None
    for line in watcher.stdout:
        if line.strip().isdecimal():
            peak.saw(int(line) * MIB)


def _taken_bytes() -> int | None:
    """What is taken on the one GPU; None where there is none, or several."""
    if which(QUERY[0]) is None:
        return None
    done = subprocess.run(QUERY, capture_output=True, text=True)
    lines = done.stdout.split()
    return int(lines[0]) * MIB if len(lines) == 1 and lines[0].isdecimal() else None


def copy_bandwidth() -> float:
    """Bytes a second that a copy within the GPU's memory reads and writes together."""
    import torch

    source = torch.randint(0, 255, (_COPY_BYTES,), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    rates = []
    for _ in range(_N_COPIES):
        torch.cuda.synchronize()
        began_s = time.perf_counter()
        target.copy_(source)
        torch.cuda.synchronize()
        rates.append(2 * _COPY_BYTES / (time.perf_counter() - began_s))
    return sorted(rates)[len(rates) // 2]


if __name__ == "__main__":
    print(copy_bandwidth())
