"""The language of a question, and reasoning that leaves it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltas import cut_up, made_of
from qvq_cli.reasoning.language import Drift, DriftDetector, Language, question_language

REAL = sorted((Path(__file__).parents[2] / "shared" / "real").glob("qvq-*.json"))

ENGLISH = "So the area of the shaded part is what we want, and it can be found from the radius. "
CHINESE = "所以阴影部分的面积就是我们要求的，可以用半径来计算。"


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("find h'(2)", Language.EN),
        ("", Language.EN),
        ("2 + 2 = ?", Language.EN),
        ("¿Cuál es el área?", Language.EN),
        ("请解答这道题", Language.ZH),
        ("求", Language.ZH),
        ("求 h'(2)", Language.ZH),
        ("计算 sin(x)dx 的值", Language.ZH),
        ("在△ABC中，AB = 3 cm，求 \\frac{BC}{AC}", Language.ZH),
        ("What is 出口?", Language.EN),
        ("What does the sign 小心地滑 say?", Language.EN),
        ('请解释 "The cat sat on the mat" 这句话里的语法错误在哪里', Language.ZH),
    ],
)
def test_question_language(question: str, language: Language) -> None:
    assert question_language(question) is language


def drifts(language: Language, *deltas: str) -> tuple[list[Drift], DriftDetector]:
    detector = DriftDetector(language)
    return [drift for delta in deltas if (drift := detector.feed(delta))], detector


@pytest.mark.parametrize(
    ("language", "before", "foreign"),
    [
        (Language.EN, ENGLISH * 3, CHINESE * 2),
        (Language.ZH, CHINESE * 9, ENGLISH * 2),
        (Language.EN, "", CHINESE * 2),
        (Language.ZH, "", ENGLISH * 2),
    ],
)
def test_drift_is_reported_once_where_it_starts(
    language: Language, before: str, foreign: str
) -> None:
    found, detector = drifts(language, *(before + foreign + before + foreign))
    [drift] = found
    assert drift.position == len(before)
    assert foreign.startswith(drift.sample)
    assert len(drift.sample) >= 16
    assert detector.totals.chars == 2 * len(before + foreign)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (Language.EN, ENGLISH * 20),
        (Language.EN, (ENGLISH + "The sign says 新华书店欢迎您. ") + ENGLISH * 20),
        (Language.ZH, CHINESE * 40),
        (Language.ZH, (CHINESE + "Xg2-Xg2-Y， still不符合。") * 10),
        (Language.ZH, "由 $\\text{the area of the circle is what we want in this problem}$ 得" * 9),
        (Language.ZH, "所以\\(the sum of the parts is the whole and so on\\)成立。" * 9),
        (
            Language.ZH,
            "代码：\n```python\nfor i in range(10):\n    if i in the_list: let = i\n```\n" * 9,
        ),
        (
            Language.ZH,
            "设 mgsinθ = ma，sin(x) + cos(x) = 1，长 3 cm，重 5 kg，NaOH 与 HCl 反应，AB ∥ CD。"
            * 30,
        ),
        (Language.ZH, "用 `the value of it is in the list and so on for us` 表示。" * 9),
        (Language.ZH, "标题是 Alpha Beta Gamma Delta。" * 30),
        (Language.ZH, CHINESE + "图上写着 The sum of the parts is in the box。" + CHINESE * 20),
    ],
)
def test_what_belongs_to_the_language_is_no_drift(language: Language, text: str) -> None:
    found, _ = drifts(language, *text)
    assert found == []


def test_a_forgotten_dollar_sign_does_not_blind_it() -> None:
    found, _ = drifts(Language.ZH, "票价 $5，共三张。\n" + ENGLISH * 2)
    assert len(found) == 1


def test_totals_count_strays() -> None:
    _, detector = drifts(Language.ZH, "还是 still 不", "符合。")
    assert detector.totals == (1, 13)
    _, detector = drifts(Language.EN, "so 所以 it is")
    assert detector.totals == (2, 11)


MIXED = made_of(
    *(
        ENGLISH,
        CHINESE,
        "$",
        "$$",
        "`",
        "```",
        "\n",
        "\\(",
        "\\)",
        "\\",
        "text",
        "{the}",
        " the",
        "is",
    ),
    *("x1", "Xg", "2", "的", "的的的的的的的的", " and of", " "),
    max_size=30,
)


@given(st.sampled_from(Language), cut_up(MIXED))
def test_the_cuts_change_nothing(language: Language, deltas: list[str]) -> None:
    # The full stop ends a word that a cut text might still be waiting for.
    cut, cut_detector = drifts(language, *deltas, ".")
    whole, whole_detector = drifts(language, "".join(deltas) + ".")
    assert cut == whole
    assert cut_detector.totals == whole_detector.totals
    for drift in whole:
        assert "".join(deltas)[drift.position :].startswith(drift.sample)


@pytest.mark.skipif(not REAL, reason="the published transcripts are not here")
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_real_transcripts_stay_in_their_language(path: Path) -> None:
    question, reply = json.loads(path.read_text(encoding="utf-8"))["messages"]
    language = question_language(question["content"].split("![")[0])
    found, detector = drifts(language, *reply["content"])
    assert found == []
    if language is Language.EN:
        assert detector.totals.foreign == 0
    if path.stem == "qvq-1_6":
        # One stray "still" in the middle of a Chinese sentence: counted, not reported.
        assert detector.totals.foreign == 1
