"""Run a program and measure it from outside: time to its first word, peak memory, whole time.

All clocks are this process's own and start before the program is spawned, so that nothing the
program does, however early, goes uncounted.
"""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import psutil

Item = TypeVar("Item")

POLL_S = 0.02


class Output(NamedTuple):
    """What a program printed, and the seconds until it had begun to (see `until_begun`)."""

    stdout: bytes
    ttft_s: float


def until_begun(
    command: Sequence[str], has_begun: Callable[[bytes], bool], timeout_s: float | None = None
) -> Output:
    """Run `command` to its end, timing the moment when its stdout so far `has_begun`.

    Raises: SystemExit: it failed, said nothing or took longer than timeout_s; with its stderr.
    """
    with tempfile.TemporaryFile() as stderr:
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, bufsize=0) as process:
            assert process.stdout is not None
            killer = threading.Timer(timeout_s or threading.TIMEOUT_MAX, process.kill)
            killer.daemon = True
            killer.start()
            stdout, ttft_s = b"", None
            while piece := process.stdout.read(65536):
                stdout += piece
                if ttft_s is None and has_begun(stdout):
                    ttft_s = time.perf_counter() - started
            killer.cancel()
        if process.returncode != 0 or ttft_s is None:
            stderr.seek(0)
            tail = stderr.read()[-2000:].decode(errors="replace")
            sys.exit(f"exit code {process.returncode} from: {' '.join(command)}\n{tail}")
    return Output(stdout, ttft_s)


def in_turn(items: Sequence[Item], repetition: int) -> Sequence[Item]:
    """The items in their order, and every other time backwards."""
    return items[:: -1 if repetition % 2 else 1]


def run_s(command: Sequence[str]) -> float:
    """Seconds from spawn to exit of a command that prints nothing of interest."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def peak_memory_bytes(command: Sequence[str]) -> int:
    """Resident memory of a program and all its children, each process at its own peak.

    The sum is never less than the program's true peak: it counts pages that two processes share
    (libraries, a mapped model) once for each, and peaks that may not have been at the same time.
    """
    peaks: dict[int, int] = {}
    silence = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=silence, stderr=silence) as process:
        family = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                for member in (family, *family.children(recursive=True)):
                    peaks[member.pid] = max(peaks.get(member.pid, 0), _peak_so_far(member))
            except psutil.NoSuchProcess:
                continue
            time.sleep(POLL_S)
    if process.returncode != 0:
        sys.exit(f"exit code {process.returncode} from: {' '.join(command)}")
    return sum(peaks.values())


def _peak_so_far(process: psutil.Process) -> int:
    """The kernel's own high-water mark where it keeps one (Linux, Windows), else the present."""
    if sys.platform == "linux":
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return 0
        marks = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
        return 1024 * int(next(marks, "0"))
    memory = process.memory_info()
    return int(getattr(memory, "peak_wset", memory.rss))
