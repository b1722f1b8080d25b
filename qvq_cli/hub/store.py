"""Which model a run uses, and where its files lie.

The order: --model, QVQ_MODEL, the config file, the best installed model, the embedded one. A model
is a GGUF file, a name from the catalog, or hf:OWNER/REPO[:QUANT]. Names are looked up in the list
of installed models, then in the Hugging Face cache, where other tools may have put them; where they
are missing, the error says what to type. Nothing here uses the network.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from qvq_cli.errors import ConfigError, DataError, InputNotFoundError, UnavailableError, UsageError
from qvq_cli.hub.catalog import (
    EMBEDDED,
    CatalogEntry,
    Profile,
    catalog_entry,
    catalog_names,
    entry_of_repository,
    models_dir,
    quants_by_size,
)
from qvq_cli.hub.config import Config
from qvq_cli.hub.disk import expand_home, is_file, is_folder
from qvq_cli.hub.gguf import LIST_MODELS, read_gguf
from qvq_cli.hub.hf_cache import cached_files, quant_in_name
from qvq_cli.hub.identify import identify
from qvq_cli.hub.installed import list_installed, matching
from qvq_cli.hub.manifest import Installed
from qvq_cli.hub.names import HF, is_path, parse_repository, unknown_name, unknown_quant
from qvq_cli.hub.pair import Pair, check_pair, is_named_mmproj, pair_with_best, pair_with_sibling
from qvq_cli.hub.remedy import remedy
from qvq_cli.sizes import size

Origin = Literal["option", "environment", "config", "installed", "embedded"]
NOT_INSTALLED = "not-installed"
"""The reference of errors about a model that could be pulled."""
_DEFAULT_QUANT = "Q4_K_M"


class ModelChoice(NamedTuple):
    """The model of a run: checked files, how to run them, and why it is this one."""

    name: str
    quant: str
    pair: Pair
    profile: Profile
    entry: CatalogEntry | None
    origin: Origin
    is_embedded: bool
    installed: Installed | None = None

    @property
    def model_path(self) -> Path:
        return self.pair.model.path

    @property
    def mmproj_path(self) -> Path:
        return self.pair.mmproj.path

    @property
    def files(self) -> tuple[tuple[str, str | None], ...]:
        """Names of all files, with the sha256 of those that were verified.

        None for a file that was only named: hashing 49 GB would take minutes before every run.
        """
        known: dict[Path, str | None] = {}
        if self.is_embedded and self.entry:
            folder = (models_dir() / EMBEDDED).resolve()
            listed = (self.entry.mmproj, *self.entry.quants[self.quant])
            known = {folder / file.name: file.sha256 for file in listed}
        elif self.installed:
            known = {file.path.resolve(): file.sha256 for file in self.installed.files}
        paths = (*self.pair.model.parts, *self.pair.mmproj.parts)
        return tuple((path.name, known.get(path.resolve())) for path in paths)


class _Wanted(NamedTuple):
    """model: as it was typed, or the installed one that nobody had to name."""

    model: str | Installed
    mmproj: str | None
    origin: Origin


class Located(NamedTuple):
    """A model's file or its first part. mmprojs: where to look for the mmproj; None: beside it."""

    model: Path
    mmprojs: Sequence[Path] | None = None
    installed: Installed | None = None


def resolve_model(
    model: str | None, mmproj: str | None, *, environ: Mapping[str, str], config: Config
) -> ModelChoice:
    """Decide which model to run, and check that its files are sound and belong together.

    Args: model, mmproj: what was typed, None where nothing was.
    Raises:
        UnavailableError: the model isn't on this machine, or there is none of that name.
        InputNotFoundError: no such file, or no mmproj for it.
        GgufError: a file can't be used. DataError: an installed file was changed or is gone.
        UsageError: hf: is followed by no repository.
        ConfigError: the list of installed models; QVQ_MODEL or the config file names no model.
    """
    wanted = _wanted(model, mmproj, environ, config)
    with _blaming(wanted.origin, config, "model"):
        if isinstance(wanted.model, Installed):
            located = _locate_installed(wanted.model)
        else:
            located = locate_model(wanted.model, environ)
        file = read_gguf(located.model)
    with _blaming("option" if mmproj else wanted.origin, config, "mmproj"):
        if wanted.mmproj is not None:
            pair = check_pair(file, read_gguf(expand_home(Path(wanted.mmproj))))
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
        installed=located.installed,
    )


@contextmanager
def _blaming(origin: Origin, config: Config, key: str) -> Iterator[None]:
    """Say of a model that nobody typed where its name stands.

    Raises: ConfigError: there is no such model. UnavailableError: there is, but not here.
    """
    try:
        yield
    except (UnavailableError, InputNotFoundError, UsageError) as error:
        if origin == "environment":
            where, reference = "QVQ_MODEL", "bad-variable"
        elif origin == "config":
            where = config.where(key if key in config.values else "model")
            reference = "bad-config-value"
        else:
            raise
        message = f"{where}: {error.message}"
        if error.reference == NOT_INSTALLED:
            raise UnavailableError(message, hint=error.hint, reference=NOT_INSTALLED) from error
        raise ConfigError(message, hint=error.hint, reference=reference) from error


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
    installed = list_installed(environ)
    if installed:
        return _Wanted(_first_whole(installed), mmproj, "installed")
    return _Wanted(EMBEDDED, mmproj, "embedded")


def _first_whole(models: Sequence[Installed]) -> Installed:
    return next((each for each in models if each.problem is None), models[0])


def _locate_installed(installed: Installed) -> Located:
    """The files of an installed model. Raises: DataError: they aren't what was verified."""
    if installed.problem is not None:
        raise DataError(
            f"{installed.model_id} can't be used: {installed.problem}",
            hint=f"qvq verify {installed.model_id} looks closer; {remedy(installed)}",
            reference="changed-model",
        )
    return Located(installed.model_path, [installed.mmproj_path], installed)


def locate_model(model: str, environ: Mapping[str, str], *, needs_mmproj: bool = True) -> Located:
    """Where the files of a model lie that was named on the command line.

    Args: needs_mmproj: count a model in the Hugging Face cache only with its mmproj.
    Raises: as resolve_model; no file is opened.
    """
    found = matching(model, list_installed(environ))
    if found:
        return _locate_installed(_first_whole(found))
    if model.startswith(HF):
        return _locate_repo(model, environ, needs_mmproj)
    name, _, quant = model.partition(":")
    if name in catalog_names():
        return _locate_entry(catalog_entry(name), quant.upper(), environ, needs_mmproj)
    path = expand_home(Path(model))
    if is_folder(path):
        inside = [each.name for each in sorted(path.glob("*.gguf")) if not is_named_mmproj(each)]
        option = "" if needs_mmproj else "--draft "  # solve's --model is plan's MODEL
        raise InputNotFoundError(
            f"{path} is a folder" + ("" if inside else " without a GGUF model in it"),
            hint=f'give the model in it: {option}"{path / inside[0]}"' if inside else LIST_MODELS,
            reference="no-such-model",
        )
    if is_file(path) or is_path(model):
        return Located(path, installed=_installed_with(path, environ))
    raise unknown_name(model)


def _installed_with(path: Path, environ: Mapping[str, str]) -> Installed | None:
    """The installed model that a file belongs to, where it is still what was verified."""
    if not is_file(path):
        return None
    path = path.resolve()
    for installed in list_installed(environ):
        if installed.problem is None and installed.model_path.resolve() == path:
            return installed
    return None


def _locate_entry(
    entry: CatalogEntry, quant: str, environ: Mapping[str, str], needs_mmproj: bool
) -> Located:
    """A catalog model's files: those of the program itself, or those in the cache."""
    if quant and quant not in entry.quants:
        raise unknown_quant(entry, quant)
    if entry.repo is None:
        folder = models_dir() / entry.name
        first = entry.quants[quant or entry.default_quant][0]
        return Located(folder / first.name, [folder / entry.mmproj.name])
    larger_first = [name for name, _ in quants_by_size(entry)]
    for candidate in [quant] if quant else [entry.default_quant, *larger_first]:
        cached = _cached(entry, entry.quants[candidate][0].repo, environ)
        mmprojs = _cached(entry, entry.mmproj.repo, environ)
        names = [file.name for file in entry.quants[candidate]]
        if all(name in cached for name in names) and (_mmprojs(mmprojs) or not needs_mmproj):
            return Located(cached[names[0]], _mmprojs(mmprojs))
    raise _not_installed(entry, quant)


def _cached(entry: CatalogEntry, repo: str | None, environ: Mapping[str, str]) -> dict[str, Path]:
    """What the cache has of an entry's own repository, or of another that a file of it is in."""
    if repo is None or repo == entry.repo:
        return cached_files(entry.repo or "", entry.revision, environ)
    return cached_files(repo, environ=environ)


def _locate_repo(model: str, environ: Mapping[str, str], needs_mmproj: bool) -> Located:
    repo, quant = parse_repository(model)
    entry = entry_of_repository(repo)
    if entry is not None and (not quant or quant in entry.quants):
        return _locate_named(entry, quant, environ, needs_mmproj)
    cached = cached_files(repo, environ=environ)
    models: dict[str, Path] = {}
    for name, path in cached.items():
        if not is_named_mmproj(path):
            models.setdefault(quant_in_name(name) or path.stem, path)
    if models and (_mmprojs(cached) or not needs_mmproj):
        if not quant:
            quant = _DEFAULT_QUANT if _DEFAULT_QUANT in models else next(iter(models))
        if quant in models:
            return Located(models[quant], _mmprojs(cached))
    raise _not_cached(repo, quant, models)


def _locate_named(
    entry: CatalogEntry, quant: str, environ: Mapping[str, str], needs_mmproj: bool
) -> Located:
    """A catalog model that was named by its repository."""
    found = matching(f"{entry.name}:{quant}" if quant else entry.name, list_installed(environ))
    if found:
        return _locate_installed(_first_whole(found))
    return _locate_entry(entry, quant, environ, needs_mmproj)


def _mmprojs(cached: Mapping[str, Path]) -> list[Path]:
    return [path for path in cached.values() if is_named_mmproj(path)]


def _not_installed(entry: CatalogEntry, quant: str) -> UnavailableError:
    n_bytes = entry.download_bytes(quant or entry.default_quant)
    # Without a quant, a pull takes the best that fits, which needn't be the default.
    which = "" if quant else f" as {entry.default_quant}"
    return UnavailableError(
        f"{entry.title}{' ' if quant else ''}{quant} is not on this machine"
        + ("" if n_bytes is None else f" ({size(n_bytes)} to download{which})"),
        hint=f"qvq pull {entry.name}" + (f" --quant {quant}" if quant else ""),
        reference=NOT_INSTALLED,
    )


def _not_cached(repo: str, quant: str, there: Iterable[str]) -> UnavailableError:
    found = ", ".join(there)
    return UnavailableError(
        f"{quant + ' of ' if quant else ''}{repo} is not on this machine with its mmproj"
        + (f"; there is {found}" if found else ""),
        hint=f"qvq pull hf:{repo}" + (f":{quant}" if quant else ""),
        reference=NOT_INSTALLED,
    )
