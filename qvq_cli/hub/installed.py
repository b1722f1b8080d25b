"""What is on this machine: found by name, chosen when none is named, verified byte by byte.

Only what the manifest lists counts, and only while its files look as they did when their sha256 was
right. Uses no network.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from qvq_cli.errors import CannotWriteError, UnavailableError, UsageError
from qvq_cli.hub.catalog import EMBEDDED
from qvq_cli.hub.hf_cache import cache_dir
from qvq_cli.hub.manifest import (
    Installed,
    InstalledFile,
    Manifest,
    VerifiedFile,
    change_manifest,
    read_manifest,
    verified_now,
)
from qvq_cli.hub.names import require_name, shown_name

_PIECE_BYTES = 4 << 20

FileState = Literal["ok", "missing", "wrong-size", "wrong-bytes", "unreadable"]


class FileCheck(NamedTuple):
    """What hashing a file again gave. sha256: what was found, None where nothing could be read."""

    file: InstalledFile
    state: FileState
    sha256: str | None


def list_installed(environ: Mapping[str, str] = os.environ) -> tuple[Installed, ...]:
    """All models, the best first: reasoners before others, then the larger ones.

    Those with missing or changed files are among them; `Installed.problem` says so.
    Raises: ConfigError: the manifest is damaged.
    """
    return tuple(sorted(read_manifest(environ).models, key=_rank))


def find_installed(model: str, environ: Mapping[str, str] = os.environ) -> Installed:
    """A model by NAME or NAME:QUANT; by NAME alone the best whole one of its quants.

    Raises: UnavailableError: it isn't installed; the message lists what is. UsageError: it is nano,
        which no command installs or removes, or no name at all.
    """
    installed = list_installed(environ)
    found = matching(require_name(model), installed)
    if found:
        return next((each for each in found if each.problem is None), found[0])
    if model.partition(":")[0].lower() == EMBEDDED:
        raise UsageError(
            f"{EMBEDDED} comes with the program: it is not among the models that were installed",
            hint="qvq doctor checks that it works; only uninstalling qvq removes it",
            reference="embedded-model",
        )
    there = "; what is: " + ", ".join(each.model_id for each in installed) if installed else ""
    raise UnavailableError(
        f"{shown_name(model)} is not installed{there}",
        hint="qvq models lists what is installed and what can be pulled",
        reference="not-installed",
    )


def matching(model: str, models: Iterable[Installed]) -> list[Installed]:
    """Those that NAME or NAME:QUANT means, in the order given; letters may be of either case."""
    typed = model.lower()
    return [each for each in models if typed in (each.name.lower(), each.model_id.lower())]


def verify(
    installed: Installed,
    on_progress: Callable[[InstalledFile, int], None],
    environ: Mapping[str, str] = os.environ,
) -> tuple[FileCheck, ...]:
    """Hash all of a model's files again.

    A file that is right though its time of change moved counts as verified from now on.
    on_progress(file, hashed_bytes) is called every few megabytes.
    """
    checks = []
    for file in installed.files:
        checks.append(_check(file, on_progress))
        if checks[-1].state == "ok" and file.problem is not None:
            record_verified(file.path, file.sha256, environ)
    return tuple(checks)


def record_verified(path: Path, sha256: str, environ: Mapping[str, str] = os.environ) -> None:
    """Write down that a file was hashed just now. Raises: CannotWriteError."""
    try:
        file = verified_now(path, sha256)
    except OSError as error:
        raise CannotWriteError(f"{path} can't be read: {error.strerror or error}") from error
    change_manifest(lambda manifest: manifest.with_file(file), environ)


def is_verified(path: Path, sha256: str | None, files: Mapping[str, VerifiedFile]) -> bool:
    """Whether a file was found to have this sha256 and looks unchanged since.

    Args: sha256: None where it isn't known beforehand: of a file that was joined from slices.
    """
    known = files.get(str(path))
    return known is not None and sha256 in (None, known.sha256) and known.problem is None


def discard_broken(checks: Iterable[FileCheck], environ: Mapping[str, str] = os.environ) -> None:
    """Remove broken files, so that a pull fetches them again.

    Files that were imported by link lie in a place of the user's own: they are left there, but
    count no more. Raises: CannotWriteError.
    """
    broken = [check.file.path for check in checks if check.state != "ok"]
    for path in broken:
        try:
            if cache_dir(environ) in path.parents:
                path.resolve().unlink(missing_ok=True)  # the blob; `path` links to it
            path.unlink(missing_ok=True)
        except OSError as error:
            raise CannotWriteError(
                f"{path} can't be removed: {error.strerror or error}",
                hint="remove it by hand, then pull again",
            ) from error

    def forget(manifest: Manifest) -> Manifest:
        for path in broken:
            manifest = manifest.without_file(path)
        return manifest

    change_manifest(forget, environ)


def sha256_of(path: Path, on_progress: Callable[[int], None]) -> str:
    """Hash a file; on_progress(hashed_bytes) every few megabytes. Raises: OSError."""
    digest = hashlib.sha256()
    n_bytes = 0
    with path.open("rb", buffering=0) as file:
        while data := file.read(_PIECE_BYTES):
            digest.update(data)
            n_bytes += len(data)
            on_progress(n_bytes)
    return digest.hexdigest()


def _check(file: InstalledFile, on_progress: Callable[[InstalledFile, int], None]) -> FileCheck:
    try:
        if file.path.stat().st_size != file.n_bytes:
            return FileCheck(file, "wrong-size", None)
        sha256 = sha256_of(file.path, lambda n_bytes: on_progress(file, n_bytes))
    except FileNotFoundError:
        return FileCheck(file, "missing", None)
    except OSError:
        return FileCheck(file, "unreadable", None)
    return FileCheck(file, "ok" if sha256 == file.sha256 else "wrong-bytes", sha256)


def _rank(model: Installed) -> tuple[bool, int]:
    return model.dialect == "plain", -model.n_bytes
