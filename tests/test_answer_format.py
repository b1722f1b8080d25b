"""The forms an answer is handed out in: as written, as text, as numbers."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvq_cli.errors import ExitCode, NoAnswerError
from qvq_cli.reasoning.answer import AnswerFormat, extract_answer, format_answer
from qvq_cli.reasoning.answer_number import answer_numbers
from qvq_cli.reasoning.events import Answer
from qvq_cli.reasoning.transcript import Dialect


def answer_of(*parts: str) -> Answer:
    return Answer(text="\n".join(parts), parts=parts, source="boxed")


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        (AnswerFormat.LATEX, r"\dfrac{1}{5}"),
        (AnswerFormat.TEXT, "1/5"),
        (AnswerFormat.NUMBER, "0.2"),
    ],
)
def test_one_answer_in_each_format(form: AnswerFormat, shown: str) -> None:
    assert format_answer(answer_of(r"\dfrac{1}{5}"), form) == shown


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        (AnswerFormat.LATEX, "(a) x = \\frac{1}{2}\n(b) 50\\%"),
        (AnswerFormat.TEXT, "(a) x = 1/2\n(b) 50%"),
        (AnswerFormat.NUMBER, "0.5\n0.5"),
    ],
)
def test_parts_in_each_format(form: AnswerFormat, shown: str) -> None:
    answer = extract_answer("(a) $x = \\frac{1}{2}$\n(b) $50\\%$", "", Dialect.HEADING)
    assert answer is not None
    assert format_answer(answer, form) == shown


@pytest.mark.parametrize("part", ["A", "滤液E是硫酸亚铁溶液", r"\frac{v^2}{2g}", r"x \le 5"])
def test_no_number_is_said_with_a_way_out(part: str) -> None:
    with pytest.raises(NoAnswerError) as caught:
        format_answer(answer_of("5", part), AnswerFormat.NUMBER)
    assert caught.value.exit_code is ExitCode.NO_ANSWER
    assert caught.value.reference == "answer-not-a-number"
    assert caught.value.hint is not None
    assert "--answer-format text" in caught.value.hint


def test_a_long_answer_is_cut_in_the_message() -> None:
    with pytest.raises(NoAnswerError) as caught:
        format_answer(answer_of("长" * 1000), AnswerFormat.NUMBER)
    assert len(caught.value.message) < 120


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("-29", "-29"),
        ("−29", "-29"),
        ("５", "5"),
        ("1.50", "1.5"),
        ("$\\frac{2}{3}$", "0.6666666666666666"),
        (r"\dfrac{1}{5}", "0.2"),
        (r"\frac12", "0.5"),
        (r"-\frac{3}{4}", "-0.75"),
        ("3/4", "0.75"),
        (r"2\frac{1}{4}", "2.25"),
        ("2 1/4", "2.25"),
        ("2½", "2.5"),
        (r"2 \cdot \frac{1}{4}", "0.5"),
        (r"7\pi", "21.991148575128552"),
        (r"\frac{\pi}{6}", "0.5235987755982988"),
        (r"\sqrt{2}/2", "0.7071067811865476"),
        ("2√3", "3.4641016151377544"),
        (r"\sqrt{\frac{9}{4}}", "1.5"),
        (r"\sqrt[3]{-8}", "-2"),
        ("4^{1/2}", "2"),
        ("-2^2", "-4"),
        ("(-2)^2", "4"),
        (r"\left(\frac{1}{2}\right)^{-2}", "4"),
        ("2^{10}", "1024"),
        ("10^-3", "0.001"),
        ("3.2 \\times 10^{5}", "320000"),
        ("3.2×10⁵", "320000"),
        ("3e5", "300000"),
        (r"1.6\times10^{-19}\,\text{C}", "0.00000000000000000016"),
        ("|-5|", "5"),
        (r"\ln e^{2}", "2"),
        (r"\cos 60^\circ", "0.5000000000000001"),
        ("1 + 2 \\times 3", "7"),
        ("3 - \\sqrt{4}", "1"),
    ],
)
def test_arithmetic(text: str, number: str) -> None:
    assert answer_numbers(text) == [number]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("50\\%", "0.5"),
        ("12.5%", "0.125"),
        ("3,159,000", "3159000"),
        ("3{,}159{,}000", "3159000"),
        (r"3\,159\,000", "3159000"),
        ("3 159 000", "3159000"),
        ("1.2 million", "1200000"),
        ("约3.5万元", "35000"),
        (r"3159000\ \text{cubic cm}", "3159000"),
        (r"5\text{ m/s}^2", "5"),
        (r"9.8\,\mathrm{m\cdot s^{-2}}", "9.8"),
        ("5 kg·m/s²", "5"),
        ("12 平方厘米", "12"),
        ("3千米", "3"),
        ("12 triangles", "12"),
        (r"60^\circ", "60"),
        ("25℃", "25"),
        (r"\$3.50", "3.5"),
        ("¥5", "5"),
        (r"5\ \Omega", "5"),
    ],
)
def test_percents_thousands_and_units(text: str, number: str) -> None:
    assert answer_numbers(text) == [number]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("h'(2) = -29", ["-29"]),
        (r"\angle ABC = 60^\circ", ["60"]),
        (r"2 \times 3 = 6", ["6"]),
        (r"x = \frac{1}{4} \approx 0.3", ["0.25"]),
        (r"x \approx 3.14", ["3.14"]),
        ("The volume is 5 cm^3.", ["5"]),
        ("There are 12 triangles.", ["12"]),
        ("about 7 cm", ["7"]),
        ("面积为12平方厘米", ["12"]),
        ("2, 3", ["2", "3"]),
        ("x = 2 or x = -1", ["2", "-1"]),
        (r"2 \text{ and } 3", ["2", "3"]),
        ("5 cm、6 cm 和 7 cm", ["5", "6", "7"]),
    ],
)
def test_what_stands_around_a_number(text: str, numbers: list[str]) -> None:
    assert answer_numbers(text) == numbers


@pytest.mark.parametrize(
    "text",
    [
        *["", "A", "x", "5x", "2a + 1", "5m", r"\frac{1}{2}\pi r^2", r"\frac{a}{2}", "mgv"],
        *["(2, 3)", "[0, 1)", "x > 5", r"x \le 5", r"\pm 5", "3:4", "5!", "5-7 cm", "1/2/2024"],
        *["1/0", r"\sqrt{-1}", "9^{9^{9}}", "10^{10^{10}}", r"\ln 0", "1e400", "9" * 400],
        *["2, x", r"\text{5 or so}", "5 of the 7", r"0.\overline{3}", "(" * 300, "{" * 300],
        *["__import__('os')", "1" * 501, r"\frac{1}{", "(5", "5 + "],
    ],
)
def test_what_has_no_value(text: str) -> None:
    assert answer_numbers(text) == []


@settings(max_examples=300)
@given(
    st.one_of(st.text(), st.text(alphabet="0123456789.,-+*/^(){}[]|\\% e=πfracsqrt", max_size=40))
)
def test_any_text_is_a_number_or_none(text: str) -> None:
    for number in answer_numbers(text):
        assert math.isfinite(float(number))
        assert "e" not in number


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_fractions_come_out_as_the_nearest_double_or_exact(above: int, below: int) -> None:
    [number] = answer_numbers(rf"\frac{{{above}}}{{{below}}}")
    assert float(number) == float(Fraction(above, below))


@given(st.decimals(-(10**9), 10**9, places=4))
def test_decimals_keep_their_digits(value: object) -> None:
    [number] = answer_numbers(f"{value}")
    assert Fraction(number) == Fraction(f"{value}")
