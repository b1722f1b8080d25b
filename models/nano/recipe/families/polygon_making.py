"""Makes random polygon scenes: shapes near to their marked measures, names, units."""

import math
import random
import string
from dataclasses import replace

from recipe.families.polygons import TRIPLES, Point, PolygonScene

_UNITS = ("", "", "", "cm", "cm", "m", "in", "ft", "mm")


def make_polygon(rng: random.Random) -> PolygonScene:
    """A random scene of one of the four tasks."""
    task = rng.choices([_angle, _perimeter, _pythagoras, _area], [28, 28, 23, 21])[0]
    return _in_reading_order(_turned(task(rng), rng))


def _turned(scene: PolygonScene, rng: random.Random) -> PolygonScene:
    """The scene turned and perhaps mirrored."""
    turn = rng.choice([0, 0, 0, math.pi / 2, math.pi, rng.uniform(0, 2 * math.pi)])
    if scene.figure != "triangle" and rng.random() < 0.7:
        turn = 0
    mirror = -1 if rng.random() < 0.5 else 1
    c, s = math.cos(turn), math.sin(turn)
    return replace(
        scene, corners=tuple((mirror * (c * x - s * y), s * x + c * y) for x, y in scene.corners)
    )


def _in_reading_order(scene: PolygonScene) -> PolygonScene:
    """The scene with its corners clockwise from the upper left one.

    Otherwise nothing in the picture would say with which side a reply begins. What has an order of
    its own keeps it: corners named by the alphabet, and a base with its height.
    """
    if scene.height or (scene.names and scene.names in string.ascii_uppercase):
        return scene
    n = len(scene.corners)
    start = min(range(n), key=lambda i: scene.corners[i][0] - scene.corners[i][1])
    step = -1 if _is_counterclockwise(scene.corners) else 1
    order = [(start + step * i) % n for i in range(n)]
    sides = order if step == 1 else [*order[1:], start]  # side i joins corners i and i + 1
    return replace(
        scene,
        corners=tuple(scene.corners[i] for i in order),
        names="".join(scene.names[i] for i in order) if scene.names else "",
        sides=tuple(scene.sides[i] for i in sides),
        angles=tuple(scene.angles[i] for i in order),
        right=order.index(scene.right) if scene.right >= 0 else -1,
    )


def _is_counterclockwise(corners: tuple[Point, ...]) -> bool:
    """With y upwards, by twice the signed area."""
    nexts = (*corners[1:], corners[0])
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(corners, nexts, strict=True)) > 0


def _letters(n: int, rng: random.Random) -> str:
    if rng.random() < 0.25:
        return ""
    runs = [
        "ABCDEF",
        "ABCDEF",
        "ABCDEF",
        "PQRSTU",
        "XYZWVU",
        "DEFGHI",
        "KLMNOP",
        "RSTUVW",
        "JKLMNO",
        "MNPQRS",
    ]
    run = rng.choice(runs)[:n]
    if rng.random() < 0.2:
        return "".join(rng.sample("ABCDEFGHKLMNPQRSTUVWXYZ", n))
    return run


def _triangle(angles: tuple[int, int, int]) -> tuple[Point, ...]:
    """Corners of a triangle with these angles in degrees, the first two on the x axis."""
    a, b, c = (math.radians(max(18, min(140, v))) for v in angles)
    side = math.sin(b) / max(0.2, math.sin(c))
    return ((0.0, 0.0), (1.0, 0.0), (side * math.cos(a), side * math.sin(a)))


def _ring(n: int, rng: random.Random) -> tuple[Point, ...]:
    """A convex polygon."""
    start = rng.uniform(0, 2 * math.pi)
    angles = [start + 2 * math.pi * (i + rng.uniform(-0.22, 0.22)) / n for i in range(n)]
    return tuple(
        (math.cos(a) * rng.uniform(0.95, 1.05), math.sin(a) * rng.uniform(0.75, 0.85))
        for a in angles
    )


def _angle(rng: random.Random) -> PolygonScene:
    sign = "°" if rng.random() < 0.85 else ""
    mark = rng.choice(["?", "x", "x", "", "", "y", "?", "a"])
    if rng.random() < 0.75:
        right = -1
        while True:
            a = rng.choice([rng.randint(20, 130), 5 * rng.randint(4, 26)])
            b = rng.choice([rng.randint(20, 130), 5 * rng.randint(4, 26)])
            if rng.random() < 0.2:
                a, right = 90, 0
            if 20 <= 180 - a - b <= 140:
                break
            right = -1
        values = [a, b, 180 - a - b]
        corners, figure = _triangle((a, b, 180 - a - b)), "triangle"
    else:
        n = rng.choices([4, 5], [70, 30])[0]
        figure, right = {4: "quadrilateral", 5: "pentagon"}[n], -1
        corners = _ring(n, rng)
        values = [_inner_angle(corners, i) for i in range(n)]
        values[-1] = 180 * (n - 2) - sum(values[:-1])
    holes = [i for i in range(len(values)) if i != right]
    hole = rng.choice(holes)
    texts = [
        "" if i == right else mark if i == hole else f"{v}{sign}" for i, v in enumerate(values)
    ]
    names = _letters(len(values), rng)
    if not mark and not names:
        texts[hole] = "?"
    return PolygonScene(
        "angle", corners, names, ("",) * len(values), tuple(texts), right, figure=figure
    )


def _inner_angle(corners: tuple[Point, ...], i: int) -> int:
    at, before, after = corners[i], corners[i - 1], corners[(i + 1) % len(corners)]
    u, v = (before[0] - at[0], before[1] - at[1]), (after[0] - at[0], after[1] - at[1])
    cosine = (u[0] * v[0] + u[1] * v[1]) / (math.hypot(*u) * math.hypot(*v))
    return round(math.degrees(math.acos(max(-1.0, min(1.0, cosine)))))


def _measure(value: int, unit: str) -> str:
    return f"{value} {unit}" if unit else str(value)


def _perimeter(rng: random.Random) -> PolygonScene:
    n = rng.choices([3, 4, 5, 6], [30, 26, 22, 22])[0]
    unit, high = rng.choice(_UNITS), rng.choice([12, 12, 20, 40])
    names = _letters(n, rng)
    if n == 3:
        while True:
            sides = [rng.randint(2, high) for _ in range(3)]
            if 2 * max(sides) < sum(sides) - max(1, high // 10):
                break
        a, b, c = sides  # a joins corners 0 and 1, b corners 1 and 2, c corners 2 and 0
        x = (a * a + c * c - b * b) / (2 * a)
        corners: tuple[Point, ...] = (
            (0.0, 0.0),
            (float(a), 0.0),
            (x, math.sqrt(max(0.01, c * c - x * x))),
        )
        figure = "triangle"
    elif n == 4 and rng.random() < 0.5:
        wide, tall = rng.randint(3, high), rng.randint(2, high)
        sides, figure = [wide, tall, wide, tall], "rectangle"
        corners = ((0.0, 0.0), (1.5, 0.0), (1.5, 0.9), (0.0, 0.9))
    else:
        corners, figure = _ring(n, rng), {4: "quadrilateral", 5: "pentagon", 6: "hexagon"}[n]
        scale = rng.uniform(0.4, 1) * high / 1.6
        sides = [
            max(2, round(math.dist(corners[i], corners[(i + 1) % n]) * scale)) for i in range(n)
        ]
    texts = tuple(_measure(s, unit) for s in sides)
    return PolygonScene("perimeter", corners, names, texts, ("",) * n, unit=unit, figure=figure)


def _pythagoras(rng: random.Random) -> PolygonScene:
    unit = rng.choice(_UNITS)
    if rng.random() < 0.75:
        legs = rng.choice(TRIPLES)
        a, b, c = legs if rng.random() < 0.5 else (legs[1], legs[0], legs[2])
        hole = rng.choice([0, 1, 1, 2])
    else:
        a, b, c, hole = rng.randint(1, 10), rng.randint(1, 10), 0, 1
    # The right angle is at corner 0: side 0 and side 2 are the legs, side 1 the hypotenuse.
    names = _letters(3, rng)
    mark = rng.choice(["?", "x", "x", "", "c", "y"])
    if not mark and not names:
        mark = "?"
    values = [a, c, b]
    texts = tuple(mark if i == hole else _measure(v, unit) for i, v in enumerate(values))
    stretch = max(0.45, min(2.2, b / a))
    corners = ((0.0, 0.0), (1.0, 0.0), (0.0, stretch))
    return PolygonScene(
        "pythagoras", corners, names, texts, ("",) * 3, 0, unit=unit, figure="triangle"
    )


def _area(rng: random.Random) -> PolygonScene:
    unit, high = rng.choice(_UNITS), rng.choice([10, 12, 20])
    a, b = rng.randint(2, high), rng.randint(2, high)
    figure = rng.choice(
        [
            "rectangle",
            "rectangle",
            "square",
            "right",
            "right",
            "triangle",
            "triangle",
            "parallelogram",
            "trapezoid",
        ]
    )
    u, none = _measure, ("",) * 4
    if figure == "right":
        corners: tuple[Point, ...] = ((0.0, 0.0), (1.2, 0.0), (0.0, 0.9))
        third = ""
        if rng.random() < 0.4:
            a, b, c = rng.choice(TRIPLES[:8])
            third = u(c, unit)
        texts = (u(a, unit), third, u(b, unit))
        return PolygonScene(
            "area", corners, _letters(3, rng), texts, none[:3], 0, unit=unit, figure="triangle"
        )
    if figure == "triangle":
        corners = ((0.0, 0.0), (1.4, 0.0), (rng.uniform(0.35, 1.05), 0.9))
        texts3 = (u(a, unit), "", "")
        return PolygonScene(
            "area", corners, _letters(3, rng), texts3, none[:3], -1, u(b, unit), unit, "triangle"
        )
    names = _letters(4, rng)
    if figure in ("rectangle", "square"):
        wide = 1.0 if figure == "square" else 1.6
        corners = ((0.0, 0.0), (wide, 0.0), (wide, 1.0), (0.0, 1.0))
        texts4 = (u(a, unit), "" if figure == "square" else u(b, unit), "", "")
        return PolygonScene("area", corners, names, texts4, none, -1, "", unit, figure)
    if figure == "parallelogram":
        corners = ((0.0, 0.0), (1.4, 0.0), (1.8, 0.9), (0.4, 0.9))
        return PolygonScene(
            "area", corners, names, (u(a, unit), "", "", ""), none, -1, u(b, unit), unit, figure
        )
    top = rng.randint(1, max(2, a - 1))
    corners = ((0.0, 0.0), (1.8, 0.0), (1.35, 0.9), (0.4, 0.9))
    trapezoid_texts = (u(a, unit), "", u(top, unit), "")
    return PolygonScene("area", corners, names, trapezoid_texts, none, -1, u(b, unit), unit, figure)
