"""Starts the engine's process.

Light to import: `qvq solve` starts it before it reads anything else, since both take a tenth of a
second and there are two of them to do it.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from qvq_cli.errors import EngineDiedError

_SPIN_COUNT = 5_000
"""Measured on two cores of a Sapphire Rapids, with the shaped 2B and two threads, in ms a token:
alone 91, and 91 with GNU's own; beside one busy program 200 and 580; beside two 185 and 230 to
1,600. With 2,000 it is 89, 178 and 200 ms, but pauses are shorter on other processors; 5,000 took
0.06 ms there."""


def spawn_worker() -> subprocess.Popen[bytes]:
    """Start worker.py, which waits for the "begin" frame on its stdin.

    Raises: EngineDiedError: the system allows no further process.
    """
    try:
        with _interrupts_held():
            return subprocess.Popen(
                # -P: a file called json.py in the person's folder must not be imported.
                [sys.executable, "-P", "-m", "qvq_cli.engine.worker", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(),
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
    except OSError as error:
        raise EngineDiedError(
            f"llama.cpp's process can't be started: {error}",
            hint="close some programs, or raise the limits on processes and open files (ulimit -a)",
            reference="engine-not-started",
        ) from error


def _environment() -> dict[str, str]:
    """Ours, with what glibc and OpenMP should do for llama.cpp; what the person asks of them wins.

    Huge pages for what malloc gives out, where Linux offers them on request: llama.cpp copies a
    mmproj into such memory, and 1.3 GB are 2,200 page faults so instead of 336,000.

    GNU's OpenMP lets a thread that waits for the others turn 300,000 times before it sleeps. On x86
    a turn is a "pause": 3.7 ms on a Sapphire Rapids, of a core that another program, and the thread
    that is waited for, can't have. Elsewhere turns are other instructions, which were not measured.
    """
    tunables = ("glibc.malloc.hugetlb=1", os.environ.get("GLIBC_TUNABLES", ""))
    environment = {
        **os.environ,
        "GGML_NO_BACKTRACE": "1",
        "GLIBC_TUNABLES": ":".join(filter(None, tunables)),
    }
    is_x86 = sys.platform == "linux" and os.uname().machine == "x86_64"
    if is_x86 and "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", str(_SPIN_COUNT))
    return environment


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Have a process started that a terminal's Ctrl-C can't end before it ignores it.

    What is blocked here stays blocked in the new process; Windows has process groups for that.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def dismiss(process: subprocess.Popen[bytes]) -> None:
    """End a worker that nobody has a use for."""
    process.kill()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    process.wait()
