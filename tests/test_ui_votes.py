"""Chains that vote, as people see them: one text at a time, a tally, and who agreed."""

import io
import json
from collections.abc import Iterator

from qvq_cli.reasoning.events import (
    AnswerDelta,
    Count,
    Event,
    Finish,
    Forced,
    InChain,
    ReasoningDelta,
    ReasoningStarted,
    Solved,
    Voted,
)
from qvq_cli.ui.save_html import to_html
from qvq_cli.ui.save_markdown import to_markdown
from qvq_cli.ui.status import Status
from qvq_cli.ui.streams import Environment
from qvq_cli.ui.view import Form, ViewOptions, make_view
from qvq_cli.ui.wording import agreement, counts_words, short_answer
from screens import FakeTerminal
from ui_samples import RECORD, VOTED_RECORD

FORCED = Forced(Finish.BUDGET, "Thinking budget used up.", "**Final Answer**")
ANSWER = r"\frac{1}{5}"


def voted(chain: int, answer: str | None, n: int, *counts: Count, decided: bool = False) -> Voted:
    return Voted(chain, answer, n, 4, counts, decided)


def story() -> Iterator[Event]:
    """Four chains: the second ends first, then the first, without an answer, then the third."""
    yield from (InChain(i, ReasoningStarted(2048, None)) for i in range(4))
    for i in range(4):
        yield InChain(i, ReasoningDelta(f"This is chain {i + 1}.", 5))
    yield InChain(1, FORCED)
    yield InChain(1, AnswerDelta("$$ x $$", 3))
    yield voted(1, ANSWER, 1, Count(ANSWER, 1))
    yield InChain(0, ReasoningDelta(" It goes on.", 8))
    yield voted(0, None, 2, Count(ANSWER, 1))
    yield InChain(2, ReasoningDelta(" Now it is seen.", 9))
    yield voted(2, ANSWER, 3, Count(ANSWER, 2), decided=True)
    yield Solved(VOTED_RECORD)


def shown(options: ViewOptions, *, on_terminal: bool) -> tuple[str, str]:
    out = FakeTerminal() if on_terminal else io.StringIO()
    err = out if on_terminal else io.StringIO()
    variables = {"TERM": "xterm", "COLUMNS": "78"}
    with make_view(options, Environment.of(None, out, err, variables)) as view:
        for event in story():
            view.handle(event)
    return (out.text(78) if isinstance(out, FakeTerminal) else out.getvalue()), err.getvalue()


LINES = [
    "qvq: chain 2 answers 1/5; 1 of 4 chains done: 1/5 x1",
    "qvq: chain 1 gives no answer; 2 of 4 chains done: 1/5 x1",
    "qvq: showing chain 3 of 4, from its token 6",
    "qvq: chain 3 answers 1/5; 3 of 4 chains done: 1/5 x2",
]
FOOTER = "agreed by 2 of 3 chains, 1 cut · 3.2 s · 136 tokens · 12.3 tok/s · "


def test_in_a_pipe() -> None:
    out, err = shown(ViewOptions(), on_terminal=False)
    assert out == ANSWER + "\n"
    assert err.splitlines() == [
        "This is chain 1.",
        LINES[0],
        " It goes on.",
        *LINES[1:3],
        " Now it is seen.",
        LINES[3],
        f"qvq: {FOOTER}QVQ-72B-Preview Q4_K_M",
    ]


def test_on_a_terminal() -> None:
    screen, _ = shown(ViewOptions(), on_terminal=True)
    assert screen.splitlines() == [
        "This is chain 1.",
        LINES[0].removeprefix("qvq: "),
        " It goes on.",
        *(line.removeprefix("qvq: ") for line in LINES[1:3]),
        " Now it is seen.",
        LINES[3].removeprefix("qvq: "),
        "",
        "╭─ Answer, agreed by 2 of 3 chains, 1 cut ─╮",
        "│ 1/5                                      │",
        "╰──────────────────────────────────────────╯",
        FOOTER.rstrip(),
        "QVQ-72B-Preview Q4_K_M",
    ]


def test_only_the_answer() -> None:
    out, err = shown(ViewOptions(Form.ANSWER_ONLY), on_terminal=False)
    assert (out, err) == (ANSWER + "\n", "")


def test_jsonl_names_the_chain_of_every_event() -> None:
    lines = shown(ViewOptions(Form.JSONL, quiet=True), on_terminal=False)[0].splitlines()
    events = [json.loads(line) for line in lines]
    assert events[4] == {
        "event": "reasoning_delta",
        "chain": 0,
        "text": "This is chain 1.",
        "reasoning_tokens": 5,
    }
    assert [e["chain"] for e in events if e["event"] == "answer_delta"] == [1]
    assert [e["chain"] for e in events if e["event"] == "voted"] == [1, 0, 2]


def test_the_status_line_has_the_tally() -> None:
    status = Status(lambda: 0.0)
    status.handle(ReasoningStarted(2048, None))
    status.handle(ReasoningDelta("x", 214))
    status.handle(voted(1, "-29", 3, Count("-29", 2), Count("14", 1)))
    line = status.line(120)
    assert "3 of 4 chains done: -29 x2, 14 x1 · 214/2048 tokens" in line


def test_words() -> None:
    assert VOTED_RECORD.votes is not None
    assert agreement(VOTED_RECORD.votes) == "agreed by 2 of 3 chains, 1 cut"
    many = [Count(str(i), 9 - i) for i in range(5)]
    assert counts_words(many) == "0 x9, 1 x8, 2 x7 and 2 others"
    assert short_answer("word " * 20) == "word word word word word word w…"
    assert "\x1b" not in short_answer("\x1b[31mred\nblue")


def test_saved_records_have_the_chains() -> None:
    for text in (to_markdown(VOTED_RECORD, []), to_html(VOTED_RECORD, [])):
        assert "agreed by 2 of 3 chains, 1 cut: 1/5 x2" in text
        assert "chain 1 (this record)" in text
        assert "1/5, concluded, 34 tokens, seed 7" in text
        assert "no answer, loop, 34 tokens, seed 8" in text
        assert "no answer, cut, 34 tokens, seed 10" in text
    assert "chain 1" not in to_markdown(RECORD, [])
