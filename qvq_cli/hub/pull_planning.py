"""From what was typed to a plan: which quant, which files of which repositories, at which commit.

Asks the Hub, moves nothing but headers. Every repository is asked for its commit once, first, and
all of its files are of that commit, whatever is pushed meanwhile.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from qvq_cli.errors import (
    DataError,
    DoesNotFitError,
    GgufError,
    UnavailableError,
    UsageError,
)
from qvq_cli.hub.catalog import (
    EMBEDDED,
    CatalogEntry,
    CatalogFile,
    catalog_entry,
    catalog_names,
    entry_of_repository,
)
from qvq_cli.hub.choose import choose_quant
from qvq_cli.hub.disk import expand_home
from qvq_cli.hub.gguf import GgufFile
from qvq_cli.hub.heads import Heads, find_mmproj
from qvq_cli.hub.hf_cache import blob_path, snapshot_path
from qvq_cli.hub.identify import known_entry
from qvq_cli.hub.installed import is_verified
from qvq_cli.hub.listing import (
    RemoteModel,
    check_names,
    find_files,
    find_model,
    is_cut_name,
    joined_name,
    remote_models,
)
from qvq_cli.hub.manifest import Manifest, Role, copies_dir, read_manifest
from qvq_cli.hub.names import HF, parse_repository, require_name, unknown_name
from qvq_cli.hub.pair import check_pair
from qvq_cli.hub.partial import Partial
from qvq_cli.hub.pull_plan import PullFile, PullPlan, PullTarget
from qvq_cli.hub.remote_types import RemoteFile, Repository
from qvq_cli.sizes import size

DEFAULT_MODEL = "qvq-72b-preview"


class _Asked(NamedTuple):
    """entry is None for a repository that the catalog doesn't know; quant is "" where it's open."""

    entry: CatalogEntry | None
    repo: str
    quant: str


class _Place(NamedTuple):
    """Where files go: a folder of plain files, or the Hugging Face cache where to is None.

    commit: of the model's repository, None for the newest. uses_unfinished: whether headers are
    read from what an interrupted run left.
    """

    to: Path | None
    environ: Mapping[str, str]
    commit: str | None = None
    uses_unfinished: bool = True


def plan_pull(
    model: str | None,
    *,
    quant: str | None = None,
    to: Path | None = None,
    free_bytes: int,
    commit: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> PullPlan:
    """Decide what to fetch.

    Args:
        model: NAME[:QUANT], hf:OWNER/REPO[:QUANT], or None for QVQ.
        to: a folder for plain files, instead of the Hugging Face cache.
        free_bytes: of memory, to choose a quant where none is named.
        commit: of the model's repository, while it is there; None for the newest, or the catalog's.
    Raises: UnavailableError: no such model, quant or repository. DoesNotFitError: no quant fits.
        GgufError: the pair in a repository doesn't fit. UnreachableError, DeniedError.
    """
    asked = _asked(DEFAULT_MODEL if model is None else require_name(model), quant)
    place = _Place(None if to is None else expand_home(to).absolute(), environ, commit)
    try:
        return _plan_asked(asked, place, free_bytes)
    except UnavailableError as error:
        if commit is None or error.reference != "no-revision":
            raise
        return _plan_asked(asked, place._replace(commit=None), free_bytes)


def _plan_asked(asked: _Asked, place: _Place, free_bytes: int) -> PullPlan:
    if asked.entry is not None:
        return _plan_entry(asked.entry, asked.quant, place, free_bytes)
    try:
        return _plan_repository(asked.repo, asked.quant, place, free_bytes)
    except GgufError:
        # An unfinished file may hold nonsense, as after a power cut: the Hub has the last word.
        fresh = place._replace(uses_unfinished=False)
        return _plan_repository(asked.repo, asked.quant, fresh, free_bytes)


def _asked(model: str, quant: str | None) -> _Asked:
    typed = (quant or "").upper()
    if model.startswith(HF):
        repo, in_name = parse_repository(model)
        wanted = _one_quant(in_name, typed)
        entry = entry_of_repository(repo)
        is_known = entry is not None and (not wanted or wanted in entry.quants)
        return _Asked(entry if is_known else None, repo, wanted)
    name, _, in_name = model.partition(":")
    if name.lower() == EMBEDDED:
        raise UsageError(
            "nano comes with the program, there is nothing to pull",
            hint="qvq solve PICTURE QUESTION --model nano",
            reference="embedded-model",
        )
    if name.lower() not in catalog_names():
        raise unknown_name(model, is_pull=True)
    entry = catalog_entry(name.lower())
    return _Asked(entry, entry.repo or "", _one_quant(in_name.upper(), typed))


def _one_quant(in_name: str, typed: str) -> str:
    if in_name and typed and in_name != typed:
        raise UsageError(
            f"the model's name says {in_name}, --quant says {typed}",
            hint="give the quant once",
            reference="conflicting-quant",
        )
    return in_name or typed


# models of the catalog


def _plan_entry(entry: CatalogEntry, quant: str, place: _Place, free_bytes: int) -> PullPlan:
    from qvq_cli.hub.remote import read_repository

    assert entry.repo is not None
    quant = quant or choose_quant(entry, free_bytes).quant
    if quant not in entry.quants:
        raise UnavailableError(
            f"{entry.name} has no quant {quant} in the catalog; it has " + ", ".join(entry.quants),
            hint=f"qvq pull hf:{entry.repo}:{quant} takes it if the repository has it",
            reference="unknown-quant",
        )
    wanted = entry.quants[quant]
    repositories: dict[str, Repository] = {}
    for file in (*wanted, entry.mmproj):
        repo = file.repo or entry.repo
        if repo not in repositories:
            revision = entry.revision if repo == entry.repo else None
            if repo == (wanted[0].repo or entry.repo):
                revision = place.commit or revision
            repositories[repo] = read_repository(repo, revision)
    targets = [
        *_entry_targets("model", entry, wanted, repositories, place),
        *_entry_targets("mmproj", entry, [entry.mmproj], repositories, place),
    ]
    return _plan(entry.name, entry.title, quant, entry.licence, entry, targets, place)


def _entry_targets(
    role: Role,
    entry: CatalogEntry,
    wanted: Sequence[CatalogFile],
    repositories: Mapping[str, Repository],
    place: _Place,
) -> list[PullTarget]:
    repository = repositories[wanted[0].repo or entry.repo or ""]
    files = find_files(repository, [file.name for file in wanted])
    for known, remote in zip(wanted, files, strict=True):
        _check_known(known, remote, repository.repo)
    if is_cut_name(files[0].name):
        name = joined_name(files[0].name)
        return [_joined_target(role, repository, name, files, place)]
    return [_target(role, repository, file, place) for file in files]


def _check_known(known: CatalogFile, remote: RemoteFile, repo: str) -> None:
    """Refuse a file that isn't the one the catalog's sha256 was taken of."""
    if known.sha256 is None or remote.sha256 in (None, known.sha256):
        return
    raise DataError(
        f"{remote.name} in {repo} is not the file that the catalog knows: its sha256 is "
        f"{(remote.sha256 or '')[:16]}…, the known one {known.sha256[:16]}…",
        hint=f"if its publisher replaced it, `qvq pull hf:{repo}` takes it as it is now",
        reference="replaced-file",
    )


# any repository


def _plan_repository(repo: str, quant: str, place: _Place, free_bytes: int) -> PullPlan:
    from qvq_cli.hub.remote import read_repository

    repository = read_repository(repo, place.commit)
    check_names(repository.files.values())
    model = find_model(repository, quant or _fitting_quant(repository, free_bytes))
    if model.is_cut:
        targets = [_joined_target("model", repository, model.name, model.parts, place)]
    else:
        targets = [_target("model", repository, part, place) for part in model.parts]
    with tempfile.TemporaryDirectory(prefix="qvq-") as folder:
        heads = _heads(repository, Path(folder, "model"), place, targets[0])
        seeds_of = [heads]
        try:
            mmproj = _target("mmproj", repository, find_mmproj(repository, model, heads), place)
        except UnavailableError as error:
            gguf = heads.model(model)
            other = known_entry(gguf)
            if error.reference != "no-mmproj" or other is None or other.repo in (None, repo):
                raise
            mmproj, others = _borrowed_mmproj(gguf, other, Path(folder, "mmproj"), place)
            seeds_of.append(others)
    seeds = {head.url_of(name): data for head in seeds_of for name, data in head.bytes_of.items()}
    entry = entry_of_repository(repo)
    licence = repository.licence or "not stated"
    title = PurePosixPath(repo).name
    return _plan(f"hf:{repo}", title, model.quant, licence, entry, [*targets, mmproj], place, seeds)


def _borrowed_mmproj(
    gguf: GgufFile, entry: CatalogEntry, folder: Path, place: _Place
) -> tuple[PullTarget, Heads]:
    """The catalog's mmproj of a model whose own repository has none.

    Raises: GgufError: it doesn't fit.
    """
    from qvq_cli.hub.remote import read_repository

    repository = read_repository(entry.mmproj.repo or entry.repo or "", entry.revision)
    (file,) = find_files(repository, [entry.mmproj.name])
    _check_known(entry.mmproj, file, repository.repo)
    heads = _heads(repository, folder, place)
    check_pair(gguf, heads.mmproj(file))
    return _target("mmproj", repository, file, place), heads


def _heads(
    repository: Repository, folder: Path, place: _Place, first: PullTarget | None = None
) -> Heads:
    """The headers of a repository's files, from here where an earlier run left them.

    Args: first: where the model goes, whose first file isn't kept under its own name when it is a
        slice.
    """
    from qvq_cli.hub.remote import file_url, read_range

    def url_of(name: str) -> str:
        return file_url(repository.repo, repository.commit, name)

    def read(file: RemoteFile, start: int, end: int) -> bytes:
        target = _target("mmproj", repository, file, place)
        if first is not None and first.files[0].name == file.name:
            target = first
        kept = _kept_bytes(target, start, end, place)
        return kept or read_range(url_of(file.name), repository.repo, start, end, file.n_bytes)

    return Heads(read, url_of, folder)


def _fitting_quant(repository: Repository, free_bytes: int) -> str:
    """The largest model whose weights fit with a tenth and a gigabyte to spare."""
    models = remote_models(repository)
    if not models:
        raise UnavailableError(
            f"{repository.repo} has no GGUF model",
            hint="look for a repository whose name ends in -GGUF",
            reference="no-gguf",
        )
    fitting = [model for model in models if _needed_bytes(model) <= free_bytes]
    if fitting:
        return fitting[0].quant
    least = models[-1]
    raise DoesNotFitError(
        f"{repository.repo} doesn't fit: its smallest model, {least.quant}, needs about "
        f"{size(_needed_bytes(least))} of memory, and {size(free_bytes)} are free",
        hint=f"`qvq pull hf:{repository.repo}:{least.quant}` gets it all the same",
        reference="no-quant-fits",
    )


def _needed_bytes(model: RemoteModel) -> int:
    return model.n_bytes + model.n_bytes // 10 + 1_000_000_000


def _kept_bytes(target: PullTarget, start: int, end: int, place: _Place) -> bytes:
    """Bytes of a file that an earlier run has here, b"" where they aren't all.

    A whole file that wasn't verified says nothing: what is read here, a pull begins with.
    """
    path = target.part_path
    if is_verified(target.path, target.sha256, read_manifest(place.environ).files):
        path = target.path
    elif not place.uses_unfinished or Partial.start_on_disk(path, target.sizes) < end:
        return b""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(end - start)


# targets


def _plan(
    name: str,
    title: str,
    quant: str,
    licence: str,
    entry: CatalogEntry | None,
    targets: Sequence[PullTarget],
    place: _Place,
    heads: Mapping[str, bytes] | None = None,
) -> PullPlan:
    check_names(file.remote for target in targets for file in target.files)
    for target in targets:
        for file in target.files:
            if file.sha256 is None and file.remote.git_sha1 is None:
                raise DataError(
                    f"the Hub gives no checksum for {file.name} in {file.repo}",
                    hint="what can't be verified isn't pulled; download it yourself, then "
                    "`qvq import PATH`",
                    reference="no-checksum",
                )
    manifest = read_manifest(place.environ)
    model_id = f"{name}:{quant}"
    return PullPlan(
        name=name,
        title=title,
        quant=quant,
        licence=licence,
        entry=entry,
        targets=tuple(target.looked_at() for target in targets),
        is_complete=_is_complete(model_id, targets, manifest),
        heads=heads or {},
    )


def _is_complete(model_id: str, targets: Sequence[PullTarget], manifest: Manifest) -> bool:
    """Whether the manifest lists this very model, and a quick look finds it unchanged."""
    listed = next((each for each in manifest.models if each.model_id == model_id), None)
    if listed is None or [file.path for file in listed.files] != [each.path for each in targets]:
        return False
    return all(is_verified(each.path, each.sha256, manifest.files) for each in targets)


def _target(role: Role, repository: Repository, file: RemoteFile, place: _Place) -> PullTarget:
    from qvq_cli.hub.remote import file_url

    repo, commit = repository.repo, repository.commit
    url = file_url(repo, commit, file.name)
    if place.to is not None:
        path, blob = place.to / PurePosixPath(file.name).name, None
    else:
        path = snapshot_path(repo, commit, file.name, place.environ)
        blob = blob_path(repo, file.sha256 or file.git_sha1 or "", place.environ)
    return PullTarget((PullFile(role, repo, commit, file, url, path, blob),))


def _joined_target(
    role: Role, repository: Repository, name: str, parts: Sequence[RemoteFile], place: _Place
) -> PullTarget:
    """Slices go straight to their places in one file, so that the disk holds them once."""
    from qvq_cli.hub.remote import file_url

    repo, commit = repository.repo, repository.commit
    folder = place.to or copies_dir(place.environ) / repo.replace("/", "--")
    path = folder / PurePosixPath(name).name
    return PullTarget(
        tuple(
            PullFile(role, repo, commit, part, file_url(repo, commit, part.name), path)
            for part in parts
        )
    )
