"""What tells one model's files from another's, found in milliseconds whatever their size.

Where a file was verified its sha256 does it. Any other is known by its size, its time of change,
its header and samples spread over the rest: no two quants or finetunes agree in those, and reading
47 GB to be surer would cost more than what the fingerprint is for, a cache, saves.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from qvq_cli.errors import InputNotFoundError

_HEADER_BYTES = 1 << 20
_SAMPLE_BYTES = 4096
_N_SAMPLES = 32


def fingerprint(paths: Iterable[Path], verified: Mapping[Path, str]) -> str:
    """Name the content of a model's files: another string for other weights.

    Args: verified: the sha256 of files that look as they did when it was found right.
    Raises: InputNotFoundError: a file has gone.
    """
    digest = hashlib.sha256()
    for path in paths:
        sha256 = verified.get(path)
        digest.update(sampled(path) if sha256 is None else bytes.fromhex(sha256))
    return digest.hexdigest()


def sampled(path: Path) -> bytes:
    """A digest of a file's size, time of change, beginning and samples."""
    try:
        found = path.stat()
        digest = hashlib.sha256(f"{found.st_size} {found.st_mtime_ns}".encode())
        with path.open("rb") as file:
            digest.update(file.read(_HEADER_BYTES))
            for i in range(1, _N_SAMPLES + 1):
                file.seek(max(0, (found.st_size - _SAMPLE_BYTES) * i // _N_SAMPLES))
                digest.update(file.read(_SAMPLE_BYTES))
    except OSError as error:
        raise InputNotFoundError(
            f"{path} can't be read: {error.strerror or error}", reference="unreadable-model"
        ) from error
    return digest.digest()
