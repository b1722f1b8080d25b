"""Weights that llama.cpp multiplies in tiles: drafts and a few chains never are."""

import ctypes
from collections.abc import Iterator, Sequence

import pytest

from chain_texts import ALONE, Texts, say, say_alone
from conftest import NANO, no_progress
from drafters import RecallingDrafter
from qvq_cli.engine import llama
from qvq_cli.engine.drafts import Batches, Guesser
from qvq_cli.engine.llama import LlamaEngine
from qvq_cli.engine.llama_library import import_llama_cpp
from qvq_cli.engine.ngrams import PastIndex
from qvq_cli.engine.protocol import LoadSpec, PromptPart, Sampling
from qvq_cli.engine.tiles import Tiles
from qvq_cli.hub.memory import cpu_is_x86

ZEN_3 = "CPU : SSE3 = 1 | AVX = 1 | AVX2 = 1 | F16C = 1 | LLAMAFILE = 1 | REPACK = 1 | "
SAPPHIRE_RAPIDS = "CPU : AVX = 1 | AVX2 = 1 | AVX512 = 1 | AVX512_VNNI = 1 | AMX_INT8 = 1 | "
APPLE = "Metal : EMBED_LIBRARY = 1 | CPU : NEON = 1 | ARM_FMA = 1 | ACCELERATE = 1 | REPACK = 1 | "
HEADING = "\n\n**Final Answer**\n\n\\[ \\boxed{"
WARM = Sampling(temperature=0.9, top_p=0.95, top_k=40, seed=7)
FILE_TYPE_Q6_K = 18


class LongestDrafter(RecallingDrafter):
    """Drafts as many tokens as it may of `text`, which was said before."""

    text: Sequence[int] = ()

    def __init__(
        self, guesser: Guesser | None, guess_share: float, past: PastIndex | None, batches: Batches
    ) -> None:
        assert past is None
        super().__init__(guesser, guess_share, PastIndex([self.text]), batches)
        self.n_most = batches.sizes[-1] - 1


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
        *((), (1,), (7,), (7, 1), (7, 7), (15,), (512,))
    ]
    assert fast.split(8) == Tiles().split(8) == (8,)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> LoadSpec:
    """Nano in Q6_K, not repacked, on one thread of the CPU."""
    lib, _ = import_llama_cpp()
    lib.llama_backend_init()
    to = tmp_path_factory.mktemp("q6_k") / "nano-q6_k.gguf"
    params = lib.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize = FILE_TYPE_Q6_K, True
    model = bytes(NANO / "nano-q8_0.gguf")
    assert lib.llama_model_quantize(model, bytes(to), ctypes.byref(params)) == 0
    mmproj = str(NANO / "mmproj-nano-q8_0.gguf")
    return LoadSpec(str(to), mmproj, n_threads=1, n_gpu_layers=0, repack=False)


@pytest.fixture(scope="module")
def engine(spec: LoadSpec) -> Iterator[LlamaEngine]:
    """One that splits wherever the tests run."""
    engine = LlamaEngine()
    engine.load(spec, no_progress)
    engine._tiles = engine._tiles._replace(are_slow=True)
    yield engine
    engine.close()


@pytest.mark.skipif(not cpu_is_x86(), reason="nothing is multiplied in tiles here")
def test_an_engine_knows_whether_its_weights_are_in_tiles(spec: LoadSpec) -> None:
    """Repacking leaves some of a K quant in tiles, but not those that make them slow."""
    found = []
    for changed in ({}, {"repack": True}, {"n_gpu_layers": 99}):
        engine = LlamaEngine()
        engine.load(spec._replace(**changed), no_progress)
        found.append(engine._tiles)
        engine.close()
    as_it_is, repacked, on_gpu = found
    assert as_it_is.are_used
    assert repacked == Tiles(are_used=True, are_slow=False)
    assert on_gpu == Tiles()


def begin(engine: LlamaEngine, prompt: Sequence[PromptPart], n_chains: int) -> Texts:
    engine.prefill(prompt, ALONE._replace(n_chains=n_chains), WARM, no_progress)
    return {chain: [] for chain in range(n_chains)}


def test_nine_chains_say_what_each_says_alone(
    engine: LlamaEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    texts = begin(engine, table_prompt, 9)
    say(engine, texts, list(texts), 400)
    assert texts == {i: say_alone(engine, table_prompt, WARM, i, 400) for i in texts}


def test_a_conclusion_goes_through_no_tile_either(
    engine: LlamaEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    """With it the chains have more tokens to run than fit in one pass, and so has it alone."""
    texts = begin(engine, table_prompt, 4)
    say(engine, texts, list(texts), 30)
    engine.append(HEADING, chain=2)
    say(engine, texts, list(texts), 40)
    assert texts[1] == say_alone(engine, table_prompt, WARM, 1, 70)
    concluded = say_alone(engine, table_prompt, WARM, 2, 30)
    engine.append(HEADING)
    concluded += [piece.token for piece in engine.decode(40)]
    assert texts[2] == concluded


def test_asked_again_it_says_the_same_word_for_word(
    engine: LlamaEngine, table_prompt: tuple[PromptPart, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for sampling in (Sampling(), *(WARM._replace(seed=seed) for seed in range(6))):
        first = say_alone(engine, table_prompt, sampling, 0, 400)
        LongestDrafter.text = list(engine._drafter.index.tokens)
        with monkeypatch.context() as patch:
            patch.setattr(llama, "Drafter", LongestDrafter)
            again = say_alone(engine, table_prompt, sampling, 0, 400)
        assert again == first
        assert engine.draft_counts().accepted > len(first) / 2


def test_text_in_two_passes_gives_the_logits_of_token_by_token(
    engine: LlamaEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    lib, found = engine._lib, []
    n_vocab = lib.llama_vocab_n_tokens(engine._vocab)
    for is_whole in (True, False):
        say_alone(engine, table_prompt, Sampling(), 0, 20)
        engine._settle()
        tokens = [engine._history[-1], *engine._tokenize_text(HEADING, False)]
        assert len(tokens) in range(8, 15)
        if is_whole:
            engine._decode_tokens(tokens, has_logits=True)
        else:
            for token in tokens:
                engine._run_tokens([token], n_logits=1)
        found.append(lib.llama_get_logits_ith(engine._ctx, -1)[:n_vocab])
    assert found[0] == found[1]
