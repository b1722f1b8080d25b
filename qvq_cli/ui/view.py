"""Which renderer shows a run, decided in one place from the options and the streams.

    option         stdout                          stderr
    (none)         the answer: in a panel on a     notices, pictures, reasoning, timings;
                   terminal, else its text         on a terminal a status line too
    --answer-only  the answer's text, no more      notices; on a terminal a status line too
    --json         one object                      notices; on a terminal a status line too
    --jsonl        an object for each event,       notices, never a status line: its rows and
                   the result last                 the objects would meet on one terminal
    --quiet        as without it                   errors only
    --verbose      as without it                   as without it, but never a status line:
                                                   llama.cpp's log goes to the same terminal

--quiet decides about stderr and the other options about stdout, so they combine: `--answer-only
--quiet` is the bare answer and, if it comes to that, an error. Errors are always told on stderr;
with --json and --jsonl on stdout as well, beside what the model had said by then. A run without an
answer is told as an error.

A terminal is drawn on only if it can move its cursor (TERM=dumb can't), and each stream is judged
alone: `qvq ... | tee` still shows reasoning live. Colours follow NO_COLOR. Of several chains that
vote, one is shown at a time (spotlight.py).
"""

from enum import StrEnum
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from qvq_cli.errors import QvqError
from qvq_cli.reasoning.events import Event, Record, Solved
from qvq_cli.ui.failure import render_error
from qvq_cli.ui.plain import FormatAnswer, PlainNarrator, PlainSink
from qvq_cli.ui.spotlight import Shown, Spotlight
from qvq_cli.ui.streams import Environment, OutputStream
from qvq_cli.ui.wording import no_answer


class Form(StrEnum):
    """What stdout carries."""

    TEXT = "text"
    ANSWER_ONLY = "answer-only"
    JSON = "json"
    JSONL = "jsonl"


class ViewOptions(NamedTuple):
    """What a person asked to see.

    format_answer: how the answer is written, if that was asked for (--answer-format); when None,
    with LaTeX as Unicode in the panel and as the model wrote it everywhere else.
    """

    form: Form = Form.TEXT
    quiet: bool = False
    verbose: bool = False
    format_answer: FormatAnswer | None = None


class View(Protocol):
    """Shows one run. Close it (or leave its `with`) in any case: the terminal is then in order."""

    def handle(self, event: Event) -> None:
        """Show an event. Raises: ReaderGoneError, CannotWriteError: stdout failed."""

    def error(self, err: QvqError) -> None:
        """Show what ended the run. Not for a missing answer: handling `Solved` has said that."""

    def close(self) -> None:
        """Finish what is on the screen; safe to call twice."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Narrator(Protocol):
    """Tells the story of a run on stderr.

    tells_reasoning, tells_answer: whether it shows what the model writes there as it comes.
    """

    tells_reasoning: bool
    tells_answer: bool

    def handle(self, event: Event | Shown) -> None: ...

    def settle(self, *, is_answered: bool) -> None:
        """Make way: what comes next is the answer, or nothing."""

    def close(self) -> None: ...


class Sink(Protocol):
    """Puts the result of a run on stdout."""

    def handle(self, event: Event) -> None: ...

    def error(self, error: QvqError) -> None: ...


def make_view(options: ViewOptions, env: Environment) -> View:
    """Pick the renderer, as the table above says.

    Raises: CannotWriteError: stdout is closed; better known before a run than after it.
    """
    env.stdout.check_open()
    return _StreamView(_make_narrator(options, env), _make_sink(options, env), env)


def _make_narrator(options: ViewOptions, env: Environment) -> Narrator | None:
    if options.quiet:
        return None
    full = options.form is Form.TEXT
    is_shared = options.verbose or options.form is Form.JSONL
    if is_shared or not _can_draw(env.stderr, env):
        return PlainNarrator(env, full=full)
    from qvq_cli.ui.terminal import TerminalNarrator

    return TerminalNarrator(env, full=full)


def _make_sink(options: ViewOptions, env: Environment) -> Sink:
    if options.form in (Form.JSON, Form.JSONL):
        from qvq_cli.ui.json import JsonLinesSink, JsonSink

        make = JsonSink if options.form is Form.JSON else JsonLinesSink
        return make(env, options.format_answer)
    if options.form is Form.TEXT and _can_draw(env.stdout, env):
        from qvq_cli.ui.panel import PanelSink

        return PanelSink(env, options.format_answer)
    return PlainSink(env, options.format_answer)


def _can_draw(stream: OutputStream, env: Environment) -> bool:
    return stream.is_terminal and not env.is_dumb


class _StreamView:
    """A narrator for stderr, None when it is to be silent, and a sink for stdout."""

    def __init__(self, narrator: Narrator | None, sink: Sink, env: Environment):
        self._narrator = narrator
        self._sink = sink
        self._env = env
        self._spotlight = Spotlight()

    def handle(self, event: Event) -> None:
        if isinstance(event, Solved):
            self._settle(event.record)
        self._sink.handle(event)
        if self._narrator is not None:
            for told in self._spotlight.follow(event):
                self._narrator.handle(told)

    def error(self, err: QvqError) -> None:
        self.close()
        render_error(err, self._env)
        self._sink.error(err)

    def close(self) -> None:
        if self._narrator is not None:
            self._narrator.close()

    def _settle(self, record: Record) -> None:
        if self._narrator is not None:
            self._narrator.settle(is_answered=record.answer is not None)
        if record.answer is None:
            render_error(no_answer(record, is_told=self._has_told_end_of(record)), self._env)

    def _has_told_end_of(self, record: Record) -> bool:
        if self._narrator is None:
            return False
        has_answer = bool(record.answer_text.strip())
        return self._narrator.tells_answer if has_answer else self._narrator.tells_reasoning

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
