"""Bring files here: over several connections, from where an earlier run stopped, proven by sha256.

Connections take segments from the front of the files; one thread follows the bytes that are
complete up to it and hashes them while they are still in the page cache. A file gets its final
name only when its checksum is right. Refuses to know: which files (download.py), HTTP (remote.py).
"""

import errno
import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from qvq_cli.errors import CannotWriteError, DataError, QvqError, TransferError, UnreachableError
from qvq_cli.hub.partial import Partial
from qvq_cli.hub.pull_plan import PullFile, PullTarget, State
from qvq_cli.hub.remote import RangeIgnoredError, open_range
from qvq_cli.hub.remote_errors import AGAIN, patience

_CONNECTIONS = 4
_RETRY_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""After attempts in a row that brought no byte; any byte makes patience whole again."""
_HASH_BYTES = 4 << 20
_TICK_S = 0.1


class SourceProgress(NamedTuple):
    """done_bytes: of the source, on disk."""

    state: State
    done_bytes: int


class _Job(NamedTuple):
    active: "_Active"
    segment: int


class _Active:
    """A target at work. checked: how many sources are hashed and right."""

    def __init__(self, target: PullTarget):
        self.target = target
        self.partial = Partial(target.part_path, target.sizes)
        self.whole_lock = threading.Lock()
        self.started: set[int] = set()
        self.checked = 0

    def progress(self) -> list[SourceProgress]:
        return [self._progress_of(i) for i in range(len(self.target.files))]

    def _progress_of(self, source: int) -> SourceProgress:
        n_bytes = self.target.sizes[source]
        if source < self.checked:
            return SourceProgress("done", n_bytes)
        done_bytes = self.partial.done_bytes(source)
        if done_bytes == n_bytes:
            return SourceProgress("checking", done_bytes)
        return SourceProgress("downloading" if source in self.started else "waiting", done_bytes)


class Transfer:
    """One run over some targets.

    Args:
        place: called with a target and the sha256 of its file when that is proven and in place;
            on a thread of its own.
        seeds: first bytes of sources that are known already, by URL.
    """

    def __init__(
        self,
        targets: Sequence[PullTarget],
        place: Callable[[PullTarget, str], None],
        seeds: Mapping[str, bytes] | None = None,
    ):
        self._targets = targets
        self._place = place
        self._seeds = seeds or {}
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._error: BaseException | None = None

    def run(self, on_progress: Callable[[list[list[SourceProgress]]], None]) -> None:
        """Fetch, check and place everything; on_progress runs on this thread, one list a target.

        Raises: TransferError, UnreachableError, DeniedError, UnavailableError: the Hub's part.
            DataError: wrong bytes, which were thrown away. CannotWriteError: the disk's part.
        """
        try:
            self._active = [_Active(target) for target in self._targets]
            self._sow()
        except OSError as error:
            raise _cannot_write(error, self._targets[0].part_path) from error
        # The mmproj comes before the model: it is small, and the pair is worth nothing without it.
        self._in_order = sorted(self._active, key=lambda active: active.target.n_bytes)
        self._jobs = [
            _Job(active, i)
            for active in self._in_order
            for i in range(len(active.partial.segments))
        ]
        checker = self._thread(self._check)
        fetchers = [self._thread(self._fetch) for _ in range(min(_CONNECTIONS, len(self._jobs)))]
        try:
            for thread in (checker, *fetchers):
                thread.start()
            while checker.is_alive():
                checker.join(_TICK_S)
                on_progress([active.progress() for active in self._active])
        finally:
            # A connection that hangs is left behind: what it still brings is dropped.
            self._stop.set()
            with self._changed:
                self._changed.notify_all()
            for active in self._active:
                active.partial.close()
        checker.join()
        if self._error is not None:
            raise self._error

    def _thread(self, work: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=self._guard, args=(work,), daemon=True)

    def _sow(self) -> None:
        for active in self._active:
            offset = 0
            for source in active.target.files:
                active.partial.store(offset, self._seeds.get(source.url, b""))
                offset += source.n_bytes

    def _guard(self, work: Callable[[], None]) -> None:
        """Run a thread's work; the first thing that goes wrong ends all of them."""
        try:
            work()
        except OSError as error:
            failure = _cannot_write(error, self._targets[0].part_path)
            failure.__cause__ = error
            self._fail(failure)
        except BaseException as error:  # handed to the thread that called run
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            if self._error is None and not self._stop.is_set():
                self._error = error
            self._stop.set()
            self._changed.notify_all()

    # the connections

    def _fetch(self) -> None:
        while not self._stop.is_set():
            with self._changed:
                if not self._jobs:
                    return
                job = self._jobs.pop(0)
            self._fetch_segment(job)

    def _fetch_segment(self, job: _Job) -> None:
        """Fetch what is missing of a segment, as often as it takes."""
        partial = job.active.partial
        segment = partial.segments[job.segment]
        source = job.active.target.files[segment.source]
        job.active.started.add(segment.source)
        n_fruitless = 0
        while (at := partial.next_byte(job.segment)) < segment.end and not self._stop.is_set():
            try:
                self._stream(job, at)
                error: QvqError = TransferError(
                    f"{source.repo} ends {source.name} too early", hint=AGAIN
                )
            except (TransferError, UnreachableError) as caught:
                error = caught
            if partial.next_byte(job.segment) > at:
                n_fruitless = 0
                continue
            wait_s = None
            if n_fruitless < len(_RETRY_WAITS_S):
                wait_s = patience(error, _RETRY_WAITS_S[n_fruitless])
            if wait_s is None:
                raise error
            self._stop.wait(wait_s)
            n_fruitless += 1

    def _stream(self, job: _Job, at: int) -> None:
        """Read one answer of the Hub into the file."""
        active, segment = job.active, job.active.partial.segments[job.segment]
        source = active.target.files[segment.source]
        base = sum(active.target.sizes[: segment.source])
        start, end = at - base, segment.end - base
        try:
            with open_range(source.url, source.repo, start, end, source.n_bytes) as pieces:
                self._store_pieces(active, at, segment.end, pieces)
        except RangeIgnoredError:
            # All of it, once for all of its segments: the other connections wait here.
            with active.whole_lock:
                if active.partial.next_byte(job.segment) == segment.end:
                    return
                whole = source.n_bytes
                with open_range(source.url, source.repo, 0, whole, whole) as pieces:
                    self._store_pieces(active, base, base + whole, pieces)

    def _store_pieces(self, active: _Active, at: int, end: int, pieces: Iterator[bytes]) -> None:
        for piece in pieces:
            if self._stop.is_set():
                return
            active.partial.store(at, piece[: end - at])
            at += len(piece)
            with self._changed:
                self._changed.notify_all()
            if at >= end:
                return

    # the checker

    def _check(self) -> None:
        for active in self._in_order:
            whole = hashlib.sha256()
            for i in range(len(active.target.files)):
                try:
                    if not self._check_source(active, i, whole):
                        return
                except DataError as error:
                    self._fail(error)
                    self._sift()
                    return
                active.checked = i + 1
            active.partial.finish(active.target.content_path)
            self._place(active.target, whole.hexdigest())

    def _sift(self) -> None:
        """After wrong bytes: forget what else may be wrong, so that one more run is enough.

        Whole files are hashed. Of one under way, what this run brought came by the same road as the
        wrong bytes, and goes; what earlier runs left stays.
        """
        for active in self._active:
            offset = 0
            for i, source in enumerate(active.target.files):
                if active.partial.done_bytes(i) < source.n_bytes:
                    active.partial.forget_new(i)
                elif i >= active.checked:
                    digest = source.new_digest()
                    with active.target.part_path.open("rb") as file:
                        file.seek(offset)
                        for start in range(0, source.n_bytes, _HASH_BYTES):
                            digest.update(file.read(min(_HASH_BYTES, source.n_bytes - start)))
                    if digest.hexdigest() != source.digest:
                        active.partial.reset(i)
                offset += source.n_bytes
            active.partial.close()  # a connection may still hold a piece of what was forgotten

    def _check_source(self, active: _Active, i: int, whole: "hashlib._Hash") -> bool:
        """Hash a source as it arrives. Returns: False when the run was stopped before its end."""
        source = active.target.files[i]
        at = sum(active.target.sizes[:i])
        end = at + source.n_bytes
        is_all = len(active.target.files) == 1 and source.sha256 is not None
        own = whole if is_all else source.new_digest()
        with active.target.part_path.open("rb", buffering=0) as file:
            file.seek(at)
            while at < end:
                with self._changed:
                    while (frontier := active.partial.frontier(i)) <= at:
                        if self._stop.is_set():
                            return False
                        self._changed.wait(_TICK_S)
                if self._stop.is_set():
                    return False
                data = file.read(min(_HASH_BYTES, frontier - at))
                for digest in {own, whole}:
                    digest.update(data)
                at += len(data)
        if own.hexdigest() != source.digest:
            active.partial.reset(i)
            raise _wrong_bytes(source, own.hexdigest())
        return True


def _wrong_bytes(file: PullFile, found: str) -> DataError:
    return DataError(
        f"{file.name} arrived with wrong bytes: its checksum is {found[:16]}…, published is "
        f"{(file.digest or '')[:16]}…; it has been thrown away",
        hint="run it again to fetch it again; if that ends the same way, something between here "
        "and the Hub changes files, or the publisher's file is broken",
        reference="checksum-mismatch",
    )


def _cannot_write(error: OSError, path: Path) -> QvqError:
    """Put a failure of the disk into our words."""
    folder = path.parent
    if isinstance(error, FileNotFoundError):  # it was there when the run began
        name = error.filename or path
        return TransferError(f"{name} was removed while it was being fetched", hint=AGAIN)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CannotWriteError(
            f"the disk of {folder} is full",
            hint="make room there, or choose another disk with --to DIR or HF_HOME; then run it "
            "again: what is already here stays",
            reference="disk-full",
        )
    return CannotWriteError(
        f"{error.filename or path} can't be written: {error.strerror or error}",
        hint="choose a folder that you may write to with --to DIR or HF_HOME",
    )
