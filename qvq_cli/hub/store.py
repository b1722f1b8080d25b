"""Which model a run uses, and where its files lie.

The order: --model, QVQ_MODEL, the config file, the embedded model. A model is a GGUF file, a name
from the catalog, or hf:OWNER/REPO[:QUANT]. The last two are looked up in the Hugging Face cache;
where they are missing, the error says what to type. Nothing here uses the network.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from qvq_cli.errors import InputNotFoundError, UnavailableError, UsageError
from qvq_cli.hub.catalog import (
    EMBEDDED,
    CatalogEntry,
    Profile,
    catalog_entry,
    catalog_names,
    load_catalog,
    models_dir,
    quants_by_size,
)
from qvq_cli.hub.config import Config
from qvq_cli.hub.gguf import read_gguf
from qvq_cli.hub.hf_cache import cached_files, quant_in_name
from qvq_cli.hub.identify import identify
from qvq_cli.hub.pair import Pair, check_pair, is_named_mmproj, pair_with_best, pair_with_sibling

Origin = Literal["option", "environment", "config", "embedded"]
_DEFAULT_QUANT = "Q4_K_M"
_FOLDER = "qvq-models"
_REPO = re.compile(r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(:(?P<quant>\w+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The model of a run: checked files, how to run them, and why it is this one."""

    name: str
    quant: str
    pair: Pair
    profile: Profile
    entry: CatalogEntry | None
    origin: Origin
    is_embedded: bool

    @property
    def model_path(self) -> Path:
        return self.pair.model.path

    @property
    def mmproj_path(self) -> Path:
        return self.pair.mmproj.path

    @property
    def files(self) -> tuple[tuple[str, str | None], ...]:
        """Names of all files, with the sha256 of those that came with the program."""
        known: dict[str, str | None] = {}
        if self.is_embedded and self.entry:
            listed = (self.entry.mmproj, *self.entry.quants[self.quant])
            known = {file.name: file.sha256 for file in listed}
        paths = (*self.pair.model.parts, *self.pair.mmproj.parts)
        return tuple((path.name, known.get(path.name)) for path in paths)


class _Wanted(NamedTuple):
    model: str
    mmproj: str | None
    origin: Origin


class _Located(NamedTuple):
    """mmprojs: where to look for the mmproj; None: beside the model."""

    model: Path
    mmprojs: Sequence[Path] | None = None


def resolve_model(
    model: str | None, mmproj: str | None, *, environ: Mapping[str, str], config: Config
) -> ModelChoice:
    """Decide which model to run, and check that its files are sound and belong together.

    Args: model, mmproj: what was typed, None where nothing was.
    Raises:
        UnavailableError: the model isn't on this machine, or there is none of that name.
        InputNotFoundError: no such file, or no mmproj for it.
        GgufError: a file can't be used. UsageError: hf: is followed by no repository.
    """
    wanted = _wanted(model, mmproj, environ, config)
    located = _locate(wanted.model)
    file = read_gguf(located.model)
    if wanted.mmproj is not None:
        pair = check_pair(file, read_gguf(Path(wanted.mmproj).expanduser()))
    elif located.mmprojs is not None:
        pair = pair_with_best(file, located.mmprojs)
    else:
        pair = pair_with_sibling(file)
    identity = identify(pair)
    return ModelChoice(
        name=identity.name,
        quant=identity.quant,
        pair=pair,
        profile=identity.profile,
        entry=identity.entry,
        origin=wanted.origin,
        is_embedded=file.path.resolve().parent == models_dir() / EMBEDDED,
    )


def _wanted(
    model: str | None, mmproj: str | None, environ: Mapping[str, str], config: Config
) -> _Wanted:
    if model:
        return _Wanted(model, mmproj, "option")
    if environ.get("QVQ_MODEL"):
        return _Wanted(environ["QVQ_MODEL"], mmproj, "environment")
    configured = config.text("model")
    if configured:
        # The file's mmproj belongs to the file's model and to no other.
        return _Wanted(configured, mmproj or config.text("mmproj"), "config")
    return _Wanted(EMBEDDED, mmproj, "embedded")


def _locate(model: str) -> _Located:
    if model.startswith("hf:"):
        return _locate_repo(model)
    name, _, quant = model.partition(":")
    if name in catalog_names():
        return _locate_entry(catalog_entry(name), quant.upper())
    path = Path(model).expanduser()
    if path.is_dir():
        inside = [each.name for each in sorted(path.glob("*.gguf")) if not is_named_mmproj(each)]
        raise InputNotFoundError(
            f"{path} is a folder",
            hint=f'give the model in it: --model "{path / inside[0]}"' if inside else None,
            reference="no-such-model",
        )
    if path.is_file() or path.suffix.lower() == ".gguf" or "/" in model or "\\" in model:
        return _Located(path)
    raise _unknown_name(model)


def _locate_entry(entry: CatalogEntry, quant: str) -> _Located:
    """A catalog model's files: those of the program itself, or those in the cache."""
    if quant and quant not in entry.quants:
        raise UnavailableError(
            f"{entry.name} has no quant {quant} in the catalog",
            hint="it has " + ", ".join(entry.quants),
            reference="unknown-quant",
        )
    if entry.repo is None:
        folder = models_dir() / entry.name
        first = entry.quants[quant or entry.default_quant][0]
        return _Located(folder / first.name, [folder / entry.mmproj.name])
    cached = cached_files(entry.repo, entry.revision)
    larger_first = [name for name, _ in quants_by_size(entry)]
    for candidate in [quant] if quant else [entry.default_quant, *larger_first]:
        names = [file.name for file in entry.quants[candidate]]
        if all(name in cached for name in names) and _mmprojs(cached):
            return _Located(cached[names[0]], _mmprojs(cached))
    raise _not_installed(entry, quant or entry.default_quant)


def _locate_repo(model: str) -> _Located:
    match = _REPO.fullmatch(model.removeprefix("hf:"))
    if match is None:
        raise UsageError(
            f"{model!r} names no repository",
            hint="write hf:OWNER/REPO or hf:OWNER/REPO:QUANT",
            reference="bad-repository",
        )
    repo, quant = match["repo"], (match["quant"] or "").upper()
    entry = next((entry for entry in load_catalog() if entry.repo == repo), None)
    if entry is not None and (not quant or quant in entry.quants):
        return _locate_entry(entry, quant)
    cached = cached_files(repo)
    models: dict[str, Path] = {}
    for name, path in cached.items():
        if not is_named_mmproj(path):
            models.setdefault(quant_in_name(name) or path.stem, path)
    if models and _mmprojs(cached):
        if not quant:
            quant = _DEFAULT_QUANT if _DEFAULT_QUANT in models else next(iter(models))
        if quant in models:
            return _Located(models[quant], _mmprojs(cached))
    raise _not_cached(repo, quant or _DEFAULT_QUANT, models)


def _mmprojs(cached: Mapping[str, Path]) -> list[Path]:
    return [path for path in cached.values() if is_named_mmproj(path)]


def _not_installed(entry: CatalogEntry, quant: str) -> UnavailableError:
    files = entry.quants[quant]
    names = " ".join(file.name for file in files)
    size = entry.about_bytes(quant)
    usage = f'--model "{_FOLDER}/{files[0].name}"'
    if "/" in files[0].name:
        usage += f' --mmproj "{_FOLDER}/{entry.mmproj.name}"'
    return UnavailableError(
        f"{entry.title} {quant} is not on this machine"
        + ("" if size is None else f" ({size / 1e9:.1f} GB to download)"),
        hint=f"get model and mmproj, then use them:\n"
        f"  hf download {entry.repo} {names} --local-dir {_FOLDER}\n"
        f"  hf download {entry.repo} {entry.mmproj.name} --local-dir {_FOLDER}\n"
        f"  qvq solve … {usage}",
        reference="not-installed",
    )


def _not_cached(repo: str, quant: str, there: Iterable[str]) -> UnavailableError:
    found = ", ".join(there)
    return UnavailableError(
        f"{quant} of {repo} and its mmproj are not on this machine"
        + (f"; there is {found}" if found else ""),
        hint="get model and mmproj, then use them:\n"
        f'  hf download {repo} --include "*{quant}*.gguf" --local-dir {_FOLDER}\n'
        f'  hf download {repo} --include "*mmproj*.gguf" --local-dir {_FOLDER}\n'
        f"  qvq solve … --model {_FOLDER}/FILE.gguf",
        reference="not-installed",
    )


def _unknown_name(model: str) -> UnavailableError:
    from difflib import get_close_matches

    typed = model.lower()
    near = [name for name in catalog_names() if typed in name]
    near = near or get_close_matches(typed, catalog_names(), n=1, cutoff=0.5)
    return UnavailableError(
        f"there is no model {model!r}" + (f"; perhaps {near[0]}?" if near else ""),
        hint="give a GGUF file, hf:OWNER/REPO, or one of " + ", ".join(catalog_names()),
        reference="unknown-model",
    )
