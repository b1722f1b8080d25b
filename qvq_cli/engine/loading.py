"""Text models out of GGUF files: how llama.cpp is told to read one, also before its turn."""

import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from qvq_cli.engine.llama_library import Backends, load_error, progress_callback
from qvq_cli.engine.protocol import LoadSpec, OnProgress


class FileSizes(NamedTuple):
    """Bytes of the files that a model is made of; of all three together one at least."""

    model: int
    draft: int
    mmproj: int
    total: int

    @classmethod
    def of(cls, spec: LoadSpec) -> "FileSizes":
        """The files that a LoadSpec names."""
        paths = (spec.model_path, spec.draft_path, spec.mmproj_path)
        model, draft, mmproj = (Path(path).stat().st_size if path else 0 for path in paths)
        return cls(model, draft, mmproj, max(model + draft + mmproj, 1))

    def share_with_mmproj(self, done: float) -> float:
        """The share of all bytes that is read with this share of the mmproj, which comes last."""
        return (self.model + self.draft + done * self.mmproj) / self.total


class TextModel(NamedTuple):
    """A llama_model, how it was read, and the seconds that took."""

    spec: LoadSpec
    handle: Any
    load_s: float


class Loader:
    """Reads text models, telling what share of all files it has read.

    Args:
        last_words: tells why llama.cpp refused something.
    """

    def __init__(self, lib: Any, backends: Backends, last_words: Callable[[], str]) -> None:
        self._lib = lib
        self._backends = backends
        self._last_words = last_words
        self._ahead: TextModel | None = None
        self._alive: list[Any] = []  # what C may still read or call

    def load_ahead(self, spec: LoadSpec, on_progress: OnProgress) -> Any:
        """Load the text model; a `load` that would read it the same way finds it there.

        Returns: its handle. Raises: as load.
        """
        self._ahead = self._load_text(spec, on_progress)
        return self._ahead.handle

    def load(self, spec: LoadSpec, on_progress: OnProgress) -> TextModel:
        """Load the text model. Raises: GgufError, DoesNotFitError: llama.cpp refused it."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and not ahead.spec.reads_model_like(spec):
            self._lib.llama_model_free(ahead.handle)
            ahead = None
        return ahead or self._load_text(spec, on_progress)

    def load_draft(self, spec: LoadSpec, on_progress: OnProgress) -> Any:
        """Load the model that makes drafts. Returns: its handle. Raises: as load."""
        assert spec.draft_path is not None
        sizes = FileSizes.of(spec)
        return self._read(
            spec.draft_path,
            -1 if spec.draft_on_gpu else 0,
            spec,
            lambda share: on_progress("load", (sizes.model + share * sizes.draft) / sizes.total),
            is_draft=True,
        )

    def close(self) -> None:
        """Let go of what was loaded for nothing."""
        if self._ahead is not None:
            self._lib.llama_model_free(self._ahead.handle)
        self._ahead = None

    def _load_text(self, spec: LoadSpec, on_progress: OnProgress) -> TextModel:
        started = time.perf_counter()
        sizes = FileSizes.of(spec)
        handle = self._read(
            spec.model_path,
            spec.n_gpu_layers,
            spec,
            lambda share: on_progress("load", share * sizes.model / sizes.total),
        )
        return TextModel(spec, handle, time.perf_counter() - started)

    def _read(
        self,
        path: str,
        n_gpu_layers: int,
        spec: LoadSpec,
        report: Callable[[float], None],
        *,
        is_draft: bool = False,
    ) -> Any:
        params = self._lib.llama_model_default_params()
        params.n_gpu_layers = n_gpu_layers
        params.use_extra_bufts = spec.repack
        if spec.repack and n_gpu_layers == 0:
            # Mapped weights would stay in memory beside their rewritten copies.
            params.load_mode = self._lib.LLAMA_LOAD_MODE_NONE
        callback = progress_callback(self._lib.llama_progress_callback, report)
        self._alive.append(callback)
        params.progress_callback = callback
        if spec.device is not None:
            device = None if spec.device == "none" else self._backends.handle(spec.device)
            devices = (ctypes.c_void_p * 2)(device, None)
            self._alive.append(devices)
            params.devices = ctypes.cast(devices, ctypes.c_void_p)
        model = self._lib.llama_model_load_from_file(os.fsencode(path), params)
        if not model:
            raise load_error(path, self._last_words(), is_draft=is_draft)
        return model
