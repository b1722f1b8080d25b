"""A terminal for tests: what is written to it can be looked at as a person would see it."""

import io
import time
from collections.abc import Callable

import pyte

_PATIENCE_S = 20.0


class FakeTerminal(io.StringIO):
    """Says it is a terminal; `rows` plays what was written on an emulator (pyte)."""

    def isatty(self) -> bool:
        return True

    def screen(self, columns: int = 80, n_lines: int = 200) -> pyte.Screen:
        """The screen after all that was written; newlines return the carriage, as ttys do."""
        screen = EmulatedScreen(columns, n_lines)
        screen.set_mode(pyte.modes.LNM)
        pyte.Stream(screen).feed(self.getvalue())
        return screen

    def rows(self, columns: int = 80) -> list[str]:
        """What stands on the screen, without the empty rows at its end."""
        rows = [row.rstrip() for row in self.screen(columns).display]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def text(self, columns: int = 80) -> str:
        return "".join(f"{row}\n" for row in self.rows(columns))


class EmulatedScreen(pyte.Screen):
    """pyte knows no dim; here it is kept as blink, which qvq never uses."""

    def select_graphic_rendition(self, *attrs: int, **_kwargs: bool) -> None:
        super().select_graphic_rendition(*(5 if attr == 2 else attr for attr in attrs))


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for what another thread does; fail when it doesn't."""
    deadline = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
