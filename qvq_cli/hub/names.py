"""How models are named on the command line."""

import re
from pathlib import Path
from typing import NamedTuple

from qvq_cli.errors import UnavailableError, UsageError
from qvq_cli.hub.catalog import (
    EMBEDDED,
    CatalogEntry,
    catalog_entry,
    catalog_names,
    entry_of_repository,
)

HF = "hf:"
"""What the name of a repository on the Hub begins with."""
_REPOSITORY = re.compile(r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(:(?P<quant>\w+))?", re.ASCII)
_MOST_SHOWN_CHARS = 100


class RepositoryName(NamedTuple):
    """repo: OWNER/REPO. quant: in capitals, "" where none is named."""

    repo: str
    quant: str


class EntryName(NamedTuple):
    """A model of the catalog. quant: in capitals, "" where none is named."""

    entry: CatalogEntry
    quant: str


def parse_repository(model: str) -> RepositoryName:
    """Take hf:OWNER/REPO[:QUANT] apart. Raises: UsageError: it names no repository."""
    match = _REPOSITORY.fullmatch(model.removeprefix(HF))
    if match is None:
        raise UsageError(
            f"{model!r} names no repository",
            hint="write hf:OWNER/REPO or hf:OWNER/REPO:QUANT",
            reference="bad-repository",
        )
    return RepositoryName(match["repo"], (match["quant"] or "").upper())


def entry_named(model: str) -> EntryName | None:
    """The catalog's model that NAME[:QUANT] or hf:OWNER/REPO[:QUANT] means, None where it has none.

    Raises: UsageError: hf: is followed by no repository.
    """
    if model.startswith(HF):
        repo, quant = parse_repository(model)
        entry = entry_of_repository(repo)
        return None if entry is None else EntryName(entry, quant)
    name, _, quant = (part.strip() for part in model.lower().partition(":"))
    return EntryName(catalog_entry(name), quant.upper()) if name in catalog_names() else None


def with_quant(model: str | None, quant: str | None) -> str | None:
    """MODEL and --quant as one name.

    Raises: UsageError: there is no name that it could be the quant of, or one with another quant.
    """
    if model is not None:
        require_name(model)
    if not quant:
        return model
    if model is None:
        raise UsageError(
            f"--quant {quant} needs the name of the model that it is a quant of",
            hint="give MODEL too; qvq models lists the names",
            reference="quant-without-model",
        )
    if is_path(model):
        raise UsageError(
            f"{model} is a file, and a file has one quant: its own",
            hint="leave out --quant, or give the name of a model",
            reference="quant-of-file",
        )
    name, in_name = _split_quant(model)
    if in_name and in_name.upper() != quant.upper():
        raise UsageError(
            f"the model's name says {in_name}, --quant says {quant}",
            hint="give the quant once",
            reference="conflicting-quant",
        )
    return f"{name}:{quant}"


def require_name(model: str) -> str:
    """The name as it was typed. Raises: UsageError: it is empty, as an unset variable is."""
    if not model.strip():
        raise UsageError(
            "the name of the model is empty",
            hint="qvq models lists the names",
            reference="empty-name",
        )
    return model


def is_path(model: str) -> bool:
    """Whether it is written as a file's path; one in the current folder may look like a name."""
    if model.startswith(HF):
        return False
    return "/" in model or "\\" in model or Path(model).suffix.lower() == ".gguf"


def _split_quant(model: str) -> tuple[str, str]:
    prefix = HF if model.startswith(HF) else ""
    name, _, quant = model.removeprefix(prefix).partition(":")
    return prefix + name, quant


def shown_name(model: str) -> str:
    """A name as messages show it: what was pasted by mistake may be long."""
    return model if len(model) <= _MOST_SHOWN_CHARS else model[:_MOST_SHOWN_CHARS] + "…"


def unknown_name(model: str, *, is_pull: bool = False) -> UnavailableError:
    """There is no such model; with the one that was perhaps meant.

    Args: is_pull: only what the Hub has is asked for, neither files nor nano.
    """
    from difflib import get_close_matches

    typed = model.lower()
    names = [name for name in catalog_names() if not is_pull or name != EMBEDDED]
    near = [name for name in names if typed in name]
    near = near or get_close_matches(typed, names, n=1, cutoff=0.5)
    return UnavailableError(
        f"there is no model {shown_name(model)!r}" + (f"; perhaps {near[0]}?" if near else ""),
        hint=f"give {'' if is_pull else 'a GGUF file, '}hf:OWNER/REPO, or one of "
        + ", ".join(names),
        reference="unknown-model",
    )


def unknown_quant(entry: CatalogEntry, quant: str) -> UnavailableError:
    """A model of the catalog has no such quant there."""
    return UnavailableError(
        f"{entry.name} has no quant {quant} in the catalog",
        hint="it has " + ", ".join(entry.quants),
        reference="unknown-quant",
    )
