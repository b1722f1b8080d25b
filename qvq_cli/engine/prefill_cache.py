"""What a prompt's pictures cost once, kept for the next question: which keys, which bytes.

    prompt    the KV cache after the last picture, for exactly these parts before it
    picture   one picture's embeddings, whatever stands around it

A key names everything that the bytes depend on: llama.cpp's build, the files of model and mmproj,
how they run here, and the content itself. What isn't exactly the same is computed again, so a run
says the same with and without the cache, bit for bit.

Entries are written by threads of their own, so that no token waits for the disk.
"""

import hashlib
import json
import struct
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qvq_cli.engine.cache_store import CacheStore, Kind, remove
from qvq_cli.engine.grid import PatchGrid
from qvq_cli.engine.protocol import N_BATCH, N_UBATCH, Bitmap, LoadSpec, PromptPart
from qvq_cli.engine.vision import PictureFrame

_FORMAT = 1
"""Counts up when the same key would mean other bytes."""


class SavedPrompt(NamedTuple):
    """The KV cache after the last picture.

    text: the text tokens before it, with a BREAK for each picture, which drafts are looked up in.
    after: the tokens that mtmd puts behind the last picture, which aren't in the state yet.
    state: llama_state_seq_get_data of sequence 0: n_tokens cells with their M-RoPE positions.
    """

    text: tuple[int, ...]
    after: tuple[int, ...]
    n_tokens: int
    n_pos: int
    image_tokens: tuple[int, ...]
    state: memoryview


class SavedPicture(NamedTuple):
    """embd: float32 of shape (image_tokens, n_embd_inp), as bytes."""

    frame: PictureFrame
    embd: memoryview


class PrefillCache:
    """The cache of one loaded model; without spec.cache it finds nothing and keeps nothing.

    Args:
        build: names the very llama.cpp that computes.
        on_reuse: is told the file of every entry before it is used: should that crash llama.cpp,
            another process can remove it.
    """

    def __init__(
        self, spec: LoadSpec, build: str, on_reuse: Callable[[Path], None] | None = None
    ) -> None:
        self._spec = spec
        self._build = build
        self._on_reuse = on_reuse
        self._threads: list[threading.Thread] = []
        cache = spec.cache
        self._store = None if cache is None else CacheStore(Path(cache.folder), cache.max_bytes)
        self._max_entry_bytes = 0 if cache is None else cache.max_entry_bytes

    def keeps(self, n_bytes: int) -> bool:
        """Whether something of this size is worth preparing for `keep_...`."""
        return self._store is not None and n_bytes <= self._max_entry_bytes

    def find_prompt(self, head: Sequence[PromptPart]) -> SavedPrompt | None:
        """Args: head: the prompt up to and with its last picture."""
        if not head:
            return None
        found = self._find("prompt", lambda: self._prompt_key(head))
        if found is None:
            return None
        notes, state = found
        return SavedPrompt(
            tuple(notes["text"]),
            tuple(notes["after"]),
            notes["n_tokens"],
            notes["n_pos"],
            tuple(notes["image_tokens"]),
            state,
        )

    def keep_prompt(self, head: Sequence[PromptPart], saved: SavedPrompt) -> None:
        notes = {
            "text": saved.text,
            "after": saved.after,
            "n_tokens": saved.n_tokens,
            "n_pos": saved.n_pos,
            "image_tokens": saved.image_tokens,
        }
        self._keep("prompt", self._prompt_key(head), notes, saved.state)

    def drop_prompt(self, head: Sequence[PromptPart]) -> None:
        """Forget an entry that llama.cpp wouldn't take."""
        if self._store is not None:
            remove(self._store.path("prompt", self._prompt_key(head)))

    def find_picture(self, bitmap: Bitmap) -> SavedPicture | None:
        found = self._find("picture", lambda: self._picture_key(bitmap))
        if found is None:
            return None
        notes, embd = found
        grid = PatchGrid(*notes["grid"])
        return SavedPicture(PictureFrame(tuple(notes["before"]), tuple(notes["after"]), grid), embd)

    def keep_picture(self, bitmap: Bitmap, saved: SavedPicture) -> None:
        frame = saved.frame
        notes = {
            "before": frame.before,
            "after": frame.after,
            "grid": frame.grid,
            "image_tokens": [frame.grid.image_tokens],
        }
        self._keep("picture", self._picture_key(bitmap), notes, saved.embd)

    def settle(self, timeout_s: float | None = None) -> None:
        """Wait until what was to be kept is written; timeout_s is for each entry."""
        for thread in self._threads:
            thread.join(timeout_s)

    def _find(self, kind: Kind, key: Callable[[], str]) -> tuple[Any, memoryview] | None:
        if self._store is None:
            return None
        kept = self._store.find(kind, key())
        if kept is None:
            return None
        if self._on_reuse is not None:
            self._on_reuse(kept.path)
        return kept.notes, kept.payload

    def _keep(self, kind: Kind, key: str, notes: dict[str, Any], payload: memoryview) -> None:
        if self._store is None or self._spec.cache is None:
            return
        arguments = (kind, key, {"model": self._spec.cache.model_name, **notes}, payload)
        thread = threading.Thread(target=self._store.save, args=arguments, daemon=True)
        self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()

    def _prompt_key(self, head: Sequence[PromptPart]) -> str:
        """The numbers in a KV cache depend on every kernel that made them, so on all settings."""
        spec = self._spec
        how = {
            "kv_type": spec.kv_type,
            "n_gpu_layers": spec.n_gpu_layers,
            "repack": spec.repack,
            "batches": (N_BATCH, N_UBATCH),
        }
        return self._key("prompt", how, head)

    def _picture_key(self, bitmap: Bitmap) -> str:
        return self._key("picture", {}, [bitmap])

    def _key(self, kind: Kind, how: dict[str, Any], parts: Sequence[PromptPart]) -> str:
        spec = self._spec
        assert spec.cache is not None
        common = {
            "format": _FORMAT,
            "kind": kind,
            "build": self._build,
            "model": spec.cache.model_id,  # also a picture's: the tokens around it are of its words
            "mmproj": spec.cache.mmproj_id,
            "device": spec.device,
            "vision_on_gpu": spec.vision_on_gpu,
            "n_threads": spec.n_threads,
        }
        digest = hashlib.sha256(json.dumps({**common, **how}, sort_keys=True).encode())
        for part in parts:
            if isinstance(part, Bitmap):
                digest.update(struct.pack("<cII", b"P", part.width_px, part.height_px))
                digest.update(part.rgb)
            else:
                data = part.text.encode("utf-8", "replace")
                digest.update(struct.pack("<c?Q", b"T", part.parse_special, len(data)))
                digest.update(data)
        return digest.hexdigest()
