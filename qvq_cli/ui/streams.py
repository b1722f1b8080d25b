"""Where the process reads and writes: the only place that asks isatty, widths and NO_COLOR.

Tests build an `Environment` of their own streams and variables; main alone calls
`Environment.from_process`. What a failed write means is decided here too, once for every renderer:

    stdout's reader went away    ReaderGoneError: main returns ExitCode.BROKEN_PIPE and says nothing
    stdout is full or closed     CannotWriteError (73)
    stderr fails                 its text is dropped, the answer matters more ...
    ... as stdout's own pipe     ReaderGoneError: `qvq ... 2>&1 | head` must not think for nobody
"""

import codecs
import errno
import io
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple, TextIO

from qvq_cli.errors import CannotWriteError

_DEFAULT_COLUMNS = 80
_DUMB_TERMS = frozenset({"dumb", "unknown"})
# Windows reports a pipe without a reader as EINVAL.
_READER_GONE = {errno.EPIPE, errno.ESHUTDOWN} | ({errno.EINVAL} if os.name == "nt" else set())

_LOOKALIKES = {
    **dict(zip("→·–…×“”’━─", '>--~x""\'=-', strict=True)),
    **dict(zip("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\|/-\\|/", strict=True)),
}
_LOOKALIKE_ERRORS = "qvq_cli.lookalike"


class ReaderGoneError(Exception):
    """Nobody reads our output any more; main ends the process quietly with 141."""


def _replace_with_lookalikes(error: UnicodeError) -> tuple[str, int]:
    """A codec error handler: our own signs become ASCII of the same width, anything else a `?`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_LOOKALIKES.get(character, "?") for character in lost), error.end


codecs.register_error(_LOOKALIKE_ERRORS, _replace_with_lookalikes)


class OutputStream(io.TextIOBase):
    """stdout or stderr: flushes every write and knows what a failed one means.

    Args:
        file: what to write to; None when the process was started with the stream closed.
        vital: a failed write ends the run (stdout) instead of being dropped (stderr).
        twin: the other stream, to notice that both are one pipe.
    """

    def __init__(
        self,
        file: TextIO | None,
        variables: Mapping[str, str],
        *,
        vital: bool,
        twin: "OutputStream | None" = None,
    ):
        self._file = file
        self._vital = vital
        self._twin = twin
        self._is_gone = False
        self._columns = variables.get("COLUMNS", "")
        self.is_terminal = file is not None and not file.closed and file.isatty()
        if isinstance(file, io.TextIOWrapper):
            file.reconfigure(errors=_LOOKALIKE_ERRORS)

    def columns(self) -> int:
        """The width now: COLUMNS when it is set, else the terminal's, else 80."""
        if self._columns.isdigit() and int(self._columns) > 0:
            return int(self._columns)
        if self.is_terminal:
            with suppress(OSError):
                return os.get_terminal_size(self.fileno()).columns or _DEFAULT_COLUMNS
        return _DEFAULT_COLUMNS

    @property
    def encoding(self) -> str:  # type: ignore[override]  # TextIOBase calls it a plain attribute
        return getattr(self._file, "encoding", None) or "utf-8"

    @property
    def is_unicode(self) -> bool:
        return self.encoding.lower().replace("_", "-").startswith("utf")

    def isatty(self) -> bool:
        return self.is_terminal

    def fileno(self) -> int:
        if self._file is None:
            raise OSError(errno.EBADF, "the stream is closed")
        return self._file.fileno()

    def check_open(self) -> None:
        """Raises: CannotWriteError: the stream was closed before the process began (`>&-`)."""
        if self._file is None or self._file.closed:
            raise CannotWriteError(
                "standard output is closed, so there is nowhere to write the answer",
                hint="redirect it to a file instead: > answer.txt",
                reference="stdout-closed",
            )

    def write(self, text: str) -> int:
        """Write and flush.

        Raises: ReaderGoneError, CannotWriteError: as the module says.
        """
        if self._is_gone or (not self._vital and (self._file is None or self._file.closed)):
            return len(text)
        self.check_open()
        assert self._file is not None
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            self._fail(error)
        return len(text)

    def _fail(self, error: OSError) -> None:
        lost_reader = error.errno in _READER_GONE and (self._vital or self._is_twin())
        self._abandon()
        if lost_reader:
            raise ReaderGoneError from error
        if self._vital:
            raise CannotWriteError(
                f"standard output cannot be written: {error.strerror or error}",
                hint="free some space or choose another place, then run the command again",
                reference="stdout-failed",
            ) from error

    def _is_twin(self) -> bool:
        if self._twin is None:
            return False
        with suppress(OSError):
            return os.path.sameopenfile(self.fileno(), self._twin.fileno())
        return False

    def _abandon(self) -> None:
        """Let what is still buffered vanish, or the interpreter fails on it again when it exits."""
        self._is_gone = True
        with suppress(OSError):
            descriptor = self.fileno()
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, descriptor)
            os.close(devnull)


class Environment(NamedTuple):
    """The streams and the variables of one process."""

    stdin: TextIO | None
    stdout: OutputStream
    stderr: OutputStream
    variables: Mapping[str, str]

    @classmethod
    def of(
        cls,
        stdin: TextIO | None,
        stdout: TextIO | None,
        stderr: TextIO | None,
        variables: Mapping[str, str],
    ) -> "Environment":
        out = OutputStream(stdout, variables, vital=True)
        err = OutputStream(stderr, variables, vital=False, twin=out)
        return cls(stdin, out, err, variables)

    @classmethod
    def from_process(cls) -> "Environment":
        return cls.of(sys.stdin, sys.stdout, sys.stderr, os.environ)

    @property
    def stdin_is_terminal(self) -> bool:
        return self.stdin is not None and not self.stdin.closed and self.stdin.isatty()

    @property
    def has_colour(self) -> bool:
        """Source: no-color.org, "when present and not an empty string"."""
        return not self.variables.get("NO_COLOR")

    @property
    def is_dumb(self) -> bool:
        """The terminal can't move its cursor."""
        return self.variables.get("TERM", "").lower() in _DUMB_TERMS
