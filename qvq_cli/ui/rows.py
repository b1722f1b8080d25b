"""Breaks text that arrives in pieces into rows of a terminal.

A complete row never changes again, so it can be printed for good while the text still streams.
Breaks at spaces and beside wide (CJK) characters, else wherever the row is full.
"""

from rich.cells import cell_len, get_character_cell_size

_TAB_CELLS = 8
_MIN_COLUMNS = 2
# Turns the character before it into a wide emoji; the spare column takes it.
_EMOJI_SELECTOR = "\ufe0f"
# Closing signs that Chinese and Japanese never begin a row with; they take the one before along.
_NEVER_FIRST = frozenset("，。、；：？！）」』】》…")


class RowBuilder:
    """Text in, complete rows out; `partial` is the row that is still growing.

    Rows are one cell narrower than the terminal: a full row makes some terminals begin the next.
    """

    def __init__(self, columns: int):
        self.columns = columns
        self.partial = ""
        self._cells = 0
        self._is_wrapped = False

    def feed(self, text: str) -> list[str]:
        """Take text that `clean` has been through. Returns: the rows it completed."""
        rows: list[str] = []
        for character in text:
            if character == "\n":
                rows.append(self._take())
            elif character == "\t":
                for _ in range(_TAB_CELLS - self._cells % _TAB_CELLS):
                    self._put(" ", 1, rows)
            elif character == _EMOJI_SELECTOR:
                self.partial += character
            else:
                self._put(character, get_character_cell_size(character), rows)
        return rows

    def finish(self) -> list[str]:
        """Returns: the growing row as a complete one, if there is any."""
        return [self._take()] if self.partial else []

    def _put(self, character: str, cells: int, rows: list[str]) -> None:
        if self.partial and cells and self._cells + cells > max(self.columns - 1, _MIN_COLUMNS):
            rows.append(self._break_before(character, cells))
        if character == " " and self._is_wrapped and not self.partial:
            return
        self.partial += character
        self._cells += cells

    def _break_before(self, character: str, cells: int) -> str:
        """Returns: what stays of the full row; the word being written moves to the next."""
        cut = len(self.partial)
        if character in _NEVER_FIRST:
            cut = cut - 1 or cut
        elif character != " " and cells < 2:
            cut = self._last_break() or cut
        row, rest = self.partial[:cut].rstrip(" "), self.partial[cut:]
        self.partial, self._cells, self._is_wrapped = rest, cell_len(rest), True
        return row

    def _last_break(self) -> int:
        """Returns: where the last word begins; 0 when the row is one word, indented or not."""
        for index in range(len(self.partial) - 1, -1, -1):
            character = self.partial[index]
            if character == " " or get_character_cell_size(character) == 2:
                return index + 1 if self.partial[: index + 1].strip() else 0
        return 0

    def _take(self) -> str:
        row, self.partial, self._cells, self._is_wrapped = self.partial, "", 0, False
        return row


def wrap(text: str, columns: int) -> list[str]:
    """All rows of a finished text."""
    builder = RowBuilder(columns)
    return [*builder.feed(text), *builder.finish()]
