"""Which files of a repository make up a model: its quants, their parts, the mmproj candidates.

Names say which files belong together and which quant they hold; whether a model and an mmproj fit
each other is never told from names (heads.py reads their headers). Pure.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from qvq_cli.errors import DataError, UnavailableError
from qvq_cli.hub.hf_cache import quant_in_name
from qvq_cli.hub.remote_types import RemoteFile, Repository

_PART = re.compile(
    r"(?P<whole>.+?)(?:-(?P<split>\d{5})-of-(?P<n_splits>\d{5}))?\.gguf"
    r"(?:\.part(?P<raw>\d+)of(?P<n_raw>\d+)|\.(?P<letter>[a-z]))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """One model file in a repository, of one quant; in parts where it is large.

    is_cut: the parts are slices of one GGUF, which are joined into `name`; otherwise each is a GGUF
    of its own, as gguf-split makes them.
    """

    name: str
    quant: str
    parts: tuple[RemoteFile, ...]
    is_cut: bool

    @property
    def n_bytes(self) -> int:
        return sum(part.n_bytes for part in self.parts)


def remote_models(repository: Repository) -> tuple[RemoteModel, ...]:
    """All models that are there with all of their parts, the largest first."""
    groups: dict[tuple[str, str, str], list[tuple[int, RemoteFile]]] = {}
    for file in repository.files.values():
        match = _PART.fullmatch(file.name)
        if match is None or not _is_model(file.name):
            continue
        n_parts = match["n_splits"] or match["n_raw"] or ("?" if match["letter"] else "1")
        number = match["split"] or match["raw"] or _number(match["letter"])
        kind = "split" if match["split"] else "cut" if match["raw"] or match["letter"] else "whole"
        groups.setdefault((match["whole"], kind, n_parts), []).append((int(number), file))
    models = []
    for (whole, kind, n_parts), numbered in groups.items():
        parts = sorted(numbered, key=lambda item: item[0])
        n_expected = len(parts) if n_parts == "?" else int(n_parts)
        if [number for number, _ in parts] != list(range(1, n_expected + 1)):
            continue
        name = parts[0][1].name if kind == "split" else f"{whole}.gguf"
        files = tuple(file for _, file in parts)
        quant = quant_in_name(f"{whole}.gguf") or PurePosixPath(whole).name
        models.append(RemoteModel(name, quant.upper(), files, kind == "cut"))
    return tuple(sorted(models, key=lambda model: model.n_bytes, reverse=True))


def mmproj_candidates(repository: Repository) -> tuple[RemoteFile, ...]:
    """The files that are named as an mmproj is."""
    return tuple(
        file for file in repository.files.values() if is_mmproj_name(file.name) and file.n_bytes
    )


def is_mmproj_name(name: str) -> bool:
    base = PurePosixPath(name).name.lower()
    return "mmproj" in base and base.endswith(".gguf")


def find_model(repository: Repository, quant: str) -> RemoteModel:
    """The model of a quant.

    Raises: UnavailableError: there is none, or several that the quant alone doesn't tell apart.
    """
    models = remote_models(repository)
    found = [model for model in models if model.quant == quant.upper()]
    if len(found) == 1:
        return found[0]
    if found:
        raise UnavailableError(
            f"{repository.repo} has {len(found)} models of quant {quant}: "
            + ", ".join(model.name for model in found),
            hint="download one with `hf download` and give it with `qvq import PATH`",
            reference="ambiguous-quant",
        )
    there = ", ".join(dict.fromkeys(model.quant for model in reversed(models)))
    raise UnavailableError(
        f"{repository.repo} has no GGUF of quant {quant}"
        + (f"; it has {there}" if there else ", nor of any other"),
        hint=f"qvq pull hf:{repository.repo}:{models[0].quant}" if models else None,
        reference="unknown-quant",
    )


def is_cut_name(name: str) -> bool:
    """Whether a file is a slice of a GGUF, cut up as bytes."""
    return joined_name(name) != name


def joined_name(name: str) -> str:
    """What a slice is a slice of: "x.gguf" of "x.gguf.part1of2"; other names are left alone."""
    match = _PART.fullmatch(name)
    is_cut = match is not None and (match["raw"] or match["letter"])
    return f"{match['whole']}.gguf" if match and is_cut else name


def find_files(repository: Repository, names: Sequence[str]) -> tuple[RemoteFile, ...]:
    """Files by their paths in the repository, or by their names alone where folders differ.

    Raises: UnavailableError: the repository no longer has one.
    """
    return tuple(_find_file(repository, name) for name in names)


def check_names(files: Iterable[RemoteFile]) -> None:
    """Refuse names that would lead out of the folder they are put into.

    Raises: DataError.
    """
    for file in files:
        steps = file.name.split("/")
        if any(step in ("", ".", "..") for step in steps) or re.search(r'[\\:*?"<>|\0]', file.name):
            raise DataError(
                f"the repository has a file named {file.name!r}, which no folder here may have",
                hint="this repository can't be trusted; choose another",
                reference="unsafe-name",
            )


def _find_file(repository: Repository, name: str) -> RemoteFile:
    if name in repository.files:
        return repository.files[name]
    base = PurePosixPath(name).name
    found = [file for file in repository.files.values() if PurePosixPath(file.name).name == base]
    if len(found) == 1:
        return found[0]
    raise UnavailableError(
        f"{repository.repo} no longer has {name}",
        hint=f"qvq pull hf:{repository.repo} takes what it has now",
        reference="no-remote-file",
    )


def _is_model(name: str) -> bool:
    base = PurePosixPath(name).name.lower()
    return "mmproj" not in base and "imatrix" not in base


def _number(letter: str | None) -> str:
    return "1" if letter is None else str(ord(letter.lower()) - ord("a") + 1)
