"""What the worker says, read so that one who has been stopped is noticed.

A worker that died ends its stream; one that somebody stopped (`kill -STOP`) only falls silent, as
a large model does for minutes. What tells them apart is the kernel, asked while there is nothing to
read. Nobody but who stopped it can know why, so it is told and waited for.
"""

import os
import select
import subprocess
import sys
from collections.abc import Callable

SILENCE_S = 2.0
_READ_BYTES = 1 << 16  # a frame of text and what follows it, in one go


class WorkerOutput:
    """A worker's stdout, for read_frame.

    Args: on_stop: told once for each time the worker is found to be stopped.
    """

    def __init__(self, process: subprocess.Popen[bytes], on_stop: Callable[[], None]) -> None:
        assert process.stdout is not None
        self._pid = process.pid
        self._descriptor = process.stdout.fileno()
        self._on_stop = on_stop
        self._buffer = bytearray()
        if sys.platform != "win32":
            self._poll = select.poll()  # unlike select, takes descriptors above 1,023
            self._poll.register(self._descriptor, select.POLLIN)

    def read(self, n_bytes: int) -> bytes:
        """As many bytes, or fewer at the end of the stream."""
        while len(self._buffer) < n_bytes:
            self._wait()
            piece = os.read(self._descriptor, max(_READ_BYTES, n_bytes - len(self._buffer)))
            if not piece:
                break
            self._buffer += piece
        data = bytes(self._buffer[:n_bytes])
        del self._buffer[:n_bytes]
        return data

    def _wait(self) -> None:
        if sys.platform == "win32":
            return  # there is no poll there, and nothing stops a process
        is_told = False
        while not self._poll.poll(SILENCE_S * 1000):
            is_stopped = _is_stopped(self._pid)
            if is_stopped and not is_told:
                self._on_stop()
            is_told = is_stopped


def _is_stopped(pid: int) -> bool:
    """Whether a child process is stopped now; False where the system can't tell."""
    if sys.platform == "win32" or not hasattr(os, "waitid"):  # macOS has it from Python 3.13
        return False
    try:
        state = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # it is gone, which the end of its stream tells
        return False
    return state is not None
