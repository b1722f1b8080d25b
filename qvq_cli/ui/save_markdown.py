"""A saved run as Markdown. What the model or a person wrote stands in fences it can't close."""

import re
from collections.abc import Sequence

from qvq_cli.reasoning.events import Record
from qvq_cli.ui.clean import clean, clean_line
from qvq_cli.ui.pictures import Picture
from qvq_cli.ui.wording import image_line, no_answer, settings

_SHORTEST_FENCE = 3
_BACKTICKS = re.compile("`+")


def to_markdown(record: Record, pictures: Sequence[Picture]) -> str:
    from qvq_cli.latex import latex_to_unicode

    answer = no_answer(record).message if record.answer is None else record.answer.text
    blocks = ["# qvq", "## Question"]
    blocks += [f"![picture {i}]({p.data_uri()})" for i, p in enumerate(pictures, 1)]
    blocks += [_code_span(image_line(image)) for image in record.images]
    blocks += [
        _fence(record.question),
        "## Answer",
        _fence(latex_to_unicode(answer)),
        "## Reasoning",
        _fence(record.reasoning),
        "## What the model wrote as its answer",
        _fence(record.answer_text),
        "## Settings",
        _table(settings(record)),
    ]
    return "\n\n".join(blocks) + "\n"


def _fence(text: str) -> str:
    """The text in a fenced block, the fence longer than any run of backticks inside."""
    text = clean(text).strip("\n")
    fence = "`" * (max(_SHORTEST_FENCE - 1, _longest_backticks(text)) + 1)
    return f"{fence}text\n{text}\n{fence}"


def _code_span(text: str) -> str:
    text = clean_line(text)
    ticks = "`" * (_longest_backticks(text) + 1)
    return f"{ticks} {text} {ticks}"


def _table(rows: Sequence[tuple[str, str]]) -> str:
    """A table of code spans; a `|` ends a cell even inside one, so it is escaped."""
    lines = ["| | |", "|---|---|"]
    lines += [
        f"| {name} | {_code_span(value.replace('|', chr(92) + '|'))} |" for name, value in rows
    ]
    return "\n".join(lines)


def _longest_backticks(text: str) -> int:
    return max((len(run) for run in _BACKTICKS.findall(text)), default=0)
