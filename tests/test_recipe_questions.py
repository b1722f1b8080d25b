"""What nano is asked about tables, charts, graphs and shapes, worked out a second way."""

import math
import random
import re
import string
from collections.abc import Callable
from fractions import Fraction

import pytest

pytest.importorskip("regex")
pytest.importorskip("numpy")

from recipe.families.chart_drawing import _fit_axis
from recipe.families.charts import ChartScene
from recipe.families.derivatives import Definition
from recipe.families.graphs import GraphScene
from recipe.families.polygon_arithmetic import length_in
from recipe.families.polygon_making import _inner_angle, make_polygon
from recipe.families.shapes import Shape, ShapesScene
from recipe.families.table_questions import ask_nameless, nameless, question_about
from recipe.families.tables import TableScene
from recipe.problem import Exchange
from recipe.scoring import is_right
from recipe.words import COLORS, KINDS

_CHART = ChartScene(
    ("Tea", "Milk", "Cola", "Water"), (30, 11, 45, 20), "bars", 10, 50, is_labelled=True
)
_READS = dict(zip(_CHART.names, _CHART.values, strict=True))


def _columns(*names: str) -> dict[tuple[str, bool], dict[int, int]]:
    rows = iter((-3, 2, -8, 4, 1, 0, 7, -2))
    columns = [(name, prime) for name in names for prime in (False, True)]
    return {column: {1: next(rows), 2: next(rows)} for column in columns}


def _table(first: str = "f", second: str = "g") -> TableScene:
    values = _columns(first, second)
    return TableScene((1, 2), tuple(values), values, (first, second), transposed=False)


# ---------------------------------------------------------------------- tables
@pytest.mark.parametrize("seed", range(80))
def test_a_function_without_a_name_is_asked_for_by_its_rule(seed: int) -> None:
    rng = random.Random(seed)
    rules = ("product", "quotient", "sum", "difference", "chain", "linear", "square", "times x")
    d = Definition(rng.choice(rules), "p", "f", "g", 2, 2, -3)
    for language in ("en", "zh"):
        asked = ask_nameless(d, rng, language)
        assert asked is not None
        assert not re.search(r"\bp\b", asked), "its name is not in the question"
        assert "2" in asked and "f" in asked
        assert ("g" in asked) == (d.rule not in ("square", "times x"))
        assert re.search("'|derivative|d/dx|导数", asked)


def test_a_reply_calls_it_h_unless_the_table_does() -> None:
    assert nameless(Definition("product", "p", "f", "g", 2)).result == "h"
    assert nameless(Definition("product", "p", "g", "h", 2)).result == "k"


@pytest.mark.parametrize("rule", ["value sum", "value difference", "value product", "value chain"])
def test_a_value_is_asked_for_without_a_name_or_a_derivative(rule: str) -> None:
    rng = random.Random(0)
    for _ in range(20):
        asked = ask_nameless(Definition(rule, "p", "f", "g", 2), rng, "en").replace("What's", "")
        assert "'" not in asked and not re.search(r"\bp\b", asked)
        assert re.search(r"f\(g\(2\)\)|\(f.*g\)\(2\)", asked), asked


@pytest.mark.parametrize("seed", range(120))
def test_two_entries_of_any_rows_are_added_subtracted_multiplied(seed: int) -> None:
    table = _table()
    exchange = table._ask_two_entries(random.Random(seed), "en")
    first, sign, second = re.findall(
        r"([fg]'?\(\d\)) ?([-+*·]?) ?([fg]'?\(\d\))", exchange.question
    )[0]
    a, b = (table.values[name[0], "'" in name][int(name[-2])] for name in (first, second))
    expected = a + b if sign == "+" else a - b if sign == "-" else a * b
    assert exchange.answer == str(expected), exchange.question
    assert exchange.answer not in exchange.distractors
    assert is_right(exchange, exchange.reply())


@pytest.mark.parametrize("seed", range(60))
def test_every_question_about_a_table_has_the_answer_of_its_definition(seed: int) -> None:
    rng = random.Random(seed)
    d = Definition("product", "h", "f", "g", 1)
    exchange = _table().exchange(d, rng, "en")
    assert exchange.answer == str(-8 * 1 + -3 * 7)
    assert is_right(exchange, exchange.reply())


def test_a_definition_may_be_given_in_words() -> None:
    rng = random.Random(0)
    said = {
        rule: {question_about(Definition(rule, "h", "f", "g", 2), ("f", "g"), rng, "en")
               for _ in range(300)}
        for rule in ("product", "quotient", "sum", "difference", "chain", "square")
    }  # fmt: skip
    words = {
        "product": "h is the product of f and g", "quotient": "h is f over g",
        "sum": "h is f plus g", "difference": "h is f minus g",
        "chain": "h is f composed with g", "square": "h is f squared",
    }  # fmt: skip
    for rule, questions in said.items():
        assert any(words[rule] in question for question in questions)


@pytest.mark.parametrize("seed", range(120))
def test_a_column_is_searched(seed: int) -> None:
    table = _table()
    exchange = table._ask_column(random.Random(seed), "en")
    name = re.findall(r"([fg]'?)(?:\(x\)| in)", exchange.question)[0]
    values = table.values[name[0], "'" in name]
    where = re.search(r"(?:= |equal to )(-?\d+)", exchange.question)
    if where:
        assert exchange.answer == f"x = {next(x for x, v in values.items() if v == int(where[1]))}"
    else:
        best = min if re.search("smallest|minimum", exchange.question) else max
        assert exchange.answer == str(best(values.values())), exchange.question
    assert exchange.answer not in exchange.distractors
    assert is_right(exchange, exchange.reply())


# ---------------------------------------------------------------------- polygons
@pytest.mark.parametrize("seed", range(60))
def test_the_perimeter_of_a_right_triangle_takes_pythagoras_first(seed: int) -> None:
    rng = random.Random(seed)
    while (scene := make_polygon(rng)).task != "pythagoras":
        pass
    exchange = scene._ask_right_perimeter(rng, "en")
    known = sorted(length for text in scene.sides if (length := length_in(text)) is not None)
    hole = next(i for i, text in enumerate(scene.sides) if length_in(text) is None)
    is_hypotenuse = hole == (scene.right + 1) % 3
    missing = math.sqrt(
        known[0] ** 2 + known[1] ** 2 if is_hypotenuse else known[1] ** 2 - known[0] ** 2
    )
    if missing != int(missing):
        assert exchange is None
        return
    assert exchange is not None and exchange.answer is not None
    assert re.split(r"\\text", exchange.answer)[0] == str(sum(known) + int(missing))
    assert is_right(exchange, exchange.reply())


@pytest.mark.parametrize("seed", range(200))
def test_an_order_that_names_do_not_give_is_clockwise_from_the_upper_left(seed: int) -> None:
    scene = make_polygon(random.Random(seed))
    if scene.height or (scene.names and scene.names in string.ascii_uppercase):
        return
    points = scene.corners
    assert points[0][0] - points[0][1] == min(x - y for x, y in points)
    middle = [sum(p[k] for p in points) / len(points) for k in (0, 1)]
    angles = [math.atan2(y - middle[1], x - middle[0]) for x, y in points]
    turns = [(a - b) % (2 * math.pi) for a, b in zip(angles, [*angles[1:], angles[0]], strict=True)]
    assert all(0 < turn < math.pi for turn in turns), "clockwise, with y upwards"


@pytest.mark.parametrize("seed", range(300))
def test_a_polygon_in_its_order_has_the_measures_where_they_are_drawn(seed: int) -> None:
    scene = make_polygon(random.Random(seed))
    points, n = scene.corners, len(scene.corners)
    if scene.right >= 0:
        at, before, after = (
            points[scene.right],
            points[scene.right - 1],
            points[(scene.right + 1) % n],
        )
        dot = sum((before[k] - at[k]) * (after[k] - at[k]) for k in (0, 1))
        assert abs(dot) < 1e-6
    if scene.task == "perimeter" and n > 4:
        drawn = [math.dist(points[i], points[(i + 1) % n]) for i in range(n)]
        said = [length_in(text) or 0 for text in scene.sides]
        scale = sum(said) / sum(drawn)
        assert all(abs(s - d * scale) < 1.2 for s, d in zip(said, drawn, strict=True))
    if scene.task == "angle" and n > 3:
        for i, text in enumerate(scene.angles):
            if text[:1].isdigit():
                assert abs(_inner_angle(points, i) - int(text.rstrip("°"))) <= 2


# ---------------------------------------------------------------------- charts
def _asked(question: str) -> list[int]:
    """The values of the names in a question, in its order."""
    return [_READS[name] for name in re.findall("Tea|Milk|Cola|Water", question)]


def _expected_of_two(question: str) -> str:
    x, y = _asked(question)
    if re.search("average|mean", question):
        return f"{(x + y) / 2:g}"
    if re.search("rise|increase|go up|Is .* (smaller|lower) than", question):
        return f"\\text{{{'Yes' if x < y else 'No'}}}"
    if re.match("Is (the|Tea|Milk|Cola|Water).*(than)|Does|Did|Was|Were", question):
        return f"\\text{{{'Yes' if x > y else 'No'}}}"
    wanted = min(x, y) if re.search("smaller|lower|less|fewer", question) else max(x, y)
    return f"\\text{{{next(n for n, v in _READS.items() if v == wanted)}}}"


@pytest.mark.parametrize("seed", range(120))
def test_two_bars_are_compared(seed: int) -> None:
    exchange = _CHART._two_compared(random.Random(seed), "en")
    assert exchange is not None
    assert exchange.answer == _expected_of_two(exchange.question), exchange.question
    assert exchange.answer not in exchange.distractors


def _expected_count(question: str) -> str:
    below = re.search(r"(?:than|below|under) (\d+)", question)
    if below:
        return str(sum(value < int(below[1]) for value in _CHART.values))
    named = _asked(question)
    return str(sum(named) if named else len(_CHART.values))


@pytest.mark.parametrize("seed", range(120))
def test_what_is_asked_less_often_is_right_too(seed: int) -> None:
    exchange = _CHART._less_often(random.Random(seed), "en")
    assert exchange.answer == _expected_count(exchange.question), exchange.question
    assert is_right(exchange, exchange.reply())


# ---------------------------------------------------------------------- graphs
def _parabola(a: int, h: int, k: int) -> GraphScene:
    reach = (-8, 8, -8, 8)
    return GraphScene(Fraction(a), Fraction(0), h, Fraction(k), reach, 1, ())


def _line(m: int, k: int) -> GraphScene:
    return GraphScene(Fraction(0), Fraction(m), 0, Fraction(k), (-8, 8, -8, 8), 1, ())


def _answer(ask: Callable[..., Exchange | None]) -> str | None:
    exchange = ask(random.Random(3), "en")
    if exchange is None:
        return None
    assert is_right(exchange, exchange.reply())
    assert exchange.answer not in exchange.distractors
    answer: str | None = exchange.answer
    return answer


def test_zeros_of_a_parabola() -> None:
    assert _answer(_parabola(1, 2, -4)._zeros) == "x = 0, x = 4"
    assert _answer(_parabola(-1, -1, 1)._zeros) == "x = -2, x = 0"
    assert _answer(_parabola(1, 2, 3)._zeros) is None, "it has none"
    assert _answer(_parabola(1, 0, -3)._zeros) is None, "they aren't whole"


def test_equation_of_a_parabola() -> None:
    assert _answer(_parabola(1, 2, -4)._vertex_form) == "y = (x - 2)^2 - 4"
    assert _answer(_parabola(-1, 0, 3)._vertex_form) == "y = -x^2 + 3"
    assert _answer(_parabola(-2, -1, 0)._vertex_form) == "y = -2(x + 1)^2"


def test_where_a_parabola_opens() -> None:
    assert "up" in str(_answer(_parabola(1, 0, 0)._opening))
    assert "down" in str(_answer(_parabola(-2, 0, 0)._opening))


def test_the_point_on_the_y_axis() -> None:
    assert _answer(_line(2, -3)._crossing) == "(0, -3)"
    assert _answer(_parabola(1, 2, -4)._crossing) == "(0, 0)"
    assert _answer(_line(1, 9)._crossing) is None, "outside of the picture"


# ---------------------------------------------------------------------- shapes
_RED, _BLUE = (next(i for i, c in enumerate(COLORS) if c[0] == name) for name in ("red", "blue"))
_CIRCLE, _STAR = (next(i for i, k in enumerate(KINDS) if k[0] == n) for n in ("circle", "star"))
_SHAPES = ShapesScene(
    tuple(
        Shape(kind, color, x / 10, 0.5, 0.05)
        for x, (kind, color) in enumerate(
            ((_CIRCLE, _RED), (_STAR, _RED), (_CIRCLE, _BLUE), (_CIRCLE, _RED), (_CIRCLE, _BLUE))
        )
    )
)


@pytest.mark.parametrize("seed", range(30))
def test_colours_and_kinds_are_counted_once_each(seed: int) -> None:
    exchange = _SHAPES._count_sorts(random.Random(seed), "en")
    assert exchange.answer == "2"
    first = [line for line in exchange.reasoning.splitlines() if "(" in line]
    assert len(first) == 2, "only what is new is in brackets"


@pytest.mark.parametrize("seed", range(60))
def test_whether_there_are_any(seed: int) -> None:
    exchange = _SHAPES._is_there(random.Random(seed), "en")
    names = [f"{COLORS[s.color][0]} {KINDS[s.kind][1]}" for s in _SHAPES.shapes]
    words = exchange.question.rstrip("?").removesuffix(" in the picture").split()
    wanted = words[-2:] if words[-2] in ("red", "blue") else words[-1:]
    there = any(name.split()[-len(wanted) :] == wanted for name in names)
    assert exchange.answer == f"\\text{{{'Yes' if there else 'No'}}}", exchange.question


def test_all_but_one_colour_or_kind() -> None:
    asked = [_SHAPES.ask(random.Random(seed), "en") for seed in range(400)]
    answers = {
        (found[1], exchange.answer)
        for exchange in asked
        if (found := re.search("that are not (red|blue|circles|stars)", exchange.question))
    }
    assert answers == {("red", "2"), ("blue", "3"), ("circles", "1"), ("stars", "4")}


@pytest.mark.parametrize("seed", range(60))
def test_the_colour_of_the_only_one_of_its_kind(seed: int) -> None:
    exchange = _SHAPES._color_of(random.Random(seed), "en")
    if "color" in exchange.question:
        assert "star" in exchange.question
        assert exchange.answer == "\\text{red}"
        assert len(exchange.distractors) == 4
    else:
        assert (exchange.answer or "").isdigit(), "no colour has one shape alone: a count instead"


@pytest.mark.parametrize("seed", range(60))
def test_two_sorts_are_counted_together(seed: int) -> None:
    """There are but two colours and two kinds: together they are all shapes."""
    exchange = _SHAPES._count_two(random.Random(seed), "en")
    assert exchange.answer == "5", exchange.question
    assert exchange.answer not in exchange.distractors


@pytest.mark.parametrize("slope", [-3, -1, 2])
def test_the_sign_of_a_slope(slope: int) -> None:
    line = _line(slope, 1)
    for seed in range(40):
        exchange = line._rising(random.Random(seed), "en")
        assert exchange is not None and exchange.answer is not None
        word = exchange.answer.removeprefix("\\text{").removesuffix("}")
        if word in ("Yes", "No"):
            asked_for_up = "positive" in exchange.question
            assert (word == "Yes") == ((slope > 0) == asked_for_up)
        else:
            assert word in (
                ("positive", "rising", "up") if slope > 0 else ("negative", "falling", "down")
            )


# ---------------------------------------------------------------------- axes
@pytest.mark.parametrize("seed", range(200))
def test_a_fitted_axis_holds_all_values_and_can_be_read(seed: int) -> None:
    rng = random.Random(seed)
    values = tuple(rng.randint(1, 60) for _ in range(5))
    kind, is_labelled = rng.choice(("bars", "lying bars", "line")), rng.random() < 0.5
    axis = _fit_axis(values, kind, 10, is_labelled, rng)
    assert axis.low <= min(values) and max(values) < axis.high
    assert axis.low <= axis.ticks[0] and axis.ticks[-1] <= axis.high
    assert kind == "line" or axis.low == 0, "bars stand on nought"
    steps = {round(b - a, 6) for a, b in zip(axis.ticks, axis.ticks[1:], strict=False)}
    assert len(steps) <= 1
    assert is_labelled or not steps or max(steps) <= 10
    assert [float(text) for text in axis.texts()] == list(axis.ticks)
