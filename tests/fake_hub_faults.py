"""What a fake Hub serves, what can go wrong with it, and what it writes down. See fake_hub.py."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Where = Literal["info", "tree", "head", "get", "cdn", "any"]
"""info: model info. tree: file lists. head, get: /resolve on the Hub. cdn: the large files."""

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class HubFile:
    """A file of a repository; give sha256 for files too large to hash, is_lfs for small ones."""

    content: bytes | Path
    sha256: str = ""
    is_lfs: bool = True

    @property
    def n_bytes(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes of a range, in pieces."""
        if isinstance(self.content, bytes):
            yield self.content[start:stop]
            return
        with self.content.open("rb") as file:
            file.seek(start)
            while start < stop and (piece := file.read(min(1 << 16, stop - start))):
                start += len(piece)
                yield piece

    def hashed(self) -> "HubFile":
        if self.sha256:
            return self
        digest = hashlib.sha256()
        for start in range(0, self.n_bytes, _PIECE_BYTES):
            for piece in self.read(start, min(start + _PIECE_BYTES, self.n_bytes)):
                digest.update(piece)
        return HubFile(self.content, digest.hexdigest(), self.is_lfs)


@dataclass(frozen=True)
class Status:
    """Answer with this code; error_code and message as the Hub sets its X-Error-* headers."""

    code: int
    error_code: str = ""
    message: str = ""
    retry_after_s: int | None = None


@dataclass(frozen=True)
class Cut:
    """Close the connection after that many bytes of the body, politely or with a reset."""

    after_bytes: int
    is_reset: bool = False


@dataclass(frozen=True)
class Wrong:
    """Flip the byte at this place of the file, when it is in the range that is sent."""

    at: int = 0


@dataclass(frozen=True)
class Truncated:
    """Pretend that the file is this long: the headers say so too."""

    n_bytes: int


@dataclass(frozen=True)
class Slow:
    bytes_per_s: int


@dataclass(frozen=True)
class Hang:
    """Take the request and never answer."""


@dataclass(frozen=True)
class WholeFile:
    """Ignore the Range header: 200 and everything, as some proxies do."""


@dataclass(frozen=True)
class Page:
    """An HTML page with status 200 instead of what was asked, as a hotel's network answers."""


@dataclass(frozen=True)
class NewCommit:
    """Before answering, main moves on to these files: a push between two requests."""

    files: Mapping[str, bytes | Path | HubFile]


Fault = Status | Cut | Wrong | Truncated | Slow | Hang | WholeFile | Page | NewCommit


@dataclass
class Request:
    """One request as it was answered. start: first byte of the range asked; n_sent: body bytes."""

    where: Where
    method: str
    path: str
    repo: str = ""
    file: str = ""
    start: int = 0
    status: int = 0
    n_sent: int = 0
    token: str = ""
    user_agent: str = ""
    is_proxied: bool = False
