"""Draws a curve on axes with ticks, numbers and perhaps a grid."""

import random
from collections.abc import Callable

from recipe.canvas import Box, Canvas

_TICK_X, _TICK_Y, _CURVE, _DOT, _NAME = 107, 117, 109, 108, 118


def draw_graph(
    canvas: Canvas,
    curve: Callable[[float], float],
    reach: tuple[int, int, int, int],
    tick: int,
    dots: list[tuple[int, int]],
    rng: random.Random,
) -> None:
    """reach: (left, right, bottom, top) in the curve's units; dots are drawn and perhaps named."""
    left, right, bottom, top = reach
    box = _plot_box(canvas, reach, rng)

    def x_px(x: float) -> float:
        return box.left + (x - left) / (right - left) * (box.right - box.left)

    def y_px(y: float) -> float:
        return box.bottom - (y - bottom) / (top - bottom) * (box.bottom - box.top)

    framed = rng.random() < 0.3
    size = _draw_axes(canvas, box, reach, tick, framed, x_px, y_px, rng)
    color = canvas.look.palette[0] if rng.random() < 0.75 else canvas.look.ink
    width = max(1.4, canvas.look.stroke * 1.3)
    run: list[tuple[float, float]] = []
    n_steps = 160
    for i in range(n_steps + 2):
        x = left + (right - left) * min(i, n_steps) / n_steps
        y = curve(x)
        if i <= n_steps and bottom - 0.01 <= y <= top + 0.01:
            run.append((x_px(x), y_px(y)))
            continue
        if len(run) > 1:
            canvas.line(run, color, width)
        run = []
    for i in range(8 * (right - left) + 1):
        x = left + i / 8
        y = curve(x)
        if bottom <= y <= top:
            at = (x_px(x), y_px(y))
            canvas.mark(
                Box(at[0] - 4, at[1] - 4, at[0] + 4, at[1] + 4),
                value=round(y),
                key=round(x),
                role=_CURVE,
            )
    radius, named = rng.uniform(2.5, 5), rng.random() < 0.35
    for x, y in dots:
        px, py = x_px(x), y_px(y)
        canvas.ellipse(Box(px - radius, py - radius, px + radius, py + radius), color)
        canvas.mark(Box(px - 6, py - 6, px + 6, py + 6), value=y, key=x, role=_DOT)
        if named:
            canvas.text(
                px + 7,
                py - size * 0.8,
                f"({x}, {y})",
                size,
                anchor="lm",
                value=y,
                key=x,
                role=_NAME,
            )


def _plot_box(canvas: Canvas, reach: tuple[int, int, int, int], rng: random.Random) -> Box:
    """Usually with equal units on both axes."""
    area, pad = canvas.area, rng.uniform(10, 26)
    box = Box(area.left + pad + 6, area.top + pad, area.right - pad, area.bottom - pad - 6)
    if rng.random() < 0.7:
        unit = min(
            (box.right - box.left) / (reach[1] - reach[0]),
            (box.bottom - box.top) / (reach[3] - reach[2]),
        )
        wide, tall = unit * (reach[1] - reach[0]), unit * (reach[3] - reach[2])
        x = box.left + (box.right - box.left - wide) * rng.choice([0.5, rng.random()])
        y = box.top + (box.bottom - box.top - tall) * 0.5
        box = Box(x, y, x + wide, y + tall)
    return box


def _draw_axes(
    canvas: Canvas,
    box: Box,
    reach: tuple[int, int, int, int],
    tick: int,
    framed: bool,
    x_px: Callable[[float], float],
    y_px: Callable[[float], float],
    rng: random.Random,
) -> float:
    """Grid, axes, ticks and their numbers. Returns: the size of the letters."""
    left, right, bottom, top = reach
    look = canvas.look
    pitch = min(abs(x_px(tick) - x_px(0)), abs(y_px(tick) - y_px(0)))
    size = max(8.5, min(rng.uniform(9, 17) * max(1.0, canvas.width / 450), pitch * 0.75))
    has_grid = rng.random() < 0.65
    axis_x = box.bottom if framed or not bottom <= 0 <= top else y_px(0)
    axis_y = box.left if framed or not left <= 0 <= right else x_px(0)
    if has_grid:
        for x in range(left, right + 1):
            canvas.line([(x_px(x), box.top), (x_px(x), box.bottom)], look.soft, 1)
        for y in range(bottom, top + 1):
            canvas.line([(box.left, y_px(y)), (box.right, y_px(y))], look.soft, 1)
    if framed:
        canvas.rectangle(box, None, look.ink, 1)
        if rng.random() < 0.5 and left < 0 < right and bottom < 0 < top:
            canvas.line([(x_px(0), box.top), (x_px(0), box.bottom)], look.ink, 1)
            canvas.line([(box.left, y_px(0)), (box.right, y_px(0))], look.ink, 1)
    else:
        canvas.line([(box.left - 4, axis_x), (box.right + 4, axis_x)], look.ink, look.stroke)
        canvas.line([(axis_y, box.top - 4), (axis_y, box.bottom + 4)], look.ink, look.stroke)
        if rng.random() < 0.6:
            _arrows(canvas, box, axis_x, axis_y)
    skip = 2 if tick == 1 and max(right - left, top - bottom) > 10 and pitch < 20 else 1
    for x in range(left, right + 1):
        if x % tick:
            continue
        canvas.line([(x_px(x), axis_x - 3), (x_px(x), axis_x + 3)], look.ink, 1)
        if (framed or x != 0 or axis_y == box.left) and (x // tick) % skip == 0:
            canvas.text(x_px(x), axis_x + size * 0.95, str(x), size, value=x, key=x, role=_TICK_X)
    for y in range(bottom, top + 1):
        if y % tick:
            continue
        canvas.line([(axis_y - 3, y_px(y)), (axis_y + 3, y_px(y))], look.ink, 1)
        if (framed or y != 0) and (y // tick) % skip == 0:
            canvas.text(
                axis_y - 6, y_px(y), str(y), size, anchor="rm", value=y, key=y, role=_TICK_Y
            )
    if not framed and rng.random() < 0.6:
        canvas.text(box.right + 6, axis_x - size * 0.8, "x", size)
        canvas.text(axis_y + size * 0.8, box.top - 4, "y", size)
    return size


def _arrows(canvas: Canvas, box: Box, axis_x: float, axis_y: float) -> None:
    ink = canvas.look.ink
    tip = (box.right + 8, axis_x)
    canvas.polygon([tip, (tip[0] - 7, tip[1] - 3.5), (tip[0] - 7, tip[1] + 3.5)], ink, None)
    tip = (axis_y, box.top - 8)
    canvas.polygon([tip, (tip[0] - 3.5, tip[1] + 7), (tip[0] + 3.5, tip[1] + 7)], ink, None)
