"""Draws bar charts and line charts with axes, ticks, grids and titles."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from recipe.canvas import Box, Canvas
from recipe.look import Rgb
from recipe.words import CHINESE_TITLES, TITLES

_NAME, _TOP, _TICK, _VALUE, _TITLE = 105, 106, 107, 108, 114
_FITTED_SHARE = 0.3
_FITTED_STEPS = (0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0, 20.0, 25.0, 50.0)
_FITTED_TICKS = (6, 7, 8, 9)


class _Axis(NamedTuple):
    """The values at both ends of an axis, and those that are written beside it."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def texts(self) -> list[str]:
        """0.0, 2.5, 5.0 where one of them isn't whole: as many decimals as any needs."""
        n_decimals = max((len(f"{tick:g}".partition(".")[2]) for tick in self.ticks), default=0)
        return [f"{tick:.{n_decimals}f}" for tick in self.ticks]


def _choose_axis(
    values: tuple[int, ...], kind: str, step: int, top: int, is_labelled: bool, rng: random.Random
) -> _Axis:
    """From nought to the top in steps, or as plotting programs fit an axis to its values."""
    if rng.random() < _FITTED_SHARE and max(values) > 0:
        return _fit_axis(values, kind, step, is_labelled, rng)
    headroom = 1.12 if is_labelled else rng.choice([1.0, 1.04, 1.1])
    return _Axis(0, top * headroom, tuple(range(0, top + 1, step)))


def _fit_axis(
    values: tuple[int, ...], kind: str, step: int, is_labelled: bool, rng: random.Random
) -> _Axis:
    """A twentieth beyond the values, which for a line need not begin at nought.

    Without labels the ticks are as near to each other as the scene's own, so that the values can
    be read.
    """
    low, high = 0.0, float(max(values))
    if kind == "line" and rng.random() < 0.7:
        low = float(min(values)) if min(values) < high else 0.0
    margin = 0.05 * (high - low)
    bottom = low - margin if kind == "line" else 0.0
    peak = high + margin * (2.4 if is_labelled else 1.0)
    steps = [s for s in _FITTED_STEPS if is_labelled or s <= step]
    n_ticks = rng.choice(_FITTED_TICKS)
    tick = next((s for s in steps if (peak - bottom) / s <= n_ticks), steps[-1])
    numbers = range(math.ceil(bottom / tick), math.floor(peak / tick) + 1)
    return _Axis(bottom, peak, tuple(tick * number for number in numbers))


@dataclass(frozen=True, slots=True)
class _Frame:
    """The plot's box, the letter size, and where a value lies on its axis."""

    box: Box
    size: float
    place: Callable[[float], float]


def draw_chart(
    canvas: Canvas,
    names: tuple[str, ...],
    values: tuple[int, ...],
    kind: str,
    step: int,
    top: int,
    is_labelled: bool,
    rng: random.Random,
) -> None:
    """Lay out and draw one series inside the canvas's area."""
    lying = kind == "lying bars"
    size = _letter_size(canvas, names, lying, rng)
    hidden_axis = is_labelled and rng.random() < 0.2
    axis = _choose_axis(values, kind, step, top, is_labelled, rng)
    box = _plot_box(canvas, names, axis, size, lying, hidden_axis, rng)

    def place(value: float) -> float:
        share = (value - axis.low) / (axis.high - axis.low)
        if lying:
            return box.left + (box.right - box.left) * share
        return box.bottom - (box.bottom - box.top) * share

    frame = _Frame(box, size, place)
    _draw_axes(canvas, frame, axis, lying, hidden_axis, rng)
    span = (box.bottom - box.top) if lying else (box.right - box.left)
    start = box.top if lying else box.left
    pitch = span / len(names)
    middles = [start + pitch * (i + 0.5) for i in range(len(names))]
    if kind == "line":
        _draw_line(canvas, frame, middles, values, is_labelled, rng)
    else:
        _draw_bars(canvas, frame, middles, pitch, values, lying, is_labelled, rng)
    for i, (name, middle) in enumerate(zip(names, middles, strict=True)):
        font = canvas.look.for_text(name)
        x, y, anchor = (
            (box.left - 5, middle, "rm") if lying else (middle, box.bottom + size * 0.95, "mm")
        )
        canvas.text(x, y, name, size, font=font, anchor=anchor, key=i, role=_NAME)


def _letter_size(canvas: Canvas, names: tuple[str, ...], lying: bool, rng: random.Random) -> float:
    """The largest size of a random wish at which the names stay apart."""
    size = rng.uniform(10, 19) * max(1.0, min(canvas.width, canvas.height * 1.4) / 420)
    look, room = canvas.look, (canvas.area.right - canvas.area.left) * 0.86 / len(names)
    while size > 8.5 and not lying:
        widest = max(look.length(n, look.for_text(n), max(7, round(size))) for n in names)
        if widest <= room * 0.94:
            break
        size *= 0.93
    return size


def _plot_box(
    canvas: Canvas,
    names: tuple[str, ...],
    axis: _Axis,
    size: float,
    lying: bool,
    hidden_axis: bool,
    rng: random.Random,
) -> Box:
    """Leave room for names, ticks and perhaps titles, which are drawn here."""
    look, area, px = canvas.look, canvas.area, max(7, round(size))
    wide = axis.texts() if not lying else list(names)
    left = area.left + 8 + max(look.length(w, look.for_text(w), px) for w in wide)
    if hidden_axis and not lying:
        left = area.left + 8
    upper, lower = (
        area.top + size * 0.8,
        area.bottom - size * (1.9 if not (lying and hidden_axis) else 0.8),
    )
    if rng.random() < 0.5:
        title = rng.choice(CHINESE_TITLES if any(n > "\u2e80" for n in names) else TITLES)
        big = size * rng.uniform(1, 1.35)
        font = look.chinese_font if title > "\u2e80" else rng.choice((look.font, look.bold))
        canvas.text(
            (left + area.right) / 2, area.top + big * 0.8, title, big, font=font, role=_TITLE
        )
        upper += big * 1.3
    if rng.random() < 0.25:
        title = rng.choice(TITLES)
        canvas.text(area.left + size * 0.7, (upper + lower) / 2, title, size, vertical=True)
        left += size * 1.1
    if rng.random() < 0.2:
        canvas.text(
            (left + area.right) / 2, area.bottom - size * 0.7, rng.choice(TITLES), size, role=_TITLE
        )
        lower -= size * 1.1
    return Box(left, upper, area.right - rng.uniform(6, 24), max(lower, upper + 30))


def _draw_axes(
    canvas: Canvas,
    frame: _Frame,
    axis: _Axis,
    lying: bool,
    hidden: bool,
    rng: random.Random,
) -> None:
    box, look, size = frame.box, canvas.look, frame.size
    has_grid = not hidden and rng.random() < 0.6
    has_ticks = rng.random() < 0.5
    for tick_value, text in zip(axis.ticks, axis.texts(), strict=True):
        at = frame.place(tick_value)
        ends = [(at, box.top), (at, box.bottom)] if lying else [(box.left, at), (box.right, at)]
        if has_grid:
            canvas.line(ends, look.soft, 1)
        if hidden:
            continue
        if has_ticks:
            tick = (
                [(at, box.bottom), (at, box.bottom + 3)]
                if lying
                else [(box.left - 3, at), (box.left, at)]
            )
            canvas.line(tick, look.ink, 1)
        x, y, anchor = (at, box.bottom + size * 0.9, "mm") if lying else (box.left - 5, at, "rm")
        number = int(text) if text.isdigit() else None
        canvas.text(x, y, text, size, anchor=anchor, value=number, role=_TICK)
    if rng.random() < 0.35:
        canvas.rectangle(box, None, look.ink, 1)
        return
    canvas.line([(box.left, box.bottom), (box.right, box.bottom)], look.ink, look.stroke)
    if rng.random() < 0.8:
        canvas.line([(box.left, box.top), (box.left, box.bottom)], look.ink, look.stroke)


def _draw_bars(
    canvas: Canvas,
    frame: _Frame,
    middles: list[float],
    pitch: float,
    values: tuple[int, ...],
    lying: bool,
    is_labelled: bool,
    rng: random.Random,
) -> None:
    box, look, size = frame.box, canvas.look, frame.size
    many = rng.random() < 0.3
    outline = look.ink if rng.random() < 0.3 else None
    inside = is_labelled and rng.random() < 0.12
    half = pitch * rng.uniform(0.25, 0.46)
    for i, (middle, value) in enumerate(zip(middles, values, strict=True)):
        end = frame.place(value)
        bar = (
            Box(box.left, middle - half, end, middle + half)
            if lying
            else Box(middle - half, end, middle + half, box.bottom)
        )
        color: Rgb = look.palette[i % len(look.palette) if many else 0]
        if value:
            canvas.rectangle(bar, color, outline, 1)
        canvas.mark(bar, key=i, role=_TOP)
        tip = (
            Box(end - 4, bar.top, end + 4, bar.bottom)
            if lying
            else Box(bar.left, end - 4, bar.right, end + 4)
        )
        canvas.mark(tip, value=value, key=i, role=_TOP)
        if is_labelled:
            deep = inside and abs(end - (box.left if lying else box.bottom)) > size * 2.2
            _write_value(canvas, end, middle, value, i, size, lying, deep)


def _write_value(
    canvas: Canvas,
    end: float,
    middle: float,
    value: int,
    i: int,
    size: float,
    lying: bool,
    deep: bool,
) -> None:
    """The number at a bar's end, or inside of it."""
    shift = size * 0.75
    color: Rgb | None = (255, 255, 255) if deep else None
    if lying:
        x, anchor = (end - 4, "rm") if deep else (end + 4, "lm")
        canvas.text(
            x, middle, str(value), size, anchor=anchor, value=value, key=i, role=_VALUE, color=color
        )
    else:
        y = end + shift if deep else end - shift
        canvas.text(middle, y, str(value), size, value=value, key=i, role=_VALUE, color=color)


def _draw_line(
    canvas: Canvas,
    frame: _Frame,
    middles: list[float],
    values: tuple[int, ...],
    is_labelled: bool,
    rng: random.Random,
) -> None:
    look, size = canvas.look, frame.size
    points = [(x, frame.place(v)) for x, v in zip(middles, values, strict=True)]
    color = look.palette[0]
    canvas.line(points, color, max(1.2, look.stroke * 1.3))
    radius = rng.uniform(2.2, 4.5)
    marker = "round" if is_labelled or rng.random() < 0.8 else "none"
    for i, ((x, y), value) in enumerate(zip(points, values, strict=True)):
        if marker == "round":
            canvas.ellipse(Box(x - radius, y - radius, x + radius, y + radius), color)
        canvas.mark(Box(x - 7, y - 7, x + 7, y + 7), value=value, key=i, role=_TOP)
        if is_labelled:
            canvas.text(x, y - size * 0.85, str(value), size, value=value, key=i, role=_VALUE)
