"""Loops are found while they stream; what mathematics repeats of itself is left alone."""

import json
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deltas import cut_up
from qvq_cli.reasoning.loops import Loop, LoopDetector

REAL = sorted((Path(__file__).parents[2] / "shared" / "real").glob("qvq-*.json"))

OPENING = (
    "Let's tackle this problem step by step. We have two functions and their derivatives, given "
    "for some values of x. First I recall the product rule.\n\nh'(x) = f'(x)*g(x) + f(x)*g'(x)\n\n"
)
PARAGRAPH_A = (
    "Wait, maybe I should check the table again. The row for x = 2 says f(2) = -3 and g(2) = 1, so "
    "the product rule gives -29 as before.\n\n"
)
PARAGRAPH_B = (
    "Alternatively, perhaps the labels in the picture are swapped, and f and g change places. "
    "Then the sum would come out differently, which seems unlikely.\n\n"
)


def first_loop(*deltas: str) -> Loop | None:
    detector = LoopDetector()
    return next((loop for delta in deltas if (loop := detector.feed(delta))), None)


def numbered(template: str, count: int) -> str:
    return "".join(template.format(n=n, square=n * n, next=n + 1) for n in range(1, count + 1))


@pytest.mark.parametrize(
    ("unit", "turns"),
    [
        ("a", 450),
        ("3", 200),
        ("142857", 34),
        (" the", 40),
        ("Wait, ", 40),
        ("\n", 450),
        ("= ", 250),
        ("So the final answer is -29. ", 6),
        ("所以，我认为这些答案是正确的。", 7),
        ("h'(2) = f'(2)*g(2) + f(2)*g'(2)\n\n= -8 + (-21)\n\n= -29\n\n", 9),
        (PARAGRAPH_A, 4),
        (PARAGRAPH_A + PARAGRAPH_B, 4),
        (PARAGRAPH_A * 5 + PARAGRAPH_B * 5 + OPENING, 4),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_exact_cycles_are_found(unit: str, turns: int) -> None:
    text = OPENING + unit * turns
    loop = first_loop(*text)
    assert loop is not None
    assert loop.kind == "exact"
    assert loop.sample * 2 in unit * turns
    assert loop.repeats >= 3
    assert loop.chars == loop.repeats * len(loop.sample)
    assert first_loop(text) == loop


def test_it_is_found_soon() -> None:
    detector = LoopDetector()
    detector.feed(OPENING)
    sentence = "So the final answer is -29. "
    needed = next(n for n in range(1, 100) if detector.feed(sentence))
    assert 4 <= needed <= 6
    detector = LoopDetector()
    detector.feed(OPENING)
    assert next(n for n in range(1, 100) if detector.feed(PARAGRAPH_A)) <= 4


@pytest.mark.parametrize(
    "text",
    [
        numbered("Attempt {n}: let me try again.\n", 20),
        numbered("Attempt {n}: let me try again. ", 20),
        numbered("第{n}次尝试：让我重新计算一下。", 20),
        numbered("Wait, let me recount. This is try {n}. I still get {next} marks, so no.\n\n", 20),
        numbered(
            "Round {n}.\nI look at the table once more.\nThe sum is the same as before.\n", 20
        ),
        numbered("Object number {n} is a red circle.\n", 80),
    ],
)
def test_cycles_with_a_counter_are_found(text: str) -> None:
    loop = first_loop(*(OPENING + text))
    assert loop is not None
    assert loop.kind == "near"
    assert loop.repeats >= 6
    assert loop.chars <= len(text)
    assert loop.sample in text


def test_sentences_that_return_in_another_order_are_found() -> None:
    sentences = [
        "Wait, let me double-check the table.",
        "The value of f at 2 is -3.",
        "Maybe the sign of the product is wrong.",
        "Let me verify the product rule again.",
        "I should consider the units as well.",
    ]
    orders = [
        "01234",
        "10342",
        "42013",
        "31240",
        "04132",
        "23401",
        "14023",
        "20314",
        "43102",
        "02143",
    ]
    text = "".join(sentences[int(i)] + "\n\n" for order in orders * 2 for i in order)
    loop = first_loop(*(OPENING + text))
    assert loop is not None
    assert loop.kind == "near"
    assert loop.sample in sentences


@pytest.mark.parametrize(
    "text",
    [
        OPENING * 2,
        "1 / 3 = 0." + "3" * 100,
        "10^100 = 1" + "0" * 100,
        "-" * 200 + "\n" + "=" * 200 + "\n",
        "|" + "---|" * 12 + "\n" + "| x | y | z |\n" * 6,
        "\\begin{pmatrix}\n" + ("0 & " * 9 + "0 \\\\\n") * 10 + "\\end{pmatrix}",
        "P = " + "\\frac{1}{2} \\cdot " * 10 + "\\frac{1}{2} = \\frac{1}{2048}",
        "2^20 = " + "2 * " * 19 + "2 = 1048576",
        "no, no, no, no, no, no. Very very very very good.",
        "".join(f"Row {n}: " + "white, black, " * 4 + "done\n" for n in range(8)),
        "".join(f"- g({n}) = {n * n - 3}\n\n" for n in range(-20, 40)),
        numbered("Square {n}: side {n}, area {square}\n", 40),
        numbered("Let me try x = {n}. Then x^2 + 1 = {square} + 1, which is not a prime.\n", 60),
        numbered("Wait, let me check again with {n}: the sum is {square}.\n", 60),
        numbered("Wait, let me check again: with {n} marks the next one is {next}0 away.\n", 60),
        "".join(f"Wait, again: up to mark {n} I count {n * 2 // 3}.\n" for n in range(60)),
        numbered("Let me look at the next value.\n\nx = {n}: {square}\n\n", 60),
        numbered("Object number {n} is a red circle.\n", 30),
        numbered("{n}, ", 400),
        "".join(f"Point {a} is on the line {a}{b}.\n" for a in "ABCDEFGH" for b in "PQRST"),
        (OPENING + PARAGRAPH_A + PARAGRAPH_B) * 2,
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_may_repeat_is_left_alone(text: str) -> None:
    assert first_loop(*text) is None


words = st.text("abcdefghij", min_size=2, max_size=9)


@st.composite
def looping(draw: st.DrawFn) -> str:
    """Text that ends in a sentence of distinct words, said over and over."""
    before = draw(st.lists(words, max_size=40).map(" ".join))
    unit = draw(st.lists(words, min_size=3, max_size=60, unique=True).map(" ".join)) + ". "
    turns = max(6, 128 // len(unit) + 2)
    return before + " " + unit * turns


@given(cut_up(looping()))
def test_any_sentence_said_over_and_over_is_found(deltas: list[str]) -> None:
    loop = first_loop(*deltas)
    assert loop is not None
    assert loop.kind == "exact"
    assert loop == first_loop("".join(deltas))


@given(st.integers(1, 2000), st.integers(0, 2**32), st.integers(0, 100))
@settings(max_examples=40)
def test_any_period_is_found(period: int, seed: int, offset: int) -> None:
    letters = [chr(0x4E00 + (seed + i * i * 31) % 5000) for i in range(period)]
    unit = "".join(letters)
    assume(len(set(unit)) > period * 0.9)
    turns = max(4, 450 // period + 2)
    assert first_loop("x" * offset + unit * turns) is not None


@given(st.randoms(use_true_random=False), st.integers(1, 600))
@settings(max_examples=40)
def test_text_that_says_new_things_never_fires(random: object, count: int) -> None:
    draw = random.choice  # type: ignore[attr-defined]
    nouns = ["circle", "line", "angle", "table", "slope", "area", "radius", "point"]
    verbs = ["meets", "touches", "equals", "exceeds", "halves", "doubles"]
    text = "".join(
        f"So {draw('abcdefghxyz')} = {n * 7 % 101}, and the {draw(nouns)} {draw(verbs)} "
        f"the {draw(nouns)} at {n * n}.\n"
        for n in range(count)
    )
    assert first_loop(text) is None


def test_memory_is_bounded() -> None:
    detector = LoopDetector()
    for n in range(20_000):
        assert detector.feed(f"Then {n * n * 7919 % 99991} leads to case {n * 31 % 1009}. ") is None
    assert len(detector._window) <= 6000
    assert len(detector._near._units) <= 512
    assert len(detector._near._exact_seen) <= 512


@pytest.mark.skipif(not REAL, reason="the published transcripts are not here")
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_real_transcripts_are_no_loops(path: Path) -> None:
    text = json.loads(path.read_text(encoding="utf-8"))["messages"][1]["content"]
    assert first_loop(*text) is None
    assert first_loop(text, text) is None
    # The same text for a fourth time is a loop, even if it is longer than the longest exact period.
    assert first_loop(*[text] * 9) is not None
