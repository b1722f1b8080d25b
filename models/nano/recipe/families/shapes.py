"""Scattered shapes: counting and comparing by colour and kind.

The reply lists the shapes from left to right and keeps the running count in brackets: a list in a
fixed order is
something a small model can write down, but it can't search it afterwards.
"""

import math
import random
from collections import Counter
from dataclasses import dataclass

from recipe.canvas import Box, Canvas
from recipe.look import Rgb
from recipe.problem import Exchange, Language
from recipe.wording import confirm, double_check, joined, pick, refusal
from recipe.words import COLORS, KINDS

_ROLE = 120
_RGB: dict[str, tuple[Rgb, ...]] = {
    "red": ((220, 30, 30), (255, 0, 0), (214, 39, 40), (200, 0, 20), (230, 60, 50)),
    "blue": ((30, 60, 220), (0, 0, 255), (31, 119, 180), (65, 105, 225), (20, 90, 200)),
    "green": ((30, 150, 50), (0, 128, 0), (44, 160, 44), (60, 180, 75), (0, 200, 0)),
    "yellow": ((255, 225, 25), (255, 255, 0), (240, 210, 30), (255, 215, 0)),
    "orange": ((255, 140, 0), (255, 165, 0), (245, 130, 48), (255, 127, 14)),
    "purple": ((128, 0, 128), (145, 30, 180), (148, 60, 200), (120, 40, 160)),
    "pink": ((255, 105, 180), (255, 150, 200), (255, 182, 193), (250, 120, 170), (255, 192, 203)),
    "black": ((0, 0, 0), (20, 20, 20), (35, 35, 35)),
    "gray": ((128, 128, 128), (150, 150, 150), (110, 110, 110)),
    "brown": ((139, 69, 19), (120, 70, 30), (150, 75, 0), (140, 86, 75), (165, 42, 42)),
}


def _shade(name: str, rng: random.Random) -> Rgb:
    """One of a colour's usual values, often a little off."""
    red, green, blue = rng.choice(_RGB[name])
    if rng.random() < 0.5:
        return (red, green, blue)
    return (_near(red, rng), _near(green, rng), _near(blue, rng))


def _near(channel: int, rng: random.Random) -> int:
    return min(255, max(0, channel + rng.randint(-14, 14)))


@dataclass(frozen=True, slots=True)
class Shape:
    """x, y: the middle, as shares of the area; size: half its width, of the smaller side."""

    kind: int
    color: int
    x: float
    y: float
    size: float

    def named(self, language: Language) -> str:
        if language == "en":
            return f"{COLORS[self.color][0]} {KINDS[self.kind][0]}"
        return COLORS[self.color][1] + KINDS[self.kind][2]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is counted: a colour, a kind, both, or (neither) everything; inverted: all else."""

    color: int | None
    kind: int | None
    inverted: bool = False

    def matches(self, shape: Shape) -> bool:
        fits = self.color in (None, shape.color) and self.kind in (None, shape.kind)
        return fits is not self.inverted

    def named(self, language: Language) -> str:
        if self.inverted:
            color = "" if self.color is None else COLORS[self.color][language == "zh"]
            if language == "zh":
                return f"不是{color or KINDS[self.kind or 0][2]}的图形"
            return f"shapes that are not {color or KINDS[self.kind or 0][1]}"
        if language == "en":
            color = "" if self.color is None else COLORS[self.color][0] + " "
            return color + ("shapes" if self.kind is None else KINDS[self.kind][1])
        color = "" if self.color is None else COLORS[self.color][1]
        if self.kind is None:
            return (color + "的图形") if color else "图形"
        return color + KINDS[self.kind][2]


@dataclass(frozen=True, slots=True)
class ShapesScene:
    """Shapes from left to right."""

    shapes: tuple[Shape, ...]
    family: str = "shapes"

    def draw(self, canvas: Canvas, rng: random.Random) -> None:
        area = canvas.area
        width, height = area.right - area.left, area.bottom - area.top
        style = rng.choices(["filled", "edged", "hollow"], [60, 25, 15])[0]
        tilt = rng.random() < 0.25
        for i, shape in enumerate(self.shapes):
            half = shape.size * min(width, height)
            x, y = area.left + shape.x * width, area.top + shape.y * height
            color = _shade(COLORS[shape.color][0], rng)
            _draw_shape(
                canvas,
                KINDS[shape.kind][0],
                x,
                y,
                half,
                color,
                style,
                rng.uniform(-25, 25) if tilt else 0,
            )
            mark = Box(x - half * 0.7, y - half * 0.7, x + half * 0.7, y + half * 0.7)
            canvas.mark(mark, value=i + 1, key=i + 1, role=_ROLE + shape.color * 16 + shape.kind)

    def _listing(
        self, rng: random.Random, language: Language, wanted: tuple[_Wanted, ...] = ()
    ) -> str:
        """Every shape, with the running counts of what is wanted."""
        start = pick(
            rng,
            language,
            (
                "Let me go through the shapes from left to right:",
                "From left to right, I see these shapes:",
            ),
            ("我从左到右列出所有图形：", "从左到右，图中有这些图形："),
        )
        lines = []
        counts = [0] * len(wanted)
        for i, shape in enumerate(self.shapes):
            counts = [n + w.matches(shape) for n, w in zip(counts, wanted, strict=True)]
            note = f" ({', '.join(map(str, counts))})" if wanted else ""
            lines.append(f"{i + 1}. {shape.named(language)}{note}")
        return "\n".join([start, *lines])

    def _tally(self, wanted: _Wanted, language: Language) -> tuple[str, int]:
        """A sentence with the count, and the count."""
        n = sum(wanted.matches(s) for s in self.shapes)
        name = wanted.named(language)
        return (f"The number of {name} is {n}." if language == "en" else f"{name}共 {n} 个。"), n

    def _wanted(self, rng: random.Random) -> _Wanted:
        shape = rng.choice(self.shapes)
        u = rng.random()
        return _Wanted(
            shape.color if u < 0.65 else None, shape.kind if u < 0.35 or u > 0.65 else None
        )

    def ask(self, rng: random.Random, language: Language) -> Exchange:
        u = rng.random()
        if u < 0.55:
            return self._count(self._wanted(rng), rng, language)
        if u < 0.65:
            return self._count(_Wanted(None, None), rng, language)
        if u < 0.69:
            return self._count_sorts(rng, language)
        if u < 0.73:
            return self._is_there(rng, language)
        if u < 0.76:
            shape = rng.choice(self.shapes)
            color, kind = (shape.color, None) if rng.random() < 0.7 else (None, shape.kind)
            return self._count(_Wanted(color, kind, inverted=True), rng, language)
        if u < 0.79:
            return self._color_of(rng, language)
        if u < 0.82:
            return self._count_two(rng, language)
        return self._compare(rng, language) if u < 0.91 else self._most(rng, language)

    def _finish(
        self,
        question: str,
        wanted: tuple[_Wanted, ...],
        work: str,
        answer: str,
        wrong: tuple[str, ...],
        rng: random.Random,
        language: Language,
    ) -> Exchange:
        goal = joined([w.named(language) for w in wanted], language)
        if wanted:
            goal = f"I have to count the {goal}. " if language == "en" else f"我需要数{goal}。"
        reasoning = "\n\n".join(
            (
                goal + self._listing(rng, language, wanted),
                work,
                double_check(rng, language) + work + confirm(rng, language),
            )
        )
        return Exchange(question, reasoning, answer, language, self.family, wrong)

    def _count(self, wanted: _Wanted, rng: random.Random, language: Language) -> Exchange:
        name = wanted.named(language)
        question = pick(
            rng,
            language,
            (
                f"How many {name} are there?", f"Count the {name}.",
                f"how many {name} are in the picture?",
                f"How many {name} can you see in the image?", f"What is the number of {name}?",
                f"How many {name}?", f"How many {name} are shown?", f"number of {name}?",
                f"Count all {name}.", f"Count how many {name} there are.",
                f"Tell me how many {name} there are.", f"What is the count of {name}?",
                f"How many {name} does the picture contain?", f"How many {name} do you see?",
                f"Find the number of {name}.", f"What is the total number of {name}?",
            ),
            (f"图中有几个{name}？", f"有多少个{name}？", f"数一数{name}的个数。",
            f"图片里一共有几个{name}？", f"有几个{name}？", f"{name}有几个？", f"{name}有多少个？",
            f"请数出{name}的数量。", f"{name}的数量是多少？"),
        )  # fmt: skip
        if rng.random() < 0.3:
            question = question.replace("圆形", "圆").replace("长方形", "矩形")
        counted: tuple[_Wanted, ...] = (wanted,)
        if wanted == _Wanted(None, None):
            question = question.replace(
                "shapes", rng.choice(("shapes", "shapes", "objects", "figures"))
            )
            n, counted = len(self.shapes), ()
            work = f"That makes {n} shapes." if language == "en" else f"一共 {n} 个图形。"
        else:
            work, n = self._tally(wanted, language)
        wrong = tuple(str(v) for v in (n + 1, n - 1, n + 2, n + 3) if v >= 0)
        return self._finish(question, counted, work, str(n), wrong, rng, language)

    def _count_sorts(self, rng: random.Random, language: Language) -> Exchange:
        """How many colours or kinds there are."""
        by_color, en = rng.random() < 0.6, language == "en"
        words = [
            (COLORS[s.color] if by_color else KINDS[s.kind])[0 if en else -1] for s in self.shapes
        ]
        many = ("colors", "颜色") if by_color else ("kinds of shapes", "图形")
        question = pick(
            rng,
            language,
            (
                f"How many different {many[0]} are there?", f"How many {many[0]} are there?",
                f"How many different {many[0]} are in the picture?",
                f"How many {many[0]} can you see?",
            ),
            (f"图中有几种{many[1]}？", f"一共有多少种{many[1]}？", f"有几种不同的{many[1]}？"),
        )  # fmt: skip
        seen: list[str] = []
        lines = []
        for i, (shape, word) in enumerate(zip(self.shapes, words, strict=True)):
            note = "" if word in seen else f" ({word} {len(seen) + 1})"
            seen += [] if word in seen else [word]
            lines.append(f"{i + 1}. {shape.named(language)}{note}")
        n = len(seen)
        lead = (
            f"Going from left to right, with each new one of the {many[0]} in brackets:"
            if en
            else f"从左到右，括号里是新出现的{many[1]}："
        )
        listed = joined(seen, language)
        work = f"The {many[0]} are {listed}: {n}." if en else f"{many[1]}有{listed}，共 {n} 种。"
        again = double_check(rng, language) + work + confirm(rng, language)
        wrong = tuple(str(v) for v in (n + 1, n - 1, n + 2) if v > 0)
        reasoning = "\n\n".join(("\n".join((lead, *lines)), work, again))
        return Exchange(question, reasoning, str(n), language, self.family, wrong)

    def _color_of(self, rng: random.Random, language: Language) -> Exchange:
        """The colour of the only shape of its kind, or the kind of the only one of its colour."""
        by_kind, en = rng.random() < 0.75, language == "en"
        sorts = Counter(s.kind if by_kind else s.color for s in self.shapes)
        alone = [s for s in self.shapes if sorts[s.kind if by_kind else s.color] == 1]
        if not alone:
            return self._count(self._wanted(rng), rng, language)
        shape = rng.choice(alone)
        kinds = [kind[0 if en else 2] for kind in KINDS]
        colors = [color[0 if en else 1] for color in COLORS]
        if by_kind:
            name, answer, answers = kinds[shape.kind], colors[shape.color], colors
            asked = (
                (f"What color is the {name}?", f"What is the color of the {name}?",
                 f"Which color does the {name} have?"),
                (f"{name}是什么颜色？", f"{name}的颜色是什么？"),
            )  # fmt: skip
        else:
            name, answer, answers = colors[shape.color], kinds[shape.kind], kinds
            asked = (
                (f"What shape is {name}?", f"Which shape is {name}?",
                 f"What is the {name} shape?"),
                (f"{name}的是什么图形？", f"{name}的图形是什么？"),
            )  # fmt: skip
        question = pick(rng, language, *asked)
        lines = [
            f"{i + 1}. {s.named(language)}" + ((" (yes)" if en else "（是）") if s is shape else "")
            for i, s in enumerate(self.shapes)
        ]
        lead = f"Looking for {name} from left to right:" if en else f"从左到右找{name}："
        found = shape.named(language)
        work = f"It is the {found}, so {answer}." if en else f"它是{found}，所以是{answer}。"
        again = double_check(rng, language) + work + confirm(rng, language)
        wrong = tuple(rng.sample([other for other in answers if other != answer], 4))
        reasoning = "\n\n".join(("\n".join((lead, *lines)), work, again))
        return Exchange(question, reasoning, f"\\text{{{answer}}}", language, self.family, wrong)

    def _count_two(self, rng: random.Random, language: Language) -> Exchange:
        """How many there are of two kinds, or of two colours, together."""
        by_color = rng.random() < 0.4
        sorts = sorted({s.color if by_color else s.kind for s in self.shapes})
        if len(sorts) < 2:
            return self._count(self._wanted(rng), rng, language)
        pair = rng.sample(sorts, 2)
        first, second = (_Wanted(i, None) if by_color else _Wanted(None, i) for i in pair)
        (one, n), (two, m) = self._tally(first, language), self._tally(second, language)
        p, q = first.named(language), second.named(language)
        question = pick(
            rng,
            language,
            (
                f"How many {p} and {q} are there?", f"How many {p} and {q} are there in total?",
                f"What is the total number of {p} and {q}?", f"Count the {p} and {q}.",
                f"How many {p} or {q} are there?",
            ),
            (f"{p}和{q}一共有几个？", f"{p}与{q}共有多少个？"),
        )  # fmt: skip
        sums = f"{n} + {m} = {n + m}"
        work = f"{one} {two} {sums}." if language == "en" else f"{one}{two}{sums}。"
        wrong = tuple(str(v) for v in (n + m + 1, n + m - 1, n, m, abs(n - m)) if v != n + m)
        return self._finish(question, (first, second), work, str(n + m), wrong, rng, language)

    def _is_there(self, rng: random.Random, language: Language) -> Exchange:
        """Whether there is any of a kind: yes or no."""
        shape, other = rng.choice(self.shapes), rng.choice(self.shapes)
        kind = shape.kind if rng.random() < 0.5 else rng.randrange(len(KINDS))
        wanted = _Wanted(other.color, kind) if rng.random() < 0.6 else _Wanted(None, kind)
        name, (work, n) = wanted.named(language), self._tally(wanted, language)
        question = pick(
            rng,
            language,
            (f"Are there any {name}?", f"Do you see any {name}?",
             f"Are there {name} in the picture?", f"Does the picture show any {name}?"),
            (f"图中有{name}吗？", f"有没有{name}？"),
        )  # fmt: skip
        yes, no = ("Yes", "No") if language == "en" else ("是", "否")
        answer, wrong = (yes, (no,)) if n else (no, (yes,))
        return self._finish(question, (wanted,), work, f"\\text{{{answer}}}", wrong, rng, language)

    def _compare(self, rng: random.Random, language: Language) -> Exchange:
        """How many more of one than of another, or whether there are more."""
        first, second = self._wanted(rng), self._wanted(rng)
        by_color = rng.random() < 0.5
        a, b = rng.choice(self.shapes), rng.choice(self.shapes)
        if by_color:
            first, second = _Wanted(a.color, None), _Wanted(b.color, None)
        else:
            first, second = _Wanted(None, a.kind), _Wanted(None, b.kind)
        if first == second:
            return self._count(first, rng, language)
        one, n = self._tally(first, language)
        two, m = self._tally(second, language)
        p, q = first.named(language), second.named(language)
        if rng.random() < 0.5:
            if n < m:
                first, second, one, two, n, m, p, q = second, first, two, one, m, n, q, p
            question = pick(
                rng,
                language,
                (
                    f"How many more {p} than {q} are there?",
                    f"How many more {p} are there than {q}?",
                    f"How many more {p} than {q}?",
                    f"What is the difference between the number of {p} and {q}?",
                    f"By how many do the {p} outnumber the {q}?",
                    f"How many fewer {q} than {p} are there?",
                ),
                (f"{p}比{q}多几个？", f"{p}比{q}多多少个？", f"{q}比{p}少几个？"),
            )
            work = (
                f"{one} {two} {n} - {m} = {n - m}."
                if language == "en"
                else f"{one}{two}{n} - {m} = {n - m}。"
            )
            wrong = tuple(str(v) for v in (n - m + 1, n + m, n, n - m + 2))
            return self._finish(question, (first, second), work, str(n - m), wrong, rng, language)
        question = pick(
            rng,
            language,
            (
                f"Are there more {p} than {q}?",
                f"Are there more {p} or {q}?",
                f"Are there more {p} than {q} in the picture?",
                f"Which are there more of, {p} or {q}?",
            ),
            (f"{p}比{q}多吗？", f"{p}是不是比{q}多？"),
        )
        if " or " in question:
            same = "the same number"
            answer = p if n > m else q if m > n else same
            wrong = tuple(w for w in (p, q, same) if w != answer)
        else:
            yes, no = ("Yes", "No") if language == "en" else ("是", "否")
            answer, wrong = (yes, (no,)) if n > m else (no, (yes,))
        verb = (">" if n > m else "<") if n != m else "="
        work = f"{one} {two} {n} {verb} {m}." if language == "en" else f"{one}{two}{n} {verb} {m}。"
        return self._finish(
            question, (first, second), work, f"\\text{{{answer}}}", wrong, rng, language
        )

    def _most(self, rng: random.Random, language: Language) -> Exchange:
        """Which colour or kind there is most of."""
        by_color = rng.random() < 0.5
        counts = Counter(s.color if by_color else s.kind for s in self.shapes)
        ranked = counts.most_common()
        if not 2 <= len(ranked) <= 4 or ranked[0][1] == ranked[1][1]:
            return self._count(self._wanted(rng), rng, language)
        en = language == "en"
        names = [
            (COLORS[i][0] if en else COLORS[i][1])
            if by_color
            else (KINDS[i][1] if en else KINDS[i][2])
            for i, _ in ranked
        ]
        what = ("color", "颜色") if by_color else ("shape", "形状")
        question = pick(
            rng,
            language,
            (
                f"Which {what[0]} appears most often?",
                f"What is the most common {what[0]}?",
                f"Which {what[0]} is most frequent?",
                f"Which {what[0]} occurs most?",
                f"What {what[0]} are most of the shapes?"
                if by_color
                else "Which kind of shape is there most of?",
            ),
            (f"哪种{what[1]}最多？", f"图中最多的{what[1]}是什么？", f"最常见的{what[1]}是什么？"),
        )
        tally = ", ".join(f"{n}: {c}" for n, (_, c) in zip(names, ranked, strict=True))
        work = f"Counting each {what[0]}: {tally}." if en else f"各种{what[1]}的个数：{tally}。"
        wanted = tuple(_Wanted(i, None) if by_color else _Wanted(None, i) for i, _ in ranked)
        return self._finish(
            question, wanted, work, f"\\text{{{names[0]}}}", tuple(names[1:]), rng, language
        )

    def ask_absent(self, rng: random.Random, language: Language) -> Exchange:
        """Something other than a count, about the same picture, or a kind that it lacks."""
        missing = [k for i, k in enumerate(KINDS) if all(s.kind != i for s in self.shapes)]
        if missing and rng.random() < 0.3:
            one, _, zh = rng.choice(missing)
            question = pick(
                rng,
                language,
                (f"What color is the {one}?", f"What is the color of the {one}?"),
                (f"{zh}是什么颜色？", f"{zh}的颜色是什么？"),
            )
            reason = f"There is no {one} in the picture" if language == "en" else f"图中没有{zh}"
            reasoning = refusal(rng, language, reason)
            return Exchange(question, reasoning, None, language, self.family)
        question = pick(
            rng,
            language,
            (
                "What is the area of the largest shape?",
                "What are the coordinates of the red circle?",
                "What is the perimeter of the square?",
                "How many degrees is the angle of the triangle?",
                "What is the length of its side?",
            ),
            ("最大图形的面积是多少？", "正方形的周长是多少？", "三角形的角是多少度？"),
        )  # fmt: skip
        reason = "The shapes carry no measures" if language == "en" else "图中的图形没有标出尺寸"
        return Exchange(question, refusal(rng, language, reason), None, language, self.family)

    def read(self, rng: random.Random, language: Language) -> Exchange:
        question = (
            "List all shapes from left to right." if language == "en" else "从左到右列出所有图形。"
        )
        return Exchange(question, self._listing(rng, language), None, language, self.family)


_CORNERS = {"triangle": 3, "square": 4, "diamond": 4, "pentagon": 5, "hexagon": 6}


def _draw_shape(
    canvas: Canvas, kind: str, x: float, y: float, half: float, color: Rgb, style: str, tilt: float
) -> None:
    fill = None if style == "hollow" else color
    edge: Rgb | None = {"hollow": color, "edged": canvas.look.ink}.get(style)
    width = 2.4 if style == "hollow" else 1.2
    if kind in ("circle", "oval"):
        flat = half * (0.58 if kind == "oval" else 1)
        canvas.ellipse(Box(x - half, y - flat, x + half, y + flat), fill, edge, width)
        return
    canvas.polygon(_outline(kind, x, y, half, math.radians(tilt)), fill, edge, width)


def _outline(kind: str, x: float, y: float, half: float, tilt: float) -> list[tuple[float, float]]:
    """Corners of a polygon with its middle at (x, y)."""
    if kind in ("square", "rectangle"):
        tall = half * (0.9 if kind == "square" else 0.55)
        wide = half * (0.9 if kind == "square" else 1)
        corners = [(-wide, -tall), (wide, -tall), (wide, tall), (-wide, tall)]
    elif kind == "star":
        corners = []
        for i in range(10):
            radius = half * (1 if i % 2 == 0 else 0.42)
            angle = -math.pi / 2 + math.pi * i / 5
            corners.append((radius * math.cos(angle), radius * math.sin(angle)))
    else:
        n = _CORNERS[kind]
        angles = [-math.pi / 2 + 2 * math.pi * i / n for i in range(n)]
        squeeze = 0.75 if kind == "diamond" else 1
        corners = [(half * squeeze * math.cos(a), half * math.sin(a)) for a in angles]
    c, s = math.cos(tilt), math.sin(tilt)
    return [(x + c * dx - s * dy, y + s * dx + c * dy) for dx, dy in corners]


def make_shapes(rng: random.Random) -> ShapesScene:
    """A random scatter without overlaps whose order from left to right is plain."""
    n = rng.choices(range(2, 15), [2, 4, 6, 8, 9, 9, 9, 9, 8, 8, 7, 5, 4])[0]
    n_colors, n_kinds = rng.randint(1, 5), rng.randint(1, 4)
    colors = rng.sample(range(len(COLORS)), n_colors)
    kinds = rng.sample(range(len(KINDS)), n_kinds)
    if rng.random() < 0.18:
        return ShapesScene(_on_a_grid(n, kinds, colors, rng))
    columns = rng.random() < 0.25
    apart = rng.choice((0.016, 0.035, 0.035))
    shapes: list[Shape] = []
    base = rng.uniform(0.05, 0.14)
    xs = [(i + 0.5) / n for i in range(n)]
    for i in range(n):
        for _ in range(60):
            size = base * rng.uniform(0.75, 1.25)
            if columns:
                size, x = min(size, 0.4 / n + 0.02), xs[i]
            else:
                x = rng.uniform(size + 0.02, 0.98 - size)
            y = rng.uniform(size + 0.02, 0.98 - size)
            if all(
                ((x - s.x) ** 2 + (y - s.y) ** 2) ** 0.5 > (size + s.size) * 1.08
                and abs(x - s.x) > apart
                for s in shapes
            ):
                shapes.append(Shape(rng.choice(kinds), rng.choice(colors), x, y, size))
                break
    return ShapesScene(tuple(sorted(shapes, key=lambda s: s.x)))


def _on_a_grid(
    n: int, kinds: list[int], colors: list[int], rng: random.Random
) -> tuple[Shape, ...]:
    """Rows and columns of equal shapes, column by column; the last column may be short."""
    n_rows = rng.choice([r for r in (2, 3, 4) if r < n] or [1])
    n_columns = -(-n // n_rows)
    size = min(0.42 / n_rows, 0.42 / n_columns) * rng.uniform(0.6, 0.95)
    return tuple(
        Shape(
            rng.choice(kinds),
            rng.choice(colors),
            (i // n_rows + 0.5) / n_columns,
            (i % n_rows + 0.5) / n_rows,
            size,
        )
        for i in range(n)
    )
