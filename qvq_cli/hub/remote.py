"""The Hub, asked over the network: what a repository holds, and the bytes of its files.

The one module that speaks HTTP, through huggingface_hub's own session: HF_ENDPOINT, HF_TOKEN,
HF_HUB_OFFLINE, proxies and certificates count as they do for `hf download`. It is imported by a
pull only. Refuses to know: where bytes go (transfer.py), which files are wanted (listing.py).

Why not hf_hub_download: since version 2 it starts every interrupted file from its first byte.
"""

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx2

from qvq_cli import __version__
from qvq_cli.errors import BusyError, ConfigError, QvqError, TransferError, UnreachableError

try:
    from huggingface_hub import constants
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, not in __all__
        build_hf_headers,
        get_session,
        hf_raise_for_status,
    )
except ValueError as error:  # they take their variables apart while they are imported
    raise ConfigError(
        f"a variable of the Hugging Face tools can't be read: {error}",
        hint="HF_ENDPOINT is an address, HF_HUB_DOWNLOAD_TIMEOUT and HF_HUB_ETAG_TIMEOUT are whole "
        "seconds: set them so, or unset them",
        reference="bad-variable",
    ) from error

from qvq_cli.hub.remote_errors import bad_proxy, bad_token, no_hub, patience, translate
from qvq_cli.hub.remote_types import RemoteFile, Repository

_RETRY_WAITS_S = (1.0, 3.0)
"""Between attempts at a listing or a header, when a server stumbles; transfer.py has its own."""


class HubStatus(NamedTuple):
    """problem: why the Hub can't be used just now, None when it can."""

    endpoint: str
    is_offline: bool
    problem: str | None


def endpoint() -> str:
    """The Hub's address, without a slash at its end."""
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def file_url(repo: str, commit: str, name: str) -> str:
    """Where a file's bytes are; the Hub redirects from there."""
    return f"{endpoint()}/{repo}/resolve/{commit}/{quote(name)}"


def read_repository(repo: str, revision: str | None) -> Repository:
    """List a repository, with the sizes and checksums of its files, and the commit they are of.

    Raises: UnreachableError, DeniedError, UnavailableError, ConfigError.
    """
    url = f"{endpoint()}/api/models/{repo}"
    if revision is not None:
        url += f"/revision/{quote(revision, safe='')}"
    table = _get_json(url, repo)
    try:
        files = [_remote_file(sibling) for sibling in table["siblings"]]
        if not re.fullmatch(r"[0-9a-f]{7,64}", table["sha"]):
            raise ValueError("a commit is a hexadecimal number")
        return Repository(repo, table["sha"], _licence(table), {each.name: each for each in files})
    except (KeyError, TypeError, ValueError) as error:
        raise no_hub(endpoint()) from error


def hub_status(timeout_s: float = 5.0) -> HubStatus:
    """Whether the Hub answers; for `qvq doctor`."""
    if constants.is_offline_mode():
        return HubStatus(endpoint(), True, None)
    try:
        with _session_errors(None):
            response = _session().head(
                endpoint(), headers=_headers(), timeout=timeout_s, follow_redirects=True
            )
            hf_raise_for_status(response)
    except QvqError as error:
        return HubStatus(endpoint(), False, error.message)
    return HubStatus(endpoint(), False, None)


class RangeIgnoredError(Exception):
    """The server sends the whole file when asked for a part of it."""


@contextmanager
def open_range(
    url: str, repo: str, start: int, end: int, n_bytes: int
) -> Iterator[Iterator[bytes]]:
    """Ask for bytes start..end (exclusive) of a file of n_bytes; yields pieces as they arrive.

    The pieces may go on behind `end` where a server answers more than it was asked for.
    Raises: RangeIgnoredError: it would send the file from its first byte; nothing was read yet.
        UnreachableError, DeniedError, UnavailableError: it didn't begin to answer.
        TransferError, from the pieces: it broke off.
    """
    headers = {**_headers(), "Accept-Encoding": "identity"}
    if (start, end) != (0, n_bytes):
        headers["Range"] = f"bytes={start}-" if end == n_bytes else f"bytes={start}-{end - 1}"
    with ExitStack() as stack:
        with _session_errors(repo):
            response = stack.enter_context(
                _session().stream(
                    "GET",
                    url,
                    headers=headers,
                    timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
                    follow_redirects=True,
                )
            )
            hf_raise_for_status(response)
        _check_is_file(response)
        if start > 0 and _first_byte(response) != start:
            raise RangeIgnoredError
        yield _pieces(response, repo)


def _pieces(response: httpx2.Response, repo: str) -> Iterator[bytes]:
    with _session_errors(repo, has_begun=True):
        yield from response.iter_bytes()


def read_range(url: str, repo: str, start: int, end: int, n_bytes: int) -> bytes:
    """Bytes start..end of a file of n_bytes, for a look at its header."""
    for wait_s in (*_RETRY_WAITS_S, None):
        try:
            data = _read(url, repo, start, end, n_bytes)
            break
        except RangeIgnoredError:
            data = _read(url, repo, 0, end, n_bytes)[start:]
            break
        except (TransferError, UnreachableError) as error:
            _wait(error, wait_s)
    if len(data) < end - start:
        raise TransferError(
            f"{repo} sends fewer bytes of {url.rsplit('/', 1)[-1]} than it lists",
            hint="run it again: the repository may just have changed",
            reference="short-file",
        )
    return data


def _read(url: str, repo: str, start: int, end: int, n_bytes: int) -> bytes:
    data = bytearray()
    with open_range(url, repo, start, end, n_bytes) as pieces:
        for piece in pieces:
            data += piece
            if len(data) >= end - start:
                break
    return bytes(data[: end - start])


def _get_json(url: str, repo: str) -> dict[str, Any]:
    """Fetch a listing; a server that stumbles gets a second and a third chance."""
    for wait_s in (*_RETRY_WAITS_S, None):
        try:
            with _session_errors(repo):
                response = _session().get(
                    url,
                    headers=_headers(),
                    params={"blobs": "true"},
                    timeout=constants.HF_HUB_ETAG_TIMEOUT,
                    follow_redirects=True,
                )
                hf_raise_for_status(response)
                table = response.json()
            if isinstance(table, dict):
                return table
            raise no_hub(endpoint())
        except (BusyError, TransferError) as error:
            _wait(error, wait_s)
    raise AssertionError("the last attempt raises")


def _wait(error: QvqError, usual_s: float | None) -> None:
    """Wait for the next attempt. Raises: the error, where there is to be none."""
    wait_s = None if usual_s is None else patience(error, usual_s)
    if wait_s is None:
        raise error
    time.sleep(wait_s)


@contextmanager
def _session_errors(repo: str | None, *, has_begun: bool = False) -> Iterator[None]:
    try:
        yield
    except json.JSONDecodeError as error:
        raise no_hub(endpoint()) from error
    except UnicodeEncodeError as error:
        raise bad_token() from error
    # ValueError: an address that can't be taken apart.
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, ValueError) as error:
        raise translate(error, repo, endpoint(), has_begun=has_begun) from error


def _session() -> httpx2.Client:
    """huggingface_hub's client, made at the first call: it reads the proxies' variables then.

    Raises: ConfigError: one of them can't be used.
    """
    try:
        return get_session()
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        raise bad_proxy(error) from error


def _headers() -> dict[str, str]:
    return build_hf_headers(library_name="qvq", library_version=__version__)


def _remote_file(sibling: Mapping[str, Any]) -> RemoteFile:
    name, lfs = str(sibling["rfilename"]), sibling.get("lfs")
    if lfs:
        return RemoteFile(name, int(lfs["size"]), _digest(lfs.get("sha256"), 64), None)
    size = sibling.get("size")
    n_bytes = 0 if size is None else int(size)
    return RemoteFile(name, n_bytes, None, _digest(sibling.get("blobId"), 40))


def _digest(said: object, n_digits: int) -> str | None:
    """A checksum, in the form that it may have; it becomes the name of a file."""
    text = str(said).lower()
    return text if re.fullmatch(rf"[0-9a-f]{{{n_digits}}}", text) else None


def _licence(table: Mapping[str, Any]) -> str | None:
    card = table.get("cardData")
    if isinstance(card, Mapping):
        said = card.get("license_name") or card.get("license")
        if isinstance(said, str):
            return said
    tags = table.get("tags")
    found = [
        tag.removeprefix("license:")
        for tag in (tags if isinstance(tags, list) else [])
        if isinstance(tag, str) and tag.startswith("license:")
    ]
    return found[0] if found else None


def _check_is_file(response: httpx2.Response) -> None:
    """Refuse the page that a hotel's network sends instead of the file."""
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise no_hub(endpoint())


def _first_byte(response: httpx2.Response) -> int:
    """Which byte of the file the body begins with."""
    if response.status_code != 206:
        return 0
    unit, _, span = response.headers.get("Content-Range", "").partition(" ")
    first = span.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdigit() else -1
