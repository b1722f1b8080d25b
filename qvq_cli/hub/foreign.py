"""What a file is that should have been a GGUF, from its first bytes or its name."""

import re
from pathlib import Path

from qvq_cli.errors import GgufError

_GET_GGUF = "give a .gguf file; llama.cpp runs nothing else"
RAW_PART = re.compile(
    r"(?P<whole>.+\.gguf)\.(?:part(?P<number>\d+)of(?P<total>\d+)|(?P<letter>[a-z]))", re.IGNORECASE
)


def describe_foreign(head: bytes, size: int) -> tuple[str, str]:
    """Say what a file is that doesn't start with "GGUF".

    Returns: what it is, and what to do about it.
    """
    text = head[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if size == 0:
        return "empty", "download it again"
    if text.startswith(b"version https://git-lfs"):
        return (
            "a git-lfs pointer, the text that stands for the real file",
            "run `git lfs pull` in that repository, or download the file itself",
        )
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        return "a web page, perhaps an error message saved as a file", "download the file itself"
    if text.startswith(b"{"):
        return "JSON text, perhaps an error message saved as a file", "download the file itself"
    if head[:4] == b"PK\x03\x04":
        is_torch = b"data.pkl" in head[:65536] or b"/version" in head[:65536]
        return ("a PyTorch checkpoint" if is_torch else "a zip archive"), _GET_GGUF
    if head[:2] == b"\x1f\x8b":
        return "a gzip archive", "unpack it first"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a Python pickle", _GET_GGUF
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < size:
        return "a safetensors file", _GET_GGUF
    if head[:4] in (b"lmgg", b"fmgg", b"tjgg"):
        return "a ggml file from before GGUF", "get a newer conversion of the model"
    if not any(head[:4096]):
        return "all zeros, as a download leaves that only reserved its space", "download it again"
    if head[:8].startswith((b"\x89PNG", b"\xff\xd8\xff", b"%PDF", b"RIFF")):
        return "a picture or a document", (
            "pictures go before the question, the model to --model, its mmproj to --mmproj"
        )
    return "something else", _GET_GGUF


def refuse_raw_part(path: Path) -> None:
    """Refuse one slice of a GGUF that was cut up as bytes (`x.gguf.part1of2`, `x.gguf.a`).

    Such a slice isn't llama.cpp's split format: the slices have to be put together again first.
    Raises: GgufError: it is one, with the command to type.
    """
    match = RAW_PART.fullmatch(path.name)
    if match is None:
        return
    whole = path.with_name(match["whole"])
    if match["number"]:
        slices = [
            f"{whole.name}.part{i}of{match['total']}"
            for i in range(1, min(int(match["total"]), 99) + 1)
        ]
    else:
        slices = [f"{whole.name}.{chr(ord('a') + i)}" for i in range(2)]
    sources = " ".join(f'"{path.with_name(name)}"' for name in slices)
    raise GgufError(
        f"{path.name} is one slice of {whole.name}, which was cut up to be uploaded",
        hint=f'put it together: cat {sources} > "{whole}" (Windows: copy /b, with + between them)',
        reference="raw-part",
    )
