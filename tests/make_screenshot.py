"""Run a command in a pseudo-terminal and draw what it showed as an SVG (`make screenshot`).

    python tests/make_screenshot.py tests/data/session.svg \
        --shown 'qvq solve table.png "find h(2)"' -- python -m qvq_cli solve ...

Nothing is staged: the real program runs, an emulator (pyte) plays its bytes, rich draws the screen.
POSIX only, as pseudo-terminals are.
"""

import argparse
import fcntl
import io
import itertools
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path

import pyte
import pyte.screens
from rich.console import Console
from rich.style import Style
from rich.text import Text

from screens import EmulatedScreen

_N_LINES = 400
_FONT_FACE = re.compile(r"@font-face \{.*?\}", re.DOTALL)
# pyte names ANSI 3 after what it looked like on a VGA.
_COLOURS = {"brown": "yellow", "brightbrown": "bright_yellow"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("svg", type=Path)
    parser.add_argument("--columns", type=int, default=88)
    parser.add_argument("--shown", help="the command line to show; the real one when omitted")
    parser.add_argument("--title", default="qvq")
    parser.add_argument("command", nargs="+", help="after --: what to run")
    options = parser.parse_args()

    screen = EmulatedScreen(options.columns, _N_LINES)
    status = run_in_terminal(options.command, screen)
    if status != 0:
        print(f"the command ended with {status}; no picture made", file=sys.stderr)
        return status
    prompt = Text.assemble(("$ ", "green"), (options.shown or " ".join(options.command), "bold"))
    options.svg.write_text(
        draw([prompt, *rows_of(screen)], options.columns, options.title), encoding="utf-8"
    )
    return 0


def run_in_terminal(command: list[str], screen: EmulatedScreen) -> int:
    """Returns: the command's exit status, once all it wrote is on the screen."""
    pid, controller = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.environ.pop("NO_COLOR", None)
        os.environ["COLUMNS"] = str(screen.columns)
        os.execvp(command[0], command)
    size = struct.pack("HHHH", screen.lines, screen.columns, 0, 0)
    fcntl.ioctl(controller, termios.TIOCSWINSZ, size)
    stream = pyte.ByteStream(screen)
    while data := _read(controller):
        stream.feed(data)
    os.close(controller)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _read(controller: int) -> bytes:
    try:
        return os.read(controller, 65536)
    except OSError:  # Linux says EIO when the last writer is gone
        return b""


def rows_of(screen: EmulatedScreen) -> list[Text]:
    """What stands on the screen down to its last row that isn't empty."""
    rows = []
    for line in range(screen.lines):
        row = Text()
        cells = [screen.buffer[line][column] for column in range(screen.columns)]
        for style, run in itertools.groupby(cells, _style):
            row.append("".join(cell.data for cell in run), style)
        row.rstrip()
        rows.append(row)
    while rows and not rows[-1]:
        rows.pop()
    return rows


def _style(cell: pyte.screens.Char) -> Style:
    colour = None
    if cell.fg != "default":
        colour = _COLOURS.get(cell.fg, re.sub("^bright(?!_)", "bright_", cell.fg))
        if re.fullmatch("[0-9a-f]{6}", colour):
            colour = f"#{colour}"
    # EmulatedScreen keeps dim as blink.
    return Style(color=colour, bold=cell.bold, dim=cell.blink, italic=cell.italics)


def draw(rows: list[Text], columns: int, title: str) -> str:
    """The rows as an SVG that loads no font from anywhere and is the same for the same rows."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    for row in rows:
        console.print(row, soft_wrap=True)
    return _FONT_FACE.sub("", console.export_svg(title=title, unique_id="qvq"))


if __name__ == "__main__":
    sys.exit(main())
