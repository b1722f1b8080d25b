"""The engine process: `python -m qvq_cli.engine.worker PARENT`, frames on stdin and stdout.

llama.cpp aborts, segfaults and gets killed for memory; here that costs this process only. The
worker lives no longer than its parent: a thread reads stdin all the time and ends the process when
it closes, and on Linux the kernel does it too. Ctrl-C is the parent's to understand, so it is
ignored here.
"""

import contextlib
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

from qvq_cli.engine.llama import LlamaEngine
from qvq_cli.engine.matmul import Matmul, time_matmul
from qvq_cli.engine.protocol import Reserve, Sampling, Stage
from qvq_cli.engine.wire import (
    SETTLE_S,
    Header,
    pack_error,
    pack_pieces,
    pack_rounds,
    read_frame,
    unpack_parts,
    unpack_spec,
    write_frame,
)
from qvq_cli.errors import QvqError

Item = TypeVar("Item")

FLUSH_S = 0.1
"""Tokens that come faster than this travel in one frame: on a machine whose every core is decoding,
waking the reader for each token costs more than the reading."""
FLUSH_MIN_S, FLUSH_SHARE = 0.005, 0.25
"""The first frames are shorter and grow with the time since decoding began: the reader of a short
text gets its start at once, and has no more than a fifth of it left to read when it ends."""

KEEP_S = 30.0
"""Of what is being said, so much can be lost as a source of drafts if this process is killed."""


class Worker:
    """One engine and the two streams; `serve` runs until the parent goes.

    stop_requested is set by the reader as soon as a "stop" arrives, which then also waits in the
    queue for its turn, so that a decode in progress ends after its current token.
    """

    def __init__(self, requests: BinaryIO, replies: BinaryIO, *, verbose: bool) -> None:
        self._requests = requests
        self._replies = replies
        self._engine = LlamaEngine(verbose=verbose)
        self._engine.devices()  # a GPU takes a while to begin: now, not when they are asked for
        self._engine.on_reuse = lambda path: self._send({"re": "reusing", "path": str(path)})
        self._queue: queue.Queue[tuple[Header, bytes]] = queue.Queue()
        self._stop_requested = threading.Event()
        self._n_decoded = 0

    def serve(self) -> None:
        """Answer requests one by one until stdin ends."""
        threading.Thread(target=self._read_requests, daemon=True).start()
        while True:
            request, payload = self._queue.get()
            try:
                self._answer(request, payload)
            except QvqError as error:
                self._send(*pack_error(error))

    def _read_requests(self) -> None:
        while (frame := read_frame(self._requests)) is not None:
            if frame[0]["op"] == "stop":
                self._stop_requested.set()
            self._queue.put(frame)
        # The parent has what it wants, or is gone: let the cache have what it is being given. To
        # free 50 GB politely would only take time.
        self._engine.settle(SETTLE_S)
        os._exit(0)

    def _send(self, header: Header, payload: bytes = b"") -> None:
        write_frame(self._replies, header, payload)

    def _progress(self, stage: Stage, share: float) -> None:
        self._send({"re": "progress", "stage": stage, "share": share})

    def _answer(self, request: Header, payload: bytes) -> None:
        match request["op"]:
            case "devices":
                devices = [device._asdict() for device in self._engine.devices()]
                self._send({"re": "done", "devices": devices})
            case "system_info":
                self._send({"re": "done", "text": self._engine.system_info()})
            case "load_ahead":
                self._engine.load_ahead(unpack_spec(request["spec"]), self._progress)
                self._send({"re": "done"})
            case "load":
                info = self._engine.load(unpack_spec(request["spec"]), self._progress)
                self._send({"re": "done", **info._asdict()})
            case "prefill":
                done = self._engine.prefill(
                    unpack_parts(request["parts"], payload),
                    Reserve(*request["reserve"]),
                    Sampling(**request["sampling"]),
                    self._progress,
                    keep_pictures=request["keep_pictures"],
                )
                self._send({"re": "done", **done._asdict()})
            case "decode":
                pieces = self._engine.decode(request["n_max"])
                self._stream(pieces, pack_pieces, FLUSH_S, lambda piece: not piece.is_eog)
            case "decode_chains":
                chains = request["chains"]
                rounds = self._engine.decode_chains(chains, request["n_rounds"])
                # Each round has a token of every chain: frames are as long as those of one.
                self._stream(rounds, pack_rounds, FLUSH_S / len(chains), lambda _: True)
            case "stop":
                self._engine.rewind(self._n_decoded - request["keep"])
                self._stop_requested.clear()
                self._send({"re": "stopped"})
            case "append":
                n = self._engine.append(
                    request["text"],
                    parse_special=request["parse_special"],
                    chain=request["chain"],
                )
                self._send({"re": "done", "n": n})
            case "draft_counts":
                self._send({"re": "done", **self._engine.draft_counts()._asdict()})
            case "time_batch":
                times = self._engine.time_batch(request["n_tokens"], request["n_passes"])
                self._send({"re": "done", "times": times})
            case "time_matmul":
                times = time_matmul(
                    Matmul(**request["matmul"]),
                    device=request["device"],
                    n_threads=request["n_threads"],
                    n_passes=request["n_passes"],
                )
                self._send({"re": "done", "times": times})
            case "look_again":
                n = self._engine.look_again(request["before"], request["after"])
                self._send({"re": "done", "n": n})

    def _stream(
        self,
        items: Iterable[Item],
        pack: Callable[[Sequence[Item]], tuple[Header, bytes]],
        flush_s: float,
        is_counted: Callable[[Item], bool],
    ) -> None:
        """Send what is decoded in frames of up to flush_s, until its end or a "stop".

        Args: is_counted: whether a "stop" that keeps n items counts this one.
        """
        self._n_decoded = 0
        waiting: list[Item] = []
        began = time.monotonic()
        flush_at, keep_at = began, began + KEEP_S
        for item in items:
            waiting.append(item)
            self._n_decoded += is_counted(item)
            now = time.monotonic()
            if now >= flush_at:
                self._send(*pack(waiting))
                waiting = []
                flush_at = now + min(flush_s, max(FLUSH_MIN_S, (now - began) * FLUSH_SHARE))
                if now >= keep_at:
                    self._engine.keep_said()
                    keep_at = now + KEEP_S
            if self._stop_requested.is_set():
                return
        if waiting:
            self._send(*pack(waiting))
        self._send({"re": "end"})


def main() -> None:
    """Keep the protocol's stdout to ourselves, wait for "begin", then serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(int(sys.argv[1]))
    volunteer_for_oom_killer()
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints goes to stderr, never between two frames
    begin = read_frame(sys.stdin.buffer)
    if begin is None:
        return  # the parent had no use for an engine
    try:
        worker = Worker(sys.stdin.buffer, replies, verbose=begin[0]["verbose"])
    except QvqError as error:
        write_frame(replies, *pack_error(error))
        return
    try:
        worker.serve()
    except BaseException:
        # A bug of ours. Ending the usual way would wait for the reader's lock and abort.
        traceback.print_exc()
        os._exit(1)


def die_with_parent(parent_pid: int) -> None:
    """Ask Linux to kill this process when its parent ends, however that happens."""
    if not sys.platform.startswith("linux"):
        return  # there, the end of stdin does it
    import ctypes

    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(0)


def volunteer_for_oom_killer() -> None:
    """When memory runs out, let Linux kill this process and not the shell or desktop around it."""
    with contextlib.suppress(OSError):  # not Linux, or not allowed: then the kernel chooses
        Path("/proc/self/oom_score_adj").write_text("500")


if __name__ == "__main__":
    main()
