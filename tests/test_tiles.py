"""Weights that llama.cpp multiplies in tiles: what is to stay the same is never in a tile."""

import ctypes
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from conftest import NANO, no_progress
from drafters import RestlessDrafter
from qvq_cli.engine import llama
from qvq_cli.engine.drafts import Batches, Guesser, Place
from qvq_cli.engine.llama import LlamaEngine
from qvq_cli.engine.llama_library import import_llama_cpp
from qvq_cli.engine.ngrams import PastIndex
from qvq_cli.engine.protocol import LoadSpec, PromptPart, Reserve, Sampling, chain_seed
from qvq_cli.engine.tiles import Tiles

ZEN_3 = "CPU : SSE3 = 1 | AVX = 1 | AVX2 = 1 | F16C = 1 | LLAMAFILE = 1 | REPACK = 1 | "
SAPPHIRE_RAPIDS = "CPU : AVX = 1 | AVX2 = 1 | AVX512 = 1 | AVX512_VNNI = 1 | AMX_INT8 = 1 | "
APPLE = "Metal : EMBED_LIBRARY = 1 | CPU : NEON = 1 | ARM_FMA = 1 | ACCELERATE = 1 | REPACK = 1 | "
N_CHAINS = 9
WARM = Sampling(temperature=0.9, top_p=0.95, top_k=40, seed=7)
FILE_TYPE_Q6_K = 18


class LongestDrafter(RestlessDrafter):
    """Drafts as many tokens as it may of `text`, which was said before."""

    text: Sequence[int] = ()

    def __init__(
        self, guesser: Guesser | None, guess_share: float, past: PastIndex | None, batches: Batches
    ) -> None:
        assert past is None
        super().__init__(guesser, guess_share, PastIndex([self.text]), batches)
        self._n_most = batches.sizes[-1] - 1

    def propose(self, n_max: int) -> list[int]:
        assert self._past is not None
        at, match = self._past.find(self.index.tokens)
        if match == 0:
            return []
        self._place = Place("past", at, match)
        return self._draft(self._place, min(n_max, self._n_most, self._past.n_left(at)))


@pytest.mark.parametrize(
    ("quant", "info", "expected"),
    [
        ("Q4_K - Medium", ZEN_3, Tiles(are_used=True, are_slow=True)),
        ("(guessed) Q6_K", ZEN_3, Tiles(are_used=True, are_slow=True)),
        ("IQ4_XS - 4.25 bpw", ZEN_3, Tiles(are_used=True, are_slow=True)),
        ("Q4_K - Medium", SAPPHIRE_RAPIDS, Tiles(are_used=True, are_slow=False)),
        ("Q4_K - Medium", APPLE, Tiles()),
        ("IQ4_NL - 4.5 bpw", ZEN_3, Tiles()),
        ("Q8_0", ZEN_3, Tiles()),
        ("F16", SAPPHIRE_RAPIDS, Tiles()),
    ],
)
def test_which_weights_are_multiplied_in_tiles(quant: str, info: str, expected: Tiles) -> None:
    assert Tiles.of(quant, info) == expected


def test_a_small_tile_is_split_where_two_passes_are_faster() -> None:
    slow, fast = Tiles(are_used=True, are_slow=True), Tiles(are_used=True)
    assert [slow.split(n) for n in (0, 1, 7, 8, 14, 15, 512)] == [
        *((0,), (1,), (7,), (7, 1), (7, 7), (15,), (512,))
    ]
    assert fast.split(8) == Tiles().split(8) == (8,)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaEngine]:
    """Nano in Q6_K, which splits wherever the tests run."""
    lib, _ = import_llama_cpp()
    lib.llama_backend_init()
    to = tmp_path_factory.mktemp("q6_k") / "nano-q6_k.gguf"
    params = lib.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize = FILE_TYPE_Q6_K, True
    model = bytes(NANO / "nano-q8_0.gguf")
    assert lib.llama_model_quantize(model, bytes(to), ctypes.byref(params)) == 0
    engine = LlamaEngine()
    engine.load(spec_of(to), no_progress)
    engine._tiles = engine._tiles._replace(are_slow=True)
    yield engine
    engine.close()


def spec_of(model: Path) -> LoadSpec:
    mmproj = str(NANO / "mmproj-nano-q8_0.gguf")
    return LoadSpec(str(model), mmproj, n_threads=1, n_gpu_layers=0, repack=False)


def say(engine: LlamaEngine, prompt: tuple[PromptPart, ...], sampling: Sampling) -> list[int]:
    engine.prefill(prompt, Reserve(100, 500), sampling, no_progress)
    return [piece.token for piece in engine.decode(400)]


def test_nine_chains_say_what_each_says_alone(
    engine: LlamaEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    engine.prefill(table_prompt, Reserve(100, 500, N_CHAINS), WARM, no_progress)
    together: list[list[int]] = [[] for _ in range(N_CHAINS)]
    for spoken in engine.decode_chains(range(N_CHAINS), 400):
        for chain, piece in spoken:
            together[chain].append(piece.token)
    alone = [
        say(engine, table_prompt, WARM._replace(seed=chain_seed(WARM.seed, i)))
        for i in range(N_CHAINS)
    ]
    assert together == alone


def test_asked_again_it_says_the_same_word_for_word(
    engine: LlamaEngine, table_prompt: tuple[PromptPart, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for sampling in (Sampling(), *(WARM._replace(seed=seed) for seed in range(6))):
        first = say(engine, table_prompt, sampling)
        LongestDrafter.text = list(engine._drafter.index.tokens)
        with monkeypatch.context() as patch:
            patch.setattr(llama, "Drafter", LongestDrafter)
            again = say(engine, table_prompt, sampling)
        assert again == first
        assert engine.draft_counts().accepted > len(first) / 2


def test_text_in_two_passes_leads_to_the_same_words(
    engine: LlamaEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    """What is appended is as long as a small tile; token by token it is never in one."""
    said = []
    for is_whole in (True, False):
        engine.prefill(table_prompt, Reserve(100, 500), Sampling(), no_progress)
        list(engine.decode(20))
        text = "\n\n**Final Answer**\n\n\\[ \\boxed{"
        n_tokens = len(engine._tokenize_text(text, False))
        assert n_tokens + 1 in range(8, 15)
        if is_whole:
            engine.append(text)
        else:
            for token in [engine._pending, *engine._tokenize_text(text, False)]:
                assert token is not None
                engine._run_tokens([token], n_logits=1)
            engine._pending = None
        said.append([piece.token for piece in engine.decode(40)])
    assert said[0] == said[1]
