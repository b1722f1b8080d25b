"""Finding the answer in what a model wrote: official payloads, their relatives, anything else."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvq_cli.reasoning.answer import extract_answer
from qvq_cli.reasoning.events import Answer
from qvq_cli.reasoning.transcript import Dialect, Transcript

REAL = Path(__file__).parents[2] / "shared" / "real"
RANGE = r"x = \frac{v^2}{2g(\sin\theta - \mu\cos\theta)}"
POWER = r"P = mgv(\sin\theta + \mu\cos\theta)"
RATIO = r"\frac{E_1}{E_2} = \frac{\sin\theta}{\sin\theta + \mu\cos\theta}"


def after_heading(payload: str, reasoning: str = "") -> Answer | None:
    return extract_answer(payload, reasoning, Dialect.HEADING)


def text_of(answer: Answer | None) -> str | None:
    return None if answer is None else answer.text


@pytest.mark.parametrize(
    ("payload", "text", "source"),
    [
        (r"$$ \boxed{-29} $$", "-29", "boxed"),
        (r"$$ \boxed{7\pi} $$", r"7\pi", "boxed"),
        (r"$$ \boxed{3159000\ \text{cubic cm}} $$", r"3159000\ \text{cubic cm}", "boxed"),
        ("滤液E是硫酸亚铁溶液。", "滤液E是硫酸亚铁溶液", "heading"),
        ("A", "A", "heading"),
        (r"\boxed{\dfrac{1}{5}}", r"\dfrac{1}{5}", "boxed"),
    ],
)
def test_the_official_payloads(payload: str, text: str, source: str) -> None:
    assert after_heading(payload) == Answer(text=text, parts=(text,), source=source)


def test_the_official_payload_in_three_parts() -> None:
    answer = after_heading(f"1. $ {RANGE} $\n\n2. $ {POWER} $\n\n3. $ {RATIO} $")
    assert answer == Answer(
        text=f"1. {RANGE}\n2. {POWER}\n3. {RATIO}", parts=(RANGE, POWER, RATIO), source="heading"
    )


@pytest.mark.parametrize(
    ("name", "parts", "source"),
    [
        ("qvq-1_1", ("-29",), "boxed"),
        ("qvq-1_2", (r"7\pi",), "boxed"),
        ("qvq-1_4", (RANGE, POWER, RATIO), "heading"),
        ("qvq-1_6", ("A",), "heading"),
    ],
)
@pytest.mark.parametrize("dialect", [Dialect.HEADING, Dialect.PLAIN])
def test_real_transcripts(name: str, parts: tuple[str, ...], source: str, dialect: Dialect) -> None:
    answer = extract_answer(*_real_channels(name, dialect), dialect)
    assert answer is not None
    assert (answer.parts, answer.source) == (parts, source)


@pytest.mark.parametrize(
    ("name", "text"),
    [("qvq-1_1", "h'(2) = -29"), ("qvq-1_2", None), ("qvq-1_4", None), ("qvq-1_6", "A")],
)
def test_real_reasoning_that_never_came_to_its_heading(name: str, text: str | None) -> None:
    _, reasoning = _real_channels(name, Dialect.HEADING)
    answer = after_heading("", reasoning)
    assert text_of(answer) == text
    assert answer is None or answer.source == "sentence"


def _real_channels(name: str, dialect: Dialect) -> tuple[str, str]:
    path = REAL / f"{name}.json"
    if not path.exists():
        pytest.skip("the real transcripts are not beside this checkout")
    transcript = Transcript(dialect)
    transcript.feed(json.loads(path.read_text(encoding="utf-8"))["messages"][1]["content"])
    transcript.finish()
    return transcript.answer, transcript.reasoning


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (r"\boxed{\frac{1}{1 + \frac{2}{3}}}", r"\frac{1}{1 + \frac{2}{3}}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed 5", "5"),
        (r"\boxed{ 5 }", "5"),
        (r"\fbox{5}", "5"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed{\text{Paris}}", "Paris"),
        (r"\boxed{}\boxed{5}", "5"),
        (r"{ so \boxed{5}", "5"),
        (r"h'(2) = \boxed{-29}", "-29"),
        (r"$\boxed{5$", "5"),
        (r"\[ \boxed{5} \]", "5"),
        (r"We get \boxed{3}. Wait, that is wrong: \boxed{4}", "4"),
        ("\\boxed{5}\n\nSo the answer is \\boxed{5}.", "5"),
        ("1. Add them.\n2. Halve them.\n\n\\boxed{5}", "5"),
        (r"$\boxed{5}\text{ cm}^2$ in all", r"5\text{ cm}^2"),
        (r"$\boxed{5}$ cm.", "5 cm"),
        (r"$\boxed{5}$ is it.", "5"),
        (r"$\boxed{60}^\circ$", r"60^\circ"),
    ],
)
def test_boxes(payload: str, text: str) -> None:
    assert after_heading(payload) == Answer(text=text, parts=(text,), source="boxed")


@pytest.mark.parametrize("payload", [r"$$ \boxed{31590", r"\boxed{\frac{1}{5}", r"\boxed{}", "$$"])
def test_a_box_cut_off_is_no_answer(payload: str) -> None:
    assert after_heading(payload) is None
    assert text_of(after_heading(payload, "So the final answer is 42.")) == "42"


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ("$5$", "5"),
        ("$$\n5\n$$", "5"),
        (r"\( x = 5 \)", "x = 5"),
        (r"\[ x = 5 \]", "x = 5"),
        ("**5 cm**", "5 cm"),
        ("`5`", "5"),
        ("x = 5.", "x = 5"),
        ("h'(2) = -29", "h'(2) = -29"),
        ("The answer is 5.", "5"),
        ("So, the final answer is: **5**.", "5"),
        ("**Answer:** 5", "5"),
        ("答案：5", "5"),
        ("所以最终答案是 $5$。", "5"),
        ("**Final Answer**\n\n5", "5"),
        ("**答案**\n\n5", "5"),
        ("5\n\nWait, no.\n\n**Final Answer**\n\n6", "6"),
        ("2:30 p.m.", "2:30 p.m."),
        ("1.5", "1.5"),
        ("$5$ and $7$", "$5$ and $7$"),
        ("f(1) = 3, f(2) = 5", "f(1) = 3, f(2) = 5"),
        ("No solution", "No solution"),
        ("无解。", "无解"),
        ("It grows. It never stops.", "It grows. It never stops."),
        ("It grows at first. So the answer is 5. Fine.", "5"),
    ],
)
def test_payloads_without_a_box(payload: str, text: str) -> None:
    assert text_of(after_heading(payload)) == text


@pytest.mark.parametrize(
    "payload",
    [
        *[
            "B",
            "(B)",
            "B.",
            "（B）",
            "【B】",
            "**B**",
            "$B$",
            r"\boxed{B}",
            r"$\boxed{\text{(B)}}$",
        ],
        *["B) 12 cm", "(B) 12 cm", "B. 12 cm", "B、无法确定", "B: 12 cm", r"\boxed{B. 12}"],
        *["选B", "故选：B。", "答案：B", "本题选 (B)", "Option B", "选项B", "B，精母细胞减数分裂"],
        *["The answer is (B) because A is wrong.", "The correct answer is **B**."],
        *["B\n\nBecause it is the largest.", "B. 12 cm\n\nIt is the largest."],
    ],
)
def test_a_choice_is_its_letter(payload: str) -> None:
    assert text_of(after_heading(payload)) == "B"


@pytest.mark.parametrize(
    "payload",
    [
        *[
            "A, C",
            "ACD",
            "A、C",
            "A and C",
            "(A) and (C)",
            "(A)(C)",
            "A: 3, B: 4",
            "A. one\nC. two",
        ],
        *["A:B = 2:3", "(A) = 5", "C(5,2)", "E. coli", "J. Smith", "A small cat", "I", "K"],
        *["①③④", "(1) and (3)", "(2, 3)"],
    ],
)
def test_what_looks_like_a_choice_stays_whole(payload: str) -> None:
    assert after_heading(payload) == Answer(text=payload, parts=(payload,), source="heading")


@pytest.mark.parametrize(
    ("payload", "text", "parts"),
    [
        ("1. 5\n2. 6", "1. 5\n2. 6", ("5", "6")),
        ("1) 5\n2) 6", "1) 5\n2) 6", ("5", "6")),
        ("3、5\n4、6", "3、 5\n4、 6", ("5", "6")),
        ("(a) $5$\n\n(b) $6$", "(a) 5\n(b) 6", ("5", "6")),
        ("(i) 5\n(ii) 6\n(iii) 7", "(i) 5\n(ii) 6\n(iii) 7", ("5", "6", "7")),
        ("（1）5\n（2）6", "（1） 5\n（2） 6", ("5", "6")),
        ("（1）2 m；（2）3 s。", "（1） 2 m\n（2） 3 s", ("2 m", "3 s")),
        ("①5；②6", "① 5\n② 6", ("5", "6")),
        ("第一问：5\n第二问：6", "第一问： 5\n第二问： 6", ("5", "6")),
        ("Part A: 5\nPart B: 6", "Part A: 5\nPart B: 6", ("5", "6")),
        ("**(a)** 5\n**(b)** 6", "(a) 5\n(b) 6", ("5", "6")),
        ("**1. $5$**\n**2. $6$**", "1. 5\n2. 6", ("5", "6")),
        ("- 5\n- 6", "5\n6", ("5", "6")),
        ("The answers are:\n1. A\n2. (C)", "1. A\n2. C", ("A", "C")),
        ("1. $\\boxed{5}$\n2. $\\boxed{6}$", "1. 5\n2. 6", ("5", "6")),
        ("1. $\\boxed{5}$\n2. none", "1. 5\n2. none", ("5", "none")),
        ("1. The mass:\n$$5$$\n2. 6", "1. The mass:\n$$5$$\n2. 6", ("The mass:\n$$5$$", "6")),
        (r"$\boxed{5}$ and $\boxed{6}$", "5\n6", ("5", "6")),
        (r"$x = \boxed{5}$, $y = \boxed{6}$", "5\n6", ("5", "6")),
        ("\\boxed{5}\n\\boxed{6}", "5\n6", ("5", "6")),
    ],
)
def test_parts(payload: str, text: str, parts: tuple[str, ...]) -> None:
    answer = after_heading(payload)
    assert answer is not None
    assert (answer.text, answer.parts) == (text, parts)


@pytest.mark.parametrize(
    ("payload", "n_parts"),
    [("1. x\n3. y", 1), ("2.5\n3.5", 1), ("1. x", 1), ("It is so.\n1. x\n2. y", 1), ("a\nb", 1)],
)
def test_a_list_needs_marks_that_follow_one_another(payload: str, n_parts: int) -> None:
    answer = after_heading(payload)
    assert answer is not None
    assert len(answer.parts) == n_parts


@pytest.mark.parametrize(
    "payload",
    [
        "I can't find a table in this picture.",
        "I can’t find a table in this picture.",
        "I'm sorry, I cannot see the picture.",
        "**Sorry, I am unable to read it.**",
        "Unfortunately, I could not read the table.",
        "抱歉，我无法看清这张图片。",
        "我看不到图片。",
    ],
)
def test_a_refusal_is_no_answer(payload: str) -> None:
    assert after_heading(payload, "At first the final answer is 5.") is None
    assert extract_answer(payload, "", Dialect.PLAIN) is None


def test_a_refusal_that_answers_after_all() -> None:
    assert text_of(after_heading("I can't see the units, but the answer is 5.")) == "5"
    assert text_of(after_heading(r"I can't see the units: \boxed{5}")) == "5"


@pytest.mark.parametrize(
    ("reasoning", "text", "source"),
    [
        ("so \\boxed{3}\n\nthen \\boxed{4}\n\nand so on", "4", "boxed"),
        ("It is small.\n\nThe final answer is 42.", "42", "sentence"),
        ("So my final answer is **42** because it is.", "42", "sentence"),
        ("Final answer: 5 cm", "5 cm", "sentence"),
        ("The answer is 3. No, the answer is 4.", "4", "sentence"),
        ("所以，答案应该是 $\\frac{1}{5}$。", r"\frac{1}{5}", "sentence"),
        ("综上，故选B", "B", "sentence"),
        ("所以选ACD。", "ACD", "sentence"),
    ],
)
def test_reasoning_without_a_boundary(reasoning: str, text: str, source: str) -> None:
    assert after_heading("", reasoning) == Answer(text=text, parts=(text,), source=source)


@pytest.mark.parametrize(
    "reasoning",
    [
        "",
        "The answer is 5.\n\nBut then I looked again.",
        "The answer is not clear.",
        "So the answer is probably 5.",
        "I considered option B.",
        "我认为这些答案是正确的。",
        "Maybe 5.",
        "So the area is 5",
    ],
)
def test_reasoning_that_concludes_nothing(reasoning: str) -> None:
    assert after_heading("", reasoning) is None


@pytest.mark.parametrize(
    ("reply", "text", "source"),
    [
        ("First x is 3.\n\nSo the answer is **B**.", "B", "sentence"),
        ("x = 3, so\n\n$$\\boxed{5}$$\n\nGood luck!", "5", "boxed"),
        ("Adding:\n\n**Answer:**\n\n5", "5", "heading"),
        ("12", "12", "tags"),
        ("1. Add.\n2. Halve.\n\nThat gives 5", "1. Add.\n2. Halve.\n\nThat gives 5", "tags"),
        ("(a) 5\n(b) 6", "(a) 5\n(b) 6", "tags"),
    ],
)
def test_a_reply_after_tags(reply: str, text: str, source: str) -> None:
    answer = extract_answer(reply, "", Dialect.THINK_TAGS)
    assert answer is not None
    assert (answer.text, answer.source) == (text, source)


def test_a_whole_reply_is_the_answer_of_a_plain_model() -> None:
    assert extract_answer("12 cm", "", Dialect.PLAIN) == Answer("12 cm", ("12 cm",), "plain")


SCRAPS = r"""
\boxed{ \boxed \fbox{ { } $ $$ ** ` 1. 2. (1) (2) （1） ① ② (a) (b) - A B) (C) . 。 : 5 x = \text{
**Answer** 答案 选 answer is The sorry I can't Part
"""
_PIECES = st.sampled_from([*SCRAPS.split(), " ", "\n", "\n\n"])
_TEXTS = st.one_of(st.text(), st.lists(_PIECES, max_size=25).map("".join))


@settings(max_examples=500)
@given(_TEXTS, _TEXTS, st.sampled_from(Dialect))
def test_any_text_has_an_answer_or_none(said: str, reasoning: str, dialect: Dialect) -> None:
    answer = extract_answer(said, reasoning, dialect)
    if answer is not None:
        assert answer.text.strip()
        assert all(part.strip() for part in answer.parts)
        assert len(answer.parts) == 1 or all(part in answer.text for part in answer.parts)


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize(
    "piece",
    [
        *["{", "}", "\\", "$", "*", " ", "\n", "\\boxed{", "\\boxed{1}", "\\boxed{\\boxed{1}}"],
        *["(1)", "1. a\n", "- a\n", "a.\n\n", "the ", "answer is ", "**Answer**\n", "答案", "A, "],
    ],
)
def test_long_repetition_ends(piece: str, dialect: Dialect) -> None:
    long = piece * (100_000 // len(piece))
    extract_answer(long, long, dialect)
