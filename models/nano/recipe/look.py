"""How a picture looks: fonts, colours, line widths. Chosen once a picture, at random.

Knows the font files (collected by `recipe.assets`) and which characters each can draw.
"""

import functools
import json
import random
from dataclasses import dataclass
from pathlib import Path

from PIL import ImageFont

Rgb = tuple[int, int, int]

_SUBSTITUTES = {"−": "-", "–": "-", "′": "'", "’": "'", "·": "*", "×": "*", "°": "°", "∠": "∠"}


@dataclass(frozen=True, slots=True)
class FontShelf:
    """Font files by family; held_out families are for evaluation only."""

    folder: Path
    train: tuple[tuple[str, ...], ...]
    held_out: tuple[tuple[str, ...], ...]
    chinese: tuple[str, ...]
    glyphs: dict[str, frozenset[str]]


@functools.cache
def load_fonts(folder: Path) -> FontShelf:
    """Read the index that `recipe.assets` wrote beside the fonts."""
    index = json.loads((folder / "fonts.json").read_text(encoding="utf-8"))
    return FontShelf(
        folder,
        tuple(tuple(family) for family in index["train"]),
        tuple(tuple(family) for family in index["held_out"]),
        tuple(index["chinese"]),
        {name: frozenset(chars) for name, chars in index["glyphs"].items()},
    )


@functools.lru_cache(maxsize=6000)
def _face(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


@functools.lru_cache(maxsize=60000)
def _length(path: str, size: int, text: str) -> float:
    return _face(path, size).getlength(text)


@dataclass(frozen=True, slots=True)
class Look:
    """The choices that hold for one picture."""

    shelf: FontShelf
    font: str
    bold: str
    caption_font: str
    chinese_font: str
    paper: Rgb
    ink: Rgb
    soft: Rgb
    palette: tuple[Rgb, ...]
    stroke: float
    minus: str
    prime: str
    times: str
    smooth: bool
    jpeg: float

    def face(self, font: str, size: int) -> ImageFont.FreeTypeFont:
        return _face(f"{self.shelf.folder}/{font}", size)

    def length(self, text: str, font: str, size: int) -> float:
        """Width of text in pixels."""
        return _length(f"{self.shelf.folder}/{font}", size, text)

    def glyphs(self, text: str, font: str) -> str:
        """Text with this look's minus, prime and dot, as far as the font has them."""
        known = self.shelf.glyphs[font]
        for plain, fancy in (("-", self.minus), ("'", self.prime), ("*", self.times)):
            if fancy in known:
                text = text.replace(plain, fancy)
        return "".join(c if c < "\x7f" or c in known else _SUBSTITUTES.get(c, c) for c in text)

    def for_text(self, text: str) -> str:
        """The font that can draw it."""
        return self.chinese_font if any(c > "\u2e80" for c in text) else self.font


def _shade(rng: random.Random, low: int, high: int) -> Rgb:
    return (rng.randint(low, high), rng.randint(low, high), rng.randint(low, high))


_PALETTES: tuple[tuple[Rgb, ...], ...] = (
    ((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75)),
    ((66, 133, 244), (219, 68, 55), (244, 180, 0), (15, 157, 88), (171, 71, 188), (0, 172, 193)),
    (
        (76, 114, 176),
        (221, 132, 82),
        (85, 168, 104),
        (196, 78, 82),
        (129, 114, 179),
        (147, 120, 96),
    ),
    ((70, 130, 180), (60, 179, 113), (255, 165, 0), (205, 92, 92), (106, 90, 205), (128, 128, 128)),
    ((0, 114, 178), (230, 159, 0), (0, 158, 115), (213, 94, 0), (204, 121, 167), (86, 180, 233)),
)


def draw_look(rng: random.Random, shelf: FontShelf, *, held_out: bool = False) -> Look:
    """A random look; held_out takes fonts that training never sees."""
    families = shelf.held_out if held_out else shelf.train
    family = rng.choice(families)
    font = family[0] if rng.random() < 0.55 else rng.choice(family)
    caption_family = family if rng.random() < 0.6 else rng.choice(families)
    dark = rng.random() < 0.08
    white: Rgb = (255, 255, 255)
    paper = white if rng.random() < 0.65 else _shade(rng, 222, 255)
    ink: Rgb = (0, 0, 0) if rng.random() < 0.55 else _shade(rng, 0, 95)
    if dark:
        paper, ink = _shade(rng, 0, 60), _shade(rng, 200, 255)
    gray = rng.randint(60, 120) if dark else rng.randint(120, 225)
    palette = list(rng.choice(_PALETTES))
    if rng.random() < 0.25:
        palette = [_shade(rng, 20, 220) for _ in range(6)]
    rng.shuffle(palette)
    return Look(
        shelf=shelf,
        font=font,
        bold=rng.choice(family),
        caption_font=caption_family[0] if rng.random() < 0.6 else rng.choice(caption_family),
        chinese_font=rng.choice(shelf.chinese),
        paper=paper,
        ink=ink,
        soft=(gray, gray, gray),
        palette=tuple(palette),
        stroke=rng.choice([0.8, 1, 1, 1.4, 1.8, 2.4]),
        minus=rng.choice("--−−−–"),
        prime=rng.choice("'''′’"),
        times=rng.choice("**··×"),
        smooth=rng.random() < 0.75,
        jpeg=0.12,
    )
