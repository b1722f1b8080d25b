"""How an error looks: what happened, and on the next line what to type."""

import re

from qvq_cli.errors import AbortedError, QvqError
from qvq_cli.ui.clean import clean
from qvq_cli.ui.streams import Environment

_BLANK_LINES = re.compile(r"\n\s*\n")


def render_error(error: QvqError, env: Environment) -> None:
    """Write the error to stderr: coloured and wrapped on a terminal, else as plain lines."""
    message = _one_block(error.message)
    hint = _one_block(error.hint) if error.hint else ""
    # What a person stopped or declined is no error.
    label = "qvq: " if isinstance(error, AbortedError) else "qvq: error: "
    if env.stderr.is_terminal and not env.is_dumb:
        _render_on_terminal(label, message, hint, env)
        return
    env.stderr.write(f"{label}{message}\n" + (f"hint: {hint}\n" if hint else ""))


def _render_on_terminal(label: str, message: str, hint: str, env: Environment) -> None:
    from rich.text import Text

    from qvq_cli.ui.consoles import make_console

    console = make_console(env.stderr, env)
    text = Text.assemble((label, "bold red" if "error" in label else "bold"), message)
    if hint:
        text.append(f"\nhint: {hint}", style="dim")
    console.print(text)


def _one_block(text: str) -> str:
    return _BLANK_LINES.sub("\n", clean(text).strip())
