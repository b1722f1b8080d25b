"""Questions about charts: in the chart's own words, and in those of what it doesn't compare."""

import random
import re

import pytest

pytest.importorskip("regex")
pytest.importorskip("numpy")

from recipe.families.chart_questions import ask_extreme, ask_other_sort, noun_of
from recipe.families.charts import ChartScene, make_chart
from recipe.scoring import is_refusal
from recipe.words import CATEGORIES, CHINESE_CATEGORIES, NOUNS

_CHART = ChartScene(("Tea", "Milk", "Cola"), (30, 10, 45), "bars", 10, 50, is_labelled=True)


@pytest.mark.parametrize("group", [*CATEGORIES, *CHINESE_CATEGORIES], ids=lambda g: g[0])
def test_every_sort_of_names_has_a_noun(group: tuple[str, ...]) -> None:
    assert noun_of(group) is not None


def test_names_of_no_sort_or_of_two_have_none() -> None:
    assert noun_of(("river", "quick")) is None
    assert noun_of(("Tea", "Paris")) is None


@pytest.mark.parametrize("seed", range(40))
def test_a_difference_is_read_in_the_order_of_the_question(seed: int) -> None:
    exchange = _CHART._difference(random.Random(seed), "en")
    asked = re.findall("Tea|Milk|Cola", exchange.question)
    reading = exchange.reasoning.split("\n\n")[2]
    assert re.findall("(Tea|Milk|Cola) is at", reading) == asked
    assert exchange.answer is not None and int(exchange.answer) > 0
    assert reading.endswith(f"is the larger, {_subtraction(asked)} = {exchange.answer}.")


def test_each_name_is_compared_where_it_is_read() -> None:
    assert _CHART._search(("Cola", "Tea"), "en").splitlines()[1:] == [
        "1. Tea: 30 (Tea 30)",
        "2. Milk: 10 (Tea 30)",
        "3. Cola: 45 (Tea 30, Cola 45)",
    ]
    assert _CHART._search(("Water",), "zh").splitlines()[-1] == "3. Cola: 45 (无)"


def _subtraction(asked: list[str]) -> str:
    low, high = sorted(_CHART.values[_CHART.names.index(name)] for name in asked)
    return f"{high} - {low}"


@pytest.mark.parametrize("seed", range(60))
def test_another_sort_is_not_the_chart_s_own(seed: int) -> None:
    rng = random.Random(seed)
    scene = make_chart(rng, ("river", "quick", "paper", "letter", "music", "house", "garden", "i"))
    here = noun_of(scene.names)
    question = ask_other_sort(scene.names, rng, "en")
    own = () if here is None else here[:2]
    assert not any(re.search(rf"\b{word}\b", question) for word in own), question


@pytest.mark.parametrize("seed", range(40))
def test_an_absent_name_is_asked_for_and_not_there(seed: int) -> None:
    rng = random.Random(seed)
    scene = make_chart(rng, ("river", "quick", "paper", "letter", "music", "house", "garden", "i"))
    exchange = scene.ask_absent(rng, "en")
    found = re.search("There is no (.+) in the chart", exchange.reasoning)
    assert found is not None
    assert found[1] not in scene.names
    assert found[1] in exchange.question
    assert is_refusal(exchange.reply())


def test_the_largest_may_be_asked_for_by_its_noun() -> None:
    rng = random.Random(0)
    asked = {ask_extreme(True, True, noun_of(_CHART.names), rng, "en") for _ in range(200)}
    assert any("drink" in question for question in asked)
    others = {noun[0] for noun in NOUNS} - {"drink", "category", "number"}
    assert not any(re.search(rf"\b{word}\b", q) for word in others for q in asked)
