"""llama.cpp through its C API: one model, one mmproj, one prompt in the KV cache.

Drives llama_cpp.llama_cpp and llama_cpp.mtmd_cpp, not llama_cpp.Llama and its chat handlers: those
take M-RoPE positions for KV cells, force a repeat penalty, encode a picture again on every call and
can't be steered in the middle. Here n_tokens (cells) and n_pos (positions) are two numbers all
along.

It crashes when llama.cpp does. `process.WorkerEngine` runs it in a process of its own.
"""

import ctypes
import mmap
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qvq_cli.engine.batch_threads import BatchThreads
from qvq_cli.engine.chains import Chains, Machinery
from qvq_cli.engine.draft_model import DraftModel
from qvq_cli.engine.drafts import ON_CPU, ON_GPU, UNTILED, Drafter
from qvq_cli.engine.layout import Pictures, TextStretch, split_behind_pictures
from qvq_cli.engine.llama_library import (
    Backends,
    LlamaLog,
    build_stamp,
    import_llama_cpp,
)
from qvq_cli.engine.loading import FileSizes, Loader
from qvq_cli.engine.ngrams import BREAK
from qvq_cli.engine.past import N_BEFORE, Past
from qvq_cli.engine.prefill_cache import PrefillCache, SavedPrompt
from qvq_cli.engine.protocol import (
    N_BATCH,
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
from qvq_cli.engine.sampler import GreatestLogit, is_plain_greedy, make_sampler
from qvq_cli.engine.text_batch import TextBatch
from qvq_cli.engine.tiles import Tiles
from qvq_cli.engine.vision import PictureFrame, Vision
from qvq_cli.errors import DoesNotFitError, EngineDiedError, PromptError

_SMALL_MMPROJ_BYTES = 64 << 20


class _Head(NamedTuple):
    """How the prompt up to its last picture got into the KV cache, and what stands behind it."""

    after: tuple[int, ...]
    image_tokens: tuple[int, ...]
    image_s: float = 0.0
    load_s: float = 0.0
    cached_tokens: int = 0
    cached_images: int = 0


class LlamaEngine:
    """The Engine protocol on llama.cpp, in this process.

    Args:
        verbose: pass llama.cpp's log on to stderr; otherwise only its last warnings are kept, to
            explain a failure.

    on_reuse, when it is set before load, is told every file of the cache before it is used.
    """

    on_reuse: Callable[[Path], None] | None = None

    def __init__(self, *, verbose: bool = False) -> None:
        self._lib, self._mtmd = import_llama_cpp()
        self._log = LlamaLog(self._lib, self._mtmd, verbose=verbose)
        self._lib.llama_backend_init()
        self._backends = Backends(Path(self._lib._base_path))
        self._loader = Loader(self._lib, self._backends, self._log.last_words)
        self._vision_ahead: Vision | None = None
        self._model: Any = None
        self._ctx: Any = None
        self._sampler: Any = None
        self._sample: Callable[[Any, Any, int], int]
        self._batch: TextBatch | None = None
        self._chains: Chains | None = None
        self._pieces: dict[int, Piece] = {}
        self._n_tokens = 0
        self._n_pos = 0
        # Of each picture of the prompt its place and float32 embeddings, where they are kept.
        self._seen: list[tuple[PictureFrame, ctypes.Array[ctypes.c_float]]] = []
        # Every text token from the prompt's last one on; the KV cache holds them all but a pending
        # one, and while a pass is being read, the rest of its draft.
        self._history: list[int] = []
        self._pending: int | None = None
        # The pass that is being read: its draft and the row of logits to choose from next; and if
        # a draft was looked for, what that took and what the pass took.
        self._drafter = Drafter()
        self._draft: list[int] = []
        self._row = -1
        self._draft_s = 0.0
        self._pass_s: float | None = None
        self._draft_model: DraftModel | None = None
        self._guess_share = 0.0
        # What earlier runs said of the prompt's pictures, and where in the text what this one says
        # begins; None while the prompt is being read.
        self._past: Past | None = None
        self._n_read: int | None = None

    def devices(self) -> tuple[Device, ...]:
        """See Engine.devices."""
        return self._backends.devices()

    def system_info(self) -> str:
        """What this llama.cpp was compiled for: "CPU : AVX2 = 1 | AMX_INT8 = 1 | ..."."""
        return str(self._lib.llama_print_system_info().decode("utf-8", "replace")).strip()

    # load

    def load_ahead(self, spec: LoadSpec, on_progress: OnProgress) -> None:
        """Load what a `load` that would read it the same way then finds there.

        That is the text model, and a small mmproj: a large one takes longer than what there is to
        do meanwhile, and a picture from the cache doesn't need it.
        """
        model = self._loader.load_ahead(spec, on_progress)
        sizes = FileSizes.of(spec)
        if sizes.mmproj <= _SMALL_MMPROJ_BYTES:
            self._vision_ahead = self._make_vision(model, spec)
            self._vision_ahead.load(lambda done: on_progress("load", sizes.share_with_mmproj(done)))

    def _make_vision(self, model: Any, spec: LoadSpec) -> Vision:
        return Vision(self._lib, self._mtmd, model, spec, self._log.last_words)

    def load(self, spec: LoadSpec, on_progress: OnProgress) -> ModelInfo:
        """See Engine.load."""
        vision, self._vision_ahead = self._vision_ahead, None
        if vision is not None and not vision.is_for(spec):
            vision.close()
            vision = None
        text = self._loader.load(spec, on_progress)
        started = time.perf_counter()
        self._n_threads, self._most_threads = spec.n_threads, spec.most_threads
        self._kv_type, self._drafts = spec.kv_type, spec.drafts
        self._is_on_gpu = spec.n_gpu_layers != 0
        info = self.system_info()
        stamp = build_stamp(Path(self._lib._base_path), info)
        self._cache = PrefillCache(spec, stamp, self.on_reuse)
        self._kept_in = spec.cache
        self._model = text.handle
        n_layers = self._lib.llama_model_n_layer(self._model)
        self._is_all_on_gpu = spec.n_gpu_layers < 0 or spec.n_gpu_layers > n_layers
        self._tiles = self._find_tiles(spec, info)
        self._vision = vision or self._make_vision(text.handle, spec)
        self._pictures = Pictures(self._vision, self._cache, self._tokenize_text)
        self._vocab = self._lib.llama_model_get_vocab(self._model)
        self._sizes = sizes = FileSizes.of(spec)
        if spec.draft_path:
            draft, name = self._loader.load_draft(spec, on_progress), Path(spec.draft_path).name
            self._draft_model = DraftModel(self._lib, draft, self._vocab, name)
            self._guess_share = sizes.draft / max(sizes.model, 1)
        return ModelInfo(
            n_ctx_train=self._lib.llama_model_n_ctx_train(self._model),
            n_vocab=self._lib.llama_vocab_n_tokens(self._vocab),
            load_s=text.load_s + self._vision.load_s + time.perf_counter() - started,
        )

    def _find_tiles(self, spec: LoadSpec, system_info: str) -> Tiles:
        if self._is_all_on_gpu:
            return Tiles()
        quant = self._lib.llama_ftype_name(self._lib.llama_model_ftype(self._model))
        tiles = Tiles.of(quant.decode(), system_info)
        # Repacking takes Q4_K out of them, but neither Q6_K, which most files have some of, nor IQ.
        return tiles._replace(are_slow=tiles.are_slow and not spec.repack)

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
        self.keep_said()
        self._n_read = None
        self._past = None if self._kept_in is None else Past(self._kept_in, parts)
        self._sampling = sampling
        self._sample = self._lib.llama_sampler_sample
        if self._is_on_gpu and is_plain_greedy(sampling):
            self._sample = GreatestLogit(self._lib, self._lib.llama_vocab_n_tokens(self._vocab))
        self._seen = []
        head, tail = split_behind_pictures(parts)
        question = self._tokenize_parts(tail)
        started = time.perf_counter()
        read = self._restore_head(head, len(question), reserve)
        if read is None:
            read = self._read_head(head, len(question), reserve, on_progress, keep_pictures)
        elif keep_pictures:
            self._find_pictures(head)
        rest = [*read.after, *question]
        self._prefill_text(rest, self._n_tokens + len(rest), on_progress, is_last=True)
        if self._draft_model is not None:
            self._draft_model.read(self._drafter.index.tokens)
        self._lib.llama_synchronize(self._ctx)  # a GPU may still be computing
        on_progress("prefill", 1.0)
        self._batch_threads.begin()
        self._drafter.prefilled(time.perf_counter() - started - read.load_s)
        self._new_sampler()
        return Prefilled(
            n_tokens=self._n_tokens,
            n_pos=self._n_pos,
            n_ctx=self._fork(reserve.n_chains),
            image_tokens=read.image_tokens,
            image_s=read.image_s,
            prefill_s=time.perf_counter() - started - read.image_s - read.load_s,
            load_s=read.load_s,
            cached_tokens=read.cached_tokens,
            cached_images=read.cached_images,
        )

    def _restore_head(
        self, head: Sequence[PromptPart], n_question: int, reserve: Reserve
    ) -> _Head | None:
        """Take the KV cache after the last picture from the prefill cache, if it is there."""
        saved = self._cache.find_prompt(head)
        if saved is None:
            return None
        self._make_context(saved.n_tokens + len(saved.after) + n_question, reserve)
        state = (ctypes.c_uint8 * saved.state.nbytes).from_buffer(saved.state)
        if not self._lib.llama_state_seq_set_data(self._ctx, state, saved.state.nbytes, 0):
            self._cache.drop_prompt(head)
            return None
        self._n_tokens, self._n_pos = saved.n_tokens, saved.n_pos
        self._drafter.index.tokens += saved.text
        return _Head(
            saved.after,
            saved.image_tokens,
            cached_tokens=saved.n_tokens,
            cached_images=len(saved.image_tokens),
        )

    def _read_head(
        self,
        head: Sequence[PromptPart],
        n_question: int,
        reserve: Reserve,
        on_progress: OnProgress,
        keep_pictures: bool,
    ) -> _Head:
        """Run the prompt up to its last picture, and keep what that cost."""
        loaded_s, image_s = self._vision.load_s, 0.0
        layout = self._pictures.lay_out(
            head, lambda done: on_progress("load", self._sizes.share_with_mmproj(done))
        )
        n_pictures, image_tokens = len(layout.pictures), list[int]()
        try:
            n_prompt = layout.n_tokens + n_question
            self._make_context(n_prompt, reserve)
            for stretch in layout.stretches:
                if isinstance(stretch, TextStretch):
                    self._prefill_text(stretch.tokens, n_prompt, on_progress)
                    continue
                on_progress("image", len(image_tokens) / n_pictures)
                before = time.perf_counter()
                embd = self._pictures.embeddings(stretch)
                image_s += time.perf_counter() - before
                if keep_pictures:
                    self._keep_picture(stretch.frame, embd)
                self._drafter.index.tokens.append(BREAK)
                self._prefill_picture(stretch.frame, embd, n_prompt, on_progress)
                image_tokens.append(stretch.n_tokens)
        finally:
            self._pictures.release(layout)
        read = _Head(
            after=layout.after,
            image_tokens=tuple(image_tokens),
            image_s=image_s,
            load_s=self._vision.load_s - loaded_s,
            cached_images=sum(each.saved is not None for each in layout.pictures),
        )
        if image_tokens:
            self._keep_head(head, read)
        return read

    def _keep_head(self, head: Sequence[PromptPart], read: _Head) -> None:
        n_bytes = self._lib.llama_state_seq_get_size(self._ctx, 0)
        if not self._cache.keeps(n_bytes):
            return
        # Pages that the copy touches first: nothing is filled with zeros beforehand.
        memory = mmap.mmap(-1, n_bytes)
        state = (ctypes.c_uint8 * n_bytes).from_buffer(memory)
        if self._lib.llama_state_seq_get_data(self._ctx, state, n_bytes, 0) == n_bytes:
            saved = SavedPrompt(
                text=tuple(self._drafter.index.tokens),
                after=read.after,
                n_tokens=self._n_tokens,
                n_pos=self._n_pos,
                image_tokens=read.image_tokens,
                state=memoryview(memory),
            )
            self._cache.keep_prompt(head, saved)

    def _make_context(self, n_prompt: int, reserve: Reserve) -> None:
        n_ctx_train = self._lib.llama_model_n_ctx_train(self._model)
        if n_prompt + reserve.n_min > n_ctx_train:
            raise PromptError(
                f"the question and its pictures take {n_prompt} tokens and an answer needs "
                f"{reserve.n_min}, but this model was trained for {n_ctx_train} in all",
                hint="use fewer or smaller pictures (--image-tokens-max, --image-tokens-min), a "
                "shorter question or a smaller --max-answer",
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
        params.n_threads_batch = self._most_threads
        params.no_perf = True
        if self._kv_type == "q8_0":
            params.type_k = params.type_v = self._lib.GGML_TYPE_Q8_0
            # llama.cpp reads quantized values in its flash attention only.
            params.flash_attn_type = self._lib.LLAMA_FLASH_ATTN_TYPE_ENABLED
        self._ctx = self._lib.llama_init_from_model(self._model, params)
        if not self._ctx:
            raise DoesNotFitError(
                f"llama.cpp could not make room for a context of {n_ctx} tokens: "
                f"{self._log.last_words()}",
                hint="use a smaller --max-thinking or --image-tokens-max, or fewer --n-gpu-layers",
                reference="context-out-of-memory",
            )
        self._memory = self._lib.llama_get_memory(self._ctx)
        self._batch = TextBatch(self._lib, N_BATCH)
        self._batch_threads = BatchThreads(
            lambda n: self._lib.llama_set_n_threads(self._ctx, self._n_threads, n),
            n_few=self._n_threads,
            n_many=self._most_threads,
        )
        self._n_ctx: int = self._lib.llama_n_ctx(self._ctx)
        self._n_tokens = self._n_pos = 0
        past = None
        if self._past is not None and self._drafts and n_chains == 1:
            past = self._past.index(self._lib.llama_vocab_n_tokens(self._vocab))
        batches = ON_GPU if self._is_all_on_gpu else UNTILED if self._tiles.are_used else ON_CPU
        self._drafter = Drafter(self._draft_model, self._guess_share, past, batches)
        if self._draft_model is not None:
            self._draft_model.start(self._n_ctx, self._n_threads)
        self._draft = []
        self._pass_s = None

    def _find_pictures(self, head: Sequence[PromptPart]) -> None:
        """Keep the embeddings of pictures whose cells came from the cache."""
        bitmaps = [part for part in head if isinstance(part, Bitmap)]
        layout = self._pictures.lay_out(bitmaps, lambda _: None)
        try:
            for picture in layout.pictures:
                self._keep_picture(picture.frame, self._pictures.embeddings(picture))
        finally:
            self._pictures.release(layout)

    def _keep_picture(self, frame: PictureFrame, embd: Any) -> None:
        copy = type(embd)()
        ctypes.memmove(copy, embd, ctypes.sizeof(copy))
        self._seen.append((frame, copy))

    def _prefill_picture(
        self, frame: PictureFrame, embd: Any, n_prompt: int, on_progress: OnProgress
    ) -> None:
        """Run a picture's embeddings: one position in time, its patches' rows and columns in space.

        Source: mtmd_helper_decode_image_chunk, which wants the mmproj loaded for no more than to
        ask whether the model uses M-RoPE; all that this program runs do.
        """
        lib, n_embd = self._lib, self._lib.llama_model_n_embd_inp(self._model)
        n_image, width = frame.grid.image_tokens, frame.grid.w
        batch = lib.llama_batch_ext_init(self._ctx)
        row = lib.llama_embd(n_rows=1, n_embd=n_embd)
        position = (lib.llama_pos * 4)()
        address = ctypes.addressof(embd)
        try:
            for start in range(0, n_image, N_BATCH):
                lib.llama_batch_ext_clear(batch)
                for i in range(start, min(start + N_BATCH, n_image)):
                    at = ctypes.c_void_p(address + i * n_embd * ctypes.sizeof(ctypes.c_float))
                    row.data = ctypes.cast(at, ctypes.POINTER(ctypes.c_float))
                    index = lib.llama_batch_ext_add_embd(batch, 0, row)
                    y, x = divmod(i, width)
                    position[:] = (self._n_pos, self._n_pos + y, self._n_pos + x, 0)
                    lib.llama_batch_ext_set_pos(batch, index, position)
                n_tokens = min(N_BATCH, n_image - start)
                self._batch_threads.choose(n_tokens)
                self._check_decode(
                    lib.llama_process(self._ctx, lib.LLAMA_PROCESS_TYPE_DECODE, batch)
                )
                self._n_tokens += n_tokens
                on_progress("prefill", self._n_tokens / n_prompt)
        finally:
            lib.llama_batch_ext_free(batch)
        self._n_pos += frame.n_pos

    def _prefill_text(
        self, tokens: list[int], n_prompt: int, on_progress: OnProgress, *, is_last: bool = False
    ) -> None:
        for start in range(0, len(tokens), N_BATCH):
            part = tokens[start : start + N_BATCH]
            is_end = is_last and start + N_BATCH >= len(tokens)
            self._decode_tokens(part, has_logits=is_end)
            on_progress("prefill", self._n_tokens / n_prompt)
        self._drafter.index.tokens += tokens
        if is_last:
            self._n_read = len(self._drafter.index.tokens)
            self._history = tokens[-1:]
            self._pending = None
            self._row = -1

    def _fork(self, n_chains: int) -> int:
        """Begin as many chains behind the prompt. Returns: the cells for it and one chain."""
        if n_chains == 1:
            return self._n_ctx
        batch = self._batch
        assert batch is not None
        n_free = self._n_ctx - self._n_tokens - n_chains
        n_ctx_train = int(self._lib.llama_model_n_ctx_train(self._model))
        n_ctx = min(self._n_tokens + n_free // n_chains, n_ctx_train)
        self._chains = Chains(
            Machinery(
                self._lib,
                self._ctx,
                self._vocab,
                batch,
                run=self._run_batch,
                split=self._tiles.split,
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
        """See Engine.decode. Never runs ahead: the next token is chosen when it is asked for."""
        n_left, draft = n_max, list[int]()
        while n_left > 0:
            if self._pending is not None:
                n_before, n_free = len(self._history), self._n_ctx - self._n_tokens
                draft = yield from self._decode_singly(min(n_left, n_free))
                if not draft:
                    return  # the text or its room has ended
                n_left -= len(self._history) - n_before
            piece = self._decode_next(draft)
            n_left -= 1
            yield piece
            if piece.is_eog:
                return

    def _decode_singly(self, n_max: int) -> Generator[Piece, None, list[int]]:
        """Say a token a pass, n_max at most, until there is a draft to run behind the next one.

        A pass leaves the caches of the processor cold, so every object that is touched between two
        of them costs a tiny model time.
        Returns: the draft; nothing where n_max tokens were said or the text has ended.
        """
        assert self._pending is not None and self._batch is not None
        batch, token = self._batch, self._pending
        batch.clear()
        batch.add([token], self._n_pos, n_logits=1)
        run, raw, ctx = self._lib.llama_decode, batch.raw, self._ctx
        tokens, positions = batch.tokens, batch.positions
        sample, sampler = self._sample, self._sampler
        pieces, history, text = self._pieces, self._history, self._drafter.index.tokens
        drafter, now_s = self._drafter, time.perf_counter
        n_rest = drafter.take_rest(n_max) if self._drafts else n_max
        began_s = drafted_s = 0.0
        for n_left in range(n_max, 0, -1):
            looks = n_rest == 0
            if looks:
                began_s = now_s()
                draft = drafter.propose(n_left - 1)
                drafted_s = now_s()
                if draft:
                    self._draft_s = drafted_s - began_s
                    return draft
            else:
                n_rest -= 1
            tokens[0], positions[0] = token, self._n_pos
            if status := run(ctx, raw):
                self._check_decode(status)
            self._n_tokens += 1
            self._n_pos += 1
            token = sample(sampler, ctx, 0)
            if looks:
                drafter.passed(0, 0, now_s() - drafted_s, drafted_s - began_s)
                n_rest = drafter.take_rest(n_left - 1)
            piece = pieces.get(token) or self._piece(token)
            if piece.is_eog:
                self._pending, self._row = None, 0
                yield piece
                return []
            self._pending = token
            history.append(token)
            text.append(token)
            yield piece
        return []

    def _decode_next(self, draft: list[int]) -> Piece:
        """The next token: chosen from logits that are there, or after a pass with a draft.

        As long as the model chooses the draft's tokens, the logits for the next one are there
        already.
        """
        if self._pending is None:
            token = self._sample(self._sampler, self._ctx, self._row)
        else:
            token = self._run_draft(self._pending, draft)
        piece = self._pieces.get(token) or self._piece(token)
        if piece.is_eog:
            self._settle()  # also where it was drafted: the end is no part of the text
            return piece
        if 0 <= self._row < len(self._draft) and token == self._draft[self._row]:
            self._row += 1
        else:
            self._settle()
            self._pending = token
        self._history.append(token)
        self._drafter.index.tokens.append(token)
        return piece

    def decode_chains(self, chains: Sequence[int], n_rounds: int) -> Generator[Round]:
        """See Engine.decode_chains. Never runs ahead."""
        assert self._chains is not None
        return self._chains.decode(chains, n_rounds)

    def _run_draft(self, pending: int, draft: list[int]) -> int:
        """Run the pending token with a draft behind it. Returns: the token that comes next."""
        began_s = time.perf_counter()
        self._run_tokens([pending, *draft], n_logits=len(draft) + 1)
        self._draft, self._pending, self._row = draft, None, 0
        token: int = self._sample(self._sampler, self._ctx, 0)
        self._pass_s = time.perf_counter() - began_s
        return token

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
        self._decode_text(pending, tokens, has_logits=True)
        self._pending = None
        self._row = -1
        self._new_sampler()
        return len(tokens)

    def look_again(self, before: str, after: str) -> int:
        """See Engine.look_again."""
        if not self._seen:
            raise PromptError("there is no picture to look at again")
        self._settle()
        pending = [] if self._pending is None else [self._pending]
        tokens = self._tokenize_text(before, False)
        last = self._tokenize_text(after, False)
        n = len(tokens) + len(last)
        n += sum(frame.n_tokens for frame, _ in self._seen)
        if self._n_tokens + len(pending) + n > self._n_ctx:
            raise PromptError("no room is left in the context to look at the picture again")
        for frame, embd in self._seen:
            self._decode_text(pending, [*tokens, *frame.before])
            self._drafter.index.tokens.append(BREAK)
            self._prefill_picture(frame, embd, self._n_ctx, lambda *_: None)
            pending, tokens = [], list(frame.after)
        self._decode_text([], [*tokens, *last], has_logits=True)
        self._pending = None
        self._row = -1
        self._new_sampler()
        return n

    def _decode_text(
        self, pending: list[int], tokens: list[int], *, has_logits: bool = False
    ) -> None:
        """Run text behind the token that waited, and remember it as said."""
        self._decode_tokens(pending + tokens, has_logits=has_logits)
        self._history += tokens
        self._drafter.index.tokens += tokens

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

    def keep_said(self) -> None:
        """Keep the text behind the prompt as a source of drafts. Safe from any thread."""
        n_read, tokens = self._n_read, self._drafter.index.tokens
        if self._past is not None and n_read is not None:
            self._past.keep(tokens[max(0, n_read - N_BEFORE) :])

    def draft_counts(self) -> DraftCounts:
        """See Engine.draft_counts."""
        return DraftCounts(self._drafter.drafted, self._drafter.accepted)

    def time_batch(self, n_tokens: int, n_passes: int) -> tuple[float, ...]:
        """What n_tokens take that are run together behind the text, which stays as it was.

        What comes before isn't counted: for another batch size llama.cpp makes its graph anew,
        and CUDA records in the next pass what it replays from then on. The logits for the next
        token are lost, so what follows is a prefill or an append.
        Returns: seconds of each time. Raises: PromptError: no room for so many tokens.
        """
        self._settle()
        if self._n_tokens + n_tokens > self._n_ctx:
            raise PromptError(f"no room is left in the context for a batch of {n_tokens}")
        n_ahead = 2 if self._is_on_gpu else 1
        times = []
        for _ in range(n_ahead + n_passes):
            began_s = time.perf_counter()
            for n in self._tiles.split(n_tokens):
                self._run_tokens(list(range(n)), n_logits=n)
            self._lib.llama_synchronize(self._ctx)
            times.append(time.perf_counter() - began_s)
            self._n_tokens -= n_tokens
            self._n_pos -= n_tokens
            self._lib.llama_memory_seq_rm(self._memory, 0, self._n_pos, -1)
        return tuple(times[n_ahead:])

    def close(self) -> None:
        """See Engine.close."""
        self.settle()
        if self._vision_ahead is not None:
            self._vision_ahead.close()
        self._vision_ahead = None
        self._loader.close()
        self._free_context()
        if self._draft_model is not None:
            self._draft_model.close()
        self._draft_model = None
        if self._model:
            self._vision.close()
            self._lib.llama_model_free(self._model)
        self._model = None

    def settle(self, timeout_s: float | None = None) -> None:
        """Keep what was said, and wait until all that is kept is on disk. Safe from any thread."""
        if self._model:
            self.keep_said()
            self._cache.settle(timeout_s)

    def _free_context(self) -> None:
        if self._chains is not None:
            self._chains.close()
            self._chains = None
        if self._sampler:
            self._lib.llama_sampler_free(self._sampler)
        if self._batch is not None:
            self._batch.free()
        if self._ctx:
            self._lib.llama_free(self._ctx)
        self._sampler = self._batch = self._ctx = None

    def _decode_tokens(self, tokens: list[int], *, has_logits: bool) -> None:
        """Run text tokens at the next positions; logits for the last one, or none."""
        end = 0
        for n in self._tiles.split(len(tokens)):
            start, end = end, end + n
            self._run_tokens(tokens[start:end], n_logits=has_logits and end == len(tokens))

    def _run_tokens(self, tokens: list[int], *, n_logits: int) -> None:
        """Run text tokens at the next positions in one pass; logits for the last n_logits."""
        batch = self._batch
        assert batch is not None
        batch.clear()
        n = batch.add(tokens, self._n_pos, n_logits=n_logits)
        self._run_batch()
        self._n_tokens += n
        self._n_pos += n

    def _run_batch(self) -> None:
        assert self._batch is not None
        n_tokens = self._batch.raw.n_tokens
        self._batch_threads.choose(n_tokens)
        began_s = time.perf_counter()
        self._check_decode(self._lib.llama_decode(self._ctx, self._batch.raw))
        self._batch_threads.passed(n_tokens, time.perf_counter() - began_s)

    def _check_decode(self, status: int) -> None:
        if status != 0:
            raise EngineDiedError(
                f"llama.cpp stopped computing (status {status}): {self._log.last_words()}",
                hint="run again with --verbose to see its whole log",
                reference="decode-failed",
            )

    def _tokenize_parts(self, parts: Sequence[PromptPart]) -> list[int]:
        """The tokens of text parts, each by itself, as mtmd_tokenize_from_parts does it."""
        texts = [part for part in parts if isinstance(part, TextPart)]
        return [t for part in texts for t in self._tokenize_text(part.text, part.parse_special)]

    def _tokenize_text(self, text: str, parse_special: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
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
