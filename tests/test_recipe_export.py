# ruff: noqa: E402 (what may be missing is asked for first)
"""What is exported is what was trained: llama.cpp continues a prompt with torch's own tokens."""

import random
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("regex")
pytest.importorskip("gguf")

import numpy as np
from recipe.batches import Writer, make_batch, mrope_positions
from recipe.checkpoint import load_parts, save_parts
from recipe.decode import greedy
from recipe.drawing import Studio
from recipe.export import export
from recipe.model import Nano, Shape
from recipe.pixels import normalize
from recipe.restore import restore_weights
from recipe.tokenizer import SYSTEM_PROMPT, Tokenizer, shared_tokenizer

from qvq_cli.engine.llama import LlamaEngine
from qvq_cli.engine.protocol import Bitmap, LoadSpec, Reserve, Sampling
from qvq_cli.hub.catalog import catalog_entry
from qvq_cli.reasoning.prompt import build_prompt
from qvq_cli.reasoning.transcript import Dialect
from recipe_fixtures import make_studio

N_NEW = 12


def _ignore(*_: object) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return shared_tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> Nano:
    torch.manual_seed(3)
    model = Nano(Shape(tokenizer.n_vocab, n_layers=2, vision_layers=2))
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(
                (weight * 1.5).half().float()
            )  # livelier than at the start, and exact in f16
    return model


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (196, 252, 3), dtype=np.uint8)


def _continue_in_torch(
    model: Nano, tokenizer: Tokenizer, pixels: np.ndarray, question: str
) -> list[int]:
    ids, starts = tokenizer.encode_prompt(question, [63], SYSTEM_PROMPT)
    return greedy(model, pixels[None], [ids], starts, tokenizer.end, N_NEW)[0]


def test_llama_cpp_finds_the_same_tokens(
    model: Nano, tokenizer: Tokenizer, pixels: np.ndarray, tmp_path: Path
) -> None:
    save_parts(model, tmp_path)
    export(tmp_path, tmp_path, model.shape, tokenizer)
    engine = LlamaEngine()
    spec = LoadSpec(
        str(tmp_path / "nano-f16.gguf"),
        str(tmp_path / "mmproj-nano-f16.gguf"),
        1,
        n_gpu_layers=0,
        repack=False,
    )
    engine.load(spec, _ignore)
    bitmap = Bitmap(pixels.shape[1], pixels.shape[0], pixels.tobytes())
    system = catalog_entry("nano").profile.system
    for question in ("What is h'(2)?", "求 h'(2) 的值。"):
        parts = build_prompt(system, [bitmap], question, Dialect.HEADING)
        engine.prefill(parts, Reserve(N_NEW, N_NEW), Sampling(), _ignore)
        found = [piece.token for piece in engine.decode(N_NEW) if not piece.is_eog]
        assert found == _continue_in_torch(model, tokenizer, pixels, question)
    engine.close()


def test_decoding_with_a_cache_equals_decoding_without(
    model: Nano, tokenizer: Tokenizer, pixels: np.ndarray
) -> None:
    prompts, starts = [], []
    for question in ("short?", "a question that is a good deal longer than the other one"):
        ids, runs = tokenizer.encode_prompt(question, [63], None)
        prompts.append(ids)
        starts.append(runs[0])
    together = greedy(model, np.stack([pixels, pixels]), prompts, starts, tokenizer.end, N_NEW)
    with torch.no_grad():
        rows = model.encode_images(normalize(torch.from_numpy(pixels[None]))).merged[0]
        for prompt, start, found in zip(prompts, starts, together, strict=True):
            ids = list(prompt)
            for token in found:
                positions = torch.from_numpy(mrope_positions(len(ids), [(start, 0)], (7, 9)))[None]
                hidden = model(
                    model.embed(torch.tensor([ids]), torch.arange(start, start + 63), rows),
                    positions,
                )
                assert int(model.logits(hidden[0, -1:]).argmax()) == token
                ids.append(token)


def test_weights_survive_in_parts(model: Nano, tmp_path: Path) -> None:
    save_parts(model, tmp_path)
    loaded = load_parts(tmp_path)
    assert all(torch.equal(value, loaded[name]) for name, value in model.state_dict().items())


def test_batches_train_on_replies_only(tokenizer: Tokenizer, tmp_path: Path) -> None:
    studio: Studio = make_studio(tmp_path)
    batch = make_batch(studio, Writer(tokenizer), random.Random(5), 0.2, 600, 2)
    for part in batch.parts:
        flat = part.ids.reshape(-1)
        assert (flat[part.targets + 1] == part.tokens).all()
        assert not np.isin(
            part.tokens, [tokenizer.image_pad, tokenizer.special["<|im_start|>"]]
        ).any()
        assert (flat[part.slots] == tokenizer.image_pad).all()
    assert batch.labels.shape[1] * 14 * 14 == batch.pixels.shape[1] * batch.pixels.shape[2]


def test_training_can_go_on_from_the_exported_pair(
    model: Nano, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    save_parts(model, tmp_path)
    export(tmp_path, tmp_path, model.shape, tokenizer)
    pair = (tmp_path / "nano-f16.gguf", tmp_path / "mmproj-nano-f16.gguf")
    restored = restore_weights(*pair, model.shape)
    for name, value in model.state_dict().items():
        if not name.startswith("labels."):
            assert torch.allclose(restored[name], value, rtol=1e-3, atol=1e-6), name
