"""Triangles and polygons with lengths and angles: missing angle, perimeter, Pythagoras, area."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from recipe.canvas import Canvas
from recipe.families import polygon_drawing
from recipe.families.polygon_arithmetic import (
    MissingSide,
    add_up,
    area_of,
    figure_name,
    length_in,
    square_root,
    tidy,
)
from recipe.problem import Exchange, Language
from recipe.wording import confirm, double_check, joined, pick, refusal

TRIPLES = ((3, 4, 5), (6, 8, 10), (5, 12, 13), (9, 12, 15), (8, 15, 17), (12, 16, 20), (7, 24, 25),
(15, 20, 25),
            (10, 24, 26), (20, 21, 29), (18, 24, 30), (16, 30, 34), (9, 40, 41), (12, 35,
            37))  # fmt: skip
_NAMES_BY_SIDES = {
    3: ("triangle", "三角形"),
    4: ("quadrilateral", "四边形"),
    5: ("pentagon", "五边形"),
    6: ("hexagon", "六边形"),
}
Point = tuple[float, float]


def _added_sides(lengths: Sequence[int], language: Language) -> str:
    """The perimeter, side by side."""
    sums, total = add_up(lengths)
    steps = joined(sums, language)
    if language == "en":
        return f"The perimeter is the sum of all sides: {steps}. So it is {total}."
    return f"周长是所有边长之和：{steps}。所以周长是 {total}。"


def ask_perimeter(name: str, rng: random.Random, language: Language) -> str:
    """The perimeter of a figure by its English name."""
    figure = figure_name(name, language)
    return pick(
        rng,
        language,
        (
            f"What is the perimeter of the {name}?", f"Find the perimeter of the {name}.",
            "Find the perimeter.", "What is the perimeter?",
            "what is the perimeter of this shape?", f"Calculate the perimeter of the {name}.",
            "Determine the perimeter.", f"How long is the perimeter of the {name}?",
            f"What is the total length of the sides of the {name}?",
            "What is the distance around the figure?", "perimeter?",
        ),
        (f"求{figure}的周长。", "周长是多少？", f"这个{figure}的周长是多少？", "求周长。",
         f"计算{figure}的周长。", "图形的周长是多少？"),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PolygonScene:
    """task: what it is about. corners: shares of the area. sides, angles: what is written, or "".

    sides[i] joins corner i and i + 1. right: the corner with a square mark, or -1. height: a dashed
    height's length, or "". names: letters at the corners, or "".
    """

    task: str
    corners: tuple[Point, ...]
    names: str
    sides: tuple[str, ...]
    angles: tuple[str, ...]
    right: int = -1
    height: str = ""
    unit: str = ""
    figure: str = "triangle"
    family: str = "polygon"

    def draw(self, canvas: Canvas, rng: random.Random) -> None:
        polygon_drawing.draw_polygon(self, canvas, rng)

    # ------------------------------------------------------------------ exchanges
    def ask(self, rng: random.Random, language: Language) -> Exchange:
        return {
            "angle": self._ask_angle,
            "perimeter": self._ask_perimeter,
            "pythagoras": self._ask_pythagoras,
            "area": self._ask_area,
        }[self.task](rng, language)

    def _side_name(self, i: int) -> str:
        return self.names[i] + self.names[(i + 1) % len(self.names)] if self.names else ""

    def _survey(self, language: Language) -> str:
        """Everything that is written in the picture."""
        figure = figure_name(self.figure, language)
        en = language == "en"
        parts = []
        for i, text in enumerate(self.sides):
            if text:
                parts.append(f"{self._side_name(i)} = {text}" if self.names else text)
        angles = []
        for i, text in enumerate(self.angles):
            if text:
                angles.append(f"∠{self.names[i]} = {text}" if self.names else text)
        if self.right >= 0:
            right = (
                f"∠{self.names[self.right]} = 90°"
                if self.names
                else ("a right angle" if en else "一个直角")
            )
            angles.append(right)
        named = (
            f"{figure} {self.names}"
            if self.names and en
            else figure + (f" {self.names}" if self.names else "")
        )
        said = []
        if parts:
            said.append(("the sides " if en else "边长 ") + joined(parts, language))
        if angles:
            said.append(("the angles " if en else "角 ") + joined(angles, language))
        if self.height:
            said.append(("the height " if en else "高 ") + self.height)
        if not said:
            return (
                f"The picture shows a {named} without any measures."
                if en
                else f"图中是{named}，没有标出任何数据。"
            )
        if en:
            return f"The picture shows a {named} with {' and '.join(said)}."
        return f"图中是{named}，标有{'，'.join(said)}。"

    def _reply(
        self, goal: tuple[str, str], work: str, rng: random.Random, language: Language
    ) -> str:
        start = pick(
            rng,
            language,
            (f"So I need to find {goal[0]}.", f"Okay, I have to find {goal[0]}."),
            (f"我需要求{goal[1]}。", f"题目要求{goal[1]}。"),
        )
        survey = self._survey(language)
        return "\n\n".join(
            (
                f"{start} {survey}",
                work,
                f"{double_check(rng, language)}{work}{confirm(rng, language)}",
            )
        )

    def _ask_angle(self, rng: random.Random, language: Language) -> Exchange:
        hole = next(i for i, t in enumerate(self.angles) if not t[:1].isdigit() and i != self.right)
        mark, name = self.angles[hole], self.names[hole] if self.names else ""
        known = [90 if i == self.right else int(t[:-1] if t.endswith("°") else t)
                 for i, t in enumerate(self.angles) if i != hole]  # fmt: skip
        n = len(self.corners)
        total = 180 * (n - 2)
        answer = total - sum(known)
        en = [f"Find the missing angle of the {self.figure}.", "What is the missing angle?",
        "Find the missing angle.",
              "How many degrees is the missing angle?", "find the unknown angle",
              "What is the unknown angle?", "How large is the missing angle?",
              "What is the measure of the missing angle?", "Calculate the missing angle.",
              "Determine the third angle." if self.figure == "triangle" else "Find the last angle.",
              f"What is the missing angle of the {self.figure}?"]  # fmt: skip
        zh = [
            "求未知的角。",
            "未知角是多少度？",
            f"求{figure_name(self.figure, 'zh')}中缺失的角度。",
            "求缺失的角。",
            "缺少的角是多少度？",
        ]
        if mark and mark != "?":
            en = [
                f"Find {mark}.",
                f"What is {mark}?",
                f"find the value of {mark}",
                f"What is the size of angle {mark}?",
                f"Calculate {mark}.",
                f"What is the value of {mark}?",
                f"How many degrees is {mark}?",
                f"Solve for {mark}.",
                f"Determine the angle {mark}.",
                f"{mark} = ?",
            ]
            zh = [
                f"求 {mark} 的值。",
                f"{mark} 等于多少度？",
                f"角 {mark} 是多少度？",
                f"求 {mark}。",
                f"求角 {mark} 的度数。",
                f"{mark} 是多少？",
            ]
        elif name:
            en += [
                f"What is angle {name}?",
                f"Find angle {name}.",
                f"Find ∠{name}.",
                f"What is the measure of angle {name}?",
                f"What is the size of angle {name}?",
                f"How many degrees is angle {name}?",
                f"Calculate angle {name}.",
                f"What is the angle at {name}?",
                f"How large is the angle at {name}?",
                f"Determine ∠{name}.",
            ] * 2
            zh += [
                f"∠{name} 是多少度？",
                f"求∠{name}的度数。",
                f"求角{name}。",
                f"∠{name} 等于多少度？",
                f"角 {name} 的度数是多少？",
            ] * 2
        question = pick(rng, language, en, zh)
        sums, so_far = add_up(known)
        steps = joined([*sums, f"{total} - {so_far} = {answer}"], language)
        figure = figure_name(self.figure, language)
        work = (
            f"The angles of a {figure} add up to {total}°: {steps}. "
            f"So the missing angle is {answer}°."
            if language == "en"
            else f"{figure}的内角和是 {total}°：{steps}。所以未知角是 {answer}°。"
        )
        goal = (
            f"angle {name}" if name else "the missing angle",
            f"角 {name}" if name else "未知角",
        )
        wrong = tuple(
            f"{v}^\\circ"
            for v in (answer + 10, abs(answer - 10), abs(180 - answer), so_far, answer + 5)
        )
        reasoning = self._reply(goal, work, rng, language)
        return Exchange(
            question, reasoning, f"{answer}^\\circ", language, self.family, wrong, question
        )

    def _ask_perimeter(self, rng: random.Random, language: Language) -> Exchange:
        lengths = [length_in(t) or 0 for t in self.sides]
        question = ask_perimeter(self.figure, rng, language)
        work = _added_sides(lengths, language)
        reasoning = self._reply(("the perimeter", "周长"), work, rng, language)
        answer, wrong = self._perimeter_of(lengths, lengths[-1])
        return Exchange(question, reasoning, answer, language, self.family, wrong, question)

    def _perimeter_of(self, lengths: Sequence[int], forgotten: int) -> tuple[str, tuple[str, ...]]:
        """The answer, and wrong ones: among them the one that forgets a side."""
        total = sum(lengths)
        wrong = (total + 1, total - forgotten, total + 2, total - 1)
        return self._with_unit(total), tuple(map(self._with_unit, wrong))

    def _with_unit(self, value: float | str, power: str = "") -> str:
        return f"{value}\\text{{ {self.unit}}}{power}" if self.unit else str(value)

    def _missing_side(self) -> MissingSide:
        """The side that Pythagoras finds."""
        hole = next(i for i, t in enumerate(self.sides) if length_in(t) is None)
        a, b = sorted(length_in(t) or 0 for i, t in enumerate(self.sides) if i != hole)
        if hole == (self.right + 1) % 3:
            square = a * a + b * b
            return MissingSide(
                hole, (a, b), f"{a}^2 + {b}^2 = {a * a} + {b * b} = {square}", square
            )
        square = b * b - a * a
        return MissingSide(hole, (a, b), f"{b}^2 - {a}^2 = {b * b} - {a * a} = {square}", square)

    def _ask_right_perimeter(self, rng: random.Random, language: Language) -> Exchange | None:
        """The perimeter where one side has to be found first; None where that isn't whole."""
        missing = self._missing_side()
        root = math.isqrt(missing.square)
        if root * root != missing.square:
            return None
        lengths = [length_in(text) or root for text in self.sides]
        parts = (missing.found(str(root), language), _added_sides(lengths, language))
        work = (" " if language == "en" else "").join(parts)
        reasoning = self._reply(("the perimeter", "周长"), work, rng, language)
        question = ask_perimeter(self.figure, rng, language)
        answer, wrong = self._perimeter_of(lengths, root)
        return Exchange(question, reasoning, answer, language, self.family, wrong, question)

    def _ask_pythagoras(self, rng: random.Random, language: Language) -> Exchange:
        if rng.random() < 0.12:
            exchange = self._ask_right_perimeter(rng, language)
            if exchange is not None:
                return exchange
        missing = self._missing_side()
        hole, opposite = missing.side, (self.right + 1) % 3
        mark, name = self.sides[hole], self._side_name(hole)
        en = [
            "Find the missing side.",
            "What is the length of the missing side?",
            "find the unknown side length",
            "What is the missing side?",
            "How long is the missing side?",
            "Calculate the length of the unknown side.",
            "Find the third side of the triangle.",
            "Determine the missing side length.",
        ]
        zh = ["求未知边的长度。", "未知的边长是多少？", "求第三条边的长。", "求缺失的边长。"]
        if hole == opposite:
            en += [
                "Find the hypotenuse.",
                "What is the length of the hypotenuse?",
                "How long is the hypotenuse?",
                "Calculate the hypotenuse.",
            ]
            zh += ["求斜边的长。", "斜边是多少？", "斜边有多长？"]
        if mark and mark != "?":
            en = [
                f"Find {mark}.",
                f"What is {mark}?",
                f"Find the value of {mark}.",
                f"Find the length {mark}.",
                f"What is the value of {mark}?",
                f"Solve for {mark}.",
                f"Calculate {mark}.",
                f"How long is {mark}?",
                f"What is the length of side {mark}?",
                f"{mark} = ?",
            ]
            zh = [
                f"求 {mark}。",
                f"{mark} 等于多少？",
                f"求 {mark} 的长度。",
                f"求 {mark} 的值。",
                f"{mark} 是多少？",
                f"边长 {mark} 是多少？",
            ]
        elif name:
            en += [
                f"Find {name}.",
                f"What is the length of {name}?",
                f"How long is side {name}?",
                f"What is {name}?",
                f"Calculate {name}.",
                f"How long is {name}?",
                f"Find the length of {name}.",
                f"Determine the length of side {name}.",
            ] * 2
            zh += [
                f"求 {name} 的长。",
                f"{name} 是多少？",
                f"边 {name} 有多长？",
                f"求 {name}。",
                f"{name} 的长度是多少？",
            ] * 2
        question = pick(rng, language, en, zh)
        plain, latex = square_root(missing.square)
        work = missing.found(plain, language)
        goal = (
            f"the side {name}" if name else "the missing side",
            f"边 {name}" if name else "未知边",
        )
        near = math.isqrt(missing.square)
        wrong = tuple(
            self._with_unit(v)
            for v in (near + 1, abs(near - 1), sum(missing.known), near + 2)
            if str(v) != latex
        )
        reasoning = self._reply(goal, work, rng, language)
        return Exchange(
            question, reasoning, self._with_unit(latex), language, self.family, wrong, question
        )

    def _ask_area(self, rng: random.Random, language: Language) -> Exchange:
        figure = figure_name(self.figure, language)
        question = pick(
            rng,
            language,
            (f"What is the area of the {self.figure}?", f"Find the area of the {self.figure}.",
            "Find the area.",
             "What is the area?", "calculate the area of this shape",
             f"Calculate the area of the {self.figure}.", "Determine the area of the figure.",
             f"How large is the area of the {self.figure}?", f"What is the {self.figure}'s area?",
             "What area does this shape have?", "area?"),
            (f"求{figure}的面积。", "面积是多少？", f"这个{figure}的面积是多少？", "求面积。",
            f"计算{figure}的面积。", "图形的面积是多少？"),
        )  # fmt: skip
        numbers = [length_in(t) for t in self.sides]
        rules, steps, area = area_of(self.figure, numbers, self.right, length_in(self.height))
        rule = rules[0] if language == "en" else rules[1]
        work = f"{rule}: {steps}." if language == "en" else f"{rule}：{steps}。"
        reasoning = self._reply(("the area", "面积"), work, rng, language)
        power = "^2" if self.unit else ""
        wrong = tuple(
            self._with_unit(v, power) for v in (area + 2, f"{tidy(2 * area)}", area + 5, area + 1)
        )
        return Exchange(
            question,
            reasoning,
            self._with_unit(tidy(area), power),
            language,
            self.family,
            wrong,
            question,
        )

    def ask_absent(self, rng: random.Random, language: Language) -> Exchange:
        """Something that the marked numbers don't determine."""
        figure = figure_name(self.figure, language)
        if self.task in ("angle",):
            what = rng.choice(
                (
                    ("the perimeter", "周长"),
                    ("the area", "面积"),
                    ("the longest side", "最长边的长"),
                )
            )
            reason = ("No lengths are marked", "图中没有标出边长")
        elif self.task == "perimeter":
            what = rng.choice(
                (("the largest angle", "最大的角"), ("the smallest angle", "最小的角"))
            )
            reason = ("No angles are marked", "图中没有标出角度")
        else:
            letter = rng.choice([c for c in "KLMNUVWZ" if c not in self.names])
            what = (f"the radius of circle {letter}", f"圆 {letter} 的半径")
            reason = ("There is no circle in the picture", "图中没有圆")
        question = pick(
            rng,
            language,
            (
                f"What is {what[0]} of the {self.figure}?",
                f"Find {what[0]}.",
                f"Find {what[0]} of the {self.figure}.",
            ),
            (f"求{figure}的{what[1]}。", f"{what[1]}是多少？"),
        )
        start = f"So I need to find {what[0]}." if language == "en" else f"我需要求{what[1]}。"
        said = reason[0] if language == "en" else reason[1]
        reasoning = f"{start} {self._survey(language)} {refusal(rng, language, said)}"
        return Exchange(question, reasoning, None, language, self.family)

    def read(self, rng: random.Random, language: Language) -> Exchange:
        question = rng.choice(("What is marked in the figure?", "List the marked measures."))
        question = question if language == "en" else "图中标出了哪些数据？"
        return Exchange(question, self._survey(language), None, language, self.family)
