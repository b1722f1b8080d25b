"""Reports: the same words, aligned, for a terminal and a pipe; only a terminal wraps and cuts."""

import io

from qvq_cli.ui.report import (
    Block,
    Cell,
    Column,
    Fact,
    Facts,
    Line,
    Sentence,
    Table,
    Tone,
    render_report,
)
from qvq_cli.ui.streams import Environment
from screens import FakeTerminal

TABLE = Table(
    (
        Column("MODEL"),
        Column("SIZE", is_number=True),
        Column("SPEED", is_number=True, is_optional=True),
        Column("STATE"),
    ),
    (
        (Cell("nano"), Cell("13 MB"), Cell("~900 tok/s"), Cell("built in", Tone.GOOD)),
        (Cell("qvq-72b-preview"), Cell("48.8 GB"), Cell("~1.1 tok/s"), Cell("to pull")),
    ),
)


def in_pipe(*report: Block, columns: str = "") -> str:
    out = io.StringIO()
    env = Environment.of(None, out, io.StringIO(), {"COLUMNS": columns})
    render_report(report, env.stdout, env)
    return out.getvalue()


def on_terminal(*report: Block, columns: int = 80, **variables: str) -> FakeTerminal:
    terminal = FakeTerminal()
    env = Environment.of(None, terminal, io.StringIO(), {"COLUMNS": str(columns), **variables})
    render_report(report, env.stdout, env)
    return terminal


def test_a_table_is_aligned_and_bare_in_a_pipe() -> None:
    assert in_pipe(TABLE, columns="20") == (
        "MODEL               SIZE       SPEED  STATE\n"
        "nano               13 MB  ~900 tok/s  built in\n"
        "qvq-72b-preview  48.8 GB  ~1.1 tok/s  to pull\n"
    )


def test_a_terminal_shows_the_same_words() -> None:
    assert on_terminal(TABLE).text() == in_pipe(TABLE)


def test_only_a_terminal_has_colours_and_no_color_takes_them() -> None:
    assert "\x1b[32mbuilt in" in on_terminal(TABLE).getvalue()
    assert "\x1b[32m" not in on_terminal(TABLE, NO_COLOR="1").getvalue()
    assert "\x1b" not in on_terminal(TABLE, TERM="dumb").getvalue()


def test_a_narrow_terminal_loses_the_optional_column() -> None:
    rows = on_terminal(TABLE, columns=40).rows(40)
    assert rows[0].split() == ["MODEL", "SIZE", "STATE"]
    assert rows[2].split() == ["qvq-72b-preview", "48.8", "GB", "to", "pull"]


def test_wide_characters_keep_their_columns() -> None:
    table = Table((Column("A"), Column("B")), ((Cell("表"), Cell("x")), (Cell("abc"), Cell("y"))))
    assert in_pipe(table).splitlines() == ["A    B", "表   x", "abc  y"]


def test_facts_hang_on_their_label() -> None:
    facts = Facts((Fact("from", "here"), Fact("files", "one\ntwo")))
    assert in_pipe(facts) == "from   here\nfiles  one\n       two\n"


def test_long_facts_are_wrapped_on_a_terminal_only() -> None:
    facts = Facts((Fact("why", "word " * 20),))
    rows = on_terminal(facts, columns=40).rows(40)
    assert len(rows) > 2
    assert all(row.startswith("     word") for row in rows[1:])
    assert in_pipe(facts, columns="40").count("\n") == 1


def test_blocks_are_apart_and_lines_together() -> None:
    report = (Sentence("first"), Line("/a"), Line("/b"))
    assert in_pipe(*report) == "first\n\n/a\n/b\n"


def test_a_line_is_never_broken() -> None:
    path = "/" + "long/" * 40
    assert in_pipe(Line(path), columns="40") == path + "\n"
    assert on_terminal(Line(path), columns=40).getvalue().count("\n") == 1


def test_control_characters_never_come_through() -> None:
    evil = "\x1b[31mred\x07\u202e"
    for text in (
        in_pipe(Sentence(evil), Line(evil), Facts((Fact(evil, evil),))),
        in_pipe(Table((Column("A"),), ((Cell(evil),),))),
    ):
        assert "\x1b" not in text and "\x07" not in text and "\u202e" not in text
        assert "[31mred" in text
