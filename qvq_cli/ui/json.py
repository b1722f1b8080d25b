"""A run as JSON: `--json` one object, `--jsonl` one object per event and the result as the last.

`schema` counts up when a key changes its meaning or goes away, not when one is added. Everything is
carried exactly but for what JSON can't hold: lone surrogates become U+FFFD, NaN and infinity null.
Of several chains that vote, events say which it was (`"chain": 2`, from 0).
"""

import json
import math
import re
from enum import Enum
from typing import Any

from qvq_cli import __version__
from qvq_cli.errors import QvqError
from qvq_cli.reasoning.events import CutOff, Event, InChain, Progress, Record, Solved, Votes
from qvq_cli.ui.clean import without_surrogates
from qvq_cli.ui.plain import FormatAnswer, as_written
from qvq_cli.ui.streams import Environment, OutputStream

SCHEMA = 1
_SECONDS_DIGITS = 3
_SHARE_DIGITS = 4
_SHARE_STEP = 0.05
_CAMEL_HUMP = re.compile(r"(?<!^)(?=[A-Z])")


def result_object(record: Record, format_answer: FormatAnswer | None = None) -> dict[str, Any]:
    """The record as `--json` prints it: `answer` formatted as asked, null when there is none."""
    answer = record.answer
    return {
        "schema": SCHEMA,
        "version": __version__,
        "question": record.question,
        "system": record.system,
        "answer": None if answer is None else (format_answer or as_written)(answer),
        "answer_parts": [] if answer is None else list(answer.parts),
        "answer_source": None if answer is None else answer.source,
        "answer_text": record.answer_text,
        "reasoning": record.reasoning,
        "finish": record.finish.value,
        "usage": record.usage._asdict(),
        "timings": {
            name: round(value, _SECONDS_DIGITS) for name, value in record.timings._asdict().items()
        },
        "model": {
            "name": record.model.name,
            "quant": record.model.quant,
            "files": [{"name": name, "sha256": sha256} for name, sha256 in record.model.files],
            "draft": record.model.draft,
        },
        "sampling": record.sampling._asdict(),
        "images": [image._asdict() for image in record.images],
        "notices": [notice._asdict() for notice in record.notices],
        "votes": None if record.votes is None else _votes_object(record.votes),
    }


def _votes_object(votes: Votes) -> dict[str, Any]:
    """Chains count from 0; `winner` is the chain whose texts and tokens are the result's."""
    return {
        "n_chains": len(votes.chains),
        "n_finished": votes.n_finished,
        "agreed": votes.agreed,
        "agreement": round(votes.agreement, _SHARE_DIGITS),
        "winner": votes.winner,
        "counts": [count._asdict() for count in votes.counts],
        "chains": [
            {
                "chain": i,
                "seed": chain.seed,
                "answer": None if chain.answer is None else chain.answer.text,
                "answer_text": chain.answer_text,
                "reasoning": chain.reasoning,
                "finish": chain.finish.value,
                "reasoning_tokens": chain.reasoning_tokens,
                "answer_tokens": chain.answer_tokens,
            }
            for i, chain in enumerate(votes.chains)
        ],
    }


def error_object(error: QvqError, record: Record | None = None) -> dict[str, Any]:
    """What `--json` prints when the run ended in an error.

    Args: record: what there was until then, or a whole one whose answer couldn't be shown as asked:
        its keys are there too, `answer` null.
    """
    known: dict[str, Any] = {"schema": SCHEMA, "version": __version__}
    if record is not None:
        known = {**result_object(record), "answer": None}
    return {
        **known,
        "error": {
            "reference": error.reference,
            "message": error.message,
            "hint": error.hint,
            "exit_code": int(error.exit_code),
        },
    }


def dump(value: dict[str, Any], *, ascii_only: bool = False) -> str:
    """One line of JSON that any reader takes."""
    return json.dumps(_encodable(value), ensure_ascii=ascii_only, allow_nan=False)


class JsonSink:
    """`--json`: one object on stdout, whether the run ends in a result or in an error."""

    def __init__(self, env: Environment, format_answer: FormatAnswer | None):
        self._stdout = env.stdout
        self._format_answer = format_answer
        self._record: Record | None = None
        self._is_done = False

    def handle(self, event: Event) -> None:
        if isinstance(event, Solved | CutOff):
            self._record = event.record
        if isinstance(event, Solved):
            self._write_once(result_object(event.record, self._format_answer))

    def error(self, error: QvqError) -> None:
        """Print the error, unless the result is out already (a --save that failed after it)."""
        self._write_once(error_object(error, self._record))

    def _write_once(self, value: dict[str, Any]) -> None:
        if not self._is_done:
            self._is_done = True
            _write_line(self._stdout, value)


class JsonLinesSink:
    """`--jsonl`: each event (`"event": "reasoning_delta"`) as it happens, then result or error.

    llama.cpp tells the progress of every tensor; at most one line for 5 % of a stage goes out.
    """

    def __init__(self, env: Environment, format_answer: FormatAnswer | None):
        self._stdout = env.stdout
        self._format_answer = format_answer
        self._record: Record | None = None
        self._progress: Progress | None = None

    def handle(self, event: Event) -> None:
        if isinstance(event, Solved | CutOff):
            self._record = event.record
        if isinstance(event, CutOff):
            return  # the error that follows brings it along
        if isinstance(event, Progress):
            if not self._is_worth_a_line(event):
                return
            self._progress = event
            event = event._replace(share=round(event.share, _SHARE_DIGITS))
        if isinstance(event, Solved):
            body = {"event": "result", **result_object(event.record, self._format_answer)}
        elif isinstance(event, InChain):
            body = {"event": _name(event.event), "chain": event.chain, **event.event._asdict()}
        else:
            body = {"event": _name(event), **event._asdict()}
        _write_line(self._stdout, body)

    def _is_worth_a_line(self, now: Progress) -> bool:
        """Each stage's beginning and end, and between them whole steps only."""
        last = self._progress
        if last is None or last.stage != now.stage:
            return True
        if now.share >= 1.0:
            return last.share < 1.0
        return now.share - last.share >= _SHARE_STEP

    def error(self, error: QvqError) -> None:
        _write_line(self._stdout, {"event": "error", **error_object(error, self._record)})


def _name(event: Event) -> str:
    """`reasoning_delta` for a ReasoningDelta"""
    return _CAMEL_HUMP.sub("_", type(event).__name__).lower()


def _write_line(stream: OutputStream, value: dict[str, Any]) -> None:
    stream.write(dump(value, ascii_only=not stream.is_unicode) + "\n")


def _encodable(value: Any) -> Any:
    match value:
        case dict():
            return {key: _encodable(item) for key, item in value.items()}
        case tuple() if hasattr(value, "_asdict"):
            return _encodable(value._asdict())
        case list() | tuple():
            return [_encodable(item) for item in value]
        case Enum():
            return value.value
        case str():
            return without_surrogates(value)
        case float() if not math.isfinite(value):
            return None
    return value
