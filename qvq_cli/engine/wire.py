"""The frames between the program and its engine process.

A frame is two big-endian uint32 (bytes of header, bytes of payload), a JSON header and a raw
payload: pixels on the way in, the bytes of decoded tokens on the way out. JSON and not pickle,
because the other side has been reading files that strangers made.

    to the worker:   begin, devices, system_info, load_ahead, load, prefill, decode, decode_chains,
                     stop, append, look_again, draft_counts, time_batch, time_matmul
    from the worker: progress, reusing, done, error, pieces, rounds, end, stopped
"""

import json
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO, Protocol

from qvq_cli import errors
from qvq_cli.engine.protocol import (
    Bitmap,
    CacheSpec,
    LoadSpec,
    Piece,
    PromptPart,
    Round,
    Spoken,
    TextPart,
)
from qvq_cli.errors import QvqError

_SIZES = struct.Struct(">II")
Header = dict[str, Any]
SETTLE_S = 3.0
"""How long a worker whose stdin has ended may still write to the cache."""


def write_frame(stream: BinaryIO, header: Header, payload: bytes = b"") -> None:
    """Write one frame and flush it."""
    data = json.dumps(header).encode()
    stream.write(_SIZES.pack(len(data), len(payload)))
    stream.write(data)
    stream.write(payload)
    stream.flush()


class Readable(Protocol):
    """What frames can be read from."""

    def read(self, n_bytes: int, /) -> bytes: ...


def read_frame(stream: Readable) -> tuple[Header, bytes] | None:
    """Read one frame. Returns: None at the end of the stream, also in the middle of a frame."""
    sizes = stream.read(_SIZES.size)
    if len(sizes) < _SIZES.size:
        return None
    n_header, n_payload = _SIZES.unpack(sizes)
    data = stream.read(n_header)
    payload = stream.read(n_payload) if n_payload else b""
    if len(data) < n_header or len(payload) < n_payload:
        return None
    return json.loads(data), payload


def unpack_spec(table: Header) -> LoadSpec:
    """A LoadSpec from what JSON left of its `_asdict`."""
    cache = table["cache"]
    return LoadSpec(**{**table, "cache": None if cache is None else CacheSpec(*cache)})


def pack_parts(parts: Sequence[PromptPart]) -> tuple[list[Header], bytes]:
    """Prompt parts as JSON, with the pixels of all bitmaps one after the other as payload."""
    described: list[Header] = []
    pixels: list[bytes] = []
    for part in parts:
        if isinstance(part, Bitmap):
            described.append({"width_px": part.width_px, "height_px": part.height_px})
            pixels.append(part.rgb)
        else:
            described.append({"text": part.text, "parse_special": part.parse_special})
    return described, b"".join(pixels)


def unpack_parts(described: Sequence[Header], pixels: bytes) -> list[PromptPart]:
    """The inverse of pack_parts."""
    parts: list[PromptPart] = []
    start = 0
    for part in described:
        if "text" in part:
            parts.append(TextPart(**part))
            continue
        n_bytes = part["width_px"] * part["height_px"] * 3
        parts.append(Bitmap(rgb=pixels[start : start + n_bytes], **part))
        start += n_bytes
    return parts


def pack_pieces(pieces: Sequence[Piece]) -> tuple[Header, bytes]:
    """Decoded tokens as a "pieces" frame; an end-of-generation token can only be the last."""
    header = {
        "re": "pieces",
        "tokens": [piece.token for piece in pieces],
        "sizes": [len(piece.data) for piece in pieces],
        "is_eog": pieces[-1].is_eog,
    }
    return header, b"".join(piece.data for piece in pieces)


def unpack_pieces(header: Header, payload: bytes) -> list[Piece]:
    """The inverse of pack_pieces."""
    pieces = []
    start = 0
    last = len(header["tokens"]) - 1
    for i, (token, size) in enumerate(zip(header["tokens"], header["sizes"], strict=True)):
        data = payload[start : start + size]
        pieces.append(Piece(token, data, header["is_eog"] and i == last, has_next=i < last))
        start += size
    return pieces


def pack_rounds(rounds: Sequence[Round]) -> tuple[Header, bytes]:
    """Rounds of several chains as a "rounds" frame."""
    pieces = [piece for said in rounds for _, piece in said]
    header = {
        "re": "rounds",
        "chains": [[chain for chain, _ in said] for said in rounds],
        "tokens": [piece.token for piece in pieces],
        "sizes": [-1 if piece.is_eog else len(piece.data) for piece in pieces],
    }
    return header, b"".join(piece.data for piece in pieces)


def unpack_rounds(header: Header, payload: bytes) -> list[Round]:
    """The inverse of pack_rounds."""
    spoken = zip(header["tokens"], header["sizes"], strict=True)
    last = {chain: i for i, chains in enumerate(header["chains"]) for chain in chains}
    rounds = []
    start = 0
    for i, chains in enumerate(header["chains"]):
        said = []
        for chain in chains:
            token, size = next(spoken)
            end = start + max(size, 0)
            piece = Piece(token, payload[start:end], is_eog=size < 0, has_next=i < last[chain])
            said.append(Spoken(chain, piece))
            start = end
        rounds.append(tuple(said))
    return rounds


def pack_error(error: QvqError) -> tuple[Header, bytes]:
    """An error as an "error" frame; its class travels by name."""
    header = {
        "re": "error",
        "kind": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "reference": error.reference,
    }
    return header, b""


def unpack_error(header: Header) -> QvqError:
    """The inverse of pack_error."""
    kind: type[QvqError] = getattr(errors, header["kind"])
    return kind(header["message"], hint=header["hint"], reference=header["reference"])
