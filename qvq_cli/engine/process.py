"""The Engine protocol on a worker process, and what its death means.

The worker decodes ahead of its reader; closing the iterator tells it how many pieces were taken and
it undoes the rest, so that budget and loop rules see exactly the engine they would see in one
process, without a round trip for each token.

A death while loading or reading the prompt is tried once more: without the cache if something from
it was in use, else with the settings that crash least (`cautious`). Any other becomes an error that
says what happened. What came from the cache doesn't survive a crash.
"""

import contextlib
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from qvq_cli.engine.cache_store import remove
from qvq_cli.engine.matmul import Matmul
from qvq_cli.engine.protocol import (
    Device,
    DraftCounts,
    LoadSpec,
    ModelInfo,
    OnProgress,
    Piece,
    Prefilled,
    PromptPart,
    Reserve,
    Round,
    Sampling,
)
from qvq_cli.engine.spawn import spawn_worker
from qvq_cli.engine.wire import (
    SETTLE_S,
    Header,
    pack_parts,
    read_frame,
    unpack_error,
    unpack_pieces,
    unpack_rounds,
    write_frame,
)
from qvq_cli.engine.worker_output import WorkerOutput
from qvq_cli.errors import DoesNotFitError, EngineDiedError, QvqError

Item = TypeVar("Item")

OnNotice = Callable[[str, str], None]
"""Called with a kebab-case reference and a message for people."""

KILLED = -signal.SIGKILL if sys.platform != "win32" else None
OUT_OF_MEMORY = ("bad_alloc", "failed to allocate", "unable to allocate", "out of memory")


class WorkerEngine:
    """A llama.cpp that can crash without taking the program with it.

    Args:
        verbose: let llama.cpp's log through to stderr.
        process: a worker from spawn_worker that is to be this engine's; one is started without.

    on_notice, when it is set, is told that a crash was answered by a second try, and that somebody
    has stopped the worker.
    """

    on_notice: OnNotice | None = None

    def __init__(self, *, verbose: bool, process: subprocess.Popen[bytes] | None = None) -> None:
        self._verbose = verbose
        self._spec: LoadSpec | None = None
        self._start(process or spawn_worker())

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._process.pid

    def devices(self) -> tuple[Device, ...]:
        """See Engine.devices."""
        return tuple(Device(**device) for device in self._call({"op": "devices"})["devices"])

    def system_info(self) -> str:
        """See LlamaEngine.system_info."""
        return str(self._call({"op": "system_info"})["text"])

    def load_ahead(self, spec: LoadSpec) -> None:
        """Have the text model loaded while the caller does something else, and don't wait for it.

        A `load` that reads the model the same way finds it there; it also tells what went wrong.
        Nothing else may be asked for in between.
        """
        with contextlib.suppress(WorkerDied):  # which `load` finds out, and answers
            self._send({"op": "load_ahead", "spec": spec._asdict()})
            self._is_loading = True

    def load(self, spec: LoadSpec, on_progress: OnProgress) -> ModelInfo:
        """See Engine.load."""
        self._spec = spec
        try:
            return self._load(spec, on_progress)
        except WorkerDied as death:
            with _explained():
                return self._load(self._restart_cautiously(death), on_progress)

    def prefill(
        self,
        parts: Sequence[PromptPart],
        reserve: Reserve,
        sampling: Sampling,
        on_progress: OnProgress,
        *,
        keep_pictures: bool = False,
    ) -> Prefilled:
        """See Engine.prefill."""
        described, pixels = pack_parts(parts)
        request = {
            "op": "prefill",
            "parts": described,
            "reserve": reserve,
            "sampling": sampling._asdict(),
            "keep_pictures": keep_pictures,
        }
        with _explained():
            while True:
                try:
                    done = self._attempt(request, pixels, on_progress)
                    break
                except WorkerDied as death:
                    spec = self._restart_cautiously(death)
                    self._load(spec, on_progress)
        return Prefilled(**{**done, "image_tokens": tuple(done["image_tokens"])})

    def decode(self, n_max: int) -> Generator[Piece]:
        """See Engine.decode."""
        request = {"op": "decode", "n_max": n_max}
        return self._stream(request, unpack_pieces, lambda piece: not piece.is_eog)

    def decode_chains(self, chains: Sequence[int], n_rounds: int) -> Generator[Round]:
        """See Engine.decode_chains."""
        request = {"op": "decode_chains", "chains": list(chains), "n_rounds": n_rounds}
        return self._stream(request, unpack_rounds, lambda _: True)

    def _stream(
        self,
        request: Header,
        unpack: Callable[[Header, bytes], Sequence[Item]],
        is_counted: Callable[[Item], bool],
    ) -> Generator[Item]:
        """Have something decoded, and on an early close have what wasn't taken undone."""
        n_taken = 0
        with _explained():
            self._send(request)
            try:
                while True:
                    header, payload = self._receive()
                    if header["re"] == "end":
                        return
                    for item in unpack(header, payload):
                        n_taken += is_counted(item)
                        yield item
            except GeneratorExit:
                # Anything else, Ctrl-C above all, may have come in the middle of a frame.
                if self._process.poll() is None:
                    self._stop(n_taken)
                raise

    def append(self, text: str, *, parse_special: bool = False, chain: int = 0) -> int:
        """See Engine.append."""
        request = {"op": "append", "text": text, "parse_special": parse_special, "chain": chain}
        return int(self._call(request)["n"])

    def look_again(self, before: str, after: str) -> int:
        """See Engine.look_again."""
        return int(self._call({"op": "look_again", "before": before, "after": after})["n"])

    def draft_counts(self) -> DraftCounts:
        """See Engine.draft_counts."""
        return DraftCounts(**self._call({"op": "draft_counts"}))

    def time_batch(self, n_tokens: int, n_passes: int) -> tuple[float, ...]:
        """See LlamaEngine.time_batch."""
        request = {"op": "time_batch", "n_tokens": n_tokens, "n_passes": n_passes}
        return tuple(self._call(request)["times"])

    def time_matmul(
        self, matmul: Matmul, *, device: str, n_threads: int, n_passes: int
    ) -> tuple[float, ...]:
        """See matmul.time_matmul. Needs no model."""
        request = {
            "op": "time_matmul",
            "matmul": matmul._asdict(),
            "device": device,
            "n_threads": n_threads,
            "n_passes": n_passes,
        }
        return tuple(self._call(request)["times"])

    def close(self) -> None:
        """See Engine.close. A worker whose stdin ends goes by itself, once the cache is written."""
        with contextlib.suppress(OSError):  # a frame it never read may be buffered
            cast(BinaryIO, self._process.stdin).close()
        try:
            self._process.wait(timeout=SETTLE_S + 1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                return  # the kernel is still taking its memory back; it can't outlive that
        self._stderr_reader.join(timeout=1)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    # process

    def _start(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._is_loading = False  # ahead of `load`, which has yet to read the reply
        self._output = WorkerOutput(self._process, self._tell_stopped)
        self._oom_kills = count_oom_kills()
        self._reused: list[Path] = []
        self._stderr_tail: deque[str] = deque(maxlen=40)
        self._stderr_reader = threading.Thread(target=self._read_stderr, daemon=True)
        self._stderr_reader.start()
        with contextlib.suppress(WorkerDied):  # which the first request finds out
            self._send({"op": "begin", "verbose": self._verbose})

    def _read_stderr(self) -> None:
        """Keep the last lines, and pass all on when verbose.

        A stderr that nobody reads any more ends the passing on, never the reading: the worker would
        wait for ever for room in a full pipe.
        """
        stream = cast(BinaryIO, self._process.stderr)
        # None where this program was started without a stderr (`2>&-`).
        log = sys.stderr.buffer if self._verbose and sys.stderr is not None else None
        for line in stream:
            self._stderr_tail.append(line.decode("utf-8", "replace").rstrip())
            if log is not None:
                try:
                    log.write(line)
                    log.flush()
                except OSError:
                    log = None

    def _restart_cautiously(self, death: "WorkerDied") -> LoadSpec:
        """Start again with what crashes less, or raise what the death means.

        What came from the cache is suspected first, then the settings that crash most.
        Returns: what to load now.
        """
        assert self._spec is not None
        was_reused = bool(self._reused)
        spec = self._spec._replace(cache=None) if was_reused else cautious(self._spec)
        self.close()
        if spec == self._spec or death.returncode == KILLED:
            raise death.error from death
        if self.on_notice is not None:
            change = ", ".join(
                words
                for setting, words in _LEFT_OUT.items()
                if getattr(spec, setting) != getattr(self._spec, setting)
            )
            self.on_notice("engine-restarted", f"{death.error.message}; trying once more {change}")
        self._spec = spec
        self._start(spawn_worker())
        return spec

    def _tell_stopped(self) -> None:
        if self.on_notice is not None:
            self.on_notice(
                "engine-stopped",
                f"somebody has stopped llama.cpp's process; kill -CONT {self.pid} lets it go on",
            )

    # frames

    def _load(self, spec: LoadSpec, on_progress: OnProgress) -> ModelInfo:
        if self._is_loading:
            self._is_loading = False
            self._wait(on_progress)
        done = self._attempt({"op": "load", "spec": spec._asdict()}, b"", on_progress)
        return ModelInfo(**done)

    def _call(self, request: Header) -> Header:
        """Send a request and wait for its "done". Returns: what came with it."""
        with _explained():
            return self._attempt(request)

    def _attempt(
        self, request: Header, payload: bytes = b"", on_progress: OnProgress | None = None
    ) -> Header:
        """As _call. Raises: WorkerDied: for who can try again."""
        self._send(request, payload)
        return self._wait(on_progress)

    def _wait(self, on_progress: OnProgress | None) -> Header:
        """Read up to the "done" of what was asked for. Returns: what came with it."""
        while True:
            header, _ = self._receive()
            re = header.pop("re")
            if re == "done":
                return header
            if re == "reusing":
                self._reused.append(Path(header["path"]))
            elif on_progress is not None:
                on_progress(header["stage"], header["share"])

    def _stop(self, n_keep: int) -> None:
        self._send({"op": "stop", "keep": n_keep})
        while self._receive()[0]["re"] != "stopped":
            pass  # pieces that were already on their way

    def _send(self, header: Header, payload: bytes = b"") -> None:
        try:
            write_frame(cast(BinaryIO, self._process.stdin), header, payload)
        except OSError as error:
            raise self._death() from error

    def _receive(self) -> tuple[Header, bytes]:
        frame = read_frame(self._output)
        if frame is None:
            raise self._death()
        if frame[0]["re"] == "error":
            raise unpack_error(frame[0])
        return frame

    def _death(self) -> "WorkerDied":
        try:
            returncode = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            returncode = self._process.wait()
        self._stderr_reader.join(timeout=1)
        was_oom = count_oom_kills() > self._oom_kills
        if returncode != KILLED:
            for path in self._reused:
                remove(path)  # perhaps it did nothing; to compute it again costs little
        return WorkerDied(returncode, explain_death(returncode, list(self._stderr_tail), was_oom))


class WorkerDied(Exception):
    """The worker ended on its own; `error` is what to tell people when nothing else helps."""

    def __init__(self, returncode: int, error: QvqError) -> None:
        super().__init__(error.message)
        self.returncode = returncode
        self.error = error


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Let a death that nobody answers leave this module as what it means."""
    try:
        yield
    except WorkerDied as death:
        raise death.error from death


_LEFT_OUT = {
    "cache": "with nothing from the cache",
    "draft_path": "without the --draft model",
    "repack": "without weight repacking",
    "vision_on_gpu": "with the picture on the CPU, which is slower",
}
"""What a person is told of each setting that a second try leaves out."""


def cautious(spec: LoadSpec) -> LoadSpec:
    """The same model with what has crashed llama.cpp, or might have, left out."""
    return spec._replace(repack=False, vision_on_gpu=False, draft_path=None)


def explain_death(returncode: int, stderr_tail: Sequence[str], was_oom: bool) -> QvqError:
    """What a person should know about a worker's end.

    Args:
        returncode: as subprocess gives it, negative for a signal.
        stderr_tail: the last lines it wrote; llama.cpp's asserts are among them.
        was_oom: the kernel's count of out-of-memory kills went up meanwhile.
    """
    lines = [line for line in stderr_tail if line.strip()]
    assertion = next((line for line in lines if "GGML_ASSERT" in line), None)
    memory = next((line for line in lines if any(w in line.lower() for w in OUT_OF_MEMORY)), None)
    smaller = (
        "free some memory, or use a smaller quant, --max-thinking or --image-tokens-max; "
        "with a GPU, fewer --n-gpu-layers"
    )
    # Another program's death for memory explains nothing: the system kills by SIGKILL alone.
    if was_oom and returncode == KILLED:
        return DoesNotFitError(
            "the system ran out of memory and killed the model", hint=smaller, reference="oom-kill"
        )
    if memory is not None:
        return DoesNotFitError(
            f"llama.cpp ran out of memory: {memory}", hint=smaller, reference="out-of-memory"
        )
    again = "run again with --verbose to see llama.cpp's whole log; --n-gpu-layers 0 avoids the GPU"
    if assertion is not None:
        return EngineDiedError(
            f"llama.cpp gave up: {assertion}", hint=again, reference="engine-abort"
        )
    if returncode < 0:
        name = _signal_name(-returncode)
        if returncode == KILLED:
            again = "somebody killed it; if that was the system, memory was short: " + smaller
        return EngineDiedError(
            f"llama.cpp's process was ended by {name}", hint=again, reference="engine-killed"
        )
    last = f": {lines[-1]}" if lines else ""
    return EngineDiedError(
        f"llama.cpp's process ended by itself with code {returncode}{last}",
        hint=again,
        reference="engine-exited",
    )


def _signal_name(number: int) -> str:
    """`SIGSEGV`; of those without a name, the real-time ones, the number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def count_oom_kills() -> int:
    """How often Linux has killed a process for memory, here and in this container; 0 elsewhere."""
    total = 0
    for path in (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events")):
        try:
            text = path.read_text()
        except OSError:
            continue
        total += sum(int(n) for key, n in map(str.split, text.splitlines()) if key == "oom_kill")
    return total
