"""What one call of the program works with: its streams, its config file, and who tells errors.

Light to import: everything but the streams is read when it is asked for.
"""

import io
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

from qvq_cli.errors import QvqError
from qvq_cli.ui.streams import Environment

if TYPE_CHECKING:
    from subprocess import Popen

    from qvq_cli.hub.config import Config
    from qvq_cli.ui.screen import Screen
    from qvq_cli.ui.view import View


@dataclass
class Session:
    """Made by main for every call.

    started_s: perf_counter() when the program began. argv: what was typed after `qvq`. view: set by
    a command once it knows how its output is wanted; until then errors are plain text, and JSON
    too where `--json` or `--jsonl` was typed. worker: an engine's process that was started before
    anything was read, until a command takes it.
    """

    env: Environment
    started_s: float
    argv: tuple[str, ...] = ()
    view: "View | Screen | None" = None
    worker: "Popen[bytes] | None" = None

    def take_worker(self) -> "Popen[bytes] | None":
        """The worker, which is the caller's from now on."""
        worker, self.worker = self.worker, None
        return worker

    @cached_property
    def config(self) -> "Config":
        """The config file. Raises: ConfigError."""
        from qvq_cli.hub.config import load_config

        return load_config(self.env.variables)

    @property
    def wants_help(self) -> bool:
        """Whether the command line may only ask for help: a broken config file can't forbid it."""
        return self.argv == ("solve",) or not {"-h", "--help"}.isdisjoint(self.argv)

    @property
    def stdin_bytes(self) -> BinaryIO:
        """Stdin as bytes; nothing where the program was started without one."""
        stdin = self.env.stdin
        return io.BytesIO() if stdin is None or stdin.closed else stdin.buffer

    def open_screen(self, *, json: bool = False) -> "Screen":
        """Begin the output of a command that tells a result, not a run.

        Raises: CannotWriteError: stdout is closed.
        """
        from qvq_cli.ui.screen import Screen

        self.view = screen = Screen(self.env, json=json)
        return screen

    def show_error(self, error: QvqError) -> None:
        """Tell what ended the program, in the form that was asked for."""
        if self.view is not None:
            self.view.error(error)
            return
        from qvq_cli.ui.failure import render_error

        render_error(error, self.env)
        typed = self.argv[: self.argv.index("--")] if "--" in self.argv else self.argv
        if "--json" in typed or "--jsonl" in typed:
            from qvq_cli.ui.json import JsonLinesSink, JsonSink

            make = JsonSink if "--json" in typed else JsonLinesSink
            make(self.env, None).error(error)
