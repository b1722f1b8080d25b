"""llama.cpp through its C API: one model, one mmproj, one prompt in the KV cache.

Drives llama_cpp.llama_cpp and llama_cpp.mtmd_cpp, not llama_cpp.Llama and its chat handlers: those
take M-RoPE positions for KV cells, force a repeat penalty, encode a picture again on every call and
can't be steered in the middle. Here n_tokens (cells) and n_pos (positions) are two numbers all
along.

It crashes when llama.cpp does. `process.WorkerEngine` runs it in a process of its own.
"""

import ctypes
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qvq_cli.engine.chains import Chains, Machinery
from qvq_cli.engine.draft_model import DraftModel
from qvq_cli.engine.drafts import BREAK, Drafter
from qvq_cli.engine.llama_library import Backends, import_llama_cpp
from qvq_cli.engine.protocol import (
    N_UBATCH,
    Bitmap,
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
    TextPart,
)
from qvq_cli.engine.sampler import make_sampler
from qvq_cli.errors import (
    DoesNotFitError,
    EngineDiedError,
    GgufError,
    PromptError,
)

N_BATCH = 2048
GGML_LOG_WARN, GGML_LOG_CONT = 3, 5


class LlamaEngine:
    """The Engine protocol on llama.cpp, in this process.

    Args:
        verbose: pass llama.cpp's log on to stderr; otherwise only its last warnings are kept, to
            explain a failure.
    """

    def __init__(self, *, verbose: bool = False) -> None:
        self._lib, self._mtmd = import_llama_cpp()
        self._log_tail: deque[str] = deque(maxlen=20)
        self._verbose = verbose
        self._callbacks: list[Any] = []  # ctypes callbacks live as long as C may call them
        self._set_log()
        self._lib.llama_backend_init()
        self._backends = Backends(Path(self._lib._base_path))
        self._model: Any = None
        self._vision: Any = None
        self._ctx: Any = None
        self._sampler: Any = None
        self._batch: Any = None
        self._chains: Chains | None = None
        self._pieces: dict[int, Piece] = {}
        self._n_tokens = 0
        self._n_pos = 0
        # Of each picture of the prompt its size and float32 embeddings, where they are kept.
        self._seen: list[tuple[Bitmap, ctypes.Array[ctypes.c_float]]] = []
        # Every text token from the prompt's last one on; the KV cache holds them all but a pending
        # one, and while a pass is being read, the rest of its draft.
        self._history: list[int] = []
        self._pending: int | None = None
        # The pass that is being read: its draft, the row of logits to choose from next, its time.
        self._drafter = Drafter()
        self._draft: list[int] = []
        self._row = -1
        self._draft_s = self._pass_began_s = 0.0
        self._pass_s: float | None = None
        self._draft_model: DraftModel | None = None
        self._guess_share = 0.0

    def devices(self) -> tuple[Device, ...]:
        """See Engine.devices."""
        return self._backends.devices()

    def system_info(self) -> str:
        """What this llama.cpp was compiled for: "CPU : AVX2 = 1 | AMX_INT8 = 1 | ..."."""
        return str(self._lib.llama_print_system_info().decode("utf-8", "replace")).strip()

    # load

    def load(self, spec: LoadSpec, on_progress: OnProgress) -> ModelInfo:
        """See Engine.load."""
        started = time.perf_counter()
        paths = [spec.model_path, spec.mmproj_path, *([spec.draft_path] if spec.draft_path else [])]
        sizes = [Path(path).stat().st_size for path in paths]
        report = _Shares(sizes, lambda share: on_progress("load", share))
        self._n_threads, self._kv_type, self._drafts = spec.n_threads, spec.kv_type, spec.drafts
        self._model = self._load_model(spec.model_path, spec.n_gpu_layers, spec, report.of(0))
        self._load_vision(spec, report.of(1))
        self._vocab = self._lib.llama_model_get_vocab(self._model)
        if spec.draft_path:
            n_layers = -1 if spec.draft_on_gpu else 0
            model = self._load_model(spec.draft_path, n_layers, spec, report.of(2))
            name = Path(spec.draft_path).name
            self._draft_model = DraftModel(self._lib, model, self._vocab, name)
            self._guess_share = sizes[2] / max(sizes[0], 1)
        return ModelInfo(
            n_ctx_train=self._lib.llama_model_n_ctx_train(self._model),
            n_vocab=self._lib.llama_vocab_n_tokens(self._vocab),
            load_s=time.perf_counter() - started,
        )

    def _load_model(
        self, path: str, n_gpu_layers: int, spec: LoadSpec, report: Callable[[float], None]
    ) -> Any:
        params = self._lib.llama_model_default_params()
        params.n_gpu_layers = n_gpu_layers
        params.use_extra_bufts = spec.repack
        if spec.repack and n_gpu_layers == 0:
            # Mapped weights would stay in memory beside their rewritten copies.
            params.load_mode = self._lib.LLAMA_LOAD_MODE_NONE
        params.progress_callback = self._progress_callback(
            self._lib.llama_progress_callback, report
        )
        if spec.device is not None:
            handle = None if spec.device == "none" else self._backends.handle(spec.device)
            self._device_list = (ctypes.c_void_p * 2)(handle, None)
            params.devices = ctypes.cast(self._device_list, ctypes.c_void_p)
        model = self._lib.llama_model_load_from_file(os.fsencode(path), params)
        if not model:
            raise self._load_error(path)
        return model

    def _load_vision(self, spec: LoadSpec, report: Callable[[float], None]) -> None:
        params = self._mtmd.mtmd_context_params_default()
        params.use_gpu = spec.vision_on_gpu
        params.print_timings = False
        params.n_threads = spec.n_threads
        params.warmup = False  # llama.cpp then makes the compute buffers for the real picture
        params.image_min_tokens = 1  # our bitmaps come at their final size: nothing to resize
        params.image_max_tokens = 1 << 20
        params.progress_callback = self._progress_callback(
            self._mtmd.mtmd_progress_callback, report
        )
        self._vision = self._mtmd.mtmd_init_from_file(
            os.fsencode(spec.mmproj_path), self._model, params
        )
        if not self._vision or not self._mtmd.mtmd_support_vision(self._vision):
            raise self._load_error(spec.mmproj_path)

    def _progress_callback(self, prototype: Any, report: Callable[[float], None]) -> Any:
        last = -1.0

        def on_progress(share: float, _: object) -> bool:
            nonlocal last
            if share - last >= 0.01 or share >= 1.0:
                last = share
                report(share)
            return True

        callback = prototype(on_progress)
        self._callbacks.append(callback)
        return callback

    def _load_error(self, path: str) -> GgufError | DoesNotFitError:
        reason = self._last_words()
        if any(word in reason.lower() for word in ("allocate", "out of memory", "bad_alloc")):
            return DoesNotFitError(
                f"there is not enough memory to load {path}: {reason}",
                hint="try a smaller quant, or fewer --n-gpu-layers",
                reference="load-out-of-memory",
            )
        return GgufError(
            f"llama.cpp can't load {path}: {reason}",
            hint="run again with --verbose to see its whole log; download the file again if it may "
            "be damaged",
            reference="model-refused",
        )

    # prefill

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
        self._sampling = sampling
        self._seen = []
        chunks = self._tokenize(parts)
        try:
            n_prompt = self._mtmd.mtmd_helper_get_n_tokens(chunks)
            self._make_context(n_prompt, reserve)
            bitmaps = [part for part in parts if isinstance(part, Bitmap)]
            done = self._run_prompt(chunks, n_prompt, on_progress, bitmaps if keep_pictures else ())
            return replace(done, n_ctx=self._fork(reserve.n_chains))
        finally:
            self._mtmd.mtmd_input_chunks_free(chunks)

    def _tokenize(self, parts: Sequence[PromptPart]) -> Any:
        mtmd = self._mtmd
        bitmaps: list[Any] = []
        keep: list[Any] = []
        array = (ctypes.POINTER(mtmd.mtmd_input_part) * len(parts))()
        for i, part in enumerate(parts):
            c_part = mtmd.mtmd_input_part()
            if isinstance(part, Bitmap):
                size = len(part.rgb)
                # Without pixels it is mtmd's placeholder: tokenized alike, never encoded.
                rgb = (ctypes.c_uint8 * size).from_buffer_copy(part.rgb) if size else None
                bitmap = mtmd.mtmd_bitmap_init(part.width_px, part.height_px, rgb)
                bitmaps.append(bitmap)
                c_part.bitmap = bitmap
            else:
                data = part.text.encode("utf-8", "replace")
                text = mtmd.mtmd_input_text(data, len(data), False, part.parse_special)
                keep += [data, text]
                c_part.text = ctypes.pointer(text)
            keep.append(c_part)
            array[i] = ctypes.pointer(c_part)
        chunks = mtmd.mtmd_input_chunks_init()
        status = mtmd.mtmd_tokenize_from_parts(self._vision, chunks, array, len(parts), False)
        for bitmap in bitmaps:
            mtmd.mtmd_bitmap_free(bitmap)
        if status != 0:
            mtmd.mtmd_input_chunks_free(chunks)
            raise EngineDiedError(
                f"llama.cpp could not tokenize the prompt (status {status}): {self._last_words()}",
                reference="tokenize-failed",
            )
        return chunks

    def _make_context(self, n_prompt: int, reserve: Reserve) -> None:
        n_ctx_train = self._lib.llama_model_n_ctx_train(self._model)
        if n_prompt + reserve.n_min > n_ctx_train:
            raise PromptError(
                f"the question and its pictures take {n_prompt} tokens and an answer needs "
                f"{reserve.n_min}, but this model was trained for {n_ctx_train} in all",
                hint="use fewer pictures, a smaller --image-tokens-max or a shorter question",
            )
        n_ctx = min(n_prompt + reserve.n_max, n_ctx_train)
        n_chains = reserve.n_chains
        if n_chains > 1:
            # The prompt's cells are shared, but for its last token: see chains.py.
            n_ctx += (n_chains - 1) * (n_ctx - n_prompt) + n_chains
        self._free_context()
        params = self._lib.llama_context_default_params()
        params.n_ctx = n_ctx
        params.n_batch = N_BATCH
        params.n_ubatch = N_UBATCH
        params.n_seq_max = n_chains
        params.kv_unified = n_chains > 1
        params.n_threads = self._n_threads
        params.n_threads_batch = self._n_threads
        params.no_perf = True
        if self._kv_type == "q8_0":
            params.type_k = params.type_v = self._lib.GGML_TYPE_Q8_0
            # llama.cpp reads quantized values in its flash attention only.
            params.flash_attn_type = self._lib.LLAMA_FLASH_ATTN_TYPE_ENABLED
        self._ctx = self._lib.llama_init_from_model(self._model, params)
        if not self._ctx:
            raise DoesNotFitError(
                f"llama.cpp could not make room for a context of {n_ctx} tokens: "
                f"{self._last_words()}",
                hint="use a smaller --max-thinking or --image-tokens-max, or fewer --n-gpu-layers",
                reference="context-out-of-memory",
            )
        self._memory = self._lib.llama_get_memory(self._ctx)
        self._batch = self._lib.llama_batch_init(N_BATCH, 0, 1)
        self._n_ctx: int = self._lib.llama_n_ctx(self._ctx)
        self._n_tokens = self._n_pos = 0
        self._drafter = Drafter(self._draft_model, self._guess_share)
        if self._draft_model is not None:
            self._draft_model.start(self._n_ctx, self._n_threads)
        self._draft = []
        self._pass_s = None

    def _run_prompt(
        self, chunks: Any, n_prompt: int, on_progress: OnProgress, kept: Sequence[Bitmap]
    ) -> Prefilled:
        mtmd = self._mtmd
        items, is_image = self._items(chunks)
        image_tokens: list[int] = []
        image_s = 0.0
        started = time.perf_counter()
        for i, item in enumerate(items):
            if is_image[i]:
                on_progress("image", len(image_tokens) / sum(is_image))
                before = time.perf_counter()
                embd = self._encode_image(item)
                image_s += time.perf_counter() - before
                if kept:
                    self._keep_picture(kept[len(image_tokens)], item, embd)
                image_tokens.append(mtmd.mtmd_input_chunk_get_n_tokens(item))
                self._drafter.index.tokens.append(BREAK)
                self._prefill_image(item, embd, n_prompt, on_progress)
            else:
                self._prefill_text(
                    self._text_tokens(item), i == len(items) - 1, n_prompt, on_progress
                )
        if self._draft_model is not None:
            self._draft_model.read(self._drafter.index.tokens)
        on_progress("prefill", 1.0)
        self._drafter.prefilled(time.perf_counter() - started)
        self._new_sampler()
        return Prefilled(
            n_tokens=self._n_tokens,
            n_pos=self._n_pos,
            n_ctx=self._n_ctx,
            image_tokens=tuple(image_tokens),
            image_s=image_s,
            prefill_s=time.perf_counter() - started - image_s,
        )

    def _items(self, chunks: Any) -> tuple[list[Any], list[bool]]:
        """The chunks in order, and which of them are pictures."""
        mtmd = self._mtmd
        items = [
            mtmd.mtmd_input_chunks_get(chunks, i)
            for i in range(mtmd.mtmd_input_chunks_size(chunks))
        ]
        types = [mtmd.mtmd_input_chunk_get_type(item) for item in items]
        return items, [each == mtmd.MTMD_INPUT_CHUNK_TYPE_IMAGE for each in types]

    def _text_tokens(self, chunk: Any) -> list[int]:
        n = ctypes.c_size_t()
        tokens = self._mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(n))
        return list(tokens[: n.value])

    def _encode_image(self, chunk: Any) -> Any:
        status = self._mtmd.mtmd_encode_chunk(self._vision, chunk)
        if status != 0:
            raise EngineDiedError(
                f"llama.cpp could not encode the picture (status {status}): {self._last_words()}",
                hint="try a smaller --image-tokens-max",
                reference="image-encode-failed",
            )
        return self._mtmd.mtmd_get_output_embd(self._vision)

    def _keep_picture(self, bitmap: Bitmap, chunk: Any, embd: Any) -> None:
        """Copy its embeddings of shape (n_tokens, n_embd_inp); mtmd overwrites its own.

        n_embd_inp, what the text model takes in, counts Qwen3-VL's deepstack levels too.
        """
        n_tokens = self._mtmd.mtmd_input_chunk_get_n_tokens(chunk)
        n_floats = n_tokens * self._lib.llama_model_n_embd_inp(self._model)
        copy = (ctypes.c_float * n_floats)()
        ctypes.memmove(copy, embd, ctypes.sizeof(copy))
        self._seen.append((replace(bitmap, rgb=b""), copy))

    def _prefill_image(self, chunk: Any, embd: Any, n_prompt: int, on_progress: OnProgress) -> None:
        def on_batch(view: Any, _: object) -> int:
            self._n_tokens += view.contents.n_tokens
            on_progress("prefill", self._n_tokens / n_prompt)
            return 0

        new_n_pos = self._lib.llama_pos(0)
        status = self._mtmd.mtmd_helper_decode_image_chunk(
            self._vision,
            self._ctx,
            chunk,
            embd,
            self._n_pos,
            0,
            N_BATCH,
            ctypes.byref(new_n_pos),
            self._mtmd.mtmd_helper_post_decode_callback(on_batch),
            None,
        )
        self._check_decode(status)
        self._n_pos = new_n_pos.value

    def _prefill_text(
        self, tokens: list[int], is_last: bool, n_prompt: int, on_progress: OnProgress
    ) -> None:
        for start in range(0, len(tokens), N_BATCH):
            part = tokens[start : start + N_BATCH]
            is_end = is_last and start + N_BATCH >= len(tokens)
            self._decode_tokens(part, n_logits=int(is_end))
            on_progress("prefill", self._n_tokens / n_prompt)
        self._drafter.index.tokens += tokens
        if is_last:
            self._history = tokens[-1:]
            self._pending = None
            self._row = -1

    def _fork(self, n_chains: int) -> int:
        """Begin as many chains behind the prompt. Returns: the cells for it and one chain."""
        n_ctx = int(self._lib.llama_n_ctx(self._ctx))
        if n_chains == 1:
            return n_ctx
        n_free = n_ctx - self._n_tokens - n_chains
        n_ctx_train = int(self._lib.llama_model_n_ctx_train(self._model))
        n_ctx = min(self._n_tokens + n_free // n_chains, n_ctx_train)
        self._chains = Chains(
            Machinery(
                self._lib,
                self._ctx,
                self._vocab,
                self._batch,
                run=lambda: self._check_decode(self._lib.llama_decode(self._ctx, self._batch)),
                piece=lambda token: self._pieces.get(token) or self._piece(token),
            ),
            self._sampling,
            n_chains=n_chains,
            n_ctx=n_ctx,
            n_tokens=self._n_tokens,
            n_pos=self._n_pos,
            last_token=self._history[-1],
        )
        return n_ctx

    # decode

    def decode(self, n_max: int) -> Generator[Piece]:
        """See Engine.decode. Never runs ahead: the next token is chosen when it is asked for.

        A pass may have run a draft behind the pending token. As long as the model chooses the
        draft's tokens, the logits for the next one are there already.
        """
        sample, sampler, ctx = self._lib.llama_sampler_sample, self._sampler, self._ctx
        pieces, history, text = self._pieces, self._history, self._drafter.index.tokens
        for n_left in range(n_max, 0, -1):
            if self._pending is None:
                token = sample(sampler, ctx, self._row)
            else:
                if not self._run_pass(n_left - 1):
                    return
                token = sample(sampler, ctx, 0)
                self._pass_s = time.perf_counter() - self._pass_began_s
            if 0 <= self._row < len(self._draft) and token == self._draft[self._row]:
                self._row += 1
            else:
                self._settle()
                self._pending = token
            piece = pieces.get(token) or self._piece(token)
            if piece.is_eog:
                self._settle()
                self._pending = None
                yield piece
                return
            history.append(token)
            text.append(token)
            yield piece

    def decode_chains(self, chains: Sequence[int], n_rounds: int) -> Generator[Round]:
        """See Engine.decode_chains. Never runs ahead."""
        assert self._chains is not None
        return self._chains.decode(chains, n_rounds)

    def _run_pass(self, n_draft_max: int) -> bool:
        """Run the pending token with a draft behind it. Returns: False when no cell is free."""
        assert self._pending is not None
        n_free = self._n_ctx - self._n_tokens
        if n_free < 1:
            return False
        self._settle()
        began_s = time.perf_counter()
        self._draft = self._drafter.propose(min(n_draft_max, n_free - 1)) if self._drafts else []
        self._pass_began_s = time.perf_counter()
        self._draft_s = self._pass_began_s - began_s
        self._decode_tokens([self._pending, *self._draft], n_logits=len(self._draft) + 1)
        self._pending = None
        self._row = 0
        return True

    def _settle(self) -> None:
        """The pass is over: its draft is kept as far as it came true, the rest is forgotten."""
        if self._pass_s is None:
            return
        n_draft, n_accepted = len(self._draft), self._row
        if n_accepted < n_draft:
            n_wrong = n_draft - n_accepted
            self._lib.llama_memory_seq_rm(self._memory, 0, self._n_pos - n_wrong, -1)
            self._n_pos -= n_wrong
            self._n_tokens -= n_wrong
        self._drafter.passed(n_draft, n_accepted, self._pass_s, self._draft_s)
        self._draft = []
        self._pass_s = None

    def append(self, text: str, *, parse_special: bool = False, chain: int = 0) -> int:
        """See Engine.append."""
        self._settle()
        tokens = self._tokenize_text(text, parse_special)
        if self._chains is not None:
            self._chains.append(chain, tokens)
            return len(tokens)
        pending = [] if self._pending is None else [self._pending]
        if self._n_tokens + len(pending) + len(tokens) > self._n_ctx:
            raise PromptError("no room is left in the context for the conclusion")
        self._decode_tokens(pending + tokens, n_logits=1)
        self._pending = None
        self._row = -1
        self._history += tokens
        self._drafter.index.tokens += tokens
        self._new_sampler()
        return len(tokens)

    def look_again(self, before: str, after: str) -> int:
        """See Engine.look_again."""
        if not self._seen:
            raise PromptError("there is no picture to look at again")
        self._settle()
        bitmaps = [bitmap for bitmap, _ in self._seen]
        chunks = self._tokenize([TextPart(before, False), *bitmaps, TextPart(after, False)])
        try:
            n = int(self._mtmd.mtmd_helper_get_n_tokens(chunks))
            pending = [] if self._pending is None else [self._pending]
            if self._n_tokens + len(pending) + n > self._n_ctx:
                raise PromptError("no room is left in the context to look at the picture again")
            self._run_look(chunks, pending, self._n_tokens + len(pending) + n)
        finally:
            self._mtmd.mtmd_input_chunks_free(chunks)
        self._pending = None
        self._row = -1
        self._new_sampler()
        return n

    def _run_look(self, chunks: Any, pending: list[int], n_end: int) -> None:
        """Decode the chunks behind the token that waited; the last one is text."""
        embeddings = iter([embd for _, embd in self._seen])
        items, is_image = self._items(chunks)
        for i, item in enumerate(items):
            if is_image[i]:
                self._prefill_image(item, next(embeddings), n_end, lambda *_: None)
                self._drafter.index.tokens.append(BREAK)
            else:
                tokens = self._text_tokens(item)
                self._decode_tokens(pending + tokens, n_logits=int(i == len(items) - 1))
                self._history += tokens
                self._drafter.index.tokens += tokens
                pending = []

    def rewind(self, n_drop: int) -> None:
        """Forget the last n_drop decoded tokens: the KV cache ends with the one before them.

        The logits went with them, so the last token kept is run again by what comes next. With
        several chains, n_drop counts rounds.
        """
        if self._chains is not None:
            self._chains.rewind(n_drop)
            return
        self._settle()
        if n_drop <= 0:
            return
        self._drafter.index.truncate(n_drop)
        if self._pending is not None:
            n_drop -= 1
            self._history.pop()
            self._pending = None
        if n_drop > 0:
            del self._history[len(self._history) - n_drop :]
        n_remove = n_drop + 1
        self._lib.llama_memory_seq_rm(self._memory, 0, self._n_pos - n_remove, -1)
        self._n_pos -= n_remove
        self._n_tokens -= n_remove
        self._pending = self._history[-1]

    def draft_counts(self) -> DraftCounts:
        """See Engine.draft_counts."""
        return DraftCounts(self._drafter.drafted, self._drafter.accepted)

    def close(self) -> None:
        """See Engine.close."""
        self._free_context()
        if self._draft_model is not None:
            self._draft_model.close()
        self._draft_model = None
        if self._vision:
            self._mtmd.mtmd_free(self._vision)
        if self._model:
            self._lib.llama_model_free(self._model)
        self._vision = self._model = None

    def _free_context(self) -> None:
        if self._chains is not None:
            self._chains.close()
            self._chains = None
        if self._sampler:
            self._lib.llama_sampler_free(self._sampler)
        if self._batch is not None:
            self._lib.llama_batch_free(self._batch)
        if self._ctx:
            self._lib.llama_free(self._ctx)
        self._sampler = self._batch = self._ctx = None

    def _decode_tokens(self, tokens: list[int], *, n_logits: int) -> None:
        """Run text tokens at the next positions; logits only for the last n_logits of them."""
        batch = self._batch
        n = len(tokens)
        batch.n_tokens = n
        for i, token in enumerate(tokens):
            batch.token[i] = token
            batch.pos[i] = self._n_pos + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = i >= n - n_logits
        self._check_decode(self._lib.llama_decode(self._ctx, batch))
        self._n_tokens += n
        self._n_pos += n

    def _check_decode(self, status: int) -> None:
        if status != 0:
            raise EngineDiedError(
                f"llama.cpp stopped computing (status {status}): {self._last_words()}",
                hint="run again with --verbose to see its whole log",
                reference="decode-failed",
            )

    def _tokenize_text(self, text: str, parse_special: bool) -> list[int]:
        data = text.encode()
        tokens = (ctypes.c_int32 * (len(data) + 8))()
        n = self._lib.llama_tokenize(
            self._vocab, data, len(data), tokens, len(tokens), False, parse_special
        )
        return list(tokens[:n])

    def _piece(self, token: int) -> Piece:
        is_eog = self._lib.llama_vocab_is_eog(self._vocab, token)
        buffer = ctypes.create_string_buffer(256)
        n = self._lib.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, False)
        if n < 0:
            buffer = ctypes.create_string_buffer(-n)
            n = self._lib.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, False)
        piece = Piece(token, b"" if is_eog else buffer.raw[:n], is_eog)
        self._pieces[token] = piece
        return piece

    def _new_sampler(self) -> None:
        """A fresh sampler chain; depends on seed and history only."""
        if self._sampler:
            self._lib.llama_sampler_free(self._sampler)
        self._sampler = make_sampler(self._lib, self._vocab, self._sampling, self._history)

    # log

    def _set_log(self) -> None:
        state = {"level": 0}

        def on_log(level: int, text: bytes, _: object) -> None:
            if level != GGML_LOG_CONT:
                state["level"] = level
            if self._verbose:
                os.write(2, text)
            if state["level"] >= GGML_LOG_WARN:
                self._log_tail.append(text.decode("utf-8", "replace"))

        callback = self._lib.llama_log_callback(on_log)
        self._callbacks.append(callback)
        self._lib.llama_log_set(callback, None)
        self._mtmd.mtmd_helper_log_set(callback, None)

    def _last_words(self) -> str:
        """llama.cpp's last errors in one line, the oldest first: the first is usually the cause."""
        lines = "".join(self._log_tail).splitlines()
        return " / ".join(line.strip() for line in lines[-4:] if line.strip()) or "no reason given"


class _Shares:
    """Progress of several files as one, by their sizes."""

    def __init__(self, sizes: Sequence[int], report: Callable[[float], None]) -> None:
        self._sizes = sizes
        self._report = report

    def of(self, i: int) -> Callable[[float], None]:
        """What to call with the share of file i that is done."""
        total = max(sum(self._sizes), 1)
        before, size = sum(self._sizes[:i]), self._sizes[i]
        return lambda share: self._report((before + share * size) / total)
