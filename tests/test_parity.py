"""The engine says what transformers says: same weights, same pictures, same greedy tokens.

References come from make_engine_references.py (float32, dequantized weights). llama.cpp multiplies
Q8_0 by activations it rounds to 8 bits, so where the reference itself all but tosses a coin between
two wordings the engine may fall on the other side; nowhere else. From there the reference's own
words are put into the prompt and the comparison goes on to the last token.
"""

import hashlib
import json
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from qvq_cli.engine.llama import LlamaEngine
from qvq_cli.engine.protocol import (
    Bitmap,
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

DATA = Path(__file__).parent / "data"
NANO = Path(__file__).parents[1] / "models" / "nano"
REFERENCES = json.loads((DATA / "engine_references.json").read_text(encoding="utf-8"))
CASES: dict[str, dict[str, Any]] = {case["name"]: case for case in REFERENCES["cases"]}
SPEC = LoadSpec(
    model_path=str(NANO / "nano-q8_0.gguf"),
    mmproj_path=str(NANO / "mmproj-nano-q8_0.gguf"),
    n_threads=1,
    n_gpu_layers=0,
    repack=False,
    vision_on_gpu=False,
)


def read_bitmap(name: str) -> Bitmap:
    with Image.open(DATA / name) as picture:
        rgb = picture.convert("RGB")
    return Bitmap(rgb.width, rgb.height, rgb.tobytes())


def generate(parts: Sequence[PromptPart], n_max: int) -> tuple[Prefilled, list[int]]:
    """The state after the prompt, and the tokens a fresh engine says to it."""
    engine = LlamaEngine()
    try:
        engine.load(SPEC, lambda *_: None)
        prefilled = engine.prefill(parts, Reserve(n_max, n_max), Sampling(), lambda *_: None)
        return prefilled, [piece.token for piece in engine.decode(n_max)]
    finally:
        engine.close()


def count_equal(left: Sequence[int], right: Sequence[int]) -> int:
    """The length of the longest common prefix."""
    return sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False))
    )


def test_references_are_of_the_model_in_the_repository() -> None:
    digests = {
        name: hashlib.sha256((NANO / name).read_bytes()).hexdigest()
        for name in REFERENCES["sha256"]
    }
    assert digests == REFERENCES["sha256"], "models/nano changed: run make_engine_references.py"


@pytest.mark.parametrize("name", CASES)
def test_greedy_tokens_are_those_of_transformers(name: str) -> None:
    case = CASES[name]
    wanted, ties = case["tokens"], {tie["index"]: tie for tie in case["ties"]}
    bitmaps = [read_bitmap(picture) for picture in case["pictures"]]
    system = case["system"]
    if system is None:
        system = catalog_entry("nano").profile.system
    prompt = build_prompt(system, bitmaps, case["question"], Dialect.HEADING)
    done, said = 0, ""
    while done < len(wanted):
        spoken = (TextPart(said, parse_special=False),) if said else ()
        prefilled, tokens = generate((*prompt, *spoken), len(wanted) - done)
        assert prefilled.n_tokens == case["prompt_tokens"] + done
        assert prefilled.n_pos == case["prompt_positions"] + done
        assert prefilled.image_tokens == tuple(case["image_tokens"])
        done += count_equal(tokens, wanted[done:])
        if done < len(wanted):
            assert done in ties, f"token {done} differs, and transformers had no doubt about it"
            said = case["text"][: ties[done]["length"]]
            done += 1
    assert done == len(wanted)
