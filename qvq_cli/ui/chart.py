"""Bar charts as one SVG file, drawn by hand: text, rectangles, nothing to install.

Reads on white and on black: the picture brings its own background.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from qvq_cli.ui.clean import clean_line

_WIDTH_PX, _MARGIN_PX = 760, 28
_LABEL_PX, _VALUE_PX = 104, 190  # room beside the bars: their names, their values
_ROOM_PX = _WIDTH_PX - 2 * _MARGIN_PX - _LABEL_PX - _VALUE_PX  # for the longest bar
_ROW_PX, _BAR_PX = 26, 18
_HEADING_PX, _GAP_PX, _FOOT_PX = 52, 22, 20
_FONT = "ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif"
_STYLE = f"""
text {{ font: 13px {_FONT}; fill: #1f2328; }}
.title {{ font-size: 19px; font-weight: 600; }}
.heading {{ font-size: 14px; font-weight: 600; }}
.dim {{ fill: #656d76; }}
.foot {{ font-size: 11.5px; fill: #656d76; }}
.bar {{ fill: #6f42c1; }}
.part {{ fill: #b79be3; }}
.pale {{ fill: #d0d7de; }}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """label: its name; text: its value in words; part: of the value, shown lighter, from its start.

    is_pale: it is there to be compared with, and can't be had.
    """

    label: str
    value: float
    text: str
    part: float = 0.0
    is_pale: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars that share a scale; caption: what they mean."""

    heading: str
    caption: str
    bars: tuple[Bar, ...]


def draw_charts(title: str, charts: Sequence[Chart], notes: Sequence[str]) -> str:
    """The charts below each other. Returns: an SVG file's text."""
    rows: list[str] = []
    y = _MARGIN_PX + 14
    rows.append(_text(_MARGIN_PX, y, title, "title"))
    y += _GAP_PX
    for chart in charts:
        rows += _chart(chart, y)
        y += _HEADING_PX + _ROW_PX * len(chart.bars) + _GAP_PX
    for note in notes:
        rows.append(_text(_MARGIN_PX, y, note, "foot"))
        y += _FOOT_PX
    height_px = y + _MARGIN_PX - _FOOT_PX
    body = "\n".join(rows)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH_PX}" height="{height_px}" '
        f'viewBox="0 0 {_WIDTH_PX} {height_px}" role="img">\n<title>{_escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n"
        f'<rect width="{_WIDTH_PX}" height="{height_px}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _chart(chart: Chart, top: int) -> list[str]:
    heading = _text(_MARGIN_PX, top + 14, chart.heading, "heading")
    rows = [heading, _text(_MARGIN_PX, top + 33, chart.caption, "dim")]
    longest = max((bar.value for bar in chart.bars), default=0.0) or 1.0
    for number, bar in enumerate(chart.bars):
        y = top + _HEADING_PX + _ROW_PX * number
        rows += _bar(bar, y, longest)
    return rows


def _bar(bar: Bar, y: int, longest: float) -> list[str]:
    x = _MARGIN_PX + _LABEL_PX
    width_px = max(bar.value / longest * _ROOM_PX, 1.0)
    part_px = bar.part / longest * _ROOM_PX
    tone = "pale" if bar.is_pale else "bar"
    rows = [
        _text(x - 10, y + 14, bar.label, "dim" if bar.is_pale else "", anchor="end"),
        _rectangle(x, y, width_px, tone),
    ]
    if bar.part and not bar.is_pale:
        rows.append(_rectangle(x, y, part_px, "part"))
    rows.append(_text(round(x + width_px + 8), y + 14, bar.text, "dim" if bar.is_pale else ""))
    return rows


def _rectangle(x: float, y: int, width_px: float, tone: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y}" width="{width_px:.1f}" height="{_BAR_PX}" rx="2" '
        f'class="{tone}"/>'
    )


def _text(x: int, y: int, text: str, tone: str, *, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" class="{tone}">{_escape(text)}</text>'


def _escape(text: str) -> str:
    return escape(clean_line(text))
