"""The mmproj at work: a bitmap in, its embeddings and the tokens around them out.

The mmproj is loaded when the first picture needs it: for pictures that were read before (see
prefill_cache.py) it never is. Knows mtmd's C API, but not the KV cache that embeddings go to.
"""

import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from qvq_cli.engine.grid import PatchGrid
from qvq_cli.engine.llama_library import load_error, progress_callback
from qvq_cli.engine.page_faults import FaultsAhead
from qvq_cli.engine.protocol import Bitmap, LoadSpec
from qvq_cli.errors import EngineDiedError


class PictureFrame(NamedTuple):
    """A picture's place in a prompt: text tokens, then h*w embeddings, then text tokens."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    grid: PatchGrid

    @property
    def n_tokens(self) -> int:
        """Cells of all three."""
        return len(self.before) + self.grid.image_tokens + len(self.after)

    @property
    def n_pos(self) -> int:
        """Positions that the embeddings take."""
        return max(self.grid)


class PreparedPicture(NamedTuple):
    """A picture that mtmd has cut into patches. chunks: mtmd's own, to be released."""

    frame: PictureFrame
    chunks: Any


class Vision:
    """The vision half of one model.

    Args:
        model: the loaded llama_model that the embeddings are for.
        last_words: tells why llama.cpp refused something.
    """

    def __init__(
        self, lib: Any, mtmd: Any, model: Any, spec: LoadSpec, last_words: Callable[[], str]
    ) -> None:
        self._lib = lib
        self._mtmd = mtmd
        self._model = model
        self._spec = spec
        self._last_words = last_words
        self._n_bytes = Path(spec.mmproj_path).stat().st_size
        self._context: Any = None
        self._callback: Any = None  # lives as long as C may call it
        self.load_s = 0.0

    @property
    def is_loaded(self) -> bool:
        return bool(self._context)

    def is_for(self, spec: LoadSpec) -> bool:
        """Whether a model that is loaded like this has the same vision half."""
        return self._spec.reads_mmproj_like(spec)

    def load(self, report: Callable[[float], None]) -> None:
        """Load the mmproj, once; load_s is what it took.

        Raises: GgufError, DoesNotFitError: llama.cpp refused it.
        """
        if self.is_loaded:
            return
        started = time.perf_counter()
        params = self._mtmd.mtmd_context_params_default()
        params.use_gpu = self._spec.vision_on_gpu
        params.print_timings = False
        params.n_threads = self._spec.most_threads
        params.warmup = False  # llama.cpp then makes the compute buffers for the real picture
        params.image_min_tokens = 1  # our bitmaps come at their final size: nothing to resize
        params.image_max_tokens = 1 << 20
        path = self._spec.mmproj_path
        with FaultsAhead(self._n_bytes) as faults:
            watched = faults.watch(report)
            self._callback = progress_callback(self._mtmd.mtmd_progress_callback, watched)
            params.progress_callback = self._callback
            self._context = self._mtmd.mtmd_init_from_file(os.fsencode(path), self._model, params)
        if not self._context or not self._mtmd.mtmd_support_vision(self._context):
            raise load_error(path, self._last_words())
        self.load_s = time.perf_counter() - started

    def prepare(self, bitmap: Bitmap) -> PreparedPicture:
        """Cut a bitmap into patches; afterwards its tokens can be counted."""
        mtmd = self._mtmd
        rgb = (ctypes.c_uint8 * len(bitmap.rgb)).from_buffer_copy(bitmap.rgb)
        c_bitmap = mtmd.mtmd_bitmap_init(bitmap.width_px, bitmap.height_px, rgb)
        part = mtmd.mtmd_input_part()
        part.bitmap = c_bitmap
        array = (ctypes.POINTER(mtmd.mtmd_input_part) * 1)(ctypes.pointer(part))
        chunks = mtmd.mtmd_input_chunks_init()
        status = mtmd.mtmd_tokenize_from_parts(self._context, chunks, array, 1, False)
        mtmd.mtmd_bitmap_free(c_bitmap)
        if status != 0:
            mtmd.mtmd_input_chunks_free(chunks)
            raise EngineDiedError(
                f"llama.cpp could not cut the picture up (status {status}): {self._last_words()}",
                reference="tokenize-failed",
            )
        return PreparedPicture(self._frame(chunks), chunks)

    def encode(self, picture: PreparedPicture) -> Any:
        """Compute a picture's embeddings.

        Returns: a ctypes array of float32, (image_tokens, n_embd_inp) in rows, which the next
            encode overwrites.
        """
        status = self._mtmd.mtmd_encode_chunk(self._context, self._image_chunk(picture.chunks))
        if status != 0:
            raise EngineDiedError(
                f"llama.cpp could not encode the picture (status {status}): {self._last_words()}",
                hint="try a smaller --image-tokens-max",
                reference="image-encode-failed",
            )
        embd = self._mtmd.mtmd_get_output_embd(self._context)
        # n_embd_inp: Qwen3-VL's rows hold the deepstack's embeddings as well.
        n_floats = picture.frame.grid.image_tokens * self._lib.llama_model_n_embd_inp(self._model)
        return ctypes.cast(embd, ctypes.POINTER(ctypes.c_float * n_floats)).contents

    def release(self, picture: PreparedPicture) -> None:
        """Let mtmd's half of a picture go."""
        self._mtmd.mtmd_input_chunks_free(picture.chunks)

    def close(self) -> None:
        """Let the mmproj go."""
        if self._context:
            self._mtmd.mtmd_free(self._context)
        self._context = None

    def _frame(self, chunks: Any) -> PictureFrame:
        mtmd = self._mtmd
        tokens: tuple[list[int], list[int]] = ([], [])
        grid: PatchGrid | None = None
        for i in range(mtmd.mtmd_input_chunks_size(chunks)):
            chunk = mtmd.mtmd_input_chunks_get(chunks, i)
            if mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_IMAGE:
                image = mtmd.mtmd_input_chunk_get_tokens_image(chunk)
                grid = PatchGrid(
                    mtmd.mtmd_image_tokens_get_ny(image), mtmd.mtmd_image_tokens_get_nx(image)
                )
            else:
                n = ctypes.c_size_t()
                found = mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(n))
                tokens[grid is not None].extend(found[: n.value])
        assert grid is not None
        return PictureFrame(tuple(tokens[0]), tuple(tokens[1]), grid)

    def _image_chunk(self, chunks: Any) -> Any:
        mtmd = self._mtmd
        found = (
            mtmd.mtmd_input_chunks_get(chunks, i)
            for i in range(mtmd.mtmd_input_chunks_size(chunks))
        )
        return next(
            chunk
            for chunk in found
            if mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_IMAGE
        )
