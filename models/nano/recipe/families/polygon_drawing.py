"""Draws a polygon with its letters, lengths, angles, right-angle mark and height."""

import math
import random
from typing import TYPE_CHECKING

from recipe.canvas import Box, Canvas
from recipe.families.polygon_arithmetic import foot_of_height, length_in
from recipe.look import Rgb

if TYPE_CHECKING:
    from recipe.families.polygons import PolygonScene

_ANGLE, _SIDE, _VERTEX, _RIGHT, _HEIGHT = 110, 111, 112, 113, 116
Point = tuple[float, float]


def draw_polygon(scene: "PolygonScene", canvas: Canvas, rng: random.Random) -> None:
    points = _place(scene, canvas, rng)
    look = canvas.look
    size = rng.uniform(11, 22) * max(1.0, min(canvas.width, canvas.height) / 330)
    fill: Rgb | None = None
    if rng.random() < 0.2:
        r, g, b = ((3 * c + p) // 4 for c, p in zip(look.paper, look.palette[0], strict=True))
        fill = (r, g, b)
    edge = look.ink if rng.random() < 0.7 else look.palette[1]
    canvas.polygon(points, fill, edge, look.stroke * 1.2)
    middle = (sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points))
    if scene.right >= 0:
        _draw_right_mark(scene, canvas, points, size)
    if scene.height:
        _draw_height(scene, canvas, points, size)
    _write_sides(scene, canvas, points, middle, size, rng)
    _write_angles(scene, canvas, points, size, rng)
    for point, name in zip(points, scene.names, strict=False):
        x, y = _away(point, middle, size * 0.85)
        canvas.text(x, y, name, size, key=name, role=_VERTEX)


def _place(scene: "PolygonScene", canvas: Canvas, rng: random.Random) -> list[Point]:
    """Corners in pixels, with room for letters."""
    seen = [(x, -y) for x, y in scene.corners]
    left, right = min(x for x, _ in seen), max(x for x, _ in seen)
    top, bottom = min(y for _, y in seen), max(y for _, y in seen)
    area = canvas.area
    room = 30 + 0.06 * min(canvas.width, canvas.height)
    wide, tall = area.right - area.left - 2 * room, area.bottom - area.top - 2 * room
    wide, tall = max(wide, 60), max(tall, 50)
    scale = min(wide / (right - left), tall / (bottom - top)) * rng.uniform(0.75, 1)
    x0 = area.left + (area.right - area.left - (right - left) * scale) * rng.uniform(0.4, 0.6)
    y0 = area.top + (area.bottom - area.top - (bottom - top) * scale) * rng.uniform(0.4, 0.6)
    return [(x0 + (x - left) * scale, y0 + (y - top) * scale) for x, y in seen]


def _draw_right_mark(
    scene: "PolygonScene", canvas: Canvas, points: list[Point], size: float
) -> None:
    at = points[scene.right]
    n = len(points)
    u = _toward(at, points[(scene.right + 1) % n], size * 0.7)
    v = _toward(at, points[(scene.right - 1) % n], size * 0.7)
    inner = (u[0] + v[0] - at[0], u[1] + v[1] - at[1])
    canvas.line([u, inner, v], canvas.look.ink, 1)
    name = scene.names[scene.right] if scene.names else None
    canvas.mark(_around(inner, 7), value=90, key=name, role=_RIGHT)


def _draw_height(scene: "PolygonScene", canvas: Canvas, points: list[Point], size: float) -> None:
    """A dashed line from the last corner down to the line through the first side."""
    a, b, top = points[0], points[1], points[-1]
    foot = foot_of_height(points)
    canvas.dashed(top, foot, canvas.look.ink, max(1.0, canvas.look.stroke * 0.8))
    along = max((a, b), key=lambda end: math.dist(end, foot))
    u, v = _toward(foot, top, size * 0.5), _toward(foot, along, size * 0.5)
    canvas.line([u, (u[0] + v[0] - foot[0], u[1] + v[1] - foot[1]), v], canvas.look.ink, 1)
    x, y = (top[0] + foot[0]) / 2, (top[1] + foot[1]) / 2
    width = canvas.look.length(scene.height, canvas.look.font, max(7, round(size)))
    number = length_in(scene.height)
    canvas.text(x + width / 2 + 5, y, scene.height, size, value=number, role=_HEIGHT)


def _write_sides(
    scene: "PolygonScene",
    canvas: Canvas,
    points: list[Point],
    middle: Point,
    size: float,
    rng: random.Random,
) -> None:
    n = len(points)
    for i, text in enumerate(scene.sides):
        if not text:
            continue
        a, b = points[i], points[(i + 1) % n]
        width = canvas.look.length(text, canvas.look.font, max(7, round(size)))
        x, y = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
        along = math.hypot(b[0] - a[0], b[1] - a[1]) or 1.0
        nx, ny = (b[1] - a[1]) / along, (a[0] - b[0]) / along
        if (x + nx - middle[0]) ** 2 + (y + ny - middle[1]) ** 2 < (x - middle[0]) ** 2 + (
            y - middle[1]
        ) ** 2:
            nx, ny = -nx, -ny
        gap = abs(nx) * width / 2 + abs(ny) * size * 0.5 + 5 + rng.uniform(0, 3)
        box = canvas.text(x + nx * gap, y + ny * gap, text, size, value=length_in(text), role=_SIDE)
        if scene.names:
            half = (box.left + box.right) / 2
            canvas.mark(Box(box.left, y + ny * gap, half, y + ny * gap), key=scene.names[i])
            canvas.mark(
                Box(half, y + ny * gap, box.right, y + ny * gap), key=scene.names[(i + 1) % n]
            )


def _write_angles(
    scene: "PolygonScene", canvas: Canvas, points: list[Point], size: float, rng: random.Random
) -> None:
    n, has_arcs = len(points), rng.random() < 0.6
    shortest = min(math.dist(points[i], points[(i + 1) % n]) for i in range(n))
    for i, text in enumerate(scene.angles):
        if not text:
            continue
        at, before, after = points[i], points[i - 1], points[(i + 1) % n]
        u, v = _toward(at, before, 1), _toward(at, after, 1)
        bx, by = u[0] + v[0] - 2 * at[0], u[1] + v[1] - 2 * at[1]
        spread = math.hypot(bx, by)
        if spread < 1e-6:
            continue
        half = math.asin(max(0.12, min(1.0, math.sqrt(max(0.0, 1 - (spread / 2) ** 2)))))
        width = canvas.look.length(text, canvas.look.font, max(7, round(size)))
        away = (
            min((width * 0.55 + size * 0.2) / math.tan(max(half, 0.25)), shortest * 0.42)
            + size * 0.45
        )
        x, y = at[0] + bx / spread * away, at[1] + by / spread * away
        if has_arcs and i != scene.right:
            a0 = math.degrees(math.atan2(u[1] - at[1], u[0] - at[0]))
            a1 = math.degrees(math.atan2(v[1] - at[1], v[0] - at[0]))
            if (a1 - a0) % 360 > 180:
                a0, a1 = a1, a0
            canvas.arc(
                _around(at, min(size * 0.8, shortest * 0.2)),
                a0,
                a0 + (a1 - a0) % 360,
                canvas.look.ink,
                1,
            )
        name = scene.names[i] if scene.names else None
        canvas.text(x, y, text, size, value=length_in(text), key=name, role=_ANGLE)


def _toward(start: Point, end: Point, length: float) -> Point:
    distance = math.dist(start, end) or 1.0
    return (
        start[0] + (end[0] - start[0]) / distance * length,
        start[1] + (end[1] - start[1]) / distance * length,
    )


def _away(point: Point, middle: Point, length: float) -> Point:
    distance = math.dist(point, middle) or 1.0
    return (
        point[0] + (point[0] - middle[0]) / distance * length,
        point[1] + (point[1] - middle[1]) / distance * length,
    )


def _around(point: Point, radius: float) -> Box:
    return Box(point[0] - radius, point[1] - radius, point[0] + radius, point[1] + radius)
