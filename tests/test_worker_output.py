"""A worker that somebody stops: noticed each time, and never taken for one that only thinks."""

import os
import signal
import subprocess
import sys

import pytest

from qvq_cli.engine.worker_output import SILENCE_S, WorkerOutput


def read(child: str, n_bytes: int) -> tuple[bytes, int]:
    """What a program says that is told to go on whenever it is found stopped, and how often."""
    process = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE)
    n_told = 0

    def go_on() -> None:
        nonlocal n_told
        n_told += 1
        process.send_signal(signal.SIGCONT)

    data = WorkerOutput(process, go_on).read(n_bytes)
    process.communicate()
    return data, n_told


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="the system can't tell")
def test_each_stop_is_told() -> None:
    stop = "os.kill(os.getpid(), signal.SIGSTOP); os.write(1, b'x')"
    assert read(f"import os, signal; {stop}; {stop}", 2) == (b"xx", 2)


def test_silence_is_no_stop() -> None:
    child = f"import os, time; time.sleep({SILENCE_S * 1.5}); os.write(1, b'x')"
    assert read(child, 9) == (b"x", 0)
