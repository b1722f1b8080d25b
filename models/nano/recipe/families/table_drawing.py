"""Draws a table of functions: grids, rules, fills, tight and wide rows."""

import random
from typing import NamedTuple

from recipe.canvas import Box, Canvas
from recipe.look import Rgb

_ROLE_X = 104


class _Cell(NamedTuple):
    text: str
    font: str
    value: int | None
    key: int | None
    role: int
    is_head: bool


class _Layout(NamedTuple):
    """Edges of columns and rows, and the size of the letters."""

    lefts: list[float]
    tops: list[float]
    size: float
    pad: float


def _function_role(column: tuple[str, bool]) -> int:
    """Class of a function or its derivative: 0 to 103."""
    letter = ord(column[0]) - 97 if column[0].islower() else 26 + ord(column[0]) - 65
    return letter * 2 + int(column[1])


def draw_table(
    canvas: Canvas,
    xs: tuple[int, ...],
    columns: tuple[tuple[str, bool], ...],
    values: dict[tuple[str, bool], dict[int, int]],
    transposed: bool,
    rng: random.Random,
) -> None:
    """Lay the table out inside the canvas's area and draw it."""
    cells = _cells(canvas, xs, columns, values, rng)
    if transposed:
        cells = [list(row) for row in zip(*cells, strict=True)]
    layout = _fit(canvas, cells, rng)
    _draw_frame(canvas, layout, rng, transposed)
    align = rng.choices("mlr", [74, 14, 12])[0]
    for i, row in enumerate(cells):
        middle = (layout.tops[i] + layout.tops[i + 1]) / 2
        for j, cell in enumerate(row):
            left, right = layout.lefts[j], layout.lefts[j + 1]
            x = {"m": (left + right) / 2, "l": left + layout.pad, "r": right - layout.pad}[align]
            canvas.text(
                x,
                middle,
                cell.text,
                layout.size,
                font=cell.font,
                anchor=f"{align}m",
                value=cell.value,
                key=cell.key,
                role=cell.role,
            )


def _cells(
    canvas: Canvas,
    xs: tuple[int, ...],
    columns: tuple[tuple[str, bool], ...],
    values: dict[tuple[str, bool], dict[int, int]],
    rng: random.Random,
) -> list[list[_Cell]]:
    look = canvas.look
    head = look.bold if rng.random() < 0.5 else look.font
    argument = "" if rng.random() < 0.07 else "(x)"
    order: list[tuple[str, bool] | None] = [None, *columns]
    first = [_Cell("x", head, None, 60, _ROLE_X, True)]
    for c in columns:
        text = f"{c[0]}{chr(39) if c[1] else ''}{argument}"
        first.append(_Cell(text, head, None, 60, _function_role(c), True))
    cells = [first]
    x_font = head if rng.random() < 0.2 else look.font
    for x in xs:
        row = []
        for column in order:
            value = x if column is None else values[column][x]
            role = _ROLE_X if column is None else _function_role(column)
            font = x_font if column is None else look.font
            row.append(_Cell(str(value), font, value, x, role, False))
        cells.append(row)
    return cells


def _fit(canvas: Canvas, cells: list[list[_Cell]], rng: random.Random) -> _Layout:
    """Shrink padding, then letters, until the table fits."""
    look, area = canvas.look, canvas.area
    width, height = area.right - area.left - 3, area.bottom - area.top - 3
    n_rows, n_columns = len(cells), len(cells[0])
    size = rng.triangular(9.5, 27, 15) * canvas.width / max(300, min(canvas.width, 700))
    size = max(9.5, min(size, 40))
    pad = rng.uniform(3, 22) * (2 if rng.random() < 0.2 else 1)
    gap = rng.uniform(-1, 2.5) if rng.random() < 0.15 else rng.uniform(1.5, 11)
    equal = rng.random() < 0.45
    for _ in range(40):
        px = max(7, round(size))
        widths = [
            max(
                look.length(look.glyphs(row[j].text, row[j].font), row[j].font, px) for row in cells
            )
            + 2 * pad
            for j in range(n_columns)
        ]
        if equal:
            widths = [max(widths)] * n_columns
        row_height = max(size * 0.95, size * 1.22 + 2 * gap)
        if sum(widths) <= width and row_height * n_rows <= height:
            break
        if sum(widths) > width and pad > 3:
            pad *= 0.75
        elif row_height * n_rows > height and gap > 1.5:
            gap *= 0.75
        else:
            size *= 0.93
    if rng.random() < 0.3:
        stretch = min(2.5, max(1.0, rng.uniform(0.8, 1) * width / sum(widths)))
        widths = [w * stretch for w in widths]
    if rng.random() < 0.2:
        row_height *= min(2.2, max(1.0, rng.uniform(0.8, 1) * height / (row_height * n_rows)))
    free_x, free_y = width - sum(widths), height - row_height * n_rows
    x = area.left + 1 + max(0.0, free_x) * rng.choice([0.5, rng.random()])
    y = area.top + 1 + max(0.0, free_y) * rng.choice([0.5, rng.random()])
    lefts = [x]
    for w in widths:
        lefts.append(lefts[-1] + w)
    return _Layout(lefts, [y + row_height * i for i in range(n_rows + 1)], px, pad)


def _draw_frame(canvas: Canvas, layout: _Layout, rng: random.Random, transposed: bool) -> None:
    """Fills first, then the lines of one of several styles."""
    lefts, tops, look = layout.lefts, layout.tops, canvas.look
    if rng.random() < 0.3:
        shade = _near(look.paper, rng)
        box = Box(
            lefts[0],
            tops[0],
            lefts[1] if transposed else lefts[-1],
            tops[-1] if transposed else tops[1],
        )
        canvas.rectangle(box, shade)
    if rng.random() < 0.13:
        shade = _near(look.paper, rng)
        for i in range(1, len(tops) - 1, 2):
            canvas.rectangle(Box(lefts[0], tops[i], lefts[-1], tops[i + 1]), shade)
    color = look.ink if rng.random() < 0.55 else look.soft
    width = rng.choice([1, 1, 1, 1.5, 2])
    style = rng.choices(
        ["grid", "rules", "head", "none", "outer", "double", "columns"], [52, 11, 10, 6, 7, 8, 6]
    )[0]

    def across(y: float) -> None:
        canvas.line([(lefts[0], y), (lefts[-1], y)], color, width)

    def down(x: float) -> None:
        canvas.line([(x, tops[0]), (x, tops[-1])], color, width)

    if style in ("grid", "rules"):
        for y in tops:
            across(y)
    if style == "grid":
        for x in lefts:
            down(x)
    elif style == "head":
        for y in (tops[1],) if rng.random() < 0.5 else (tops[0], tops[1], tops[-1]):
            across(y)
        if rng.random() < 0.4:
            down(lefts[1])
    elif style == "outer":
        canvas.rectangle(Box(lefts[0], tops[0], lefts[-1], tops[-1]), None, color, width)
        across(tops[1])
    elif style == "columns":
        for x in lefts[1:-1]:
            down(x)
        across(tops[1])
    elif style == "double":
        for i in range(len(tops) - 1):
            for j in range(len(lefts) - 1):
                box = Box(
                    lefts[j] + 1, tops[i] + 1, lefts[j + 1] - 1, max(tops[i] + 2, tops[i + 1] - 1)
                )
                canvas.rectangle(box, None, color, 1)


def _near(paper: Rgb, rng: random.Random) -> Rgb:
    """A shade of the paper that letters still stand out from."""
    toward = 1 if sum(paper) < 384 else -1
    shifts = [toward * rng.randint(8, 55) for _ in range(3)]
    if rng.random() < 0.5:
        shifts = [shifts[0]] * 3
    r, g, b = (max(0, min(255, c + s)) for c, s in zip(paper, shifts, strict=True))
    return (r, g, b)
