"""A folder of what was computed before: content-addressed files, the least recently used go first.

An entry is one file, KEY.KIND: a head with a checksum, a line of JSON (`notes`) and a payload. It
is written under a temporary name and renamed, so that a reader sees whole entries only, and never
changes afterwards. Runs share the folder without a lock: whatever two of them do at once, an entry
is there or it is not. What is damaged counts as not there, and goes.

Refuses to know: what the bytes mean and how keys are made (prefill_cache.py). Nothing here fails a
run: what can't be read is a miss, what can't be written is not kept.
"""

import json
import mmap
import os
import struct
import tempfile
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

Kind = Literal["prompt", "picture", "reasoning"]

_MAGIC = b"qvqkept1"
_HEAD = struct.Struct("<8sIQI")
"""Magic, bytes of notes, bytes of payload, CRC-32 of both. CRC-32 is the fastest there is in the
standard library (2.8 GB/s where SHA-256 does 0.35), and damage by accident is all it must find."""
_TEMPORARY = ".tmp"
_STALE_S = 600.0
"""A temporary file this old belongs to a run that was killed: writing one takes a second or two."""
_PIECE_BYTES = 16 << 20


class Kept(NamedTuple):
    """What was found. payload: mapped from the file; stays good as long as it is held."""

    path: Path
    notes: Mapping[str, Any]
    payload: memoryview


class CacheEntry(NamedTuple):
    """A file of the cache as a listing shows it. used_s: seconds since the epoch.

    model, image_tokens, text_tokens: what its notes say; every writer has the first two in there.
    """

    path: Path
    kind: Kind
    n_bytes: int
    used_s: float
    model: str
    image_tokens: tuple[int, ...]
    text_tokens: tuple[int, ...] = ()


class Cleared(NamedTuple):
    """stuck: files that could not be removed."""

    freed_bytes: int
    stuck: tuple[Path, ...]


class CacheStore:
    """The folder.

    Args:
        max_bytes: what all entries together may take; a larger entry is not written at all.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def path(self, kind: Kind, key: str) -> Path:
        return self._folder / f"{key}.{kind}"

    def find(self, kind: Kind, key: str) -> Kept | None:
        """Look an entry up and mark it as used; a damaged one is removed."""
        path = self.path(kind, key)
        try:
            with path.open("rb") as file:
                # A private mapping: llama.cpp wants memory that could be written to.
                data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):  # ValueError: nothing in it, so nothing to map
            remove(path)
            return None
        notes = _checked_notes(data)
        if notes is None:
            data.release()
            remove(path)
            return None
        with suppress(OSError):  # a read-only folder: then the entry just looks older than it is
            os.utime(path)
        start = _HEAD.size + _HEAD.unpack_from(data)[1]
        return Kept(path, notes, data[start:])

    def save(self, kind: Kind, key: str, notes: Mapping[str, Any], payload: memoryview) -> bool:
        """Write an entry and remove the least recently used ones past the limit.

        Returns: whether it is there now; False where it is too large or the disk won't have it.
        """
        text = json.dumps(notes).encode()
        if _HEAD.size + len(text) + payload.nbytes > self._max_bytes:
            return False
        head = _HEAD.pack(_MAGIC, len(text), payload.nbytes, zlib.crc32(payload, zlib.crc32(text)))
        temporary: Path | None = None
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Only its owner may read it: the entries are made of somebody's pictures.
            handle, name = tempfile.mkstemp(_TEMPORARY, f"{key[:16]}-", self._folder)
            temporary = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(head + text)
                for start in range(0, payload.nbytes, _PIECE_BYTES):
                    file.write(payload[start : start + _PIECE_BYTES])
            temporary.replace(self.path(kind, key))
        except OSError:
            if temporary is not None:
                remove(temporary)
            return False
        self._trim()
        return True

    def entries(self) -> list[CacheEntry]:
        """All entries, the last used first. Raises: OSError: the folder can't be read."""
        found = [entry for path in self._files() if (entry := _entry(path)) is not None]
        return sorted(found, key=lambda entry: entry.used_s, reverse=True)

    def clear(self) -> Cleared:
        """Remove everything: damaged and unfinished files, too."""
        freed_bytes, stuck = 0, []
        for path in self._files():
            try:
                n_bytes = path.stat().st_size
                path.unlink()
                freed_bytes += n_bytes
            except FileNotFoundError:
                continue  # another run was faster
            except OSError:
                stuck.append(path)
        return Cleared(freed_bytes, tuple(stuck))

    def _files(self) -> list[Path]:
        """Entries and unfinished files; what else lies in the folder is none of ours."""
        endings = {f".{kind}" for kind in get_args(Kind)} | {_TEMPORARY}
        try:
            return [path for path in self._folder.iterdir() if path.suffix in endings]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _trim(self) -> None:
        """Remove what killed runs left, and the least recently used entries past the limit."""
        now_s = time.time()
        sized: list[tuple[float, int, Path]] = []
        with suppress(OSError):
            for path in self._files():
                with suppress(FileNotFoundError):  # another run was faster
                    found = path.stat()
                    if path.suffix != _TEMPORARY:
                        sized.append((found.st_mtime, found.st_size, path))
                    elif now_s - found.st_mtime > _STALE_S:
                        remove(path)
        total = sum(n_bytes for _, n_bytes, _ in sized)
        for _, n_bytes, path in sorted(sized):
            if total <= self._max_bytes:
                return
            remove(path)
            total -= n_bytes


def remove(path: Path) -> None:
    """Remove a file of the cache; one that is gone or that Windows has in use is let be."""
    with suppress(OSError):
        path.unlink()


def _checked_notes(data: memoryview) -> Mapping[str, Any] | None:
    """The notes of a whole and undamaged entry."""
    if len(data) < _HEAD.size:
        return None
    magic, n_notes, n_payload, crc = _HEAD.unpack_from(data)
    if magic != _MAGIC or len(data) != _HEAD.size + n_notes + n_payload:
        return None
    if zlib.crc32(data[_HEAD.size :]) != crc:
        return None
    notes: Mapping[str, Any] = json.loads(bytes(data[_HEAD.size : _HEAD.size + n_notes]))
    return notes


def _entry(path: Path) -> CacheEntry | None:
    """What a listing says of a file, from its head alone; None for one that is no whole entry.

    The checksum is of the payload too, maybe gigabytes: damaged notes are told by their form.
    """
    kind = next((kind for kind in get_args(Kind) if path.suffix == f".{kind}"), None)
    try:
        found = path.stat()
        with path.open("rb") as file:
            magic, n_notes, n_payload, _ = _HEAD.unpack(file.read(_HEAD.size))
            is_whole = found.st_size == _HEAD.size + n_notes + n_payload
            if kind is None or magic != _MAGIC or not is_whole:
                return None
            notes = json.loads(file.read(n_notes))
        model, counts = notes["model"], (notes["image_tokens"], notes.get("text_tokens", []))
    except (OSError, struct.error, ValueError, LookupError, TypeError, RecursionError):
        return None
    if not isinstance(model, str) or not all(map(_is_list_of_int, counts)):
        return None
    return CacheEntry(path, kind, found.st_size, found.st_mtime, model, *map(tuple, counts))


def _is_list_of_int(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(each, int) for each in found)
