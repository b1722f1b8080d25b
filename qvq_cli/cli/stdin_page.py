"""`-#3`, the third page of a PDF on stdin, which to Typer looks like an option."""

from typing import Any

from typer.core import TyperCommand

# No argument of a process can contain it, so nothing that was typed begins with it.
_GUARD = "\0"


class TakesStdinPages(TyperCommand):
    """A command whose positional arguments may be `-#PAGE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        rest = super().parse_args(
            ctx, [_GUARD + each if each.startswith("-#") else each for each in args]
        )
        for name, value in ctx.params.items():
            if isinstance(value, str):
                ctx.params[name] = value.removeprefix(_GUARD)
            elif isinstance(value, list | tuple):
                ctx.params[name] = [each.removeprefix(_GUARD) for each in value]
        return rest
