"""The list of what was verified on this machine: models.json in the program's data folder.

A file counts only as long as its size and its time of change are those that were written down when
its sha256 was found right; `qvq verify` hashes again. Several runs may write at once: each change
reads, changes and replaces the whole file under a lock.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from qvq_cli.errors import CannotWriteError, ConfigError

_SCHEMA = 1
_NAME = "models.json"

Role = Literal["model", "mmproj"]
SourceKind = Literal["pull", "import"]


@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """A file whose sha256 was right when its size and time of change were these."""

    path: Path
    n_bytes: int
    mtime_ns: int
    sha256: str

    @property
    def problem(self) -> str | None:
        """What a quick look finds wrong, in words; None where nothing is."""
        try:
            found = self.path.stat()
        except OSError:
            return f"{self.path} is gone"
        if found.st_size != self.n_bytes:
            return f"{self.path} has {found.st_size:,} bytes instead of {self.n_bytes:,}"
        if found.st_mtime_ns != self.mtime_ns:
            return f"{self.path} was changed since it was verified"
        return None


@dataclass(frozen=True, slots=True)
class InstalledFile(VerifiedFile):
    """A verified file of a model. name: its path in its repository."""

    role: Role
    name: str

    @classmethod
    def of(cls, file: VerifiedFile, role: Role, name: str) -> "InstalledFile":
        return cls(*_fields(file), role=role, name=name)


@dataclass(frozen=True, slots=True)
class Installed:
    """A model with its mmproj on this machine.

    name: of the catalog, hf:OWNER/REPO, or what an imported file calls itself. dialect: how it
    ends its reasoning, "" where that isn't known. imported_from: the model and the mmproj that were
    given to an import; () of a pull, and of imports by older versions.
    """

    name: str
    quant: str
    repo: str | None
    commit: str | None
    source: SourceKind
    dialect: str
    files: tuple[InstalledFile, ...]
    imported_from: tuple[Path, ...] = ()

    @property
    def model_id(self) -> str:
        """What --model takes."""
        return f"{self.name}:{self.quant}"

    @property
    def model_path(self) -> Path:
        """The model's file, its first part where it has several."""
        return next(file.path for file in self.files if file.role == "model")

    @property
    def mmproj_path(self) -> Path:
        return next(file.path for file in self.files if file.role == "mmproj")

    @property
    def n_bytes(self) -> int:
        return sum(file.n_bytes for file in self.files)

    @property
    def problem(self) -> str | None:
        """What a quick look finds wrong with its files; None where nothing is."""
        return next((file.problem for file in self.files if file.problem), None)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A pull or an import that was begun and hasn't ended well; written down before its first byte.

    paths: every file that it may have left, under final names and under those of unfinished files.
    """

    model_id: str
    source: SourceKind
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """models: whole ones. files: all verified files by path, also those of unfinished pulls."""

    models: tuple[Installed, ...] = ()
    files: Mapping[str, VerifiedFile] = field(default_factory=dict)
    unfinished: tuple[Unfinished, ...] = ()

    def with_model(self, model: Installed) -> "Manifest":
        """With this model, in place of the one of the same name and quant."""
        others = (each for each in self.models if each.model_id != model.model_id)
        files = {str(file.path): _plain(file) for file in model.files}
        return replace(self, models=(*others, model), files={**self.files, **files})

    def with_file(self, file: VerifiedFile) -> "Manifest":
        """With this file verified, in all models that use it."""
        models = tuple(_renewed(model, file) for model in self.models)
        return replace(self, models=models, files={**self.files, str(file.path): _plain(file)})

    def without_model(self, model_id: str) -> "Manifest":
        left = tuple(each for each in self.models if each.model_id != model_id)
        return replace(self, models=left)

    def with_unfinished(self, begun: Unfinished) -> "Manifest":
        return replace(self, unfinished=(*self.without_unfinished(begun).unfinished, begun))

    def without_unfinished(self, begun: Unfinished) -> "Manifest":
        return replace(self, unfinished=tuple(each for each in self.unfinished if each != begun))

    def without_file(self, path: Path) -> "Manifest":
        """The file no longer counts as verified; models that use it stay listed, as broken."""
        return replace(self, files={k: v for k, v in self.files.items() if k != str(path)})


def data_dir(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Where the program keeps what it needs: QVQ_DATA, else the platform's own place."""
    if environ.get("QVQ_DATA"):
        return Path(environ["QVQ_DATA"]).expanduser().absolute()
    if platform == "win32":
        folder = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif environ.get("XDG_DATA_HOME"):
        folder = Path(environ["XDG_DATA_HOME"])
    elif platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        folder = Path.home() / ".local" / "share"
    return folder / "qvq"


def copies_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where models are put that no other program shares; nobody else writes there."""
    return data_dir(environ) / "models"


def read_manifest(environ: Mapping[str, str] = os.environ) -> Manifest:
    """Read the list; an empty one where there is none yet.

    Raises: ConfigError: it is damaged, or of a newer qvq.
    """
    path = data_dir(environ) / _NAME
    try:
        table = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return Manifest()
    except OSError as error:
        raise ConfigError(
            f"{path} can't be read: {error.strerror or error}",
            hint="set QVQ_DATA to a folder of yours",
        ) from error
    except ValueError as error:
        raise _damaged(path) from error
    if isinstance(table, dict) and isinstance(table.get("schema"), int) and table["schema"] > 1:
        raise ConfigError(
            f"{path} was written by a newer qvq",
            hint="update qvq, or set QVQ_DATA to another folder",
            reference="newer-manifest",
        )
    try:
        files = [_file(each) for each in table["files"]]
        return Manifest(
            tuple(_model(each) for each in table["models"]),
            {str(file.path): file for file in files},
            tuple(_unfinished(each) for each in table.get("unfinished", [])),
        )
    except (KeyError, TypeError, ValueError, StopIteration) as error:
        raise _damaged(path) from error


def change_manifest(
    change: Callable[[Manifest], Manifest], environ: Mapping[str, str] = os.environ
) -> None:
    """Read, change and replace the list, alone among all runs of the program.

    Raises: CannotWriteError. ConfigError: what is there is damaged.
    """
    from filelock import FileLock

    path = data_dir(environ) / _NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            manifest = change(read_manifest(environ))
            fresh = path.with_suffix(".new")
            fresh.write_text(json.dumps(_table(manifest), indent=1, default=str) + "\n", "utf-8")
            fresh.replace(path)
    except OSError as error:
        raise CannotWriteError(
            f"{path} can't be written: {error.strerror or error}",
            hint="make room, or set QVQ_DATA to a folder that can be written to",
        ) from error


def verified_now(path: Path, sha256: str) -> VerifiedFile:
    """A record of a file that was hashed just now. Raises: OSError."""
    found = path.stat()
    return VerifiedFile(path, found.st_size, found.st_mtime_ns, sha256)


def _plain(file: VerifiedFile) -> VerifiedFile:
    return VerifiedFile(*_fields(file))


def _renewed(model: Installed, file: VerifiedFile) -> Installed:
    files = tuple(
        replace(each, n_bytes=file.n_bytes, mtime_ns=file.mtime_ns, sha256=file.sha256)
        if each.path == file.path
        else each
        for each in model.files
    )
    return replace(model, files=files)


def _table(manifest: Manifest) -> dict[str, Any]:
    return {
        "schema": _SCHEMA,
        "models": [asdict(model) for model in manifest.models],
        "files": [asdict(file) for file in manifest.files.values()],
        "unfinished": [asdict(each) for each in manifest.unfinished],
    }


def _model(table: Mapping[str, Any]) -> Installed:
    files = tuple(
        InstalledFile.of(_file(each), cast(Role, each["role"]), str(each["name"]))
        for each in table["files"]
    )
    roles = [file.role for file in files]
    if "model" not in roles or "mmproj" not in roles:
        raise ValueError("a model without its two halves")
    return Installed(
        name=str(table["name"]),
        quant=str(table["quant"]),
        repo=table["repo"],
        commit=table["commit"],
        source=table["source"],
        dialect=str(table["dialect"]),
        files=files,
        imported_from=tuple(Path(path) for path in table.get("imported_from", [])),
    )


def _unfinished(table: Mapping[str, Any]) -> Unfinished:
    paths = tuple(Path(path) for path in table["paths"])
    return Unfinished(str(table["model_id"]), table["source"], paths)


def _fields(file: VerifiedFile) -> tuple[Path, int, int, str]:
    return file.path, file.n_bytes, file.mtime_ns, file.sha256


def _file(table: Mapping[str, Any]) -> VerifiedFile:
    return VerifiedFile(
        Path(table["path"]), int(table["n_bytes"]), int(table["mtime_ns"]), str(table["sha256"])
    )


def _damaged(path: Path) -> ConfigError:
    return ConfigError(
        f"{path}, the list of installed models, is damaged",
        hint="delete it and pull again: files that are there and sound aren't fetched twice",
        reference="broken-manifest",
    )
