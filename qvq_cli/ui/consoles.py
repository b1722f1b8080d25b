"""rich's console on our streams. What rich would find out by itself is told to it instead."""

from typing import IO, cast

from rich.console import Console

from qvq_cli.ui.streams import Environment, OutputStream

_UNUSED_HEIGHT = 25


def make_console(stream: OutputStream, env: Environment) -> Console:
    """A console for a stream that is a terminal; set `width` again before a print that wraps."""
    return Console(
        file=cast(IO[str], stream),
        force_terminal=True,
        force_jupyter=False,
        color_system="standard",
        no_color=not env.has_colour,
        width=stream.columns(),
        height=_UNUSED_HEIGHT,
        highlight=False,
        markup=False,
        emoji=False,
    )
