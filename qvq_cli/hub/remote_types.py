"""What the Hub says about a repository, as plain data that needs no network to be named."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository. git_sha1: of small files outside LFS, which have no sha256."""

    name: str
    n_bytes: int
    sha256: str | None
    git_sha1: str | None


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at one commit."""

    repo: str
    commit: str
    licence: str | None
    files: Mapping[str, RemoteFile]
