"""The models that qvq knows by name: one TOML file each in models/catalog, and the user's own.

An entry says where the files are, how large they are, and how the model wants to be run. What is
unknown (a size, a sha256, a revision) is absent, never guessed. A user's entries lie in catalog/
beside the config file; one that has the name of one of ours takes its place.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import qvq_cli
from qvq_cli.engine.grid import ImageLimits
from qvq_cli.engine.protocol import Sampling
from qvq_cli.errors import ConfigError
from qvq_cli.hub.catalog_schema import DIALECTS as DIALECTS
from qvq_cli.hub.catalog_schema import Dialect as Dialect
from qvq_cli.hub.catalog_schema import check_entry
from qvq_cli.hub.config import config_path
from qvq_cli.hub.text_model import TextShape
from qvq_cli.hub.vision_model import VisionShape

EMBEDDED = "nano"
_DEFAULT_MAX_THINKING = 4096
_DEFAULT_LIMITS = {"image_tokens_min": 1024, "image_tokens_max": 4096}  # llama.cpp issue 16842


class Profile(NamedTuple):
    """How a model wants to be run.

    dialect: how it ends its reasoning; system: its own system prompt, "" for none; max_thinking:
    reasoning tokens when nothing else is asked for.
    """

    dialect: Dialect
    system: str
    max_thinking: int
    sampling: Sampling
    limits: ImageLimits


class CatalogFile(NamedTuple):
    """One file of a repository: its path there, its size (exact, or as published), its sha256.

    repo: where it is, None for the entry's own repository.
    """

    name: str
    n_bytes: int | None
    gigabytes: float | None
    sha256: str | None
    repo: str | None = None

    @property
    def about_bytes(self) -> int | None:
        """The size as well as it is known."""
        if self.n_bytes is None and self.gigabytes is not None:
            return round(self.gigabytes * 1e9)
        return self.n_bytes


class Shape(NamedTuple):
    """Both halves of a model as its makers describe them, for plans made before it is here."""

    text: TextShape
    vision: VisionShape


class CatalogEntry(NamedTuple):
    """One model. quants: the files of each quantization, smallest first, parts in order.

    repo is None for the embedded model, whose files come with the program. draft: the name of a
    smaller model of the same vocabulary, for --draft auto. shape is None where the entry doesn't
    tell.
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
    draft: str | None = None
    shape: Shape | None = None

    def about_bytes(self, quant: str) -> int | None:
        """Size of a quant without the mmproj, None where the size of a file is unknown."""
        sizes = [file.about_bytes for file in self.quants[quant]]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None

    def download_bytes(self, quant: str) -> int | None:
        """Size of a quant with the mmproj, None where one of them is unknown."""
        n_bytes, mmproj_bytes = self.about_bytes(quant), self.mmproj.about_bytes
        return None if n_bytes is None or mmproj_bytes is None else n_bytes + mmproj_bytes


def models_dir() -> Path:
    """The folder models/: inside the installed package, or at the root of a checkout."""
    package = Path(qvq_cli.__file__).resolve().parent
    installed = package / "models"
    return installed if installed.is_dir() else package.parent / "models"


def user_catalog_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the user's own entries are looked for."""
    return config_path(environ).parent / "catalog"


def catalog_names() -> tuple[str, ...]:
    """The names of all entries, without reading them."""
    return tuple(sorted(_paths()))


def catalog_entry(name: str) -> CatalogEntry:
    """One entry, by a name from `catalog_names`. Raises: ConfigError: a user's own is wrong."""
    path = _paths()[name]
    return _read(path, path.stat().st_mtime_ns)


def load_catalog() -> tuple[CatalogEntry, ...]:
    """All entries, by name. Raises: ConfigError: a user's own is wrong."""
    return tuple(catalog_entry(name) for name in catalog_names())


def entry_of_repository(repo: str) -> CatalogEntry | None:
    """The entry whose files come from OWNER/REPO. Raises: ConfigError: a user's own is wrong."""
    return next((entry for entry in load_catalog() if entry.repo == repo), None)


def quants_by_size(entry: CatalogEntry) -> Iterator[tuple[str, int]]:
    """The quants whose size is known, largest first, with their bytes."""
    sized = [(quant, entry.about_bytes(quant)) for quant in entry.quants]
    known = [(quant, size) for quant, size in sized if size is not None]
    yield from sorted(known, key=lambda item: item[1], reverse=True)


def _paths() -> dict[str, Path]:
    ours = (models_dir() / "catalog").glob("*.toml")
    theirs = user_catalog_dir().glob("*.toml")
    paths = {path.stem: path for path in ours}
    return {**paths, **{path.stem: path for path in theirs if path.stem != EMBEDDED}}


@cache
def _read(path: Path, mtime_ns: int) -> CatalogEntry:  # noqa: ARG001  # a changed file is read again
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} is not valid TOML: {error}", reference="broken-catalog-entry"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror or error}") from error
    if path.parent == user_catalog_dir():
        check_entry(table, str(path), path.stem, catalog_names())
    return _entry(table)


def _entry(table: dict[str, Any]) -> CatalogEntry:
    return CatalogEntry(
        name=table["name"],
        title=table["title"],
        description=table.get("description", ""),
        repo=table.get("repo"),
        revision=table.get("revision"),
        licence=table.get("licence", "not stated"),
        kv_bytes_per_token=table["kv_bytes_per_token"],
        profile=Profile(
            **{"system": "", "max_thinking": _DEFAULT_MAX_THINKING, **table["profile"]},
            sampling=Sampling(**table.get("sampling", {})),
            limits=ImageLimits(**{**_DEFAULT_LIMITS, **table.get("image", {})}),
        ),
        mmproj=_file(table["mmproj"]),
        quants={
            quant: tuple(_file(file) for file in files) for quant, files in table["quants"].items()
        },
        default_quant=table["default_quant"],
        draft=table.get("draft"),
        shape=_shape(table["shape"]) if "shape" in table else None,
    )


def _shape(table: dict[str, Any]) -> Shape:
    return Shape(TextShape(**table["text"]), VisionShape(**table["vision"]))


def _file(table: dict[str, Any]) -> CatalogFile:
    name, n_bytes, gigabytes = table["name"], table.get("bytes"), table.get("gigabytes")
    return CatalogFile(name, n_bytes, gigabytes, table.get("sha256"), table.get("repo"))
