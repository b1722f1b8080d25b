"""The arithmetic of polygons, and what they are called."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from recipe.problem import Language


def foot_of_height(points: Sequence[Any]) -> tuple[float, float]:
    """Where the height from the last corner meets the line through the first side."""
    a, b, top = points[0], points[1], points[-1]
    square = (b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2
    t = ((top[0] - a[0]) * (b[0] - a[0]) + (top[1] - a[1]) * (b[1] - a[1])) / square
    return a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])


def length_in(text: str) -> int | None:
    digits = text.split(" ")[0].rstrip("°cm")
    return int(digits) if digits.isdigit() else None


class RunningSum(NamedTuple):
    """An addition in steps, "3 + 4 = 7" and so on, and where it ends."""

    steps: list[str]
    total: int


def add_up(values: Sequence[int]) -> RunningSum:
    """One value after the other."""
    steps, so_far = [], values[0]
    for value in values[1:]:
        steps.append(f"{so_far} + {value} = {so_far + value}")
        so_far += value
    return RunningSum(steps, so_far)


class MissingSide(NamedTuple):
    """The side of a right triangle that Pythagoras finds, by its number.

    known: the lengths of the others, the shorter first. sums: what leads to its square.
    """

    side: int
    known: tuple[int, int]
    sums: str
    square: int

    def found(self, root: str, language: Language) -> str:
        """How it is found."""
        if language == "zh":
            return f"由勾股定理，未知边的平方是 {self.sums}，开方得 {root}。"
        return (
            f"By the Pythagorean theorem, the square of the missing side is {self.sums}, and "
            f"its root is {root}."
        )


def tidy(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def square_root(square: int) -> tuple[str, str]:
    """A square root as plain text and LaTeX, reduced."""
    whole = math.isqrt(square)
    if whole * whole == square:
        return str(whole), str(whole)
    outside = next(k for k in range(whole, 0, -1) if square % (k * k) == 0)
    inside = square // (outside * outside)
    factor = "" if outside == 1 else str(outside)
    return f"{factor}√{inside}", f"{factor}\\sqrt{{{inside}}}"


def figure_name(figure: str, language: Language) -> str:
    if language == "en":
        return figure
    return {
        "triangle": "三角形", "quadrilateral": "四边形", "pentagon": "五边形", "hexagon": "六边形",
        "rectangle": "长方形",
        "square": "正方形", "parallelogram": "平行四边形", "trapezoid": "梯形",
    }[figure]  # fmt: skip


def area_of(
    figure: str, sides: list[int | None], right: int, height: int | None
) -> tuple[tuple[str, str], str, float]:
    """Returns: the rule in both languages, the arithmetic, the area."""
    marked = [s for s in sides if s is not None]
    if figure == "rectangle":
        a, b = marked[:2]
        return ("The area is length times width", "面积等于长乘宽"), f"{a} * {b} = {a * b}", a * b
    if figure == "square":
        a = marked[0]
        return ("The area is the side squared", "面积等于边长的平方"), f"{a} * {a} = {a * a}", a * a
    if figure == "parallelogram" and height is not None:
        a = marked[0]
        return (
            ("The area is base times height", "面积等于底乘高"),
            f"{a} * {height} = {a * height}",
            a * height,
        )
    if figure == "trapezoid" and height is not None:
        a, b = marked[0], marked[-1]
        area = (a + b) * height / 2
        twice = (a + b) * height
        steps = f"{a} + {b} = {a + b}, {a + b} * {height} = {twice}, {twice} / 2 = {tidy(area)}"
        return (
            (
                "The area is half the sum of the parallel sides times the height",
                "面积等于上下底之和乘高的一半",
            ),
            steps,
            area,
        )
    if height is not None:
        a, b = marked[0], height
    else:
        a, b = sorted(s for i, s in enumerate(sides) if s is not None and i != (right + 1) % 3)
    area = a * b / 2
    return (
        ("The area is half of base times height", "面积等于底乘高的一半"),
        f"{a} * {b} = {a * b}, {a * b} / 2 = {tidy(area)}",
        area,
    )
