"""The few rows at the bottom of a terminal that change, below rows that are printed for good.

rich.live.Live would do but for two things: it can't follow a terminal that is made narrower (which
breaks its rows in two and moves the cursor), and it hides the cursor for the whole run, so a killed
process leaves it hidden. Here each repaint is one write that leaves the terminal in order.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.control import Control
from rich.segment import ControlType, Segment, Segments
from rich.style import Style


class Row(NamedTuple):
    text: str
    style: Style


class LiveRegion:
    """Repaints its rows in place. Not for two threads at once."""

    def __init__(self, console: Console, columns: Callable[[], int]):
        self._console = console
        self._columns = columns
        self._shown_cells: list[int] = []

    def paint(self, above: Sequence[Row], live: Sequence[Row]) -> None:
        """Print `above` for good and show `live` beneath it, in place of what was shown before.

        Every row must be narrower than the terminal and without newlines.
        """
        if not (above or live or self._shown_cells):
            return
        segments = [Segment.line() if row is None else Segment(*row) for row in _lines(above, live)]
        self._console.print(
            Control.show_cursor(False),
            self._erase(),
            Segments(segments),
            Control.show_cursor(True),
            soft_wrap=True,
            end="",
        )
        self._shown_cells = [cell_len(row.text) for row in live]

    def _erase(self) -> Control:
        """Go back over the rows shown, counted as a terminal that was made narrower broke them.

        The few that cut rows off instead (xterm) lose as many rows above: better than half a status
        line left behind in all the others.
        """
        columns = self._columns()
        n_rows = sum(max(1, -(-cells // columns)) for cells in self._shown_cells)
        codes: list[ControlType | tuple[ControlType, int]] = [
            ControlType.CARRIAGE_RETURN,
            (ControlType.ERASE_IN_LINE, 2),
        ]
        for _ in range(n_rows - 1):
            codes += [(ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)]
        return Control(*codes)


def _lines(above: Sequence[Row], live: Sequence[Row]) -> list[Row | None]:
    """Rows with line ends (None) between them; the cursor stays on the last live row."""
    lines: list[Row | None] = []
    for row in above:
        lines += [row, None]
    for row in live:
        lines += [row, None]
    return lines[:-1] if live else lines
