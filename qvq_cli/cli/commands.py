"""The commands: what `qvq --help` lists."""

import inspect
from collections.abc import Callable
from contextlib import redirect_stdout

import typer
from typer.core import TyperCommand

from qvq_cli import __version__
from qvq_cli.cli import model_commands
from qvq_cli.cli.interrupts import Terminated
from qvq_cli.cli.refusal import TyperRefusal, explain
from qvq_cli.cli.session import Session
from qvq_cli.cli.solve import solve
from qvq_cli.cli.stdin_page import TakesStdinPages
from qvq_cli.errors import AbortedError, ExitCode

app = typer.Typer(
    name="qvq",
    help="Solve visual problems on this machine: a picture and a question in, visible reasoning "
    "and one answer out.",
    epilog='Try it now: [cyan]qvq solve diagram.png "find h\'(2)"[/]',
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
MODELS, MACHINE = "Models", "This machine"


def _help(function: Callable[..., None]) -> str:
    """A function's docstring, the lines of each paragraph joined."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _register(
    function: Callable[..., None],
    name: str | None = None,
    panel: str | None = None,
    *,
    needs_arguments: bool = False,
    kind: type[TyperCommand] | None = None,
) -> None:
    """Make a function a command, with its docstring as the help."""
    app.command(
        name,
        help=_help(function),
        rich_help_panel=panel,
        no_args_is_help=needs_arguments,
        cls=kind,
    )(function)


def _register_cache() -> None:
    """`qvq cache` does something by itself and has a command below it."""
    cache = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False)
    clear = model_commands.cache_clear
    cache.callback(invoke_without_command=True)(model_commands.cache)
    cache.command("clear", help=_help(clear))(clear)
    text = _help(model_commands.cache)
    app.add_typer(cache, name="cache", help=text, rich_help_panel=MACHINE)


_register(solve, needs_arguments=True, kind=TakesStdinPages)
_register(model_commands.pull, panel=MODELS)
_register(model_commands.models, panel=MODELS)
_register(model_commands.show, panel=MODELS, needs_arguments=True)
_register(model_commands.verify, panel=MODELS)
_register(model_commands.import_, "import", MODELS, needs_arguments=True)
_register(model_commands.rm, panel=MODELS, needs_arguments=True)
_register(model_commands.plan, panel=MACHINE)
_register(model_commands.bench, panel=MACHINE)
_register_cache()
_register(model_commands.doctor, panel=MACHINE)


def _print_version(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        session: Session = ctx.obj
        session.env.stdout.write(f"qvq {__version__}\n")
        raise typer.Exit


def run_typer(session: Session) -> int:
    """Read the command line and run its command. Returns: the exit code.

    Raises: QvqError: also for what Typer itself refuses. ReaderGoneError: while showing help.
    """
    try:
        # Help is Typer's to print; what a failed write means is the same for it as for an answer.
        with redirect_stdout(session.env.stdout):
            code = app(list(session.argv), prog_name="qvq", obj=session, standalone_mode=False)
    except Terminated as end:
        raise end.error from None
    except TyperRefusal as refusal:
        error = explain(refusal)
        if error is not None:
            raise error from None
        return ExitCode.USAGE
    if code == ExitCode.INTERRUPTED:  # what Typer makes of Ctrl-C
        raise AbortedError("interrupted")
    return code or ExitCode.ANSWER


def check_settings(session: Session) -> None:
    """Read a command line that sets nothing, so that config file and variables set everything.

    Raises: ConfigError: one of them is wrong.
    """
    group = typer.main.get_group(app)
    try:
        group.commands["solve"].make_context(
            "solve", ["?"], obj=session, default_map=_defaults(session)
        ).close()
    except TyperRefusal as refusal:
        error = explain(refusal)
        assert error is not None
        raise error from None


def _defaults(session: Session) -> dict[str, str | int | float | bool]:
    """The config file's values by parameter.

    The store reads `model` and `mmproj` itself: what was typed or in QVQ_MODEL comes before them.
    """
    return {
        key.replace("-", "_"): value
        for key, value in session.config.values.items()
        if key not in ("model", "mmproj")
    }


@app.callback()
def options(
    ctx: typer.Context,
    version: bool = typer.Option(  # noqa: ARG001  # its callback does the work
        False, "--version", "-V", help="Show the version.", is_eager=True, callback=_print_version
    ),
) -> None:
    session: Session = ctx.obj
    command = ctx.invoked_subcommand
    if command in ("solve", "plan", "bench") and not session.wants_help:
        ctx.default_map = {command: _defaults(session)}
