"""The models that qvq knows by name: one TOML file each in models/catalog.

An entry says where the files are, how large they are, and how the model wants to be run. What is
unknown (a size, a sha256, a revision) is absent, never guessed.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import qvq_cli
from qvq_cli.engine.grid import ImageLimits
from qvq_cli.engine.protocol import Sampling

EMBEDDED = "nano"
Dialect = Literal["heading", "think-tags", "plain"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)


@dataclass(frozen=True, slots=True)
class Profile:
    """How a model wants to be run.

    dialect: how it ends its reasoning; system: its own system prompt, "" for none; max_thinking:
    reasoning tokens when nothing else is asked for.
    """

    dialect: Dialect
    system: str
    max_thinking: int
    sampling: Sampling
    limits: ImageLimits


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """One file of a repository: its path there, its size (exact, or as published), its sha256."""

    name: str
    n_bytes: int | None
    gigabytes: float | None
    sha256: str | None

    @property
    def about_bytes(self) -> int | None:
        """The size as well as it is known."""
        if self.n_bytes is None and self.gigabytes is not None:
            return round(self.gigabytes * 1e9)
        return self.n_bytes


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One model. quants: the files of each quantization, smallest first, parts in order.

    repo is None for the embedded model, whose files come with the program.
    """

    name: str
    title: str
    description: str
    repo: str | None
    revision: str | None
    licence: str
    kv_bytes_per_token: int
    profile: Profile
    mmproj: CatalogFile
    quants: Mapping[str, tuple[CatalogFile, ...]]
    default_quant: str

    def about_bytes(self, quant: str) -> int | None:
        """Size of a quant without the mmproj, None where the size of a file is unknown."""
        sizes = [file.about_bytes for file in self.quants[quant]]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None


def models_dir() -> Path:
    """The folder models/: inside the installed package, or at the root of a checkout."""
    package = Path(qvq_cli.__file__).resolve().parent
    installed = package / "models"
    return installed if installed.is_dir() else package.parent / "models"


def catalog_names() -> tuple[str, ...]:
    """The names of all entries, without reading them."""
    return tuple(sorted(path.stem for path in (models_dir() / "catalog").glob("*.toml")))


@cache
def catalog_entry(name: str) -> CatalogEntry:
    """One entry, by a name from `catalog_names`."""
    path = models_dir() / "catalog" / f"{name}.toml"
    return _entry(tomllib.loads(path.read_text("utf-8")))


def load_catalog() -> tuple[CatalogEntry, ...]:
    """All entries, by name."""
    return tuple(catalog_entry(name) for name in catalog_names())


def quants_by_size(entry: CatalogEntry) -> Iterator[tuple[str, int]]:
    """The quants whose size is known, largest first, with their bytes."""
    sized = [(quant, entry.about_bytes(quant)) for quant in entry.quants]
    known = [(quant, size) for quant, size in sized if size is not None]
    yield from sorted(known, key=lambda item: item[1], reverse=True)


def _entry(table: dict[str, Any]) -> CatalogEntry:
    return CatalogEntry(
        name=table["name"],
        title=table["title"],
        description=table["description"],
        repo=table.get("repo"),
        revision=table.get("revision"),
        licence=table["licence"],
        kv_bytes_per_token=table["kv_bytes_per_token"],
        profile=Profile(
            **table["profile"],
            sampling=Sampling(**table["sampling"]),
            limits=ImageLimits(**table["image"]),
        ),
        mmproj=_file(table["mmproj"]),
        quants={
            quant: tuple(_file(file) for file in files) for quant, files in table["quants"].items()
        },
        default_quant=table["default_quant"],
    )


def _file(table: dict[str, Any]) -> CatalogFile:
    name, n_bytes, gigabytes = table["name"], table.get("bytes"), table.get("gigabytes")
    return CatalogFile(name, n_bytes, gigabytes, table.get("sha256"))
