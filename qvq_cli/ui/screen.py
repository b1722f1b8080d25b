"""What the commands about models write on: a report or one JSON object, questions and notices.

    stdout   the result: a report, or with --json one object (an error too is then an object)
    stderr   questions, progress, notices and errors

Questions are asked only where somebody can read and answer them: stdin and stderr are terminals.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from qvq_cli import __version__
from qvq_cli.errors import AbortedError, QvqError
from qvq_cli.ui.clean import clean
from qvq_cli.ui.failure import render_error
from qvq_cli.ui.report import Report, render_report
from qvq_cli.ui.streams import Environment
from qvq_cli.ui.transfer import Phase, TransferFile
from qvq_cli.ui.transfer_views import TransferView, make_transfer_view

_YES, _NO = frozenset({"y", "yes"}), frozenset({"n", "no"})


class Screen:
    """Made by a command once it knows whether JSON is wanted.

    Raises: CannotWriteError: stdout is closed; better known before the work than after it.
    """

    def __init__(self, env: Environment, *, json: bool = False) -> None:
        env.stdout.check_open()
        self._env = env
        self._json = json
        self._is_told = False

    @property
    def can_ask(self) -> bool:
        """Whether a person sits at both ends of a question."""
        return self._env.stdin_is_terminal and self._env.stderr.is_terminal

    def result(self, report: Report, body: Mapping[str, Any]) -> None:
        """Put the result on stdout, in the form that was asked for.

        Args: body: of the JSON object; `schema` and `version` are put before it.
        """
        if self._json:
            self._write_json(body)
        else:
            render_report(report, self._env.stdout, self._env)

    def explain(self, report: Report) -> None:
        """Show on stderr what a person should see before or after the result."""
        render_report(report, self._env.stderr, self._env)

    def notice(self, text: str) -> None:
        """Say something in one line on stderr."""
        self._env.stderr.write(f"qvq: {clean(text)}\n")

    def ask(self, question: str, *, default: bool) -> bool:
        """Ask and wait; Enter is the default, the end of stdin a no.

        Raises: AbortedError: Ctrl-C.
        """
        stdin = self._env.stdin
        assert stdin is not None
        choices = "[Y/n]" if default else "[y/N]"
        while True:
            self._env.stderr.write(f"{clean(question)} {choices} ")
            try:
                typed = stdin.readline()
            except KeyboardInterrupt:
                self._env.stderr.write("\n")
                raise AbortedError("interrupted") from None
            if not typed:
                self._env.stderr.write("\n")
                return False
            reply = typed.strip().lower()
            if not reply:
                return default
            if reply in _YES | _NO:
                return reply in _YES

    def transfer(self, files: Sequence[TransferFile], counted: Phase) -> TransferView:
        """Show how far these files are while its `with` runs."""
        return make_transfer_view(files, counted, self._env)

    def error(self, error: QvqError) -> None:
        """Tell what ended the command."""
        render_error(error, self._env)
        if self._json and not self._is_told:
            from qvq_cli.ui.json import error_object

            self._write_json(error_object(error))

    def _write_json(self, body: Mapping[str, Any]) -> None:
        from qvq_cli.ui.json import SCHEMA, dump

        self._is_told = True
        stdout = self._env.stdout
        whole = {"schema": SCHEMA, "version": __version__, **body}
        stdout.write(dump(whole, ascii_only=not stdout.is_unicode) + "\n")
