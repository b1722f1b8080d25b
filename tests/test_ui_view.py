"""Every renderer side by side: what each event puts on stdout and on stderr."""

import io
import json

import pytest

from qvq_cli.errors import CannotWriteError, ImageError
from qvq_cli.reasoning.events import Answer, ReasoningDelta, Solved
from qvq_cli.ui.json import dump, error_object, result_object
from qvq_cli.ui.streams import Environment
from qvq_cli.ui.view import Form, View, ViewOptions, make_view
from screens import FakeTerminal
from ui_samples import EVENTS, RECORD, UNANSWERED

ERROR = ImageError("diagram.png is not a picture", hint="convert it to PNG")


class Setup:
    """A view on streams that are kept: (options, is stdout a terminal, is stderr, TERM)."""

    def __init__(self, options: ViewOptions, out: bool, err: bool, term: str = "xterm"):
        self.stdout = FakeTerminal() if out else io.StringIO()
        self.stderr = FakeTerminal() if err else io.StringIO()
        if out and err:
            self.stderr = self.stdout
        variables = {"TERM": term, "COLUMNS": "60"}
        self.env = Environment.of(None, self.stdout, self.stderr, variables)
        self.view: View = make_view(options, self.env)

    def shown(self) -> tuple[str, str]:
        return _text(self.stdout), _text(self.stderr) if self.stderr is not self.stdout else ""


def _text(stream: io.StringIO) -> str:
    return stream.text(60) if isinstance(stream, FakeTerminal) else stream.getvalue()


SETUPS = {
    "terminal": (ViewOptions(), True, True),
    "dumb": (ViewOptions(), True, True, "dumb"),
    "verbose": (ViewOptions(verbose=True), True, True),
    "pipe": (ViewOptions(), False, False),
    "tee": (ViewOptions(), False, True),
    "log": (ViewOptions(), True, False),
    "quiet": (ViewOptions(quiet=True), False, True),
    "answer-only": (ViewOptions(Form.ANSWER_ONLY), False, False),
    "answer-only, terminal": (ViewOptions(Form.ANSWER_ONLY), False, True),
    "answer-only, quiet": (ViewOptions(Form.ANSWER_ONLY, quiet=True), False, False),
    "json": (ViewOptions(Form.JSON), False, False),
    "json, terminal": (ViewOptions(Form.JSON), False, True),
    "jsonl": (ViewOptions(Form.JSONL), False, False),
    "jsonl, terminal": (ViewOptions(Form.JSONL), False, True),
}

NOTICE = "qvq: using the embedded nano\n"
FORCED = "qvq: Thinking budget used up.\n"
LOOKED = "looked at the picture again after 214 tokens: 162 cells,\n1.2 s\n"
LOOKED_UNWRAPPED = LOOKED.replace(",\n", ", ")
IMAGE = "diagram.png  640x480 → 644x476 px, 391 tokens\n"
REASONING = "So h = f*g."
FOOTER = "3.2 s · 34 tokens · 12.3 tok/s · QVQ-72B-Preview Q4_K_M\n"
LATEX = "\\frac{1}{5}\n"
PANEL = "╭─ Answer ─╮\n│ 1/5      │\n╰──────────╯\n"
NO_ANSWER_HINT = (
    "hint: --max-answer gives the answer more room, --image-tokens-max the picture less\n"
)
NO_ANSWER_HINT_WRAPPED = (
    "hint: --max-answer gives the answer more room,\n--image-tokens-max the picture less\n"
)
LAST_WORDS = "the model's last words: So h = f*g.\n"
NO_ANSWER_TOLD = "qvq: error: no answer was reached: the room for it was used up\n"
NO_ANSWER = NO_ANSWER_TOLD + LAST_WORDS + NO_ANSWER_HINT
NO_ANSWER_TOLD_WRAPPED = "qvq: error: no answer was reached: the room for it was used\nup\n"
NO_ANSWER_WRAPPED = NO_ANSWER_TOLD_WRAPPED + LAST_WORDS + NO_ANSWER_HINT_WRAPPED
NO_ANSWER_TOLD += NO_ANSWER_HINT
NO_ANSWER_TOLD_WRAPPED += NO_ANSWER_HINT_WRAPPED
RESULT = dump(result_object(RECORD)) + "\n"
NO_RESULT = dump(result_object(UNANSWERED)) + "\n"


def _line(name: str, rest: str) -> str:
    return f'{{"event": "{name}", {rest}}}\n'


IMAGE_JSON = (
    '"image": {"source": "diagram.png", "sha256": "' + "ab" * 32 + '", "width_px": 640, '
    '"height_px": 480, "used_width_px": 644, "used_height_px": 476, "tokens": 391}'
)
JSONL = {
    "notice": _line("notice", '"reference": "nano-used", "message": "using the embedded nano"'),
    "progress": _line("progress", '"stage": "load", "share": 0.5'),
    "image": _line("image_ready", IMAGE_JSON),
    "started": _line("reasoning_started", '"max_thinking_tokens": 2048, "max_thinking_s": null'),
    "reasoning": _line("reasoning_delta", '"text": "So h = f*g.", "reasoning_tokens": 5'),
    "answer": _line("answer_delta", '"text": "$$", "answer_tokens": 1'),
    "looked": _line(
        "looked_again", '"n": 1, "reasoning_tokens": 214, "n_cells": 162, "look_s": 1.2'
    ),
    "forced": _line(
        "forced",
        '"finish": "budget", "message": "Thinking budget used up.", '
        '"appended": "\\n\\n**Final Answer**\\n\\n"',
    ),
    "solved": RESULT.replace("{", '{"event": "result", ', 1),
    "unanswered": NO_RESULT.replace("{", '{"event": "result", ', 1),
}

ORDER = [*EVENTS]
# (stdout, stderr) of each event on its own, in the order of ORDER; "" where nothing is shown.
SHOWN: dict[str, dict[str, tuple[str, str]]] = {
    "terminal": {
        "notice": (NOTICE, ""),
        "image": (IMAGE, ""),
        "reasoning": (REASONING + "\n", ""),
        "answer": ("$$\n", ""),
        "looked": (LOOKED, ""),
        "forced": (FORCED, ""),
        "solved": (PANEL + FOOTER, ""),
        "unanswered": (NO_ANSWER_TOLD_WRAPPED + FOOTER, ""),
    },
    "dumb": {
        "notice": (NOTICE, ""),
        "progress": ("qvq: loading the model\n", ""),
        "image": ("qvq: " + IMAGE, ""),
        "reasoning": (REASONING + "\n", ""),
        "forced": (FORCED, ""),
        "solved": (LATEX + "qvq: " + FOOTER, ""),
    },
    "verbose": {
        "notice": (NOTICE, ""),
        "reasoning": (REASONING + "\n", ""),
        "solved": (PANEL + "qvq: " + FOOTER, ""),
    },
    "pipe": {
        "notice": ("", NOTICE),
        "progress": ("", ""),
        "image": ("", "qvq: " + IMAGE),
        "started": ("", ""),
        "reasoning": ("", REASONING + "\n"),
        "answer": ("", ""),
        "looked": ("", "qvq: " + LOOKED_UNWRAPPED),
        "forced": ("", FORCED),
        "solved": (LATEX, "qvq: " + FOOTER),
        "unanswered": ("", NO_ANSWER_TOLD + "qvq: " + FOOTER),
    },
    "tee": {
        "notice": ("", NOTICE),
        "progress": ("", ""),
        "image": ("", IMAGE),
        "reasoning": ("", REASONING + "\n"),
        "solved": (LATEX, FOOTER),
        "unanswered": ("", NO_ANSWER_TOLD_WRAPPED + FOOTER),
    },
    "log": {
        "notice": ("", NOTICE),
        "reasoning": ("", REASONING + "\n"),
        "solved": (PANEL, "qvq: " + FOOTER),
    },
    "quiet": {
        **dict.fromkeys(ORDER, ("", "")),
        "solved": (LATEX, ""),
        "unanswered": ("", NO_ANSWER_WRAPPED),
    },
    "answer-only": {
        **dict.fromkeys(ORDER, ("", "")),
        "notice": ("", NOTICE),
        "forced": ("", FORCED),
        "solved": (LATEX, ""),
        "unanswered": ("", NO_ANSWER),
    },
    "answer-only, terminal": {
        **dict.fromkeys(ORDER, ("", "")),
        "notice": ("", NOTICE),
        "forced": ("", FORCED),
        "solved": (LATEX, ""),
        "unanswered": ("", NO_ANSWER_WRAPPED),
    },
    "answer-only, quiet": {
        **dict.fromkeys(ORDER, ("", "")),
        "solved": (LATEX, ""),
        "unanswered": ("", NO_ANSWER),
    },
    "json": {
        **dict.fromkeys(ORDER, ("", "")),
        "notice": ("", NOTICE),
        "forced": ("", FORCED),
        "solved": (RESULT, ""),
        "unanswered": (NO_RESULT, NO_ANSWER),
    },
    "json, terminal": {
        **dict.fromkeys(ORDER, ("", "")),
        "notice": ("", NOTICE),
        "forced": ("", FORCED),
        "solved": (RESULT, ""),
        "unanswered": (NO_RESULT, NO_ANSWER_WRAPPED),
    },
    "jsonl": {
        **{name: (JSONL[name], "") for name in ORDER},
        "notice": (JSONL["notice"], NOTICE),
        "forced": (JSONL["forced"], FORCED),
        "unanswered": (JSONL["unanswered"], NO_ANSWER),
    },
    "jsonl, terminal": {
        "notice": (JSONL["notice"], NOTICE),
        "reasoning": (JSONL["reasoning"], ""),
        "solved": (JSONL["solved"], ""),
    },
}


@pytest.mark.parametrize(
    ("setup", "event", "shown"),
    [(setup, event, shown) for setup, row in SHOWN.items() for event, shown in row.items()],
)
def test_each_view_shows_each_event_so(setup: str, event: str, shown: tuple[str, str]) -> None:
    scene = Setup(*SETUPS[setup])
    with scene.view as view:
        view.handle(EVENTS[event])
    assert scene.shown() == shown


def test_every_setup_is_pinned() -> None:
    assert SHOWN.keys() == SETUPS.keys()


@pytest.mark.parametrize("setup", SETUPS)
def test_each_view_shows_an_error_once_and_on_stderr(setup: str) -> None:
    scene = Setup(*SETUPS[setup])
    with scene.view as view:
        view.handle(EVENTS["started"])
        view.error(ERROR)
    stdout, stderr = scene.shown()
    told = "qvq: error: diagram.png is not a picture\nhint: convert it to PNG\n"
    if scene.stderr is scene.stdout:
        assert stdout == told
        return
    assert stderr == told
    objects = [json.loads(line) for line in stdout.splitlines()]
    is_json = setup.startswith("json")
    assert [o["error"]["reference"] for o in objects if "error" in o] == ["bad-image"] * is_json


def test_json_stays_one_object_when_the_run_fails_after_the_result() -> None:
    scene = Setup(ViewOptions(Form.JSON), False, False)
    with scene.view as view:
        view.handle(Solved(RECORD))
        view.error(CannotWriteError("disk full"))
    stdout, stderr = scene.shown()
    assert json.loads(stdout)["answer"] == r"\frac{1}{5}"
    assert stderr == "qvq: error: disk full\n"


def test_the_asked_for_format_reaches_panel_pipe_and_json() -> None:
    def shout(answer: Answer) -> str:
        return answer.source.upper()

    for options, out, expected in [
        (ViewOptions(format_answer=shout), True, "│ BOXED    │"),
        (ViewOptions(format_answer=shout), False, "BOXED\n"),
        (ViewOptions(Form.ANSWER_ONLY, format_answer=shout), False, "BOXED\n"),
        (ViewOptions(Form.JSON, format_answer=shout), False, '"answer": "BOXED"'),
    ]:
        scene = Setup(options, out, False)
        with scene.view as view:
            view.handle(Solved(RECORD))
        assert expected in scene.shown()[0]


def test_a_whole_run_in_a_pipe_keeps_reasoning_and_notices_apart() -> None:
    scene = Setup(ViewOptions(), False, False)
    with scene.view as view:
        view.handle(ReasoningDelta("So h", 1))
        view.handle(EVENTS["notice"])
        view.handle(ReasoningDelta(" = f*g.\n", 2))
        view.handle(EVENTS["forced"])
        view.handle(Solved(RECORD))
    stdout, stderr = scene.shown()
    assert stdout == LATEX
    assert stderr == f"So h\n{NOTICE} = f*g.\n{FORCED}qvq: {FOOTER}"


def test_closed_stdout_is_known_before_the_run() -> None:
    env = Environment.of(None, None, io.StringIO(), {})
    with pytest.raises(CannotWriteError, match="closed"):
        make_view(ViewOptions(), env)


def test_error_object_has_what_a_script_needs() -> None:
    assert error_object(ERROR)["error"] == {
        "reference": "bad-image",
        "message": "diagram.png is not a picture",
        "hint": "convert it to PNG",
        "exit_code": 65,
    }
