"""Take a model off this machine: what goes, what it frees, and what stays because others need it.

In the cache that the Hugging Face tools share, their own delete strategy decides, so that content
that another commit points to survives. Files imported by link are left where they are.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from qvq_cli.errors import CannotWriteError
from qvq_cli.hub.hf_cache import cache_dir
from qvq_cli.hub.manifest import (
    Installed,
    InstalledFile,
    Manifest,
    change_manifest,
    data_dir,
    read_manifest,
)

if TYPE_CHECKING:
    from huggingface_hub import DeleteCacheStrategy


class Kept(NamedTuple):
    """A file that stays, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Removal:
    """What removing a model does. freed_bytes: what the disk will have more."""

    installed: Installed
    paths: tuple[Path, ...]
    freed_bytes: int
    kept: tuple[Kept, ...]


def plan_removal(installed: Installed, environ: Mapping[str, str] = os.environ) -> Removal:
    """Find out what can go. Raises: ConfigError: the manifest is damaged."""
    users = _users(installed, read_manifest(environ))
    paths: list[Path] = []
    kept: list[Kept] = []
    freed_bytes = 0
    for file in installed.files:
        reason = _reason_to_keep(file, installed, users, environ)
        if reason is not None:
            kept.append(Kept(file.path, reason))
        elif file.path.exists() or file.path.is_symlink():
            paths.append(file.path)
    strategy = _strategy(_in_cache(paths, environ), environ)
    if strategy is not None:
        freed_bytes += strategy.expected_freed_size
    for path in paths:
        if path.is_file() and cache_dir(environ) not in path.parents:
            freed_bytes += path.stat().st_size
    return Removal(installed, tuple(paths), freed_bytes, tuple(kept))


def remove(removal: Removal, environ: Mapping[str, str] = os.environ) -> None:
    """Carry it out: the list first, so that a model half removed is never used.

    Raises: CannotWriteError.
    """

    def forget(manifest: Manifest) -> Manifest:
        manifest = manifest.without_model(removal.installed.model_id)
        for path in removal.paths:
            manifest = manifest.without_file(path)
        return manifest

    change_manifest(forget, environ)
    strategy = _strategy(_in_cache(removal.paths, environ), environ)
    try:
        if strategy is not None:
            strategy.execute()
        for path in removal.paths:
            path.unlink(missing_ok=True)
            if data_dir(environ) / "models" in path.parents and not any(path.parent.iterdir()):
                path.parent.rmdir()
    except OSError as error:
        raise CannotWriteError(
            f"{error.filename or removal.installed.model_id} can't be removed: "
            f"{error.strerror or error}",
            hint="remove it by hand; qvq no longer counts it as installed",
        ) from error


def _users(installed: Installed, manifest: Manifest) -> dict[Path, str]:
    """The files of all other models, with the model that needs each."""
    return {
        file.path: each.model_id
        for each in manifest.models
        if each.model_id != installed.model_id
        for file in each.files
    }


def _reason_to_keep(
    file: InstalledFile, installed: Installed, users: Mapping[Path, str], environ: Mapping[str, str]
) -> str | None:
    if file.path in users:
        return f"{users[file.path]} needs it"
    if installed.source == "import" and data_dir(environ) not in file.path.parents:
        return "it was imported by link, and stays where it is"
    return None


def _in_cache(paths: tuple[Path, ...] | list[Path], environ: Mapping[str, str]) -> list[Path]:
    return [path for path in paths if cache_dir(environ) in path.parents]


def _strategy(paths: list[Path], environ: Mapping[str, str]) -> "DeleteCacheStrategy | None":
    """How the Hugging Face tools would delete these files of their cache."""
    if not paths:
        return None
    from huggingface_hub import scan_cache_dir

    cache = scan_cache_dir(cache_dir(environ))
    wanted = set(paths)
    found = [
        file
        for repo in cache.repos
        for revision in repo.revisions
        for file in revision.files
        if file.file_path in wanted
    ]
    return cache.delete_files(*found)
