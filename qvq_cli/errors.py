"""Every error a person can meet, with its exit code and the next thing to type.

    QvqError
     ├─ UsageError              2   the command line contradicts itself
     ├─ NoAnswerError           3   the run ended without an answer
     ├─ DataError              65   what was given can't be used
     │   ├─ ImageError              unreadable, truncated, too large, not a picture
     │   ├─ GgufError               broken, foreign or unsupported GGUF, mmproj of another model
     │   └─ PromptError             longer than the model's context
     ├─ InputNotFoundError     66   no such picture, question or model file
     ├─ UnavailableError       69   model not installed, backend or optional reader not there
     ├─ EngineDiedError        70   llama.cpp crashed
     ├─ DoesNotFitError        71   not enough memory
     ├─ CannotWriteError       73   disk full, no permission
     ├─ TransferError          74   a download broke off
     ├─ UnreachableError       75   the Hub can't be reached
     │   └─ BusyError               it asks to come back later
     ├─ DeniedError            77   the Hub wants a login or an agreement first
     ├─ ConfigError            78   config file or environment variable
     └─ AbortedError          130   Ctrl-C, or a question answered with no; told without `error:`
         ├─ HungUpError       129   SIGHUP: its terminal was closed
         └─ TerminatedError   143   SIGTERM: it was asked to end

Modules below the command line raise these; `cli.app.main` alone turns them into a message on stderr
and an exit code. `reference` is a stable kebab-case name that scripts can match in the JSON. Source
of the shape: pip's DiagnosticPipError; of the codes: sysexits.h.
"""

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the process says to the shell; the table in README.md is checked against this."""

    ANSWER = 0
    BUG = 1
    USAGE = 2
    NO_ANSWER = 3
    BAD_DATA = 65
    NO_INPUT = 66
    UNAVAILABLE = 69
    ENGINE_DIED = 70
    DOES_NOT_FIT = 71
    CANNOT_WRITE = 73
    TRANSFER_BROKEN = 74
    TRY_LATER = 75
    DENIED = 77
    BAD_CONFIG = 78
    HUNG_UP = 129
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


class QvqError(Exception):
    """Something a person can understand and act on.

    Args:
        message: what happened and why, one sentence, without a final newline.
        hint: what to type or change next.
        reference: kebab-case name of this very case; the class's own when omitted.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    reference: str = "error"

    def __init__(self, message: str, *, hint: str | None = None, reference: str | None = None):
        super().__init__(message)
        self.message = message
        self.hint = hint
        if reference is not None:
            self.reference = reference


class UsageError(QvqError):
    exit_code = ExitCode.USAGE
    reference = "usage"


class NoAnswerError(QvqError):
    exit_code = ExitCode.NO_ANSWER
    reference = "no-answer"


class DataError(QvqError):
    exit_code = ExitCode.BAD_DATA
    reference = "bad-data"


class ImageError(DataError):
    reference = "bad-image"


class GgufError(DataError):
    reference = "bad-gguf"


class PromptError(DataError):
    reference = "prompt-too-long"


class InputNotFoundError(QvqError):
    exit_code = ExitCode.NO_INPUT
    reference = "no-such-input"


class UnavailableError(QvqError):
    exit_code = ExitCode.UNAVAILABLE
    reference = "unavailable"


class EngineDiedError(QvqError):
    exit_code = ExitCode.ENGINE_DIED
    reference = "engine-died"


class DoesNotFitError(QvqError):
    exit_code = ExitCode.DOES_NOT_FIT
    reference = "does-not-fit"


class CannotWriteError(QvqError):
    exit_code = ExitCode.CANNOT_WRITE
    reference = "cannot-write"


class TransferError(QvqError):
    exit_code = ExitCode.TRANSFER_BROKEN
    reference = "transfer-broken"


class UnreachableError(QvqError):
    exit_code = ExitCode.TRY_LATER
    reference = "hub-unreachable"


class BusyError(UnreachableError):
    """wait_s: when the Hub wants to be asked again, None where it doesn't say."""

    reference = "hub-stumbles"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        reference: str | None = None,
        wait_s: float | None = None,
    ):
        super().__init__(message, hint=hint, reference=reference)
        self.wait_s = wait_s


class DeniedError(QvqError):
    exit_code = ExitCode.DENIED
    reference = "denied"


class ConfigError(QvqError):
    exit_code = ExitCode.BAD_CONFIG
    reference = "bad-config"


class AbortedError(QvqError):
    exit_code = ExitCode.INTERRUPTED
    reference = "interrupted"


class HungUpError(AbortedError):
    exit_code = ExitCode.HUNG_UP
    reference = "hung-up"


class TerminatedError(AbortedError):
    exit_code = ExitCode.TERMINATED
    reference = "terminated"
