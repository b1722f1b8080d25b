# ruff: noqa: E402 (what may be missing is asked for first)
"""The recipe's pictures and replies: the same from the same seed, labelled in place, and right."""

import random

import pytest

pytest.importorskip("regex")
np = pytest.importorskip("numpy")

from recipe import evalsets
from recipe.canvas import IGNORE, VALUE_MIN, key_class
from recipe.choices import offer_choices
from recipe.conclusions import conclude
from recipe.drawing import FAMILIES, Studio
from recipe.families.charts import ChartScene
from recipe.families.derivatives import Definition, fraction, reduced
from recipe.families.strangers import unrelated_question
from recipe.families.tables import TableScene
from recipe.problem import HEADING, Exchange
from recipe.scoring import is_refusal, is_right, last_box

from recipe_fixtures import make_studio


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return make_studio(tmp_path_factory.mktemp("fonts"))


def _table() -> TableScene:
    columns = (("f", False), ("f", True), ("g", False), ("g", True))
    rows = {0: (3, 4, -1, 2), 1: (5, -2, 0, 6), 2: (-3, -8, 1, 7)}
    values = {c: {x: row[i] for x, row in rows.items()} for i, c in enumerate(columns)}
    return TableScene((0, 1, 2), columns, values, ("f", "g"), transposed=False)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_draws_the_same(studio: Studio, family: str) -> None:
    def once() -> tuple[bytes, bytes, str]:
        rng = random.Random(f"drawing {family}")
        scene = studio.make_scene(rng, family)
        caption, asked = studio.about_picture(scene, rng, 0.2, 3)
        picture = studio.draw(scene, 336, 224, rng, caption)
        said = "".join(e.question + e.reply() for e in asked)
        return picture.pixels.tobytes(), picture.labels.tobytes(), said

    assert once() == once()


@pytest.mark.parametrize("seed", range(40))
def test_any_scene_is_drawn_at_any_size(studio: Studio, seed: int) -> None:
    rng = random.Random(seed)
    scene = studio.make_scene(rng)
    caption, _ = studio.about_picture(scene, rng, 0.1, 2)
    width, height = 28 * rng.randint(7, 20), 28 * rng.randint(7, 16)
    picture = studio.draw(scene, width, height, rng, caption)
    assert picture.pixels.shape == (height, width, 3)
    assert picture.labels.shape == (height // 14, width // 14, 5)


def test_labels_name_the_values_of_a_table(studio: Studio) -> None:
    picture = studio.draw(_table(), 420, 280, random.Random(1), plain=True)
    values, keys = picture.labels[..., 0], picture.labels[..., 3]
    for x, value in ((2, -8), (2, 7), (1, 6)):
        assert ((values == value - VALUE_MIN + 1) & (keys == key_class(x))).any()
    assert (keys == IGNORE).any()


def test_labels_mark_the_end_of_each_bar(studio: Studio) -> None:
    scene = ChartScene(("A", "B", "C"), (4, 9, 2), "bars", 2, 10, is_labelled=False)
    picture = studio.draw(scene, 420, 280, random.Random(1), plain=True)
    rows = [np.argwhere((picture.labels[..., 0] == v - VALUE_MIN + 1) & (picture.labels[...,
    3] == key_class(i)))
            for i, v in enumerate(scene.values)]  # fmt: skip
    heights = [found[:, 0].min() for found in rows]
    assert heights[1] < heights[0] < heights[2]


@pytest.mark.parametrize(
    ("rule", "answer"),
    [("product", "-29"), ("quotient", "13"), ("sum", "-1"), ("difference", "-15"), ("chain", "-14"),
    ("square", "48"), ("times x", "-19")],
)  # fmt: skip
def test_replies_about_tables_are_right(rule: str, answer: str) -> None:
    exchange = _table().exchange(Definition(rule, "h", "f", "g", 2), random.Random(0), "en")
    assert exchange.answer == answer
    assert last_box(exchange.reply()) == answer


def test_fractions_are_reduced() -> None:
    assert fraction(6, -4) == ("-3/2", "-\\frac{3}{2}")
    assert fraction(-8, 4) == ("-2", "-2")


def test_a_fraction_is_reduced_one_prime_at_a_time() -> None:
    assert reduced(238, 14, "en") == (
        "238 / 196. 14 = 2 * 7. By 2: 119 / 98. By 2: no. By 7: 17 / 14. By 7: no. So it is 17/14"
    )
    assert reduced(75, -9, "zh") == (
        "75 / 81。9 = 3 * 3。除以 3：25 / 27。除以 3：不行。所以是 25/27"
    )
    assert reduced(-5, 1, "en") == "-5 / 1 = -5"
    assert reduced(0, 6, "en") == "0 / 36 = 0"


@pytest.mark.parametrize("root", range(1, 21))
def test_any_fraction_ends_reduced(root: int) -> None:
    for top in range(-60, 61):
        said = reduced(top, root, "en")
        assert said.endswith(f" {fraction(top, root * root)[0]}")


@pytest.mark.parametrize("seed", range(60))
def test_replies_end_in_their_answer_or_decline(studio: Studio, seed: int) -> None:
    rng = random.Random(seed)
    scene = studio.make_scene(rng)
    for exchange in (scene.ask(rng, "en"), scene.ask(rng, "zh"), scene.ask_absent(rng, "en")):
        assert is_right(exchange, exchange.reply())
        assert is_refusal(exchange.reply()) == (exchange.answer is None)


@pytest.mark.parametrize("seed", range(30))
def test_the_letter_is_of_the_right_option(studio: Studio, seed: int) -> None:
    rng = random.Random(seed)
    plain = studio.make_scene(rng, "chart").ask(rng, "en")
    offered = offer_choices(plain, rng)
    assert offered is not None
    assert offered.reasoning.endswith("yes")
    assert offered.reasoning.splitlines()[-1].startswith(f"{offered.answer}: ")


def test_a_cut_reply_is_worked_out_below_the_heading() -> None:
    exchange = _table().exchange(Definition("product", "h", "f", "g", 2), random.Random(0), "en")
    early, late = conclude(exchange, "So I need"), conclude(exchange, exchange.reasoning)
    assert "(-8)(1) + (-3)(7)" in early
    assert last_box(early) == last_box(late) == "-29"
    assert late == exchange.payload()
    assert not any(h in early for h in HEADING.values())


def test_questions_by_hand_are_never_trained_on(studio: Studio) -> None:
    rng = random.Random(0)
    by_hand = {e.question for _, e, _ in evalsets.by_hand(studio, 1)}
    assert len(by_hand) == 70
    for language in ("en", "zh"):
        assert not by_hand & {
            unrelated_question(studio.supplies, rng, language) for _ in range(4000)
        }


def test_boxes_are_balanced() -> None:
    assert last_box("x \\boxed{\\frac{1}{2}} y") == "\\frac{1}{2}"
    assert last_box("\\boxed{1} and \\boxed{2}") == "2"
    assert last_box("\\boxed{unfinished") is None
    assert not is_right(Exchange("q", "r", "3", "en", "table"), "no box")
