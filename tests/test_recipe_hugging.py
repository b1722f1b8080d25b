# ruff: noqa: E402 (what may be missing is asked for first)
"""nano is a Qwen2-VL: transformers' own code finds the same greedy tokens in its weights."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("regex")

import numpy as np
from recipe.decode import greedy
from recipe.hugging import patches_for_transformers, to_transformers
from recipe.model import Nano, Shape
from recipe.pixels import normalize
from recipe.tokenizer import SYSTEM_PROMPT, shared_tokenizer


def test_transformers_finds_the_same_tokens() -> None:
    tokenizer = shared_tokenizer()
    torch.manual_seed(5)
    model = Nano(Shape(tokenizer.n_vocab, n_layers=2, vision_layers=2))
    reference = to_transformers(model.state_dict(), model.shape, tokenizer)
    pixels = np.random.default_rng(1).integers(0, 256, (196, 252, 3), dtype=np.uint8)
    ids, starts = tokenizer.encode_prompt("What is h'(2)?", [63], SYSTEM_PROMPT)
    ours = greedy(model, pixels[None], [ids], starts, tokenizer.end, 12)[0]
    values, grid = patches_for_transformers(normalize(torch.from_numpy(pixels[None])))
    prompt = torch.tensor([ids])
    kinds = (prompt == tokenizer.image_pad).long()
    found = reference.generate(
        input_ids=prompt, attention_mask=torch.ones_like(prompt), mm_token_type_ids=kinds,
        pixel_values=values,
        image_grid_thw=grid, do_sample=False, max_new_tokens=12, pad_token_id=tokenizer.end,
        eos_token_id=tokenizer.end,
    )  # fmt: skip
    assert found[0, len(ids) :].tolist()[: len(ours)] == ours
