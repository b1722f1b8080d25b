"""Results that are read, not streamed: tables, facts and sentences, as rows of plain text.

Commands say what there is (`Report`); how it looks is decided here, once for terminals and pipes.
Both show the same words in the same columns. Only a terminal gets tones (colours), wrapped text,
and loses the columns marked as optional where it is too narrow for them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from qvq_cli.ui.clean import clean, clean_line
from qvq_cli.ui.streams import Environment, OutputStream

_GAP = "  "
_MIN_TEXT_COLUMNS = 24


class Tone(StrEnum):
    """What a word means to its reader; the values are rich's styles."""

    PLAIN = ""
    STRONG = "bold"
    DIM = "dim"
    GOOD = "green"
    WARN = "yellow"
    BAD = "bold red"


class Cell(NamedTuple):
    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Column:
    """is_number: right-aligned. is_optional: left out where a terminal is too narrow."""

    title: str
    is_number: bool = False
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Fact(NamedTuple):
    """A label and what is said about it; every line of `text` stands in the same column.

    is_exact: people copy it (a path, a command), so it is never wrapped.
    """

    label: str
    text: str
    label_tone: Tone = Tone.DIM
    text_tone: Tone = Tone.PLAIN
    is_exact: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    rows: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Line:
    """Text that people copy, such as a path: never wrapped."""

    text: str


Block = Table | Facts | Sentence | Line
Report = Sequence[Block]
_Row = Sequence[Cell]


def render_report(report: Report, stream: OutputStream, env: Environment) -> None:
    """Write the blocks with an empty line between them, but for lines, which stay together.

    Raises: ReaderGoneError, CannotWriteError: stdout failed.
    """
    is_drawn = stream.is_terminal and not env.is_dumb
    columns = stream.columns() if is_drawn else None
    rows: list[_Row] = []
    for previous, block in zip([None, *report], report, strict=False):
        if rows and not (isinstance(block, Line) and isinstance(previous, Line)):
            rows.append([])
        rows += _rows(block, columns)
    if is_drawn:
        _print_styled(rows, stream, env)
    else:
        stream.write("".join("".join(c.text for c in row).rstrip() + "\n" for row in rows))


def _print_styled(rows: Sequence[_Row], stream: OutputStream, env: Environment) -> None:
    from rich.text import Text

    from qvq_cli.ui.consoles import make_console

    console = make_console(stream, env)
    for row in rows:
        console.print(Text.assemble(*((c.text, c.tone.value) for c in row)), soft_wrap=True)


def _rows(block: Block, columns: int | None) -> Iterator[_Row]:
    """columns: the width there is, None for any."""
    match block:
        case Table():
            yield from _table_rows(block, columns)
        case Facts():
            yield from _fact_rows(block, columns)
        case Sentence():
            for line in _lines(block.text, columns):
                yield [Cell(line, block.tone)]
        case Line():
            yield [Cell(clean_line(block.text))]


def _table_rows(table: Table, columns: int | None) -> Iterator[_Row]:
    cells = [[Cell(column.title, Tone.DIM) for column in table.columns]]
    cells += [[Cell(clean_line(c.text), c.tone) for c in row] for row in table.rows]
    widths = [max(map(_width, each)) for each in zip(*cells, strict=True)]
    shown = _shown_columns(table, widths, columns)
    for row in cells:
        aligned = [_aligned(row[i], widths[i], table.columns[i].is_number) for i in shown]
        yield [piece for cell in aligned for piece in (cell, Cell(_GAP))][:-1]


def _shown_columns(table: Table, widths: Sequence[int], columns: int | None) -> list[int]:
    shown = list(range(len(widths)))
    optional = [i for i in shown if table.columns[i].is_optional]
    while columns is not None and optional:
        if sum(widths[i] + len(_GAP) for i in shown) - len(_GAP) < columns:
            break
        shown.remove(optional.pop())
    return shown


def _aligned(cell: Cell, width: int, is_number: bool) -> Cell:
    padding = " " * (width - _width(cell))
    return Cell(padding + cell.text if is_number else cell.text + padding, cell.tone)


def _fact_rows(facts: Facts, columns: int | None) -> Iterator[_Row]:
    labels = [Cell(clean_line(fact.label), fact.label_tone) for fact in facts.rows]
    width = max(map(_width, labels), default=0)
    left = None if columns is None else max(columns - width - len(_GAP), _MIN_TEXT_COLUMNS)
    for fact, label in zip(facts.rows, labels, strict=True):
        for i, line in enumerate(_lines(fact.text, None if fact.is_exact else left)):
            shown = label if i == 0 else Cell("")
            yield [_aligned(shown, width, is_number=False), Cell(_GAP), Cell(line, fact.text_tone)]


def _lines(text: str, columns: int | None) -> list[str]:
    lines = clean(text).split("\n")
    if columns is None:
        return lines
    from qvq_cli.ui.rows import wrap

    return [row for line in lines for row in (wrap(line, columns) or [""])]


def _width(cell: Cell) -> int:
    if cell.text.isascii():
        return len(cell.text)
    from rich.cells import cell_len

    return cell_len(cell.text)
