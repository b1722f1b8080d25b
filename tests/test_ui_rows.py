"""Rows, and what may be in them: pure text, checked by hypothesis."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style

from qvq_cli.ui.clean import clean, clean_line, without_surrogates
from qvq_cli.ui.flow import TextFlow
from qvq_cli.ui.rows import RowBuilder, wrap

TEXTS = st.text(alphabet=st.sampled_from("ab cd。，题目\n\te\u0301👍🏽❤\ufe0f "), max_size=120)


@given(TEXTS, st.integers(3, 40), st.data())
def test_any_split_of_the_stream_gives_the_same_rows(
    text: str, columns: int, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(text)))
    builder = RowBuilder(columns)
    rows = builder.feed(text[:cut]) + builder.feed(text[cut:]) + builder.finish()
    assert rows == wrap(text, columns)


@given(TEXTS, st.integers(4, 40))
def test_rows_fit_and_lose_nothing_but_white_space(text: str, columns: int) -> None:
    rows = wrap(text, columns)
    assert all(cell_len(row) <= columns for row in rows)
    assert "".join("".join(rows).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "columns", "rows"),
    [
        ("the quick brown fox", 11, ["the quick", "brown fox"]),
        ("aaaaaaaaaaaa", 6, ["aaaaa", "aaaaa", "aa"]),
        ("题目给了父母", 8, ["题目给", "了父母"]),
        ("所以题目。", 9, ["所以题", "目。"]),
        ("题目aaaa", 8, ["题目", "aaaa"]),
        ("  indented", 8, ["  inden", "ted"]),
        ("a\tb", 20, ["a       b"]),
        ("one\n\ntwo", 20, ["one", "", "two"]),
        ("exactly ", 8, ["exactly"]),
        ("题", 2, ["题"]),
    ],
)
def test_where_rows_break(text: str, columns: int, rows: list[str]) -> None:
    assert wrap(text, columns) == rows


def test_a_narrower_terminal_counts_from_the_next_character_on() -> None:
    builder = RowBuilder(40)
    assert builder.feed("a row that is long") == []
    builder.columns = 11
    assert builder.feed(" and goes on") == ["a row that is long", "and goes"]
    assert builder.partial == "on"


@given(st.text(max_size=200))
def test_nothing_that_acts_on_a_terminal_is_left(text: str) -> None:
    cleaned = clean(text)
    assert not any(
        unicodedata.category(character) in ("Cc", "Cs")
        for character in cleaned
        if character not in "\t\n"
    )
    assert not set(cleaned) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2028\u2029")
    assert len(clean_line(text).splitlines()) <= 1
    without_surrogates(text).encode()


def test_clean_keeps_what_can_be_read() -> None:
    assert clean("a\tb\n题 é \u200d [bold]") == "a\tb\n题 é \u200d [bold]"
    assert clean("\x1b[31mred\x1b]0;title\x07\x9b2J\r\n") == "[31mred]0;title2J\n"
    assert clean("caf\udce9") == "caf\ufffd"


def test_flow_leaves_no_gap_at_either_end_and_one_row_between() -> None:
    flow = TextFlow(40)
    dim, plain = Style(dim=True), Style()
    flow.stream("\n\nfirst\n\n", dim)
    flow.line("qvq: a notice", plain)
    flow.stream("second\n\n\n", dim)
    flow.end(with_blank=True)
    texts = [row.text for row in flow.take_done()]
    assert texts == ["first", "", "qvq: a notice", "second", ""]


def test_flow_holds_rows_back_until_more_come() -> None:
    flow = TextFlow(40)
    style = Style()
    flow.stream("one\ntwo\nthr", style, n_held=1)
    assert [row.text for row in flow.take_done()] == ["one"]
    assert [row.text for row in flow.growing()] == ["two", "thr"]


def test_flow_forgets_only_what_is_brief_and_of_that_style() -> None:
    brief, other = Style(bold=True), Style(dim=True)
    for text, style, left in [
        ("one\ntw", brief, []),
        ("one\ntw", other, ["one", "tw"]),
        ("one\ntwo\nthr", brief, ["one", "two", "thr"]),
    ]:
        flow = TextFlow(40)
        flow.stream(text, style, n_held=1)
        flow.drop_if_brief(brief)
        flow.end(with_blank=False)
        assert [row.text for row in flow.take_done()] == left
