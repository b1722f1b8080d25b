"""Turns streamed text and lines of our own into rows, in order: done for good, or still growing.

Empty rows wait for what follows them, so that neither the start nor the end of a text leaves a gap.
"""

from collections import deque

from rich.style import Style

from qvq_cli.ui.live import Row
from qvq_cli.ui.rows import RowBuilder, wrap


class TextFlow:
    """One column of text. `columns` may change at any time: rows done before stay as they are."""

    def __init__(self, columns: int):
        self._builder = RowBuilder(columns)
        self._style = Style()
        self._held: deque[str] = deque()
        self._done: list[Row] = []
        self._n_blank = 0
        self._is_empty = True
        self._n_released = 0

    def resize(self, columns: int) -> None:
        self._builder.columns = columns

    def stream(self, text: str, style: Style, *, n_held: int = 0) -> None:
        """Go on with a text; n_held of its full rows may wait among the growing ones."""
        if style != self._style:
            self.finish()
            self._style, self._n_released = style, 0
        self._held.extend(self._builder.feed(text))
        self._release(n_held)
        if self._builder.partial.strip():
            self._flush_blanks()

    def line(self, text: str, style: Style) -> None:
        """Put a text of our own on rows of its own; the stream goes on beneath it."""
        self.finish()
        for row in wrap(text, self._builder.columns):
            self._put(row, style)

    def blank(self) -> None:
        """Leave an empty row before what comes next."""
        self.finish()
        self._n_blank = max(self._n_blank, 1)

    def finish(self) -> None:
        """Let nothing grow any more: all rows are done."""
        self._held.extend(self._builder.finish())
        self._release(0)

    def drop_if_brief(self, style: Style) -> None:
        """Forget what was streamed last if it was in this style and none of its rows is done."""
        if self._style == style and self._n_released == 0:
            self._held.clear()
            self._builder.finish()

    def take_done(self) -> list[Row]:
        """Returns: the rows done since the last call."""
        done, self._done = self._done, []
        return done

    def growing(self) -> list[Row]:
        """Returns: the rows that may still change, at most n_held + 1."""
        rows = [*self._held, *([self._builder.partial] if self._builder.partial else [])]
        return [Row(row, self._style) for row in rows]

    def end(self, *, with_blank: bool) -> None:
        """Finish, and leave one empty row for good, or none."""
        self.finish()
        self._n_blank = 1 if with_blank else 0
        self._flush_blanks()

    def _release(self, n_held: int) -> None:
        while len(self._held) > n_held:
            self._put(self._held.popleft(), self._style)
            self._n_released += 1

    def _put(self, row: str, style: Style) -> None:
        if not row.strip():
            self._n_blank += 1
            return
        self._flush_blanks()
        self._done.append(Row(row, style))
        self._is_empty = False

    def _flush_blanks(self) -> None:
        if not self._is_empty:
            self._done += [Row("", Style())] * self._n_blank
        self._n_blank = 0
