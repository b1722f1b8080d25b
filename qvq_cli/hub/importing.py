"""Bring in files that were downloaded elsewhere: from a stick, a share, another machine.

They are checked as a pull's are: headers, pair, and the sha256 of every byte, compared with the
catalog's where it knows one. Linked files stay where they are and must stay there. Copies go into a
new folder of the data folder for every import: two models never share one, and nothing is written
over what another may be using. Uses no network.
"""

import itertools
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from qvq_cli.errors import CannotWriteError, DataError, InputNotFoundError, UsageError
from qvq_cli.hub.catalog import EMBEDDED, CatalogEntry
from qvq_cli.hub.copying import OnProgress, Taken, cannot_import, take
from qvq_cli.hub.disk import expand_home, free_bytes, is_file, is_folder, require_writable
from qvq_cli.hub.gguf import read_gguf, require_file, unreadable
from qvq_cli.hub.hf_cache import quant_in_name
from qvq_cli.hub.identify import Identity, identify
from qvq_cli.hub.manifest import (
    Installed,
    InstalledFile,
    Unfinished,
    change_manifest,
    copies_dir,
    data_dir,
    read_manifest,
    verified_now,
)
from qvq_cli.hub.pair import Pair, check_pair, is_named_mmproj, pair_with_best
from qvq_cli.hub.partial import part_path
from qvq_cli.hub.remedy import remedy
from qvq_cli.hub.removal import discard, register
from qvq_cli.hub.splits import part_name, whole_name
from qvq_cli.sizes import size


class Imported(NamedTuple):
    """freed_bytes: of the copies that an earlier model of the same name had here."""

    installed: Installed
    freed_bytes: int


class _Given(NamedTuple):
    """What is to be imported. slices: of the model, in order; none where it isn't cut."""

    model: Path
    slices: list[Path]
    mmprojs: list[Path]


class _Listed(NamedTuple):
    """stale: our copies that only the model used which this one replaces."""

    installed: Installed
    stale: tuple[Path, ...]


def import_model(
    path: Path,
    *,
    mmproj: Path | None = None,
    link: bool = False,
    on_progress: OnProgress,
    environ: Mapping[str, str] = os.environ,
) -> Imported:
    """Check a model and register it, instead of the one that has its name and quant.

    Args:
        path: a GGUF, a slice of one that was cut up, or a folder with one model in it.
        mmproj: its mmproj; the one in the model's folder that fits best where it isn't given.
        link: leave the files where they are. Slices are joined, and so always copied.
    Raises: InputNotFoundError: no such file, or no mmproj. GgufError: a file is damaged, or the two
        are no pair. DataError: not the bytes that the catalog knows under that name.
        UsageError: the folder holds several models, or a file is a copy of our own.
        CannotWriteError: no room to copy, or the data folder can't be written to.
    """
    given = _look(path, mmproj)
    target = data_dir(environ) if link and not given.slices else copies_dir(environ)
    require_writable(target, hint="set QVQ_DATA to a folder of yours")
    _refuse_own([given.model], environ)  # before what is wrong with it is told
    if given.slices:
        installed, stale = _import_slices(given, link, on_progress, environ)
    else:
        installed, stale = _import_whole(given, link, on_progress, environ)
    return Imported(installed, discard(stale, environ))


def _import_whole(
    given: _Given, link: bool, on_progress: OnProgress, environ: Mapping[str, str]
) -> _Listed:
    pair = _pair(given.model, given.mmprojs)
    files = [*pair.model.parts, pair.mmproj.path]
    _refuse_own(files, environ)
    if link:
        taken = [take([file], None, on_progress) for file in files]
        return _register(pair, taken, None, environ)
    _require_room(files, environ)
    identity = identify(pair)
    model_id = f"{_name_of(identity, given.model)}:{identity.quant}"
    with _new_folder(model_id, [file.name for file in files], environ) as begun:
        copies = zip(files, _copies(begun), strict=True)
        taken = [take([file], copy, on_progress) for file, copy in copies]
        return _register(pair, taken, begun, environ)


def _import_slices(
    given: _Given, link: bool, on_progress: OnProgress, environ: Mapping[str, str]
) -> _Listed:
    """The model has to be joined before anything else is known of it."""
    _refuse_own([*given.slices, *given.mmprojs], environ)
    whole = whole_name(given.model.name)
    _require_room(given.slices, environ)
    model_id = f"{_plain_name(whole)}:{quant_in_name(whole) or '?'}"
    # Which mmproj it will be is not known yet either; its copy gets the same name for all of them.
    with _new_folder(model_id, [whole, f"mmproj-{whole}"], environ) as begun:
        model_copy, mmproj_copy = _copies(begun)
        model = take(given.slices, model_copy, on_progress)
        pair = _pair(model_copy, given.mmprojs)
        if not link:
            _require_room([pair.mmproj.path], environ)
        mmproj = take([pair.mmproj.path], None if link else mmproj_copy, on_progress)
        return _register(pair, [model, mmproj], begun, environ)


def _look(path: Path, mmproj: Path | None) -> _Given:
    path = expand_home(path).absolute()
    model = _model_in(path) if is_folder(path) else path
    require_file(model)
    if mmproj is None:
        mmprojs = [each for each in _listing(model.parent) if is_named_mmproj(each)]
    else:
        mmprojs = [expand_home(mmproj).absolute()]
    return _Given(model, _slices(model), mmprojs)


def _listing(folder: Path) -> list[Path]:
    """Raises: InputNotFoundError: it may not be looked into."""
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise unreadable(folder, error) from error


def _model_in(folder: Path) -> Path:
    """The one model in a folder: its file, or the first of its parts or slices."""
    models = [
        path
        for path in _listing(folder)
        if is_file(path) and not is_named_mmproj(path) and _is_first(path)
    ]
    if not models:
        raise InputNotFoundError(f"there is no GGUF model in {folder}", reference="no-such-model")
    if len(models) > 1:
        raise UsageError(
            f"there are {len(models)} models in {folder}",
            hint="import them one by one: " + ", ".join(f'"{path}"' for path in models),
            reference="several-models",
        )
    return models[0]


def _is_first(path: Path) -> bool:
    part = part_name(path.name)
    if part is not None:
        return part.number == 1
    return path.suffix.lower() == ".gguf"


def _slices(path: Path) -> list[Path]:
    """All slices of the GGUF that `path` is one of, in order; none where it isn't.

    Raises: InputNotFoundError: some are missing.
    """
    part = part_name(path.name)
    if part is None or not part.is_slice:
        return []
    if part.total is not None:
        names = [f"{part.whole}.part{i}of{part.total}" for i in range(1, part.total + 1)]
    else:
        found = (part_name(each.name) for each in _listing(path.parent))
        n_slices = max(each.number for each in found if each and each.whole == part.whole)
        names = [f"{part.whole}.{chr(ord('a') + i)}" for i in range(n_slices)]
    missing = [name for name in names if not is_file(path.with_name(name))]
    if missing:
        raise InputNotFoundError(
            f"{part.whole} was cut into {len(names)} slices, and {len(missing)} of them are "
            f"not in {path.parent}: {', '.join(missing[:4])}",
            hint="put all slices into one folder",
            reference="missing-part",
        )
    return [path.with_name(name) for name in names]


def _pair(model: Path, mmprojs: Sequence[Path]) -> Pair:
    file = read_gguf(model)
    if len(mmprojs) == 1:
        return check_pair(file, read_gguf(mmprojs[0]))
    return pair_with_best(file, mmprojs)


def _refuse_own(files: Sequence[Path], environ: Mapping[str, str]) -> None:
    """Refuse our own copies: hashing what broke would make it count as right.

    Raises: UsageError.
    """
    copies = copies_dir(environ).resolve()
    listed = {
        _disk_id(file.path): model
        for model in read_manifest(environ).models
        for file in model.files
        if copies in file.path.resolve().parents
    }
    for file in files:
        found = _disk_id(file)
        owner = None if found is None else listed.get(found)
        if owner is None and copies not in file.resolve().parents:
            continue
        raise UsageError(
            f"{file} is a copy of qvq's own"
            + (f", which {owner.model_id} uses" if owner else "")
            + "; only what came from elsewhere can be imported",
            hint=f"qvq verify {owner.model_id} checks it; if it is broken, {remedy(owner)}"
            if owner
            else "give the file that it was copied from",
            reference="own-copy",
        )


def _disk_id(path: Path) -> tuple[int, int] | None:
    """The same for all names of one file; None where there is none, or the disk doesn't tell."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found.st_ino else None


def _require_room(sources: Sequence[Path], environ: Mapping[str, str]) -> None:
    n_bytes = sum(path.stat().st_size for path in sources)
    there_bytes = free_bytes(copies_dir(environ))
    if n_bytes > there_bytes:
        raise CannotWriteError(
            f"a copy takes {size(n_bytes)}, and {size(there_bytes)} are free in "
            f"{copies_dir(environ)}",
            hint="leave the files where they are with --link, or set QVQ_DATA to another disk",
            reference="disk-full",
        )


@contextmanager
def _new_folder(
    model_id: str, names: Sequence[str], environ: Mapping[str, str]
) -> Iterator[Unfinished]:
    """A folder for the copies of one import, written down, and gone again where the import fails.

    Args: names: of the files that will be in it.
    """
    folder = _make_folder(model_id.partition(":")[0], environ)
    paths = [folder / name for name in _distinct(names)]
    begun = Unfinished(model_id, "import", (*paths, *map(part_path, paths)))
    try:
        change_manifest(lambda manifest: manifest.with_unfinished(begun), environ)
        yield begun
    except BaseException:  # Ctrl-C and SIGTERM too: half a copy is of no use to anybody
        listed = {file.path for model in read_manifest(environ).models for file in model.files}
        if listed.isdisjoint(paths):
            shutil.rmtree(folder, ignore_errors=True)
            change_manifest(lambda manifest: manifest.without_unfinished(begun), environ)
        raise


def _make_folder(name: str, environ: Mapping[str, str]) -> Path:
    """A folder that wasn't there before, called like the model."""
    parent = copies_dir(environ)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for n_tries in itertools.count(1):
            folder = parent / (name if n_tries == 1 else f"{name}-{n_tries}")
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as error:
        raise cannot_import(parent, error) from error
    raise AssertionError("some number is free")


def _distinct(names: Sequence[str]) -> list[str]:
    """The names of model and mmproj, which may have come from two folders with the same one."""
    *models, mmproj = names
    return [*models, f"mmproj-{mmproj}" if mmproj in models else mmproj]


def _copies(begun: Unfinished) -> tuple[Path, ...]:
    """Where the copies go: its paths without those of unfinished files."""
    return begun.paths[: len(begun.paths) // 2]


def _register(
    pair: Pair, taken: Sequence[Taken], begun: Unfinished | None, environ: Mapping[str, str]
) -> _Listed:
    """Compare with the catalog, and list the model."""
    identity = identify(pair)
    entry = identity.entry
    for each in taken:
        _check_known(entry if entry is not None and entry.name != EMBEDDED else None, each)
    installed = Installed(
        name=_name_of(identity, taken[0].source),
        quant=identity.quant,
        repo=None,
        commit=None,
        source="import",
        dialect=identity.profile.dialect,
        files=tuple(
            InstalledFile.of(
                verified_now(each.path, each.sha256),
                "mmproj" if each is taken[-1] else "model",
                each.path.name,
            )
            for each in taken
        ),
        imported_from=(taken[0].source, taken[-1].source),
    )
    return _Listed(installed, register(installed, begun, environ))


def _check_known(entry: CatalogEntry | None, taken: Taken) -> None:
    """Refuse a file that the catalog knows with another sha256."""
    if entry is None:
        return
    listed = [entry.mmproj, *(file for files in entry.quants.values() for file in files)]
    name = whole_name(taken.source.name) if taken.is_joined else taken.source.name
    known = [file for file in listed if PurePosixPath(file.name).name == name]
    if known and known[0].sha256 not in (None, taken.sha256):
        raise DataError(
            f"{name} has other bytes than the catalog's file of that name: its sha256 "
            f"is {taken.sha256[:16]}…, the known one {(known[0].sha256 or '')[:16]}…",
            hint="it was damaged on the way: copy it again; if another publisher made it, give it "
            "another name and import it again",
            reference="checksum-mismatch",
        )


def _name_of(identity: Identity, model: Path) -> str:
    """What a model is called here: as in the catalog, else as its file is."""
    if identity.entry is not None and identity.entry.name != EMBEDDED:
        return identity.name
    return _plain_name(whole_name(model.name))


def _plain_name(file_name: str) -> str:
    """A file's name without its quant, in small letters."""
    quant = quant_in_name(file_name)
    stem = file_name.removesuffix(".gguf")
    if quant is not None:
        stem = re.sub(rf"[-_.]{quant}$", "", stem, flags=re.IGNORECASE)
    plain = re.sub(r"[^a-z0-9.]+", "-", stem.lower()).strip("-.") or "model"
    return f"{plain}-imported" if plain == EMBEDDED else plain
