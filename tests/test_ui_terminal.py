"""What a terminal really shows: written to an emulator, in whole runs and in the middle of one."""

import io

import pytest
from rich.style import Style

from qvq_cli.reasoning.events import (
    AnswerDelta,
    Event,
    Finish,
    Forced,
    ImageReady,
    Notice,
    Progress,
    ReasoningDelta,
    ReasoningStarted,
    Solved,
)
from qvq_cli.ui.consoles import make_console
from qvq_cli.ui.live import LiveRegion, Row
from qvq_cli.ui.status import Status
from qvq_cli.ui.streams import Environment, OutputStream
from qvq_cli.ui.view import Form, ViewOptions, make_view
from screens import FakeTerminal, wait_until
from ui_samples import EVENTS, IMAGE, RECORD


def _environment(terminal: FakeTerminal, columns: int = 60, **variables: str) -> Environment:
    variables = {"TERM": "xterm-256color", "COLUMNS": str(columns), **variables}
    return Environment.of(None, terminal, terminal, variables)


def _deltas(text: str, size: int = 3) -> list[Event]:
    return [ReasoningDelta(text[i : i + size], i) for i in range(0, len(text), size)]


def _show(events: list[Event], columns: int = 60, **variables: str) -> FakeTerminal:
    terminal = FakeTerminal()
    with make_view(ViewOptions(), _environment(terminal, columns, **variables)) as view:
        for event in events:
            view.handle(event)
    return terminal


def test_a_whole_run() -> None:
    terminal = _show(
        [
            Notice("nano-used", "using the embedded nano"),
            Progress("load", 0.5),
            ImageReady(IMAGE),
            ReasoningStarted(2048, None),
            *_deltas("So h(x) = f(x) * g(x), and the product rule says\n\nh' = f'g + fg'.\n\n"),
            Forced(Finish.BUDGET, "Thinking budget of 2048 tokens used up.", ""),
            AnswerDelta("$$ \\boxed{\\frac{1}{5}} $$", 4),
            Solved(RECORD),
        ],
        columns=50,
    )
    assert terminal.text(50) == (
        "qvq: using the embedded nano\n"
        "diagram.png  640x480 → 644x476 px, 391 tokens\n"
        "\n"
        "So h(x) = f(x) * g(x), and the product rule says\n"
        "\n"
        "h' = f'g + fg'.\n"
        "\n"
        "qvq: Thinking budget of 2048 tokens used up.\n"
        "\n"
        "╭─ Answer ─╮\n"
        "│ 1/5      │\n"
        "╰──────────╯\n"
        "3.2 s · 34 tokens · 12.3 tok/s · QVQ-72B-Preview\n"
        "Q4_K_M\n"
    )


@pytest.mark.parametrize("columns", [20, 33, 80])
@pytest.mark.parametrize(
    "text",
    [
        "这道题是关于克氏综合征的，这是一种性染色体异常的疾病。题目给了父母和患儿的性染色体组成图。"
        * 3,
        "A long line without a single newline, so that rows are committed one by one. " * 8,
        "x" * 300,
        "tabs\there\tand\tthere\n- a list\n- of two\n",
    ],
)
def test_text_survives_any_width(text: str, columns: int) -> None:
    terminal = _show([ReasoningStarted(None, None), *_deltas(text, 5)], columns)
    assert "".join(terminal.text(columns).split()) == "".join(text.split())


def test_model_text_is_neither_markup_nor_control() -> None:
    text = "[/think] [bold]x[/] :smile: \x1b[2J\x1b]0;owned\x07 \x9b31m \u202eabc"
    terminal = _show([ReasoningStarted(None, None), ReasoningDelta(text, 1)])
    assert terminal.rows(60) == ["[/think] [bold]x[/] :smile: [2J]0;owned 31m abc"]
    record = RECORD._replace(answer=RECORD.answer._replace(text="[red]4[/] \x1b[31m"))
    terminal = _show([Solved(record), Notice("x", "file \x1b[2Jname [/]")])
    assert "│ [red]4[/] [31m │" in terminal.rows(60)
    assert "qvq: file [2Jname [/]" in terminal.rows(60)


def test_reasoning_is_dim_and_no_color_takes_colours_only() -> None:
    events = [EVENTS["notice"], ReasoningStarted(None, None), EVENTS["reasoning"]]
    screen = _show(events).screen(60)
    assert screen.buffer[0][0].fg == "brown"  # pyte's word for ANSI yellow
    assert screen.buffer[2][0].blink  # dim, as screens.py keeps it
    screen = _show(events, NO_COLOR="1").screen(60)
    assert {cell.fg for row in screen.buffer.values() for cell in row.values()} == {"default"}
    assert screen.buffer[2][0].blink


def test_a_short_answer_gives_way_to_the_panel_and_a_long_one_stays() -> None:
    short = _show([AnswerDelta("$$ \\boxed{\\frac{1}{5}} $$", 4), Solved(RECORD)])
    assert "boxed" not in short.text(60)
    long = _show([AnswerDelta("1. x = 2\n2. y = 3\n3. z = 4\n", 9), Solved(RECORD)])
    assert long.rows(60)[:4] == ["1. x = 2", "2. y = 3", "3. z = 4", ""]


def test_the_live_rows_show_the_growing_row_and_the_budget() -> None:
    terminal = FakeTerminal()
    with make_view(ViewOptions(), _environment(terminal)) as view:
        view.handle(ReasoningStarted(2048, None))
        view.handle(ReasoningDelta("First row\nsecond, not compl", 412))
        wait_until(lambda: "412/2048 tokens" in terminal.text(60))
        rows = terminal.rows(60)
        assert rows[:2] == ["First row", "second, not compl"]
        assert len(rows) == 3
        view.handle(ReasoningDelta("ete", 413))
        wait_until(lambda: "413/2048 tokens" in terminal.text(60))
        assert terminal.rows(60)[:2] == ["First row", "second, not complete"]
    assert terminal.rows(60) == ["First row", "second, not complete"]


def test_rows_follow_a_terminal_that_is_resized(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = FakeTerminal()
    env = _environment(terminal)
    columns = 20
    monkeypatch.setattr(OutputStream, "columns", lambda _stream: columns)
    with make_view(ViewOptions(), env) as view:
        view.handle(ReasoningStarted(2048, None))
        view.handle(ReasoningDelta("as narrow as the terminal is\n", 400))
        wait_until(lambda: "400/2048 tokens" in terminal.text(80))
        columns = 80
        wait_until(lambda: "Ctrl-C to answer now" in terminal.text(80))
        view.handle(ReasoningDelta("as wide as the terminal has become", 401))
    assert terminal.rows(80) == [
        "as narrow as the",
        "terminal is",
        "as wide as the terminal has become",
    ]


@pytest.mark.parametrize("form", [Form.TEXT, Form.ANSWER_ONLY])
def test_an_interrupt_leaves_the_terminal_in_order(form: Form) -> None:
    terminal = FakeTerminal()
    with (
        pytest.raises(KeyboardInterrupt),
        make_view(ViewOptions(form), _environment(terminal)) as view,
    ):
        view.handle(ReasoningStarted(2048, None))
        view.handle(ReasoningDelta("half a thou", 3))
        wait_until(lambda: "tokens" in terminal.text(60))
        raise KeyboardInterrupt
    screen = terminal.screen(60)
    assert terminal.rows(60) == (["half a thou"] if form is Form.TEXT else [])
    assert not screen.cursor.hidden
    assert screen.cursor.attrs.fg == "default" and not screen.cursor.attrs.blink
    assert screen.cursor.x == 0


def test_every_single_write_leaves_the_cursor_visible() -> None:
    """So that a killed process leaves a sane terminal too."""
    terminal = _show([ReasoningStarted(None, None), *_deltas("some words " * 50), Solved(RECORD)])
    assert terminal.getvalue().count("\x1b[?25l") == terminal.getvalue().count("\x1b[?25h") > 0


def test_a_dumb_terminal_gets_no_escape_at_all() -> None:
    terminal = _show([*EVENTS.values()], TERM="dumb")
    assert "\x1b" not in terminal.getvalue()


def test_closing_twice_and_without_events_shows_nothing() -> None:
    terminal = FakeTerminal()
    view = make_view(ViewOptions(), _environment(terminal))
    view.close()
    view.close()
    assert terminal.getvalue() == ""


def test_rows_that_a_narrower_terminal_broke_are_all_erased() -> None:
    stream = FakeTerminal()
    columns = 40
    region = LiveRegion(
        make_console(_environment(stream).stderr, _environment(stream)), lambda: columns
    )
    region.paint([], [Row("x" * 30, Style()), Row("y" * 39, Style())])
    stream.seek(0)
    stream.truncate()
    columns = 20
    region.paint([], [Row("z", Style())])
    assert stream.getvalue().count("\x1b[1A") == 3


class TestStatus:
    """The line itself, with a clock that stands where the test puts it."""

    def _line(self, *events: tuple[float, Event], at: float, columns: int = 80) -> str:
        now = 0.0
        status = Status(lambda: now)
        for now, event in events:  # noqa: B007  # the clock reads it
            status.handle(event)
        now = at
        return status.line(columns)[2:]

    def test_stages(self) -> None:
        assert self._line(at=3.0) == "starting · 0:03"
        assert self._line((0.0, Progress("load", 0.0)), at=65.0) == "loading the model · 1:05"
        half = self._line((0.0, Progress("image", 0.5)), at=1.0)
        assert half == "looking at the picture · " + "━" * 10 + "─" * 10 + " 50% · 0:01"
        half = self._line((0.0, Progress("prefill", 0.5)), at=1.0, columns=40)
        assert half == "reading the question · 50% · 0:01"

    def test_each_stage_has_its_own_clock(self) -> None:
        events = [(0.0, Progress("load", 1.0)), (50.0, Progress("prefill", 0.0))]
        assert self._line(*events, at=52.0) == "reading the question · 0:02"

    def test_tokens_of_budget_speed_and_time(self) -> None:
        events = [(10.0, ReasoningStarted(2048, None)), (110.0, ReasoningDelta("x", 410))]
        line = self._line(*events, at=112.5)
        assert line == "410/2048 tokens · 4.0 tok/s · 1:42 · Ctrl-C to answer now"

    def test_time_budget_and_none(self) -> None:
        assert "0:30/5:00" in self._line((0.0, ReasoningStarted(None, 300.0)), at=30.0)
        assert self._line((0.0, ReasoningStarted(None, None)), at=0.0).startswith(
            "0 tokens · 0:00 ·"
        )

    def test_answering_and_after_a_forced_conclusion(self) -> None:
        started = (0.0, ReasoningStarted(100, None))
        forced = (5.0, EVENTS["forced"])
        assert "Ctrl-C" not in self._line(started, forced, at=6.0)
        line = self._line(started, forced, (8.0, AnswerDelta("x", 20)), at=10.0)
        assert line == "answering, 20 tokens · 2.0 tok/s · 0:10"

    @pytest.mark.parametrize("columns", range(4, 80))
    def test_always_fits(self, columns: int) -> None:
        for event in (Progress("image", 0.4), ReasoningStarted(2048, 300.0)):
            now = 3725.0
            status = Status(lambda now=now: now)
            status.handle(event)
            assert len(status.line(columns)) < columns


def test_the_answer_panel_stays_in_a_narrow_terminal() -> None:
    record = RECORD._replace(answer=RECORD.answer._replace(text="滤液E是硫酸亚铁溶液。" * 3))
    rows = _show([Solved(record)], columns=20).rows(20)
    panel = [row for row in rows if row[0] in "╭│╰"]
    assert "".join(row.strip("│ ") for row in panel[1:-1]) == "滤液E是硫酸亚铁溶液。" * 3


def test_stderr_alone_on_a_terminal_is_live_while_stdout_gets_the_bare_answer() -> None:
    terminal, stdout = FakeTerminal(), io.StringIO()
    env = Environment.of(None, stdout, terminal, {"TERM": "xterm", "COLUMNS": "60"})
    with make_view(ViewOptions(), env) as view:
        view.handle(EVENTS["reasoning"])
        wait_until(lambda: "starting" in terminal.text(60))
        view.handle(Solved(RECORD))
    assert stdout.getvalue() == "\\frac{1}{5}\n"
    assert terminal.rows(60)[0] == "So h = f*g."
