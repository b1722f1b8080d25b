"""A run says the same with and without the cache, token for token, and never depends on it."""

import ctypes
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from conftest import DATA, QUESTION, TABLE, no_progress
from qvq_cli.engine.cache_store import CacheStore
from qvq_cli.engine.grid import ImageLimits
from qvq_cli.engine.images import load_picture
from qvq_cli.engine.layout import split_behind_pictures
from qvq_cli.engine.llama import LlamaEngine
from qvq_cli.engine.ngrams import BREAK
from qvq_cli.engine.prefill_cache import PrefillCache, SavedPrompt
from qvq_cli.engine.process import WorkerEngine
from qvq_cli.engine.protocol import (
    Bitmap,
    CacheSpec,
    LoadSpec,
    Prefilled,
    PromptPart,
    Reserve,
    Sampling,
    TextPart,
)
from qvq_cli.hub.catalog import catalog_entry
from qvq_cli.reasoning.prompt import build_prompt
from qvq_cli.reasoning.transcript import Dialect

ROOM = Reserve(100, 400)
N_SAID = 80
GREEDY = Sampling()
WARM = Sampling(temperature=0.9, seed=7)
SYSTEM = catalog_entry("nano").profile.system
LIMITS = ImageLimits(70, 391)
PAIR = (DATA / "two-pictures-0.png", DATA / "two-pictures-1.png")
QUESTIONS = (QUESTION, "Which column is x? <|im_end|>", "什么是 h'(1)?")


def prompt(pictures: Sequence[Path], question: str, system: str = SYSTEM) -> tuple[PromptPart, ...]:
    bitmaps = [load_picture(str(path), LIMITS).bitmap for path in pictures]
    return build_prompt(system, bitmaps, question, Dialect.HEADING)


@pytest.fixture
def nano_spec(nano_spec: LoadSpec) -> LoadSpec:
    """Without drafts: how long those are depends on the clock, and so do the batches."""
    return nano_spec._replace(drafts=False)


@pytest.fixture
def cached_spec(nano_spec: LoadSpec, tmp_path: Path) -> LoadSpec:
    cache = CacheSpec(str(tmp_path / "kept"), 1 << 30, 1 << 30, "model", "mmproj", "nano Q8_0")
    return nano_spec._replace(cache=cache)


@contextmanager
def engine_of(spec: LoadSpec) -> Iterator[LlamaEngine]:
    engine = LlamaEngine()
    with closing(engine):
        engine.load(spec, no_progress)
        yield engine


def say(
    spec: LoadSpec, parts: Sequence[PromptPart], sampling: Sampling = GREEDY
) -> tuple[Prefilled, list[int]]:
    """The state after the prompt and what a fresh engine says to it."""
    with engine_of(spec) as engine:
        prefilled = engine.prefill(parts, ROOM, sampling, no_progress)
        return prefilled, [piece.token for piece in engine.decode(N_SAID)]


def store_of(spec: LoadSpec) -> CacheStore:
    assert spec.cache is not None
    return CacheStore(Path(spec.cache.folder), spec.cache.max_bytes)


def kinds(spec: LoadSpec) -> list[str]:
    """Of what pictures cost; what was said is tested in test_past.py."""
    return sorted(entry.kind for entry in store_of(spec).entries() if entry.kind != "reasoning")


@pytest.mark.parametrize("kv_type", ["f16", "q8_0"])
@pytest.mark.parametrize("sampling", [GREEDY, WARM, Sampling(repeat_penalty=1.2)])
@pytest.mark.parametrize("pictures", [(TABLE,), PAIR, (TABLE, TABLE)])
def test_the_tokens_are_those_of_a_run_without_it(
    nano_spec: LoadSpec,
    cached_spec: LoadSpec,
    pictures: Sequence[Path],
    sampling: Sampling,
    kv_type: Any,
) -> None:
    plain = nano_spec._replace(kv_type=kv_type)
    cached = cached_spec._replace(kv_type=kv_type)
    say(cached, prompt(pictures, "What is this?"))
    for question in QUESTIONS:
        parts = prompt(pictures, question)
        expected, words = say(plain, parts, sampling)
        prefilled, again = say(cached, parts, sampling)
        assert again == words
        assert prefilled.cached_images == len(pictures)
        assert prefilled.cached_tokens >= sum(prefilled.image_tokens)
        assert (prefilled.n_tokens, prefilled.n_pos) == (expected.n_tokens, expected.n_pos)
        assert prefilled.image_tokens == expected.image_tokens
        assert expected.cached_tokens == expected.cached_images == 0


@pytest.mark.parametrize("sampling", [GREEDY, WARM])
def test_with_another_system_prompt_the_pictures_are_still_known(
    nano_spec: LoadSpec, cached_spec: LoadSpec, sampling: Sampling
) -> None:
    say(cached_spec, prompt(PAIR, QUESTION))
    parts = prompt(PAIR[::-1], QUESTION, system="Be brief.")
    prefilled, words = say(cached_spec, parts, sampling)
    assert (prefilled.cached_images, prefilled.cached_tokens) == (2, 0)
    assert words == say(nano_spec, parts, sampling)[1]


def test_a_new_picture_beside_a_known_one(nano_spec: LoadSpec, cached_spec: LoadSpec) -> None:
    say(cached_spec, prompt(PAIR[:1], QUESTION))
    parts = prompt(PAIR, QUESTION)
    prefilled, words = say(cached_spec, parts)
    assert (prefilled.cached_images, prefilled.cached_tokens) == (1, 0)
    assert words == say(nano_spec, parts)[1]


def test_a_restored_prompt_can_be_rewound_and_appended_to(
    nano_spec: LoadSpec, cached_spec: LoadSpec
) -> None:
    def session(spec: LoadSpec) -> list[object]:
        with engine_of(spec) as engine:
            engine.prefill(prompt([TABLE], QUESTION), ROOM, WARM, no_progress)
            with closing(engine.decode(100)) as pieces:
                first = [next(pieces).token for _ in range(30)]
            engine.rewind(10)
            n = engine.append("\n\n**Final Answer**\n\n")
            return [first, n, [piece.token for piece in engine.decode(40)]]

    expected = session(nano_spec)
    assert session(cached_spec) == expected
    assert session(cached_spec) == expected
    assert kinds(cached_spec) == ["picture", "prompt"]


def test_drafts_are_looked_up_in_the_same_text(cached_spec: LoadSpec) -> None:
    texts = []
    for _ in range(2):
        with engine_of(cached_spec) as engine:
            engine.prefill(prompt(PAIR, QUESTION), ROOM, GREEDY, no_progress)
            texts.append(list(engine._drafter.index.tokens))
    assert texts[0] == texts[1]
    assert texts[0].count(BREAK) == 2


@pytest.mark.parametrize("system", [SYSTEM, "Be brief."])
def test_known_pictures_are_read_without_the_mmproj(cached_spec: LoadSpec, system: str) -> None:
    say(cached_spec, prompt([TABLE], QUESTION))
    with engine_of(cached_spec) as engine:
        prefilled = engine.prefill(prompt([TABLE], "Why?", system), ROOM, GREEDY, no_progress)
        assert prefilled.load_s == 0.0
        assert not engine._vision.is_loaded


@pytest.mark.parametrize(
    "change",
    [
        {"kv_type": "q8_0"},
        {"n_threads": 2},
        {"n_gpu_layers": 3},
        {"device": "CUDA0"},
        {"repack": True},
        {"vision_on_gpu": False},
        {"cache": {"model_id": "other weights"}},
        {"cache": {"mmproj_id": "other weights"}},
        {"build": "another llama.cpp"},
    ],
)
def test_what_was_computed_otherwise_is_not_taken(
    cached_spec: LoadSpec, change: dict[str, Any]
) -> None:
    assert cached_spec.cache is not None
    head = [load_picture(str(TABLE), LIMITS).bitmap]
    cache = PrefillCache(cached_spec, "this llama.cpp")
    cache.keep_prompt(head, SavedPrompt((1,), (2,), 3, 4, (5,), memoryview(b"state")))
    cache.settle()
    found = PrefillCache(cached_spec, "this llama.cpp").find_prompt(head)
    assert found is not None
    assert found[:-1] == ((1,), (2,), 3, 4, (5,))
    build = change.pop("build", "this llama.cpp")
    if "cache" in change:
        change = {"cache": cached_spec.cache._replace(**change["cache"])}
    other = PrefillCache(cached_spec._replace(**change), build)
    assert other.find_prompt(head) is None


def test_the_same_pixels_in_another_shape_are_another_picture(cached_spec: LoadSpec) -> None:
    bitmap = load_picture(str(TABLE), LIMITS).bitmap
    turned = Bitmap(bitmap.height_px, bitmap.width_px, bitmap.rgb)
    say(cached_spec, build_prompt(SYSTEM, [bitmap], QUESTION, Dialect.HEADING))
    prefilled, _ = say(cached_spec, build_prompt(SYSTEM, [turned], QUESTION, Dialect.HEADING))
    assert prefilled.cached_images == 0


def test_text_before_the_picture_is_not_confused_with_markup(cached_spec: LoadSpec) -> None:
    bitmap = load_picture(str(TABLE), LIMITS).bitmap
    for parse_special in (True, False):
        head = TextPart("<|im_start|>", parse_special)
        prefilled, _ = say(cached_spec, [head, bitmap, TextPart("x", False)])
        assert prefilled.cached_tokens == 0


def test_an_entry_that_would_take_too_much_memory_is_not_made(cached_spec: LoadSpec) -> None:
    assert cached_spec.cache is not None
    tight = cached_spec.cache._replace(max_entry_bytes=200_000)
    say(cached_spec._replace(cache=tight), prompt([TABLE], QUESTION))
    assert kinds(cached_spec) == ["picture"]


def test_a_state_that_llama_cpp_refuses_is_computed_again(
    nano_spec: LoadSpec, cached_spec: LoadSpec
) -> None:
    """The entry is whole, but what is in it is no state of this model."""
    parts = prompt([TABLE], QUESTION)
    say(cached_spec, parts)
    store = store_of(cached_spec)
    (entry,) = [entry for entry in store.entries() if entry.kind == "prompt"]
    kept = store.find("prompt", entry.path.stem)
    assert kept is not None
    half = memoryview(bytes(kept.payload[: kept.payload.nbytes // 2]))
    store.save("prompt", entry.path.stem, kept.notes, half)
    prefilled, words = say(cached_spec, parts)
    assert (prefilled.cached_images, prefilled.cached_tokens) == (1, 0)
    assert words == say(nano_spec, parts)[1]
    assert say(cached_spec, parts)[0].cached_tokens > 0, "it was kept again"


def test_a_crash_with_something_from_the_cache_is_tried_again_without(
    nano_spec: LoadSpec, cached_spec: LoadSpec
) -> None:
    # Two batches: the first is told while the second still has to run.
    parts = prompt([TABLE], QUESTION * 170)
    say(cached_spec, parts)
    notices: list[str] = []
    engine = WorkerEngine(verbose=False)
    engine.on_notice = lambda reference, message: notices.append(f"{reference}: {message}")
    first_pid = engine.pid

    def kill_once(_stage: str, _share: float) -> None:
        if engine.pid == first_pid:
            os.kill(first_pid, signal.SIGSEGV)
            time.sleep(0.2)

    with closing(engine):
        engine.load(cached_spec, no_progress)
        prefilled = engine.prefill(parts, ROOM, GREEDY, kill_once)
        words = [piece.token for piece in engine.decode(N_SAID)]
    assert prefilled.cached_images == 0
    assert words == say(nano_spec, parts)[1]
    assert len(notices) == 1 and "with nothing from the cache" in notices[0]
    assert kinds(cached_spec) == ["picture"], "what may have crashed it is gone"


def test_a_worker_writes_before_it_goes(cached_spec: LoadSpec) -> None:
    """Closed right after the prompt, when nothing has been decoded."""
    engine = WorkerEngine(verbose=False)
    with closing(engine):
        engine.load(cached_spec, no_progress)
        engine.prefill(prompt([TABLE], QUESTION), ROOM, GREEDY, no_progress)
    assert kinds(cached_spec) == ["picture", "prompt"]


# our own tokenizing and positions, against mtmd's


def mtmd_chunks(engine: LlamaEngine, parts: Sequence[PromptPart]) -> Any:
    """A prompt through mtmd_tokenize_from_parts, all parts at once."""
    mtmd = engine._mtmd
    keep: list[Any] = []
    array = (ctypes.POINTER(mtmd.mtmd_input_part) * len(parts))()
    for i, part in enumerate(parts):
        c_part = mtmd.mtmd_input_part()
        if isinstance(part, Bitmap):
            rgb = (ctypes.c_uint8 * len(part.rgb)).from_buffer_copy(part.rgb)
            c_part.bitmap = mtmd.mtmd_bitmap_init(part.width_px, part.height_px, rgb)
        else:
            data = part.text.encode("utf-8", "replace")
            text = mtmd.mtmd_input_text(data, len(data), False, part.parse_special)
            keep += [data, text]
            c_part.text = ctypes.pointer(text)
        keep.append(c_part)
        array[i] = ctypes.pointer(c_part)
    chunks = mtmd.mtmd_input_chunks_init()
    assert mtmd.mtmd_tokenize_from_parts(engine._vision._context, chunks, array, len(parts), 0) == 0
    return chunks


def as_mtmd_lays_it_out(engine: LlamaEngine, parts: Sequence[PromptPart]) -> list[Any]:
    """Lists of text tokens, and of (t, y, x) for each embedding, counted from its picture's t."""
    mtmd = engine._mtmd
    chunks = mtmd_chunks(engine, parts)
    laid_out: list[Any] = []
    for i in range(mtmd.mtmd_input_chunks_size(chunks)):
        chunk = mtmd.mtmd_input_chunks_get(chunks, i)
        if mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_IMAGE:
            image = mtmd.mtmd_input_chunk_get_tokens_image(chunk)
            n = mtmd.mtmd_input_chunk_get_n_tokens(chunk)
            found = [mtmd.mtmd_image_tokens_get_decoder_pos(image, 0, j) for j in range(n)]
            laid_out.append([(at.t, at.y, at.x) for at in found])
            laid_out.append(mtmd.mtmd_input_chunk_get_n_pos(chunk))
        else:
            n_text = ctypes.c_size_t()
            tokens = mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(n_text))
            laid_out.append(list(tokens[: n_text.value]))
    return laid_out


@pytest.mark.parametrize("question", [*QUESTIONS, "", " leading", "\ud800 lone", "a\0b", "\n\n"])
@pytest.mark.parametrize("pictures", [(TABLE,), PAIR])
def test_the_prompt_is_laid_out_as_mtmd_does_it(
    nano_spec: LoadSpec, pictures: Sequence[Path], question: str
) -> None:
    parts = prompt(pictures, question)
    head, tail = split_behind_pictures(parts)
    with engine_of(nano_spec) as engine:
        layout = engine._pictures.lay_out(head, lambda _: None)
        ours: list[Any] = []
        for stretch in layout.stretches:
            if hasattr(stretch, "tokens"):
                ours.append(stretch.tokens)
                continue
            grid = stretch.frame.grid
            ours.append([(0, y, x) for y in range(grid.h) for x in range(grid.w)])
            ours.append(stretch.frame.n_pos)
        ours.append([*layout.after, *engine._tokenize_parts(tail)])
        assert ours == as_mtmd_lays_it_out(engine, parts)
        engine._pictures.release(layout)


@pytest.mark.parametrize("kept", [("picture", "prompt"), ("picture",), ("prompt",)])
def test_a_look_again_finds_its_pictures_whatever_was_kept(
    nano_spec: LoadSpec, cached_spec: LoadSpec, kept: Sequence[str]
) -> None:
    """Their cells may come from the cache without their embeddings, which are then computed."""

    def look(spec: LoadSpec) -> list[object]:
        with engine_of(spec) as engine:
            engine.prefill(prompt(PAIR, QUESTION), ROOM, GREEDY, no_progress, keep_pictures=True)
            with closing(engine.decode(20)) as pieces:
                said = [piece.token for piece in pieces]
            n_cells = engine.look_again(" Let me look again.", "\n\n")
            return [said, n_cells, [piece.token for piece in engine.decode(N_SAID)]]

    say(cached_spec, prompt(PAIR, "What is this?"))
    for entry in store_of(cached_spec).entries():
        if entry.kind not in kept:
            entry.path.unlink()
    assert look(cached_spec) == look(nano_spec)
