"""Bring in files that were downloaded elsewhere: from a stick, a share, another machine.

They are checked as a pull's are: headers, pair, and the sha256 of every byte, compared with the
catalog's where it knows one. Linked files stay where they are and must stay there; copied ones go
into the data folder. Uses no network.
"""

import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from qvq_cli.errors import (
    CannotWriteError,
    DataError,
    InputNotFoundError,
    QvqError,
    UsageError,
)
from qvq_cli.hub.catalog import EMBEDDED, CatalogEntry
from qvq_cli.hub.disk import free_bytes, require_writable
from qvq_cli.hub.foreign import RAW_PART
from qvq_cli.hub.gguf import read_gguf
from qvq_cli.hub.hf_cache import quant_in_name
from qvq_cli.hub.identify import identify
from qvq_cli.hub.manifest import (
    Installed,
    InstalledFile,
    change_manifest,
    data_dir,
    verified_now,
)
from qvq_cli.hub.pair import Pair, check_pair, is_named_mmproj, pair_with_best
from qvq_cli.sizes import size

OnProgress = Callable[[Path, int, int], None]
"""Called with a file, how much of it is done, and its size."""

_PIECE_BYTES = 4 << 20
_SPLIT = re.compile(r"-(?P<number>\d{5})-of-\d{5}(?=\.gguf$)", re.IGNORECASE)


class _Taken(NamedTuple):
    """A file that was hashed, and copied where it had to be."""

    path: Path
    sha256: str


def import_model(
    path: Path,
    *,
    mmproj: Path | None = None,
    link: bool = False,
    on_progress: OnProgress,
    environ: Mapping[str, str] = os.environ,
) -> Installed:
    """Check a model and register it.

    Args:
        path: a GGUF, a slice of one that was cut up, or a folder with one model in it.
        mmproj: its mmproj; the one in the model's folder that fits best where it isn't given.
        link: leave the files where they are. Slices are joined, and so always copied.
    Raises: InputNotFoundError: no such file, or no mmproj. GgufError: a file is damaged, or the two
        are no pair. DataError: not the bytes that the catalog knows under that name.
        UsageError: the folder holds several models. CannotWriteError: no room to copy.
    """
    path = path.expanduser().absolute()
    model = _model_in(path) if path.is_dir() else path
    if not model.is_file():
        raise InputNotFoundError(f"there is no file {model}", reference="no-such-model")
    require_writable(data_dir(environ), hint="set QVQ_DATA to a folder of yours")
    folder = data_dir(environ) / "models" / _name_of(model)
    mmprojs = _mmprojs(model, mmproj)
    slices = _slices(model)
    taken: list[_Taken] = []
    try:
        if slices:
            _require_room(slices, folder)
            taken.append(_take(slices, folder, on_progress))
            pair = _pair(taken[0].path, mmprojs)
        else:
            pair = _pair(model, mmprojs)
        rest = [*(() if slices else pair.model.parts), pair.mmproj.path]
        if not link:
            _require_room(rest, folder)
        for path in rest:
            taken.append(_take([path], None if link else folder, on_progress))
        return _register(pair, taken, taken[0].path, environ)
    except QvqError:
        for copy in taken:
            if copy.path.parent == folder != model.parent:
                copy.path.unlink(missing_ok=True)
        raise


def _model_in(folder: Path) -> Path:
    """The one model in a folder: its file, or the first of its parts or slices."""
    models = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and not is_named_mmproj(path) and _is_first(path)
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
    split, cut = _SPLIT.search(path.name), RAW_PART.fullmatch(path.name)
    if cut is not None:
        return int(cut["number"] or 1) == 1 and (cut["letter"] or "a").lower() == "a"
    return path.suffix.lower() == ".gguf" and (split is None or int(split["number"]) == 1)


def _slices(path: Path) -> list[Path]:
    """All slices of the GGUF that `path` is one of, in order; none where it isn't.

    Raises: InputNotFoundError: some are missing.
    """
    match = RAW_PART.fullmatch(path.name)
    if match is None:
        return []
    if match["number"]:
        total = int(match["total"])
        names = [f"{match['whole']}.part{i}of{total}" for i in range(1, total + 1)]
    else:
        found = (RAW_PART.fullmatch(each.name) for each in path.parent.iterdir())
        last = max(each["letter"] for each in found if each and each["whole"] == match["whole"])
        names = [f"{match['whole']}.{chr(i)}" for i in range(ord("a"), ord(last) + 1)]
    missing = [name for name in names if not path.with_name(name).is_file()]
    if missing:
        raise InputNotFoundError(
            f"{match['whole']} was cut into {len(names)} slices, and {len(missing)} of them are "
            f"not in {path.parent}: {', '.join(missing[:4])}",
            hint="put all slices into one folder",
            reference="missing-part",
        )
    return [path.with_name(name) for name in names]


def _mmprojs(model: Path, mmproj: Path | None) -> list[Path]:
    if mmproj is not None:
        return [mmproj.expanduser().absolute()]
    return [path for path in sorted(model.parent.iterdir()) if is_named_mmproj(path)]


def _pair(model: Path, mmprojs: Sequence[Path]) -> Pair:
    file = read_gguf(model)
    if len(mmprojs) == 1:
        return check_pair(file, read_gguf(mmprojs[0]))
    return pair_with_best(file, mmprojs)


def _require_room(sources: Sequence[Path], folder: Path) -> None:
    n_bytes = sum(path.stat().st_size for path in sources)
    there_bytes = free_bytes(folder)
    if n_bytes > there_bytes:
        raise CannotWriteError(
            f"a copy takes {size(n_bytes)}, and {size(there_bytes)} are free in {folder.parent}",
            hint="leave the files where they are with --link, or set QVQ_DATA to another disk",
            reference="disk-full",
        )


def _take(sources: Sequence[Path], folder: Path | None, on_progress: OnProgress) -> _Taken:
    """Hash a file, or slices one after the other, and copy them into a folder if there is one."""
    match = RAW_PART.fullmatch(sources[0].name)
    name = match["whole"] if match else sources[0].name
    path = sources[0] if folder is None else folder / name
    digest = hashlib.sha256()
    n_bytes, n_done = sum(source.stat().st_size for source in sources), 0
    if path == sources[0]:
        folder = None
    fresh = path.with_name(f"{path.name}.qvq.incomplete")
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        with open(os.devnull if folder is None else fresh, "wb") as copy:
            for source in sources:
                with source.open("rb", buffering=0) as file:
                    while data := file.read(_PIECE_BYTES):
                        digest.update(data)
                        copy.write(data)
                        n_done += len(data)
                        on_progress(path, n_done, n_bytes)
        if folder is not None:
            fresh.replace(path)
    except OSError as error:
        raise CannotWriteError(
            f"{error.filename or path}: {error.strerror or error}",
            hint="make room, or leave the files where they are with --link",
            reference="cannot-import",
        ) from error
    finally:
        if folder is not None:
            fresh.unlink(missing_ok=True)
    return _Taken(path, digest.hexdigest())


def _register(
    pair: Pair, taken: Sequence[_Taken], model: Path, environ: Mapping[str, str]
) -> Installed:
    """Compare with the catalog, and list the model."""
    identity = identify(pair)
    entry = identity.entry
    is_known = entry is not None and entry.name != EMBEDDED
    for each in taken:
        _check_known(entry if is_known else None, each)
    installed = Installed(
        name=identity.name if is_known else _name_of(model),
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
    )
    change_manifest(lambda manifest: manifest.with_model(installed), environ)
    return installed


def _check_known(entry: CatalogEntry | None, taken: _Taken) -> None:
    """Refuse a file that the catalog knows with another sha256."""
    if entry is None:
        return
    listed = [entry.mmproj, *(file for files in entry.quants.values() for file in files)]
    known = [file for file in listed if PurePosixPath(file.name).name == taken.path.name]
    if known and known[0].sha256 not in (None, taken.sha256):
        raise DataError(
            f"{taken.path.name} has other bytes than the catalog's file of that name: its sha256 "
            f"is {taken.sha256[:16]}…, the known one {(known[0].sha256 or '')[:16]}…",
            hint="it was damaged on the way: copy it again; if another publisher made it, give it "
            "another name and import it again",
            reference="checksum-mismatch",
        )


def _name_of(model: Path) -> str:
    """What a model that the catalog doesn't know is called here: its file's name without quant."""
    match = RAW_PART.fullmatch(model.name)
    name = _SPLIT.sub("", match["whole"] if match else model.name)
    quant = quant_in_name(name)
    stem = name.removesuffix(".gguf")
    if quant is not None:
        stem = re.sub(rf"[-_.]{quant}$", "", stem, flags=re.IGNORECASE)
    plain = re.sub(r"[^a-z0-9.]+", "-", stem.lower()).strip("-.") or "model"
    return f"{plain}-imported" if plain == EMBEDDED else plain
