"""The fake Hub's HTTP: routes, headers and the many ways to answer badly. See fake_hub.py."""

import hashlib
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import parse_qs, quote, unquote, urlsplit

from fake_hub_faults import (
    Cut,
    Fault,
    Hang,
    HubFile,
    Page,
    Request,
    Slow,
    Status,
    Truncated,
    Where,
    WholeFile,
    Wrong,
)

if TYPE_CHECKING:
    from fake_hub import FakeHub

F = TypeVar("F", bound=Fault)
_INFO = re.compile(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?/?$")
_TREE = re.compile(r"/api/models/([^/]+/[^/]+)/(?:tree|paths-info)/([^/]+)")
_RESOLVE = re.compile(r"/([^/]+/[^/]+)/(resolve|raw)/([^/]+)/(.+)$")
_CACHE = re.compile(r"/api/resolve-cache/models/([^/]+/[^/]+)/([0-9a-f]{40})/(.+)$")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")
_SEND_BUFFER_BYTES = 1 << 15
_PIECE_BYTES = 1 << 14


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, hub: "FakeHub", role: Literal["hub", "cdn"]):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub, self.role = hub, role
        # A small buffer: what counts as sent has nearly arrived.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle (it was killed) is no news."""


def serve(hub: "FakeHub") -> tuple[ThreadingHTTPServer, ThreadingHTTPServer]:
    """Start the Hub and its CDN, each in threads of its own."""
    servers = _Server(hub, "hub"), _Server(hub, "cdn")
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return servers


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""

    # Routes

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self._form = parse_qs(self.rfile.read(length).decode()) if length else {}
        url = urlsplit(self.path)
        self._entry = _entry(self.server.role, self.command, url.path)
        self._entry.is_proxied = bool(url.netloc)
        self._entry.user_agent = self.headers.get("User-Agent", "")
        authorization = self.headers.get("Authorization", "")
        self._entry.token = authorization.removeprefix("Bearer ")
        if self._entry.where == "cdn":
            self._entry.file = parse_qs(url.query).get("file", [""])[0]
            self._entry.start = _wanted(self.headers.get("Range"), 1 << 62)[0]
        hub = self.server.hub
        hub.note(self._entry)
        self._faults = hub.faults(self._entry)
        if any(isinstance(fault, Hang) for fault in self._faults):
            hub.closing.wait()
            self.close_connection = True
        elif status := self._fault(Status):
            self._refuse(status)
        elif self._fault(Page):
            self._send(200, b"<html>Please accept our terms</html>", {"Content-Type": "text/html"})
        elif self.server.role == "cdn":
            self._cdn(url.path)
        else:
            self._hub(url.path)

    def _hub(self, path: str) -> None:
        if self._entry.token and self._entry.token not in self.server.hub.tokens:
            self._refuse(Status(401, "", "Invalid credentials in Authorization header"))
        elif match := _INFO.match(path):
            self._info(match[1], unquote(match[2] or "main"))
        elif match := _TREE.match(path):
            self._tree(match[1], unquote(match[2]))
        elif match := _CACHE.match(path):
            self._file(match[1], match[2], unquote(match[3]), is_cached=True)
        elif match := _RESOLVE.match(path):
            if match[2] == "raw":
                self._raw(match[1], unquote(match[3]), unquote(match[4]))
            else:
                self._file(match[1], unquote(match[3]), unquote(match[4]), is_cached=False)
        elif path == "/":
            self._send(200, b"a Hub", {})
        else:
            self._refuse(Status(404, "", "Not Found"))

    def _commit(self, repo: str, revision: str) -> tuple[str, dict[str, HubFile]] | None:
        """A commit, or None after saying why not."""
        hub, token = self.server.hub, self._entry.token
        if not hub.has(repo) or (repo in hub.private and token not in hub.granted):
            code = 404 if token else 401
            text = "Repository not found" if token else "Invalid username or password."
            self._refuse(Status(code, "RepoNotFound", text))
            return None
        found = hub.find(repo, revision)
        if found is None:
            self._refuse(Status(404, "RevisionNotFound", f"Invalid rev id: {revision}"))
        return found

    def _info(self, repo: str, revision: str) -> None:
        if not (found := self._commit(repo, revision)):
            return
        commit, files = found
        has_blobs = "blobs" in parse_qs(urlsplit(self.path).query)
        hub = self.server.hub
        self._json(
            {
                "_id": commit[:24],
                "id": repo,
                "modelId": repo,
                "author": repo.split("/")[0],
                "sha": commit,
                "private": repo in hub.private,
                "gated": "manual" if repo in hub.gated else False,
                "disabled": False,
                "downloads": 0,
                "likes": 0,
                "tags": ["gguf", "license:other"],
                "siblings": [_sibling(name, file, has_blobs) for name, file in files.items()],
            }
        )

    def _tree(self, repo: str, revision: str) -> None:
        if not (found := self._commit(repo, revision)):
            return
        wanted = self._form.get("paths")
        self._json(
            [_leaf(name, file) for name, file in found[1].items() if not wanted or name in wanted]
        )

    def _file(self, repo: str, revision: str, name: str, *, is_cached: bool) -> None:
        """Answer /resolve: large files are redirected to the CDN, small ones to the Hub's cache."""
        if not (found := self._commit(repo, revision)):
            return
        commit, files = found
        hub, token = self.server.hub, self._entry.token
        if repo in hub.gated and token not in hub.granted:
            text = f"Access to model {repo} is restricted."
            self._refuse(Status(403 if token else 401, "GatedRepo", text))
            return
        file = files.get(name)
        if file is None:
            self._refuse(Status(404, "EntryNotFound", "Entry not found"), {"X-Repo-Commit": commit})
            return
        etag = f'"{file.sha256 if file.is_lfs else _git_oid(file)}"'
        headers = {
            "X-Repo-Commit": commit,
            "X-Linked-Size": str(self._claimed(file)),
            "X-Linked-ETag": etag,
            "Accept-Ranges": "bytes",
        }
        if file.is_lfs:
            signed = f"?file={quote(name)}&Expires=1&Signature=fake"
            location = f"{hub.cdn_endpoint}/repos/{file.sha256}{signed}"
            self._send(302, b"Found", {**headers, "Location": location})
        elif not is_cached:
            location = f"/api/resolve-cache/models/{repo}/{commit}/{quote(name)}"
            self._send(307, b"Temporary Redirect", {**headers, "Location": location})
        else:
            self._content(file, {**headers, "ETag": etag})

    def _raw(self, repo: str, revision: str, name: str) -> None:
        """What git holds: of an LFS file the pointer only."""
        if not (found := self._commit(repo, revision)):
            return
        file = found[1].get(name)
        if file is None:
            self._refuse(Status(404, "EntryNotFound", "Entry not found"))
        elif file.is_lfs:
            self._send(200, _pointer(file), {"Content-Type": "text/plain"})
        else:
            self._content(file, {})

    def _cdn(self, path: str) -> None:
        file = self.server.hub.blob(path.rpartition("/")[2])
        if self._entry.token:
            self._refuse(Status(400, "", "Only one auth mechanism allowed"))
        elif file is None:
            self._refuse(Status(404, "", "NoSuchKey"))
        else:
            name = self._entry.file
            disposition = f"inline; filename*=UTF-8''{quote(name)}; filename=\"{name}\";"
            headers = {"ETag": f'"{file.sha256[:32]}"', "Content-Disposition": disposition}
            self._content(file, headers)

    # Answers

    def _content(self, file: HubFile, headers: dict[str, str]) -> None:
        """Send a file or a range of it, as its faults allow."""
        size = self._claimed(file)
        wanted = None if self._fault(WholeFile) else self.headers.get("Range")
        start, stop = _wanted(wanted, size)
        if wanted and start >= size:
            self._send(416, b"", {"Content-Range": f"bytes */{size}"})
            return
        headers = {"Accept-Ranges": "bytes", "Content-Type": "binary/octet-stream", **headers}
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        self._head(206 if wanted else 200, stop - start, headers)
        if self.command == "HEAD":
            return
        cut = self._fault(Cut)
        limit = cut.after_bytes if cut else stop - start
        for piece in _pieces(self._bytes(file, start, stop), limit):
            self.wfile.write(piece)
            self._entry.n_sent += len(piece)
            self._pace(len(piece))
        if cut and limit < stop - start:
            self._hang_up(cut.is_reset)

    def _bytes(self, file: HubFile, start: int, stop: int) -> Iterator[bytes]:
        wrong = self._fault(Wrong)
        at = start
        for piece in file.read(start, stop):
            if wrong and at <= wrong.at < at + len(piece):
                flipped = bytearray(piece)
                flipped[wrong.at - at] ^= 0xFF
                yield bytes(flipped)
            else:
                yield piece
            at += len(piece)

    def _claimed(self, file: HubFile) -> int:
        truncated = self._fault(Truncated)
        return min(file.n_bytes, truncated.n_bytes) if truncated else file.n_bytes

    def _pace(self, n_bytes: int) -> None:
        slow = self._fault(Slow)
        rate = slow.bytes_per_s if slow else self.server.hub.bytes_per_s
        if rate and self.server.hub.closing.wait(n_bytes / rate):
            raise ConnectionAbortedError

    def _hang_up(self, is_reset: bool) -> None:
        self.close_connection = True
        self.wfile.flush()
        if is_reset:
            time.sleep(0.05)  # a reset throws away what the client has not read yet
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    def _refuse(self, status: Status, headers: dict[str, str] | None = None) -> None:
        extra = dict(headers or {})
        if status.error_code:
            extra["X-Error-Code"] = status.error_code
        if status.message:
            extra["X-Error-Message"] = status.message
        if status.retry_after_s is not None:
            extra["Retry-After"] = str(status.retry_after_s)
        body = json.dumps({"error": status.message or "fault"}).encode()
        self._send(status.code, body, {"Content-Type": "application/json", **extra})

    def _json(self, data: object) -> None:
        self._send(200, json.dumps(data).encode(), {"Content-Type": "application/json"})

    def _send(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(code, len(body), headers)
        if self.command != "HEAD":
            cut = self._fault(Cut)
            self.wfile.write(body[: cut.after_bytes] if cut else body)
            if cut:
                self._hang_up(cut.is_reset)

    def _head(self, code: int, n_bytes: int, headers: dict[str, str]) -> None:
        self._entry.status = code
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(n_bytes))
        self.end_headers()

    def _fault(self, kind: type[F]) -> F | None:
        return next((fault for fault in self._faults if isinstance(fault, kind)), None)


def _entry(role: str, method: str, path: str) -> Request:
    if role == "cdn":
        return Request("cdn", method, path)
    if match := _INFO.match(path):
        return Request("info", method, path, repo=match[1])
    if match := _TREE.match(path):
        return Request("tree", method, path, repo=match[1])
    where: Where = "head" if method == "HEAD" else "get"
    if match := _CACHE.match(path):
        return Request(where, method, path, repo=match[1], file=unquote(match[3]))
    if match := _RESOLVE.match(path):
        return Request(where, method, path, repo=match[1], file=unquote(match[4]))
    return Request("any", method, path)


def _wanted(header: str | None, size: int) -> tuple[int, int]:
    """First byte and the one after the last of a Range header."""
    match = _RANGE.match(header or "")
    if not match or match[0] == "bytes=-":
        return 0, size
    if not match[1]:
        return max(0, size - int(match[2])), size
    return int(match[1]), min(size, int(match[2]) + 1) if match[2] else size


def _pieces(pieces: Iterator[bytes], limit: int) -> Iterator[bytes]:
    """The same bytes in small pieces, at most `limit` of them."""
    for piece in pieces:
        for start in range(0, len(piece), _PIECE_BYTES):
            if limit <= 0:
                return
            part = piece[start : min(start + _PIECE_BYTES, start + limit)]
            limit -= len(part)
            yield part


def _sibling(name: str, file: HubFile, has_blobs: bool) -> dict[str, object]:
    if not has_blobs:
        return {"rfilename": name}
    entry: dict[str, object] = {"rfilename": name, "blobId": _oid(file), "size": file.n_bytes}
    if file.is_lfs:
        size = len(_pointer(file))
        entry["lfs"] = {"sha256": file.sha256, "size": file.n_bytes, "pointerSize": size}
    return entry


def _leaf(name: str, file: HubFile) -> dict[str, object]:
    entry: dict[str, object] = {
        "type": "file",
        "oid": _oid(file),
        "size": file.n_bytes,
        "path": name,
    }
    if file.is_lfs:
        size = len(_pointer(file))
        entry["lfs"] = {"oid": file.sha256, "size": file.n_bytes, "pointerSize": size}
    return entry


def _oid(file: HubFile) -> str:
    return _blob_id(_pointer(file)) if file.is_lfs else _git_oid(file)


def _git_oid(file: HubFile) -> str:
    return _blob_id(b"".join(file.read(0, file.n_bytes)))


def _blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _pointer(file: HubFile) -> bytes:
    return (
        "version https://git-lfs.github.com/spec/v1\n"
        f"oid sha256:{file.sha256}\nsize {file.n_bytes}\n"
    ).encode()
