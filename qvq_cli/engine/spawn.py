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
    """Ours, with huge pages for what malloc gives out, where Linux offers them on request.

    llama.cpp copies a mmproj into such memory: 1.3 GB are 2,200 page faults so, and 336,000 with
    pages of 4 KiB. What the person asks of glibc comes later and wins.
    """
    tunables = ("glibc.malloc.hugetlb=1", os.environ.get("GLIBC_TUNABLES", ""))
    return {
        **os.environ,
        "GGML_NO_BACKTRACE": "1",
        "GLIBC_TUNABLES": ":".join(filter(None, tunables)),
    }


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
