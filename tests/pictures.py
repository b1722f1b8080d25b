"""Pictures that nano can read: tables of two functions and their derivatives, drawn when needed.

The font is the one Pillow carries, so no machine needs fonts of its own. Sizes are multiples of
28 px, the encoder's patch times its merge: what is drawn here is what the model sees.
"""

import random
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

Style = Literal["grid", "rules", "header"]
STYLES: tuple[Style, ...] = ("grid", "rules", "header")
SIZES_PX = ((420, 280), (476, 308), (532, 364), (588, 392))
INK = (0, 0, 0)
PAPER = (255, 255, 255)
SHADE = (226, 226, 226)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: x, then f(x), f'(x), g(x) and g'(x)."""

    x: int
    f: int
    f_slope: int
    g: int
    g_slope: int

    @property
    def product_slope(self) -> int:
        """h'(x) for h(x) = f(x) * g(x)."""
        return self.f_slope * self.g + self.f * self.g_slope


@dataclass(frozen=True, slots=True)
class ValueTable:
    """Values of two functions and of their derivatives at a few x."""

    rows: tuple[Row, ...]
    names: tuple[str, str] = ("f", "g")

    def at(self, x: int) -> Row:
        return next(row for row in self.rows if row.x == x)

    def cells(self) -> list[list[str]]:
        """The table as text, the header first."""
        f, g = self.names
        header = ["x", f"{f}(x)", f"{f}'(x)", f"{g}(x)", f"{g}'(x)"]
        lines = [(r.x, r.f, r.f_slope, r.g, r.g_slope) for r in self.rows]
        return [header, *([str(value) for value in line] for line in lines)]


# QVQ's published example: h'(2) = -29.
PUBLISHED = ValueTable(
    (
        Row(-2, 5, -4, -11, 9),
        Row(-1, 0, 3, -2, 4),
        Row(0, 2, 6, -1, 0),
        Row(1, 4, -2, -2, -5),
        Row(2, -3, -8, 1, 7),
    )
)
PRODUCT_QUESTION = "Given h(x) = f(x) * g(x), find h'(2)"


def random_table(seed: int) -> ValueTable:
    """A table with the rows x = -2 to 2 and values of one digit."""
    dice = random.Random(seed)
    values = ((x, *(dice.randint(-9, 9) for _ in range(4))) for x in range(-2, 3))
    return ValueTable(tuple(Row(*line) for line in values))


def draw_table(
    table: ValueTable,
    size_px: tuple[int, int] = (420, 280),
    *,
    style: Style = "grid",
    font_px: int = 17,
    caption: str = "",
) -> Image.Image:
    """Draw a table in black on white, below `caption` (a line that may hold the whole problem)."""
    picture = Image.new("RGB", size_px, PAPER)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(font_px)
    cells = table.cells()
    cell_w = min(font_px * 5, (size_px[0] - 12) // len(cells[0]))
    cell_h = min(font_px * 2, (size_px[1] - 12) // (len(cells) + bool(caption)))
    table_w, table_h = cell_w * len(cells[0]), cell_h * len(cells)
    caption_h = cell_h if caption else 0
    left, top = (size_px[0] - table_w) // 2, (size_px[1] - table_h + caption_h) // 2
    if caption:
        draw.text((size_px[0] / 2, top - caption_h / 2), caption, INK, font, anchor="mm")
    if style == "header":
        draw.rectangle((left, top, left + table_w, top + cell_h), fill=SHADE)
    for i, line in enumerate(cells):
        for j, text in enumerate(line):
            middle = (left + (j + 0.5) * cell_w, top + (i + 0.5) * cell_h)
            draw.text(middle, text, INK, font, anchor="mm")
    _rule(draw, (left, top), (cell_w, cell_h), (len(cells[0]), len(cells)), style)
    return picture


def draw_random(seed: int, *, caption: str = "") -> tuple[Image.Image, ValueTable]:
    """A fresh table in a size, style and letter height that the seed chooses."""
    dice = random.Random(f"look {seed}")
    table = random_table(seed)
    look = dice.choice(SIZES_PX), dice.choice(STYLES), dice.randint(15, 20)
    size_px, style, font_px = look
    return draw_table(table, size_px, style=style, font_px=font_px, caption=caption), table


def _rule(
    draw: ImageDraw.ImageDraw,
    origin: tuple[int, int],
    cell: tuple[int, int],
    counts: tuple[int, int],
    style: Style,
) -> None:
    """The lines of a table: all of them, the horizontal ones, or a single one below the header."""
    (left, top), (cell_w, cell_h), (columns, lines) = origin, cell, counts
    right, bottom = left + cell_w * columns, top + cell_h * lines
    heights = [top + cell_h] if style == "header" else [top + cell_h * i for i in range(lines + 1)]
    for y in heights:
        draw.line((left, y, right, y), INK)
    if style == "grid":
        for x in range(left, right + 1, cell_w):
            draw.line((x, top, x, bottom), INK)
