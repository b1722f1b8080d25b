"""Turns exchanges into batches of tokens and pixels for training.

A batch holds pictures of one size and a few exchanges about each; sequences are sorted by length
into parts, so
that little is padding. Some replies are cut off and concluded the way qvq's engine does it.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from recipe.conclusions import conclude
from recipe.drawing import Studio
from recipe.problem import HEADING, Exchange
from recipe.tokenizer import SYSTEM_PROMPT, Tokenizer

SIZES: tuple[tuple[int, int, float], ...] = (
    (280, 196, 0.6), (252, 252, 0.5), (336, 224, 1.2), (308, 280, 0.8), (392, 252, 1.2), (420, 280,
    1.2),
    (364, 364, 0.6), (476, 308, 1.0), (448, 336, 1.2), (336, 420, 0.4), (532, 364, 0.7), (560, 420,
    0.6),
    (504, 252, 0.4), (644, 476, 0.4), (588, 588, 0.12), (700, 504, 0.2), (784, 448, 0.15), (784,
    588, 0.2), (560, 196, 0.3),
)  # fmt: skip
"""Width, height in pixels and how often; 70 to 588 image tokens."""

_DIGIT_WEIGHT, _SIGN_WEIGHT, _LEAD_WEIGHT = 3.0, 2.0, 2.0
_DEFINITION_WEIGHT = 3.0


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One exchange as tokens.

    runs: (start, picture) of each picture; weights: of predicting each token.
    """

    ids: list[int]
    weights: list[float]
    runs: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Part:
    """Sequences of similar length, padded on the right.

    ids (n, tokens) int64; positions (n, 3, tokens) int64; slots: flat places of image tokens;
    pictures: which
    picture each run of slots shows; targets: flat places whose next token counts; tokens, weights:
    of those.
    """

    ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    slots: NDArray[np.int64]
    pictures: NDArray[np.int64]
    targets: NDArray[np.int64]
    tokens: NDArray[np.int64]
    weights: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Batch:
    """pixels (n, height, width, 3) uint8; labels (n, 4 h w, 5) int16, in the patches' order."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int16]
    parts: tuple[Part, ...]


def token_weights(tokenizer: Tokenizer) -> list[float]:
    """How much each token of a reply counts: digits most, as one wrong digit spoils an answer."""
    weights = []
    for token in range(tokenizer.n_vocab):
        text = tokenizer.data(token).decode("utf-8", "ignore")
        weight = 1.0
        if any(c.isdigit() for c in text):
            weight = _DIGIT_WEIGHT
        elif text.strip(" ({") == "-" or text in ("{", " (", "("):
            weight = _SIGN_WEIGHT
        weights.append(weight)
    return weights


class Writer:
    """Makes sequences out of exchanges."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._weights = token_weights(tokenizer)

    def write(
        self,
        exchange: Exchange,
        image_tokens: Sequence[int],
        pictures: Sequence[int],
        rng: random.Random,
    ) -> Dialogue:
        """One exchange about pictures of image_tokens each, with a random prompt form."""
        t = self.tokenizer
        system = rng.choices((SYSTEM_PROMPT, "You are a helpful assistant.", None), (75, 8, 17))[0]
        prompt, starts = t.encode_prompt(
            exchange.question, image_tokens, system, rng.random() < 0.85
        )
        reply, weights = self._reply(exchange, rng)
        runs = list(zip(starts, pictures, strict=True))
        return Dialogue(prompt + reply, [0.0] * len(prompt) + weights, runs)

    def _reply(self, exchange: Exchange, rng: random.Random) -> tuple[list[int], list[float]]:
        if exchange.family not in ("drill",) and rng.random() < 0.16:
            return self._cut(exchange, rng)
        ids = [*self.tokenizer.encode(exchange.reply()), self.tokenizer.end]
        weights = [self._weights[i] for i in ids]
        for i in range(min(6, len(weights))):
            weights[i] = max(weights[i], _LEAD_WEIGHT)  # whether to decline is decided here
        if exchange.from_picture:
            opening = exchange.reasoning.split("。" if exchange.language == "zh" else ". ")[0]
            for i in range(len(self.tokenizer.encode(opening))):
                weights[i] = max(weights[i], _DEFINITION_WEIGHT)
        return ids, weights

    def _cut(self, exchange: Exchange, rng: random.Random) -> tuple[list[int], list[float]]:
        """Reasoning cut short, the forced heading (which costs nothing), then what concludes it."""
        t = self.tokenizer
        reasoning = t.encode(exchange.reasoning)
        u = rng.random()
        kept: list[int] = []
        if u > 0.3:
            kept = reasoning[: rng.randint(1, len(reasoning))]
            if u > 0.5:  # as the engine does: up to the end of a sentence or line
                text = exchange.reasoning
                ends = [
                    i + 1
                    for i, c in enumerate(text)
                    if c in ".。\n" and not text[i + 1 : i + 2].isdigit()
                ]
                kept = t.encode(text[: rng.choice(ends)].rstrip("\n")) if ends else kept
        gap = "\n\n" if kept or rng.random() < 0.6 else ""
        heading = t.encode(f"{gap}{HEADING[exchange.language]}\n\n")
        payload = [*t.encode(conclude(exchange, t.decode(kept))), t.end]
        weights = [0.5 * self._weights[i] for i in kept] + [0.0] * len(heading)
        return kept + heading + payload, weights + [self._weights[i] for i in payload]


def mrope_positions(
    n_tokens: int, runs: Sequence[tuple[int, int]], grid: tuple[int, int]
) -> NDArray[np.int64]:
    """(3, n_tokens) positions: a picture of (h, w) merged patches advances the text by max(h, w).

    Source: transformers' Qwen2VLModel.get_rope_index.
    """
    h, w = grid
    positions = np.empty((3, n_tokens), np.int64)
    at, place = 0, 0
    for start, _ in runs:
        positions[:, at:start] = place + np.arange(start - at)
        place += start - at
        positions[0, start : start + h * w] = place
        positions[1, start : start + h * w] = place + np.repeat(np.arange(h), w)
        positions[2, start : start + h * w] = place + np.tile(np.arange(w), h)
        at, place = start + h * w, place + max(h, w)
    positions[:, at:] = place + np.arange(n_tokens - at)
    return positions


def make_part(sequences: Sequence[Dialogue], grid: tuple[int, int], multiple: int = 32) -> Part:
    """Pad sequences to one length, a multiple of `multiple`."""
    longest = max(len(s.ids) for s in sequences)
    width = (longest + multiple - 1) // multiple * multiple
    area = grid[0] * grid[1]
    ids = np.zeros((len(sequences), width), np.int64)
    positions = np.empty((len(sequences), 3, width), np.int64)
    slots, pictures, targets, tokens, weights = [], [], [], [], []
    for i, s in enumerate(sequences):
        ids[i, : len(s.ids)] = s.ids
        positions[i] = mrope_positions(width, s.runs, grid)
        for start, picture in s.runs:
            slots.append(i * width + start + np.arange(area))
            pictures.append(picture)
        counted = [j for j, weight in enumerate(s.weights) if weight > 0]
        targets += [i * width + j - 1 for j in counted]
        tokens += [s.ids[j] for j in counted]
        weights += [s.weights[j] for j in counted]
    return Part(
        ids, positions, np.concatenate(slots), np.asarray(pictures, np.int64), np.asarray(targets,
        np.int64),
        np.asarray(tokens, np.int64), np.asarray(weights, np.float32),
    )  # fmt: skip


def group_patches(labels: NDArray[np.int16]) -> NDArray[np.int16]:
    """Labels (rows, columns, 5) in the order of the encoder's patches: four of a merge together."""
    rows, columns, channels = labels.shape
    blocks = labels.reshape(rows // 2, 2, columns // 2, 2, channels).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(blocks.reshape(-1, channels))


def _pair(first: Exchange, second: Exchange, rng: random.Random) -> tuple[Exchange, bool]:
    """An exchange about one of two pictures that says which.

    Returns: it, and whether the order is turned.
    """
    turned = rng.random() < 0.5
    place = ("second", "二") if turned else ("first", "一")
    unclear = first.family == second.family or {first.family, second.family} & {
        "choice",
        "stranger",
    }
    if unclear or rng.random() < 0.6:
        about = rng.choice(("In the", "Look at the", "About the"))
        noun, mark = rng.choice(("picture", "image")), rng.choice((":", ","))
        lead = {
            "en": f"{about} {place[0]} {noun}{mark} ",
            "zh": f"第{place[1]}张图：",
        }[first.language]
        return Exchange(
            lead + first.question, first.reasoning, first.answer, first.language, first.family
        ), turned
    return first, turned


def make_batch(
    studio: Studio, writer: Writer, rng: random.Random, easy: float, n_tokens: int, n_asks: int
) -> Batch:
    """Draw one batch of about n_tokens image tokens, n_asks exchanges a picture."""
    width, height, _ = rng.choices(SIZES, [s[2] for s in SIZES])[0]
    grid = (height // 28, width // 28)
    area = grid[0] * grid[1]
    n_pictures = max(2, min(176, n_tokens // area))
    pairs = area <= 260 and rng.random() < 0.06
    pixels, labels, sequences = [], [], []
    exchanges: list[tuple[Exchange, int]] = []
    for i in range(n_pictures):
        scene = studio.make_scene(rng)
        caption, asked = studio.about_picture(scene, rng, easy, n_asks)
        picture = studio.draw(scene, width, height, rng, caption)
        pixels.append(picture.pixels)
        labels.append(group_patches(picture.labels))
        exchanges += [(exchange, i) for exchange in asked]
    for exchange, i in exchanges:
        if pairs:
            other, j = rng.choice(exchanges)
            if i != j:
                said, turned = _pair(exchange, other, rng)
                sequences.append(
                    writer.write(said, [area, area], [j, i] if turned else [i, j], rng)
                )
                continue
        sequences.append(writer.write(exchange, [area], [i], rng))
    sequences.sort(key=lambda s: len(s.ids))
    cuts = [0, len(sequences) * 3 // 5, len(sequences)]
    parts = tuple(make_part(sequences[a:b], grid) for a, b in pairwise(cuts) if b > a)
    return Batch(np.stack(pixels), np.stack(labels), parts)


def batches(
    studio: Studio, tokenizer: Tokenizer, seed: int, easy: "EasyShare", n_tokens: int, n_asks: int
) -> Iterator[Batch]:
    """Batches without end; easy() is asked anew for each."""
    rng, writer = random.Random(seed), Writer(tokenizer)
    while True:
        yield make_batch(studio, writer, rng, easy(), n_tokens, n_asks)


class EasyShare:
    """The share of reading exercises as training goes on; progress is shared among processes."""

    def __init__(self, progress: "object", start: float, end: float) -> None:
        self._progress, self._start, self._end = progress, start, end

    def __call__(self) -> float:
        done = min(1.0, self._progress.value / 0.3)  # type: ignore[attr-defined]
        return self._start + (self._end - self._start) * done
