"""Take a model off this machine: what goes, what it frees, and what stays because others need it.

The same for what an unfinished pull or import left, and for our copies of a model that another of
its name has replaced. In the cache that the Hugging Face tools share, their own delete strategy
decides, so that content that another commit points to survives. Files imported by link are left
where they are.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from qvq_cli.errors import CannotWriteError
from qvq_cli.hub.hf_cache import cache_dir
from qvq_cli.hub.installed import find_installed, matching
from qvq_cli.hub.manifest import (
    Installed,
    InstalledFile,
    Manifest,
    Unfinished,
    change_manifest,
    copies_dir,
    data_dir,
    read_manifest,
)
from qvq_cli.hub.partial import is_unfinished

if TYPE_CHECKING:
    from huggingface_hub import DeleteCacheStrategy


class Kept(NamedTuple):
    """A file that stays, and why."""

    path: Path
    reason: str


class Leftover(NamedTuple):
    """What unfinished pulls and imports of a model left here.

    n_bytes: that they take. to: the folder that a pull was told with --to.
    """

    model_id: str
    n_bytes: int
    is_pull: bool
    to: Path | None


@dataclass(frozen=True, slots=True)
class Removal:
    """What removing a model does, be it whole or not. freed_bytes: what the disk will have more."""

    model_id: str
    paths: tuple[Path, ...]
    freed_bytes: int
    kept: tuple[Kept, ...]


def list_leftovers(environ: Mapping[str, str] = os.environ) -> tuple[Leftover, ...]:
    """All that was begun and still takes room. Raises: ConfigError: the manifest is damaged."""
    manifest = read_manifest(environ)
    used = {file.path for model in manifest.models for file in model.files}
    n_bytes: dict[str, int] = {}
    last: dict[str, Unfinished] = {}
    for begun in manifest.unfinished:
        ours = _ours(begun, used, manifest, environ)
        n_bytes[begun.model_id] = n_bytes.get(begun.model_id, 0) + sum(map(_disk_bytes, ours))
        last[begun.model_id] = begun
    return tuple(
        Leftover(model_id, n_bytes[model_id], begun.source == "pull", _folder_given(begun, environ))
        for model_id, begun in last.items()
        if n_bytes[model_id]
    )


def find_removable(model: str, environ: Mapping[str, str] = os.environ) -> str:
    """The model_id of what NAME or NAME:QUANT means, an installed model before an unfinished one.

    Raises: UnavailableError: there is neither. UsageError: it is none that could be removed.
    """
    manifest = read_manifest(environ)
    if not matching(model, manifest.models):
        typed = model.lower()
        for begun in manifest.unfinished:
            if typed in (begun.model_id.lower(), begun.model_id.rpartition(":")[0].lower()):
                return begun.model_id
    return find_installed(model, environ).model_id


def plan_removal(model_id: str, environ: Mapping[str, str] = os.environ) -> Removal:
    """Find out what can go. Raises: ConfigError: the manifest is damaged."""
    manifest = read_manifest(environ)
    installed = next((each for each in manifest.models if each.model_id == model_id), None)
    users = _users(model_id, manifest)
    paths: list[Path] = []
    kept: list[Kept] = []
    for file in installed.files if installed is not None else ():
        reason = _reason_to_keep(file, installed, users, environ)
        if reason is not None:
            kept.append(Kept(file.path, reason))
        elif os.path.lexists(file.path):
            paths.append(file.path)
    for begun in _begun(model_id, manifest):
        paths += _ours(begun, users.keys() | set(paths), manifest, environ)
    strategy = _strategy(_in_cache(paths, environ), environ)
    freed_bytes = strategy.expected_freed_size if strategy is not None else 0
    cached = set(_in_cache(paths, environ))
    freed_bytes += sum(_disk_bytes(path) for path in paths if path not in cached)
    return Removal(model_id, tuple(paths), freed_bytes, tuple(kept))


def remove(removal: Removal, environ: Mapping[str, str] = os.environ) -> None:
    """Carry it out: the list first, so that a model half removed is never used.

    Raises: CannotWriteError.
    """

    def forget(manifest: Manifest) -> Manifest:
        manifest = manifest.without_model(removal.model_id)
        for begun in _begun(removal.model_id, manifest):
            manifest = manifest.without_unfinished(begun)
        for path in removal.paths:
            manifest = manifest.without_file(path)
        return manifest

    change_manifest(forget, environ)
    _delete(removal.paths, environ)


def register(
    installed: Installed, begun: Unfinished | None, environ: Mapping[str, str] = os.environ
) -> tuple[Path, ...]:
    """List a model whose files are in their places, instead of the one that had its name.

    Args: begun: what was written down before its files were brought here.
    Returns: what nothing names from now on: copies of ours that only the earlier one used, and what
        earlier pulls of it left unfinished.
    Raises: CannotWriteError.
    """
    stale: list[Path] = []

    def change(manifest: Manifest) -> Manifest:
        earlier = [each for each in manifest.models if each.model_id == installed.model_id]
        manifest = manifest.with_model(installed)
        if begun is not None:
            manifest = manifest.without_unfinished(begun)
        given_up = _given_up(installed, manifest)
        for each in given_up:
            manifest = manifest.without_unfinished(each)
        used = {file.path for model in manifest.models for file in model.files}
        files = [file.path for model in earlier for file in model.files]
        stale[:] = [path for path in files if path not in used and _is_copy(path, environ)]
        for path in stale:
            manifest = manifest.without_file(path)
        others = {path for each in manifest.unfinished for path in each.paths}
        stale.extend(
            path
            for each in given_up
            for path in each.paths
            if is_unfinished(path) and path not in others
        )
        return manifest

    change_manifest(change, environ)
    return tuple(stale)


def discard(paths: Sequence[Path], environ: Mapping[str, str] = os.environ) -> int:
    """Delete files that nothing uses. Returns: the bytes freed. Raises: CannotWriteError."""
    freed_bytes = sum(map(_disk_bytes, paths))
    _delete(paths, environ)
    return freed_bytes


def _given_up(installed: Installed, manifest: Manifest) -> list[Unfinished]:
    """Earlier pulls of a model that is whole now: of commits that have been left behind."""
    begun = _begun(installed.model_id, manifest)
    return [each for each in begun if each.source == installed.source == "pull"]


def _folder_given(begun: Unfinished, environ: Mapping[str, str]) -> Path | None:
    folder = begun.paths[0].parent
    own = (cache_dir(environ), data_dir(environ))
    return None if any(each in begun.paths[0].parents for each in own) else folder


def _begun(model_id: str, manifest: Manifest) -> list[Unfinished]:
    return [each for each in manifest.unfinished if each.model_id == model_id]


def _ours(
    begun: Unfinished, used: Iterable[Path], manifest: Manifest, environ: Mapping[str, str]
) -> list[Path]:
    """The files it left that are ours to delete.

    In a folder of the user's own, a file that was there before may have one of these names.
    """
    others = set(used)
    return [
        path
        for path in begun.paths
        if path not in others
        and os.path.lexists(path)
        and (is_unfinished(path) or _is_copy(path, environ) or str(path) in manifest.files)
    ]


def _users(model_id: str, manifest: Manifest) -> dict[Path, str]:
    """The files of all other models, whole or unfinished, with the model that needs each."""
    begun = ((path, each.model_id) for each in manifest.unfinished for path in each.paths)
    whole = ((file.path, each.model_id) for each in manifest.models for file in each.files)
    return {path: other for path, other in (*begun, *whole) if other != model_id}


def _reason_to_keep(
    file: InstalledFile,
    installed: Installed | None,
    users: Mapping[Path, str],
    environ: Mapping[str, str],
) -> str | None:
    if file.path in users:
        return f"{users[file.path]} needs it"
    is_import = installed is not None and installed.source == "import"
    if is_import and not _is_copy(file.path, environ):
        return "it was imported by link, and stays where it is"
    return None


def _is_copy(path: Path, environ: Mapping[str, str]) -> bool:
    """Whether it lies where only we put files."""
    return copies_dir(environ) in path.parents


def _delete(paths: Sequence[Path], environ: Mapping[str, str]) -> None:
    """Raises: CannotWriteError."""
    strategy = _strategy(_in_cache(paths, environ), environ)
    try:
        if strategy is not None:
            strategy.execute()
        for path in paths:
            path.unlink(missing_ok=True)
            with suppress(FileNotFoundError):  # the folder went with another file of these
                if _is_copy(path, environ) and not any(path.parent.iterdir()):
                    path.parent.rmdir()
    except OSError as error:
        raise CannotWriteError(
            f"{error.filename or paths[0]} can't be removed: {error.strerror or error}",
            hint="remove it by hand; qvq no longer counts it as installed",
        ) from error


def _disk_bytes(path: Path) -> int:
    """What a file takes on the disk: an unfinished one has holes. 0 where there is none."""
    try:
        found = path.stat()
    except OSError:
        return 0
    n_blocks: int | None = getattr(found, "st_blocks", None)  # not on Windows
    if n_blocks is None or not is_unfinished(path):
        return found.st_size
    return min(found.st_size, n_blocks * 512)


def _in_cache(paths: Iterable[Path], environ: Mapping[str, str]) -> list[Path]:
    """The whole files among these that lie in the Hugging Face cache."""
    cache = cache_dir(environ)
    return [path for path in paths if cache in path.parents and not is_unfinished(path)]


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
