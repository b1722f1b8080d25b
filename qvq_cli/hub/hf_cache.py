"""The cache that the Hugging Face tools share: where a file lies in it, and how to put one there.

Source of the layout: huggingface_hub, "Understand caching". models--OWNER--REPO/refs/main names the
commit whose files are in snapshots/COMMIT, as links to blobs/SHA256. Uses no network, and not
huggingface_hub either: `qvq solve` finds its model here.
"""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from qvq_cli.hub.disk import is_file, is_folder

_QUANT = re.compile(
    r"[-_.](?P<quant>I?Q\d\w*|TQ\d\w*|MXFP4\w*|BF16|F16|F32)(-\d{5}-of-\d{5})?\.gguf", re.IGNORECASE
)


def cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """The cache's folder, as huggingface_hub's own constants.py finds it."""
    said = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE")
    if said:
        return Path(os.path.expandvars(said)).expanduser().absolute()
    home = environ.get("HF_HOME")
    if home:
        return Path(os.path.expandvars(home)).expanduser().absolute() / "hub"
    caches = environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "huggingface" / "hub"


def repo_folder(repo: str, environ: Mapping[str, str] = os.environ) -> Path:
    return cache_dir(environ) / "--".join(["models", *repo.split("/")])


def cached_files(
    repo: str, revision: str | None = None, environ: Mapping[str, str] = os.environ
) -> dict[str, Path]:
    """The GGUF files of a repository in the cache, by their path in the repository."""
    folder = repo_folder(repo, environ)
    try:
        commit = (folder / "refs" / (revision or "main")).read_text("utf-8").strip()
    except OSError:
        commit = revision or ""
    snapshot = folder / "snapshots" / commit
    if not commit or not is_folder(snapshot):
        return {}
    paths = (path for path in snapshot.rglob("*.gguf") if is_file(path))
    return {path.relative_to(snapshot).as_posix(): path for path in sorted(paths)}


def blob_path(repo: str, etag: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Where a file's content lies, by its sha256 (its git_sha1 where it isn't in LFS)."""
    return repo_folder(repo, environ) / "blobs" / etag


def snapshot_path(
    repo: str, commit: str, name: str, environ: Mapping[str, str] = os.environ
) -> Path:
    """Where a file of a commit is found under its own name."""
    return repo_folder(repo, environ).joinpath("snapshots", commit, *name.split("/"))


def link_snapshot(blob: Path, pointer: Path) -> None:
    """Let a commit's file point to its content; where links can't be made, move it there.

    Raises: OSError.
    """
    pointer.parent.mkdir(parents=True, exist_ok=True)
    target = os.path.relpath(blob, pointer.parent)
    if pointer.is_symlink():
        if pointer.readlink() == Path(target):
            return
        pointer.unlink()
    if pointer.is_file():
        return
    try:
        pointer.symlink_to(target)
    except OSError:  # Windows without developer mode
        shutil.move(blob, pointer)


def write_ref(repo: str, commit: str, environ: Mapping[str, str] = os.environ) -> None:
    """Say which commit `main` was when it was last asked for. Raises: OSError."""
    path = repo_folder(repo, environ) / "refs" / "main"
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.parents[1] / ".qvq-main"  # not in refs, where it would count as one
    fresh.write_text(commit, "utf-8")
    fresh.replace(path)


def quant_in_name(name: str) -> str | None:
    """The quantization that a file's name ends in: "Q4_K_M" of "QVQ-72B-Preview-Q4_K_M.gguf"."""
    match = _QUANT.search(name)
    return match["quant"].upper() if match else None
