"""What a GGUF file says about itself: metadata and tensor shapes, never the weights.

Reads only the header, in pure Python, because it runs in the parent before anything that could
crash is loaded: whatever the bytes are, the result is a GgufFile or a QvqError. Long arrays (a
vocabulary of 152,000 tokens) are stepped over, not kept; `read_strings` fetches one when needed.

Refuses to know: what the values mean (text_model.py, vision_model.py), which files go together
(pair.py).
"""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from qvq_cli.errors import GgufError, InputNotFoundError
from qvq_cli.hub.foreign import describe_foreign, refuse_raw_part
from qvq_cli.hub.ggml_types import SCALARS, ValueType
from qvq_cli.hub.gguf_header import (
    DOWNLOAD_AGAIN,
    GgufArray,
    GgufValue,
    Header,
    ShortError,
    TensorInfo,
    parse_header,
)
from qvq_cli.hub.splits import check_parts, part_paths

LIST_MODELS = "qvq models lists what is on this machine"
_FIRST_READ_BYTES = 1 << 20
_MAX_HEADER_BYTES = 256 << 20  # the largest header seen, with 262,000 tokens, has 16 MB
_MOST_NAME_CHARS = 300
_U32 = SCALARS[ValueType.UINT32]
_U64 = SCALARS[ValueType.UINT64]


class GgufFile(NamedTuple):
    """The header of a model: of one file, or of all parts of a split one.

    path is what llama.cpp has to be given: the file, or the first part. metadata holds the first
    part's values, and value_types their types, on which llama.cpp insists.
    """

    path: Path
    parts: tuple[Path, ...]
    version: int
    metadata: Mapping[str, GgufValue]
    value_types: Mapping[str, ValueType]
    tensors: Mapping[str, TensorInfo]

    @property
    def architecture(self) -> str:
        """`general.architecture`, "" where there is none."""
        return self.text("general.architecture")

    @property
    def weight_bytes(self) -> int:
        """The bytes of all tensors: what is mapped into memory."""
        return sum(tensor.n_bytes for tensor in self.tensors.values())

    def text(self, key: str) -> str:
        """A string from the metadata, "" where it is absent or something else."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""


def read_gguf(path: str | Path) -> GgufFile:
    """Read the header of a GGUF file; of all parts of a split one, whichever of them is given.

    Raises:
        InputNotFoundError: there is no such file, or it may not be read.
        GgufError: it is no GGUF, damaged, cut off, too old or too new, or a part is missing.
    """
    path = Path(path)
    refuse_raw_part(path)
    parts = part_paths(path)
    headers = [_read_header(part) for part in parts]
    check_parts(parts, [header.metadata for header in headers], [len(h.tensors) for h in headers])
    tensors: dict[str, TensorInfo] = {}
    for header, part in zip(headers, parts, strict=True):
        twice = tensors.keys() & header.tensors.keys()
        if twice:
            raise GgufError(
                f"{part.name} repeats the tensor {min(twice)!r} of another part",
                hint=DOWNLOAD_AGAIN,
                reference="damaged-gguf",
            )
        tensors.update(header.tensors)
    first = headers[0]
    return GgufFile(parts[0], parts, first.version, first.metadata, first.value_types, tensors)


def require_file(path: Path) -> None:
    """Raises: InputNotFoundError: there is no such file, or it may not be looked at."""
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the name
        raise InputNotFoundError(
            f"there is no file {path}", hint=_near(path), reference="no-such-model"
        ) from None
    except OSError as error:
        raise unreadable(path, error) from error
    if not is_file:
        raise InputNotFoundError(
            f"{path} is not a file", hint=LIST_MODELS, reference="no-such-model"
        )


def _near(path: Path) -> str:
    """What may have been meant: a GGUF there of nearly that name."""
    import difflib

    try:
        there = {each.stem: each for each in path.parent.glob("*.gguf")}
    except (OSError, ValueError):
        there = {}
    near = difflib.get_close_matches(path.stem, there, n=1)
    return f"did you mean {there[near[0]]}?" if near else LIST_MODELS


def unreadable(path: Path, error: OSError) -> InputNotFoundError:
    """A model's file or folder that may not be looked at, or has a name that none can have."""
    name = str(path)
    if len(name) > _MOST_NAME_CHARS:
        name = name[:_MOST_NAME_CHARS] + "…"
    return InputNotFoundError(
        f"{name} can't be read: {error.strerror or error}", reference="unreadable-model"
    )


def read_strings(path: Path, array: GgufArray) -> list[bytes]:
    """The elements of a string array that `read_gguf` stepped over."""
    with path.open("rb") as file:
        file.seek(array.start)
        data = file.read(array.end - array.start)
    strings, at = [], 0
    for _ in range(array.count):
        (n_bytes,) = _U64.unpack_from(data, at)
        at += 8 + n_bytes
        strings.append(data[at - n_bytes : at])
    return strings


def _read_header(path: Path) -> Header:
    require_file(path)
    try:
        with path.open("rb") as file:
            return _read_growing(path, file)
    except OSError as error:
        raise unreadable(path, error) from error


def _read_growing(path: Path, file: BinaryIO) -> Header:
    """Read ever more of the file until the whole header is there."""
    size = file.seek(0, 2)
    n_read = _FIRST_READ_BYTES
    while True:
        file.seek(0)
        data = file.read(min(n_read, size))
        _check_preamble(path, data, size)
        try:
            header = parse_header(data, path.name, size)
        except ShortError:
            if n_read < min(size, _MAX_HEADER_BYTES):
                n_read *= 8
                continue
            raise GgufError(
                f"{path.name} is damaged or cut off: its header doesn't end within the file's "
                f"{size:,} bytes",
                hint=DOWNLOAD_AGAIN,
                reference="truncated-gguf",
            ) from None
        _check_complete(path, header, size)
        return header


def _check_preamble(path: Path, data: bytes, size: int) -> None:
    if data[:4] != b"GGUF":
        what, hint = describe_foreign(data, size)
        raise GgufError(
            f"{path.name} is not a GGUF file: it is {what}", hint=hint, reference="not-gguf"
        )
    if len(data) < 8:
        return
    (version,) = _U32.unpack_from(data, 4)
    if version and not version & 0xFFFF:
        raise GgufError(
            f"{path.name} is a big-endian GGUF, made for another kind of processor",
            hint="get the little-endian file of the same model",
            reference="big-endian-gguf",
        )
    if version not in (2, 3):
        is_old = version < 2
        raise GgufError(
            f"{path.name} is GGUF version {version}, {'older' if is_old else 'newer'} than "
            "llama.cpp reads here (2 and 3)",
            hint="get a newer conversion of the model" if is_old else DOWNLOAD_AGAIN,
            reference="gguf-version",
        )


def _check_complete(path: Path, header: Header, size: int) -> None:
    missing = header.data_start + header.data_bytes - size
    if header.tensors and missing > 0:
        raise GgufError(
            f"{path.name} is cut off: {missing:,} of its {size + missing:,} bytes are missing",
            hint="finish the download: " + DOWNLOAD_AGAIN,
            reference="truncated-gguf",
        )
