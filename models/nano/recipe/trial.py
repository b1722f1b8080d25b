"""A quick trial on the training machine: fresh problems by family, greedy, in torch.

The numbers of the model card come from `recipe.evaluate`, through llama.cpp; these only say where
training stands.
"""

import random
from dataclasses import dataclass

import numpy as np
import torch

from recipe.choices import offer_choices
from recipe.decode import greedy
from recipe.drawing import FAMILIES, Studio
from recipe.families.strangers import decline, unrelated_question
from recipe.model import Nano
from recipe.problem import HEADING, Exchange, Language
from recipe.scoring import is_refusal, is_right
from recipe.tokenizer import SYSTEM_PROMPT, Tokenizer

_SIZES = ((336, 224), (420, 280), (448, 336), (532, 364))


@dataclass(frozen=True, slots=True)
class Item:
    """One drawn problem of a trial."""

    group: str
    exchange: Exchange
    pixels: "np.typing.NDArray[np.uint8]"


def draw_items(studio: Studio, seed: int, n_each: int) -> list[Item]:
    """n_each problems of every family, of multiple choice, and of what must be declined."""
    rng = random.Random(seed)
    items = []
    for group in (*FAMILIES, "choice", "absent", "unrelated"):
        for i in range(n_each):
            language: Language = "zh" if i % 4 == 0 else "en"
            width, height = _SIZES[i * len(_SIZES) // n_each]
            scene = studio.make_scene(
                rng, group if group in FAMILIES else rng.choice(FAMILIES[:-1])
            )
            if group == "absent":
                exchange = scene.ask_absent(rng, language)
            elif group == "stranger":
                exchange = studio.converse(scene, rng, 0)
            elif group == "unrelated":
                question = unrelated_question(studio.supplies, rng, language)
                exchange = decline(question, rng, language)
            else:
                exchange = scene.ask(rng, language)
            if group == "choice":
                exchange = offer_choices(exchange, rng) or exchange
            items.append(Item(group, exchange, studio.draw(scene, width, height, rng).pixels))
    return items


@torch.no_grad()
def run_trial(
    model: Nano, tokenizer: Tokenizer, items: list[Item], share: float | None = None
) -> dict[str, float]:
    """Share of right replies by group.

    share: reasoning is cut there and the heading forced (0: no reasoning).
    """
    right: dict[str, list[bool]] = {}
    by_size: dict[tuple[int, ...], list[Item]] = {}
    for item in items:
        by_size.setdefault(item.pixels.shape, []).append(item)
    for shape, group in by_size.items():
        area = shape[0] // 28 * (shape[1] // 28)
        prompts, starts = [], []
        for item in group:
            ids, runs = tokenizer.encode_prompt(item.exchange.question, [area], SYSTEM_PROMPT)
            if share is not None:
                reasoning = tokenizer.encode(item.exchange.reasoning)
                ids += reasoning[: int(len(reasoning) * share)]
                ids += tokenizer.encode(f"\n\n{HEADING[item.exchange.language]}\n\n")
            prompts.append(ids)
            starts.append(runs[0])
        pixels = np.stack([item.pixels for item in group])
        outs = greedy(model, pixels, prompts, starts, tokenizer.end, 420)
        for item, out in zip(group, outs, strict=True):
            text = tokenizer.decode(out)
            right.setdefault(item.group, []).append(is_right(item.exchange, text))
            if item.exchange.answer is not None:
                right.setdefault("refused though answerable", []).append(is_refusal(text))
    return {name: sum(v) / len(v) for name, v in right.items()}
