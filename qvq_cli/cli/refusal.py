"""Values that are refused while the command line is read, and whose words they were.

Typer takes a value from what was typed, from an environment variable or from the config file, and
blames the option in any case. Here a value that nobody typed becomes a ConfigError that names the
variable or the file, and anything else an error of the shape that all others have.
"""

import re
import shlex
from collections.abc import Callable
from typing import Any, cast

import typer

from qvq_cli.cli.inputs import looks_like_picture
from qvq_cli.cli.session import Session
from qvq_cli.errors import ConfigError, QvqError, UsageError

TyperRefusal = cast(type[Exception], typer.BadParameter.__base__)
"""Whatever Typer finds wrong with a command line; Typer exports only this leaf of its tree."""

DASH_HINT = (
    "a question or a file that begins with - goes after --: "
    'qvq solve diagram.png -- "-x + 2 = 0: find x"'
)
_OPTION = re.compile(r"--?[A-Za-z][A-Za-z-]*(=.*)?", re.S)

Callback = Callable[[typer.Context, typer.CallbackParam, str | None], str | None]


def checked(check: Callable[[str], object]) -> Callback:
    """An option's callback that refuses a value as soon as it is read.

    Args: check: raises UsageError for what can't be meant; what it returns is made again later.
    """

    def callback(ctx: typer.Context, param: typer.CallbackParam, value: str | None) -> str | None:
        if value is not None:
            try:
                check(value)
            except UsageError as error:
                raise _elsewhere(error.message, error.hint, ctx, param) or error from None
        return value

    return callback


def explain(refusal: Exception) -> QvqError | None:
    """Typer's refusal in our words; None where help has been shown instead of an error."""
    if type(refusal).__name__ == "NoArgsIsHelpError":  # Typer itself knows it by its name
        return None
    found = cast(Any, refusal)
    ctx = found.ctx
    if ctx is not None and getattr(found, "param", None) is not None:
        elsewhere = _elsewhere(found.message, None, ctx, found.param)
        if elsewhere is not None:
            return elsewhere
    words = str(found.format_message()).rstrip(".")
    hint = f"{ctx.command_path} --help" if ctx is not None else None
    if ctx is not None and _is_about_an_argument(refusal, ctx):
        hint = DASH_HINT
    elif ctx is not None and _is_missing_solve(ctx):
        hint = f"qvq solve {shlex.join(ctx.obj.argv)}"
    return UsageError(words[:1].lower() + words[1:], hint=hint)


def _is_about_an_argument(refusal: Exception, ctx: typer.Context) -> bool:
    """Whether what Typer took for an option is a question or a file that begins with a dash."""
    option = getattr(refusal, "option_name", None)
    if option is None or ctx.info_name != "solve":
        return False
    session: Session = ctx.obj
    meant = (each for each in session.argv if each.startswith("-") and option[1:] in each)
    return any(_OPTION.fullmatch(each) is None or looks_like_picture(each) for each in meant)


def _is_missing_solve(ctx: typer.Context) -> bool:
    """Whether the first word is a picture where a command should be."""
    session: Session = ctx.obj
    return ctx.parent is None and bool(session.argv) and looks_like_picture(session.argv[0])


def _elsewhere(
    message: str, hint: str | None, ctx: typer.Context, param: typer.CallbackParam
) -> ConfigError | None:
    """The error of a value that comes from a variable or the config file; None if it was typed."""
    source = ctx.get_parameter_source(param.name or "")
    words = message.rstrip(".")
    if source is not None and source.name == "ENVIRONMENT":
        return ConfigError(f"{param.envvar}: {words}", hint=hint, reference="bad-variable")
    if source is not None and source.name == "DEFAULT_MAP":
        session: Session = ctx.obj
        key = (param.name or "").replace("_", "-")
        where = session.config.where(key)
        words = words.replace(f"--{key}", key)
        message = words if key in words else f"{key}: {words}"
        return ConfigError(f"{where}: {message}", hint=hint, reference="bad-config-value")
    return None
