"""Straight lines and parabolas on axes: slope, intercepts, values, equation, vertex."""

import random
from dataclasses import dataclass
from fractions import Fraction

from recipe.canvas import Canvas
from recipe.families import graph_drawing
from recipe.problem import Exchange, Language
from recipe.wording import confirm, double_check, pick, refusal


def plain(value: Fraction) -> str:
    return str(value)


def latex(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    sign = "-" if value < 0 else ""
    return f"{sign}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


_RISING: dict[Language, tuple[tuple[str, str, str], ...]] = {
    "en": (
        ("Is the slope positive or negative?", "positive", "negative"),
        ("Is the slope of the line positive?", "Yes", "No"),
        ("Is the line rising or falling?", "rising", "falling"),
        ("Does the line go up or down?", "up", "down"),
        ("Is the slope of the line negative?", "No", "Yes"),
        ("Is the slope negative or positive?", "positive", "negative"),
    ),
    "zh": (("斜率是正的还是负的？", "正", "负"), ("直线的斜率是正数还是负数？", "正", "负")),
}
"""Questions about the sign of a slope, with their answers for a rising and a falling line."""


@dataclass(frozen=True, slots=True)
class GraphScene:
    """y = a (x - h)^2 + k for a parabola, y = m x + b for a line (a == 0).

    reach: (left, right, bottom, top).
    """

    a: Fraction
    m: Fraction
    h: int
    k: Fraction
    reach: tuple[int, int, int, int]
    tick: int
    dots: tuple[int, ...]
    family: str = "graph"

    @property
    def is_line(self) -> bool:
        return self.a == 0

    def at(self, x: int | Fraction) -> Fraction:
        if self.is_line:
            return self.m * x + self.k
        return self.a * (x - self.h) ** 2 + self.k

    def draw(self, canvas: Canvas, rng: random.Random) -> None:
        graph_drawing.draw_graph(
            canvas, lambda x: float(self._real(x)), self.reach, self.tick, self._dots(), rng
        )

    def _real(self, x: float) -> float:
        if self.is_line:
            return float(self.m) * x + float(self.k)
        return float(self.a) * (x - self.h) ** 2 + float(self.k)

    def _dots(self) -> list[tuple[int, int]]:
        return [(x, int(self.at(x))) for x in self.dots]

    def lattice(self) -> list[tuple[int, int]]:
        """Whole-numbered points of the curve in the picture, nearest to the middle first."""
        left, right, bottom, top = self.reach
        points = [(x, self.at(x)) for x in range(left, right + 1)]
        whole = [(x, int(y)) for x, y in points if y.denominator == 1 and bottom <= y <= top]
        return sorted(whole, key=lambda p: (abs(p[0]) + abs(p[1]), p))

    # ------------------------------------------------------------------ exchanges
    def _survey(self, language: Language) -> str:
        """Points that the curve runs through, from left to right, to be checked off one by one."""
        points = sorted(self.lattice()[:4]) if self.is_line else sorted(self._near_vertex())
        listed = ", ".join(f"({x}, {y})" for x, y in points)
        if self.is_line:
            return (
                f"The line goes through {listed}." if language == "en" else f"直线经过 {listed}。"
            )
        return (
            f"The parabola goes through {listed}." if language == "en" else f"抛物线经过 {listed}。"
        )

    def _near_vertex(self) -> list[tuple[int, int]]:
        return sorted(self.lattice(), key=lambda p: (abs(p[0] - self.h), p))[:5]

    def _reply(
        self, goal: tuple[str, str], work: str, rng: random.Random, language: Language
    ) -> str:
        start = pick(
            rng,
            language,
            (f"So I need to find {goal[0]}.", f"Okay, I have to find {goal[0]}."),
            (f"我需要求{goal[1]}。", f"题目要求{goal[1]}。"),
        )
        again = f"{double_check(rng, language)}{self._survey(language)}{confirm(rng, language)}"
        return "\n\n".join((f"{start} {self._survey(language)}", work, again))

    def ask(self, rng: random.Random, language: Language) -> Exchange:
        asks = (
            [
                self._slope,
                self._slope,
                self._intercept,
                self._intercept,
                self._value,
                self._zero,
                self._equation,
                self._crossing,
                self._rising,
            ]
            if self.is_line
            else [
                self._vertex,
                self._vertex,
                self._axis,
                self._extreme,
                self._intercept,
                self._value,
                self._zeros,
                self._opening,
                self._vertex_form,
                self._crossing,
            ]
        )
        for _ in range(10):
            exchange = rng.choice(asks)(rng, language)
            if exchange is not None:
                return exchange
        return (self._slope if self.is_line else self._vertex)(rng, language)

    def _slope_work(self, language: Language) -> str:
        points = sorted(self.lattice()[:4])
        (x1, y1), (x2, y2) = points[0], points[-1]
        rise, run = y2 - y1, x2 - x1
        s1, s2 = (f"({v})" if v < 0 else str(v) for v in (y1, x1))
        steps = f"({y2} - {s1}) / ({x2} - {s2}) = {rise} / {run} = {plain(self.m)}"
        if language == "en":
            return f"From ({x1}, {y1}) to ({x2}, {y2}), the slope is {steps}."
        return f"从 ({x1}, {y1}) 到 ({x2}, {y2})，斜率是 {steps}。"

    def _slope(self, rng: random.Random, language: Language) -> Exchange:
        question = pick(
            rng,
            language,
            ("What is the slope of the line?", "Find the slope of the line.", "find the slope",
            "What is the gradient of the line?",
             "Determine the slope of the line shown in the graph.", "What is the slope?",
             "Calculate the slope of this line.", "What's the slope of the line?",
             "Find the gradient.", "What is the slope of the graph?", "slope of the line?",
             "What is the rate of change of the line?", "What is the slope m of the line?"),
            ("求直线的斜率。", "直线的斜率是多少？", "这条直线的斜率是什么？", "求斜率。",
            "斜率是多少？", "图中直线的斜率等于多少？", "计算直线的斜率。"),
        )  # fmt: skip
        m = self.m
        reasoning = self._reply(("the slope", "斜率"), self._slope_work(language), rng, language)
        wrong = tuple(
            latex(v) for v in (-m, 1 / m if m else Fraction(1), m + 1, m - 1, self.k) if v != m
        )
        return Exchange(question, reasoning, latex(m), language, self.family, wrong, question)

    def _rising(self, rng: random.Random, language: Language) -> Exchange | None:
        """The sign of the slope."""
        if not self.m:
            return None
        en, up = language == "en", self.m > 0
        question, *answers = rng.choice(_RISING[language])
        answer, other = answers if up else answers[::-1]
        sign = ("above", "大于") if up else ("below", "小于")
        tail = (
            f" That is {sign[0]} 0, so the answer is {answer}."
            if en
            else f"它{sign[1]} 0，所以答案是{answer}。"
        )
        goal = ("the sign of the slope", "斜率的正负")
        reasoning = self._reply(goal, self._slope_work(language) + tail, rng, language)
        boxed, wrong = f"\\text{{{answer}}}", (other,)
        return Exchange(question, reasoning, boxed, language, self.family, wrong, question)

    def _intercept(self, rng: random.Random, language: Language) -> Exchange | None:
        y = self.at(0)
        if (
            y.denominator != 1
            or not self.reach[2] <= y <= self.reach[3]
            or not self.reach[0] <= 0 <= self.reach[1]
        ):
            return None
        what = "line" if self.is_line else "parabola"
        question = pick(
            rng,
            language,
            (f"What is the y-intercept of the {what}?", "Find the y-intercept.",
            "What is the y-intercept?",
             f"Where does the {what} cross the y-axis? Give the y value.",
             f"At what y value does the {what} cross the y-axis?", "What is f(0)?",
             f"Find the y-intercept of the {what}.", "What is the y intercept of the graph?",
             f"At which y does the {what} intersect the y-axis?", "Find y when x = 0.",
             "Determine the y-intercept."),
            (f"{'直线' if self.is_line else '抛物线'}在 y 轴上的截距是多少？", "求 y 轴截距。",
            "y 轴截距是多少？", "图像与 y 轴交点的纵坐标是多少？", "求图像在 y 轴上的截距。"),
        )  # fmt: skip
        work = (
            f"At x = 0 the {what} is at (0, {y}), so the y-intercept is {y}."
            if language == "en"
            else f"x = 0 时经过 (0, {y})，所以 y 轴截距是 {y}。"
        )
        reasoning = self._reply(("the y-intercept", " y 轴截距"), work, rng, language)
        wrong = tuple(str(v) for v in (-y, y + 1, y - 1, y + 2) if v != y)
        return Exchange(question, reasoning, str(y), language, self.family, wrong, question)

    def _crossing(self, rng: random.Random, language: Language) -> Exchange | None:
        """The y-intercept as a point."""
        y, what = self.at(0), "line" if self.is_line else "parabola"
        if (0, y) not in self.lattice():
            return None
        question = pick(
            rng,
            language,
            (
                f"At what point does the {what} cross the y-axis?",
                f"Where does the {what} intersect the y-axis?",
                f"Give the coordinates of the point where the {what} meets the y-axis.",
                "What are the coordinates of the y-intercept?",
            ),
            ("求图像与 y 轴交点的坐标。", "图像与 y 轴交于哪一点？", "与 y 轴的交点坐标是什么？"),
        )
        work = (
            f"At x = 0 the {what} is at (0, {y}), so the point is (0, {y})."
            if language == "en"
            else f"x = 0 时经过 (0, {y})，所以交点是 (0, {y})。"
        )
        goal = ("the point on the y-axis", "与 y 轴的交点")
        reasoning = self._reply(goal, work, rng, language)
        wrong = tuple(f"(0, {v})" for v in (-y, y + 1, y - 1) if v != y)
        return Exchange(question, reasoning, f"(0, {y})", language, self.family, wrong, question)

    def _zeros(self, rng: random.Random, language: Language) -> Exchange | None:
        """Both zeros of a parabola, where they are whole and in the picture."""
        zeros = sorted(x for x, y in self.lattice() if y == 0)
        if len(zeros) != 2:
            return None
        question = pick(
            rng,
            language,
            (
                "What are the x-intercepts of the parabola?", "Find the x-intercepts.",
                "What are the zeros of the function?", "What are the roots of the parabola?",
                "Where does the parabola cross the x-axis?", "Find the zeros of the parabola.",
                "For which x is y = 0?", "Find the roots.",
            ),
            ("求抛物线与 x 轴交点的横坐标。", "函数的零点是什么？", "求函数的零点。",
             "x 为何值时 y = 0？"),
        )  # fmt: skip
        a, b = zeros
        answer = f"x = {a}, x = {b}"
        work = (
            f"At y = 0 the parabola is at ({a}, 0) and ({b}, 0), so the zeros are {answer}."
            if language == "en"
            else f"y = 0 时经过 ({a}, 0) 和 ({b}, 0)，所以零点是 {answer}。"
        )
        reasoning = self._reply(("the zeros", "零点"), work, rng, language)
        wrong = tuple(
            f"x = {c}, x = {d}"
            for c, d in ((-b, -a), (a, b + 1), (a - 1, b), (a - 1, b + 1))
            if (c, d) != (a, b)
        )
        return Exchange(question, reasoning, answer, language, self.family, wrong, question)

    def _zero(self, rng: random.Random, language: Language) -> Exchange | None:
        zeros = [x for x, y in self.lattice() if y == 0]
        if not self.is_line or len(zeros) != 1 or self.m == 0:
            return None
        x = zeros[0]
        question = pick(
            rng,
            language,
            (
                "What is the x-intercept of the line?",
                "Find the x-intercept.",
                "Where does the line cross the x-axis? Give the x value.",
                "What is the x-intercept?",
                "At what x value does the line cross the x-axis?",
                "What is the zero of the function?",
                "For which x is y = 0?",
                "Find the x-intercept of the line.",
                "What is the root of the line?",
            ),
            (
                "直线在 x 轴上的截距是多少？",
                "求 x 轴截距。",
                "x 轴截距是多少？",
                "直线与 x 轴交点的横坐标是多少？",
                "x 为何值时 y = 0？",
            ),
        )
        work = (
            f"At y = 0 the line is at ({x}, 0), so the x-intercept is {x}."
            if language == "en"
            else f"y = 0 时经过 ({x}, 0)，所以 x 轴截距是 {x}。"
        )
        reasoning = self._reply(("the x-intercept", " x 轴截距"), work, rng, language)
        return Exchange(
            question,
            reasoning,
            str(x),
            language,
            self.family,
            (str(-x), str(x + 1), str(x - 1), str(x + 2)),
            question,
        )

    def _value(self, rng: random.Random, language: Language) -> Exchange:
        x, y = rng.choice(self.lattice())
        question = pick(
            rng,
            language,
            (f"What is the value of y when x = {x}?", f"What is y at x = {x}?", f"Find f({x}).",
            f"find y when x = {x}", f"What is f({x})?", f"What is y when x is {x}?",
             f"What is the y value of the graph at x = {x}?", f"Find the value of y at x = {x}.",
             f"What is the value of f({x})?", f"If x = {x}, what is y?", f"Read off y for x = {x}.",
             f"What is the value of the function at x = {x}?", f"Evaluate f({x}).", f"f({x}) = ?",
             f"What y-coordinate does the graph have at x = {x}?"),
            (f"当 x = {x} 时，y 等于多少？", f"x = {x} 时 y 的值是多少？", f"求 f({x})。",
            f"f({x}) 等于多少？", f"求 x = {x} 时 y 的值。", f"当 x = {x} 时，函数值是多少？"),
        )  # fmt: skip
        work = (
            f"At x = {x} the graph is at ({x}, {y}), so y = {y}."
            if language == "en"
            else f"x = {x} 时图像经过 ({x}, {y})，所以 y = {y}。"
        )
        reasoning = self._reply((f"y at x = {x}", f" x = {x} 时的 y 值"), work, rng, language)
        wrong = tuple(str(v) for v in (-y, y + 1, y - 1, y + 2, x) if v != y)
        return Exchange(question, reasoning, str(y), language, self.family, wrong, question)

    def _equation(self, rng: random.Random, language: Language) -> Exchange | None:
        b = self.k
        if b.denominator != 1 or (0, int(b)) not in self.lattice() or self.m == 0:
            return None
        question = pick(
            rng,
            language,
            (
                "What is the equation of the line?",
                "Find the equation of the line.",
                "Write the equation of the line in slope-intercept form.",
                "What is the equation of this line?",
                "What is the equation of the graph?",
                "Which equation describes the line?",
                "Determine the equation of the line in the form y = mx + b.",
                "Give the equation of the line shown.",
            ),
            (
                "求直线的方程。",
                "这条直线的方程是什么？",
                "写出直线的解析式。",
                "求图中直线的方程。",
                "直线的解析式是什么？",
            ),
        )
        answer = _line_equation(self.m, int(b), as_latex=True)
        said = _line_equation(self.m, int(b), as_latex=False)
        work = (
            f"{self._slope_work(language)} At x = 0 it is at (0, {b}). So the equation is {said}."
            if language == "en"
            else f"{self._slope_work(language)}x = 0 时经过 (0, {b})。所以方程是 {said}。"
        )
        reasoning = self._reply(("the equation of the line", "直线的方程"), work, rng, language)
        wrong = tuple(
            _line_equation(m, c, as_latex=True)
            for m, c in (
                (-self.m, int(b)),
                (self.m, -int(b) or 1),
                (self.m + 1 or Fraction(2), int(b)),
                (self.m, int(b) + 1),
            )
        )
        return Exchange(question, reasoning, answer, language, self.family, wrong, question)

    def _vertex_work(self, language: Language) -> str:
        opens = ("up", "上", "lowest", "最低") if self.a > 0 else ("down", "下", "highest", "最高")
        if language == "en":
            vertex = f"({self.h}, {self.k})"
            return f"It opens {opens[0]}, and its {opens[2]} point, the vertex, is {vertex}."
        return f"开口向{opens[1]}，{opens[3]}点即顶点是 ({self.h}, {self.k})。"

    def _vertex(self, rng: random.Random, language: Language) -> Exchange:
        question = pick(
            rng,
            language,
            ("What is the vertex of the parabola?", "Find the vertex of the parabola.",
            "find the vertex", "What is the vertex?", "Where is the vertex of the parabola?",
             "What are the coordinates of the vertex?", "Determine the vertex.",
             "What is the vertex of this graph?", "Give the coordinates of the parabola's vertex.",
             "At which point does the parabola turn?", "What is the turning point?"),
            ("求抛物线的顶点坐标。", "抛物线的顶点是什么？", "顶点坐标是多少？", "求顶点。",
            "抛物线的顶点在哪里？", "写出抛物线的顶点坐标。"),
        )  # fmt: skip
        reasoning = self._reply(("the vertex", "顶点"), self._vertex_work(language), rng, language)
        h, k = self.h, self.k
        wrong = (
            f"({-h or 1}, {k})",
            f"({h}, {k + 1})",
            f"({h + 1}, {k})",
            f"({k}, {h})",
            f"({h - 1}, {k})",
        )
        return Exchange(
            question,
            reasoning,
            f"({h}, {k})",
            language,
            self.family,
            tuple(w for w in wrong if w != f"({h}, {k})"),
            question,
        )

    def _opening(self, rng: random.Random, language: Language) -> Exchange:
        """Up or down."""
        question = pick(
            rng,
            language,
            (
                "Does the parabola open up or down?", "Does the parabola open upward or downward?",
                "In which direction does the parabola open?", "Which way does the parabola open?",
                "Does it open up or down?", "Does the graph open upward or downward?",
            ),
            ("抛物线开口向上还是向下？", "抛物线的开口方向是什么？"),
        )  # fmt: skip
        names = ("up", "down") if language == "en" else ("向上", "向下")
        if "upward" in question:
            names = ("upward", "downward")
        answer, other = names if self.a > 0 else names[::-1]
        reasoning = self._reply(
            ("the direction", "开口方向"), self._vertex_work(language), rng, language
        )
        boxed, wrong = f"\\text{{{answer}}}", (other,)
        return Exchange(question, reasoning, boxed, language, self.family, wrong, question)

    def _vertex_form(self, rng: random.Random, language: Language) -> Exchange | None:
        """The equation of a parabola, from its vertex and the point beside it."""
        beside = (self.h + 1, self.at(self.h + 1))
        if self.a.denominator != 1 or beside not in self._near_vertex():
            return None
        question = pick(
            rng,
            language,
            (
                "What is the equation of the parabola?", "Find the equation of the parabola.",
                "Write the equation of the parabola in vertex form.",
                "What is the equation of this parabola?", "Which equation describes the parabola?",
                "Give the equation of the parabola in the form y = a(x - h)^2 + k.",
            ),
            ("求抛物线的解析式。", "抛物线的方程是什么？", "写出抛物线的顶点式。"),
        )  # fmt: skip
        answer = _parabola_equation(self.a, self.h, self.k)
        x, y = beside
        low = f"({self.k})" if self.k < 0 else str(self.k)
        tail = (
            f" Beside it is ({x}, {y}), so a = {y} - {low} = {self.a}. The equation is {answer}."
            if language == "en"
            else f"旁边的点是 ({x}, {y})，所以 a = {y} - {low} = {self.a}。方程是 {answer}。"
        )
        reasoning = self._reply(
            ("the equation of the parabola", "抛物线的方程"),
            self._vertex_work(language) + tail,
            rng,
            language,
        )
        wrong = tuple(
            _parabola_equation(a, h, k)
            for a, h, k in (
                (-self.a, self.h, self.k),
                (self.a, -self.h or 1, self.k),
                (self.a, self.h, -self.k or Fraction(1)),
                (self.a + (1 if self.a > 0 else -1), self.h, self.k),
            )
        )
        return Exchange(question, reasoning, answer, language, self.family, wrong, question)

    def _axis(self, rng: random.Random, language: Language) -> Exchange:
        question = pick(
            rng,
            language,
            (
                "What is the axis of symmetry of the parabola?",
                "Find the axis of symmetry.",
                "What is the axis of symmetry?",
                "What is the equation of the axis of symmetry?",
                "Determine the parabola's axis of symmetry.",
            ),
            ("求抛物线的对称轴。", "抛物线的对称轴是什么？", "对称轴是什么？", "求对称轴。"),
        )
        tail = (
            f" So the axis is x = {self.h}." if language == "en" else f"所以对称轴是 x = {self.h}。"
        )
        reasoning = self._reply(
            ("the axis of symmetry", "对称轴"), self._vertex_work(language) + tail, rng, language
        )
        wrong = tuple(f"x = {v}" for v in (self.h + 1, self.h - 1, -self.h or 2, self.h + 3))
        return Exchange(
            question,
            reasoning,
            f"x = {self.h}",
            language,
            self.family,
            tuple(w for w in wrong if w != f"x = {self.h}"),
            question,
        )

    def _extreme(self, rng: random.Random, language: Language) -> Exchange:
        en, zh = ("minimum", "最小值") if self.a > 0 else ("maximum", "最大值")
        question = pick(
            rng,
            language,
            (
                f"What is the {en} value of the function?",
                f"Find the {en} value of y.",
                f"What is the {en} of the parabola?",
                f"What is the {en} value of y?",
                f"What is the {en} of the function?",
                f"Find the {en} of the graph.",
                f"What is the {en} y value of the parabola?",
                f"What is the {en} value?",
                f"What is the {en}?",
                f"Find the {en}.",
            ),
            (f"函数的{zh}是多少？", f"求 y 的{zh}。", f"y 的{zh}是多少？", f"求函数的{zh}。"),
        )
        tail = f" So the {en} value is {self.k}." if language == "en" else f"所以{zh}是 {self.k}。"
        reasoning = self._reply(
            (f"the {en} value", zh), self._vertex_work(language) + tail, rng, language
        )
        wrong = tuple(str(v) for v in (self.h, self.k + 1, self.k - 1, -self.k) if v != self.k)
        return Exchange(question, reasoning, str(self.k), language, self.family, wrong, question)

    def ask_absent(self, rng: random.Random, language: Language) -> Exchange:
        """A value outside of the picture, or the other kind of curve's question."""
        if rng.random() < 0.5:
            x = rng.choice([-1, 1]) * rng.randint(25, 90)
            question = pick(
                rng,
                language,
                (f"What is the value of y when x = {x}?",),
                (f"当 x = {x} 时，y 等于多少？",),
            )
            goal = (f"y at x = {x}", f" x = {x} 时的 y 值")
            reason = (f"The picture doesn't reach x = {x}", f"图中没有画到 x = {x}")
        elif self.is_line:
            question = pick(
                rng, language, ("What is the vertex of the parabola?",), ("求抛物线的顶点坐标。",)
            )
            goal, reason = (
                ("the vertex", "顶点"),
                ("The picture shows a line, not a parabola", "图中是直线，不是抛物线"),
            )
        else:
            question = pick(rng, language, ("What is the slope of the line?",), ("求直线的斜率。",))
            goal, reason = (
                ("the slope", "斜率"),
                ("The picture shows a parabola, not a line", "图中是抛物线，不是直线"),
            )
        start = f"So I need to find {goal[0]}." if language == "en" else f"我需要求{goal[1]}。"
        said = reason[0] if language == "en" else reason[1]
        reasoning = f"{start} {self._survey(language)} {refusal(rng, language, said)}"
        return Exchange(question, reasoning, None, language, self.family)

    def read(self, rng: random.Random, language: Language) -> Exchange:  # noqa: ARG002 (Scene)
        question = (
            "Which points does the graph go through?" if language == "en" else "图像经过哪些点？"
        )
        return Exchange(question, self._survey(language), None, language, self.family)


def _line_equation(m: Fraction, b: int, *, as_latex: bool) -> str:
    slope = latex(m) if as_latex else (plain(m) if m.denominator == 1 else f"({plain(m)})")
    slope = {Fraction(1): "", Fraction(-1): "-"}.get(m, slope)
    tail = "" if b == 0 else f" {'+' if b > 0 else '-'} {abs(b)}"
    return f"y = {slope}x{tail}"


def _parabola_equation(a: Fraction, h: int, k: Fraction) -> str:
    """In vertex form, as short as people write it; the same in text and in LaTeX."""
    factor = {Fraction(1): "", Fraction(-1): "-"}.get(a, str(a))
    square = "x^2" if h == 0 else f"(x {'-' if h > 0 else '+'} {abs(h)})^2"
    tail = "" if k == 0 else f" {'+' if k > 0 else '-'} {abs(k)}"
    return f"y = {factor}{square}{tail}"


def make_graph(rng: random.Random) -> GraphScene:
    """A random line or parabola that runs through enough points with whole coordinates."""
    while True:
        size = rng.choice([4, 5, 5, 6, 6, 8, 8, 10, 10])
        reach = (-size, size, -size, size)
        if rng.random() < 0.15:
            reach = (0, size, 0, rng.choice([size, size + 2, 10]))
        elif rng.random() < 0.2:
            reach = (-rng.randint(3, 8), rng.randint(3, 8), -rng.randint(3, 8), rng.randint(3, 8))
        tick = 2 if size >= 8 and rng.random() < 0.5 else 1
        if rng.random() < 0.58:
            m = Fraction(rng.choice([1, 1, 2, 3, -1, -1, -2, -3, 4, -4, 1, 3, -1, 2, -3,
            0 if rng.random() < 0.2 else 5]),
                         rng.choice([1, 1, 1, 2, 2, 3, 4, 5]))  # fmt: skip
            k = Fraction(rng.randint(-5, 5))
            scene = GraphScene(Fraction(0), m, 0, k, reach, tick, ())
            enough = 2
        else:
            a = Fraction(rng.choice([1, -1, 1, -1, 2, -2]), rng.choice([1, 1, 1, 2]))
            h, k = rng.randint(-4, 4), Fraction(rng.randint(-5, 5))
            scene = GraphScene(a, Fraction(0), h, k, reach, tick, ())
            enough = 3
        lattice = scene.lattice()
        if len(lattice) < enough or (not scene.is_line and (scene.h, int(scene.k)) not in lattice):
            continue
        if not scene.is_line and not reach[2] + 1 <= scene.k <= reach[3] - 1:
            continue
        dots: tuple[int, ...] = ()
        if rng.random() < 0.45:
            near = (
                [x for x, _ in lattice[:4]]
                if scene.is_line
                else [x for x, _ in scene._near_vertex()]
            )
            dots = tuple(rng.sample(near, min(len(near), rng.choice([1, 2, 2, 3]))))
        return GraphScene(scene.a, scene.m, scene.h, scene.k, reach, tick, dots)
