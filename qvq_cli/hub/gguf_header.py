"""The header of one GGUF file, from bytes: its values, its tensors, and where its data must end.

As strict as llama.cpp's own reader (ggml/src/gguf.cpp), so that what passes here isn't refused
there. Refuses to know: files (gguf.py).
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

from qvq_cli.errors import GgufError
from qvq_cli.hub.ggml_types import SCALARS, TENSOR_TYPES, ValueType

DOWNLOAD_AGAIN = "download it again, or compare its size and sha256 with what its publisher gives"

_DEFAULT_ALIGNMENT = 32  # GGUF_DEFAULT_ALIGNMENT
_MAX_DIMS = 4  # GGML_MAX_DIMS
_MAX_NAME_BYTES = 63  # GGML_MAX_NAME, less its final zero
_MAX_ELEMENTS = 1 << 62
_KEPT_ELEMENTS = 512  # LLAMA_MAX_LAYERS: the longest array that describes a shape
_LEAST_TENSOR_BYTES = 24  # name length, dimensions, type, offset
_LEAST_VALUE_BYTES = 14  # key length, one letter, type, one byte
_U32 = SCALARS[ValueType.UINT32]
_U64 = SCALARS[ValueType.UINT64]


@dataclass(frozen=True, slots=True)
class GgufArray:
    """An array in the metadata: its elements where they are few numbers, else only their count.

    start, end: where its elements lie in the file, for `read_strings`.
    """

    element_type: ValueType
    count: int
    start: int
    end: int
    values: tuple[int | float | bool, ...]


GgufValue = int | float | bool | str | GgufArray


class TensorInfo(NamedTuple):
    """One tensor. dims are in ggml's order: dims[0] is the length of a row."""

    name: str
    dims: tuple[int, ...]
    type: str
    offset: int
    n_bytes: int


class Header(NamedTuple):
    """data_start: where the tensors' data begins; data_bytes: how much of it there must be."""

    version: int
    metadata: dict[str, GgufValue]
    value_types: dict[str, ValueType]
    tensors: dict[str, TensorInfo]
    data_start: int
    data_bytes: int


class ShortError(Exception):
    """The bytes at hand end before the header does."""


def parse_header(data: bytes, name: str, size: int) -> Header:
    """Parse the start of a file of `size` bytes, called `name` in messages.

    Raises: ShortError: more bytes are needed. GgufError: no reading on makes it a GGUF.
    """
    cursor = _Cursor(data, name)
    version = cursor.integer(_U32)
    n_tensors = cursor.integer(_U64)
    n_values = cursor.integer(_U64)
    if n_tensors * _LEAST_TENSOR_BYTES + n_values * _LEAST_VALUE_BYTES > size:
        raise cursor.damaged(
            f"it claims {n_tensors:,} tensors and {n_values:,} metadata values in {size:,} bytes"
        )
    metadata: dict[str, GgufValue] = {}
    value_types: dict[str, ValueType] = {}
    for _ in range(n_values):
        key = cursor.raw().decode("utf-8", "replace")
        if not key or key in metadata:
            raise cursor.damaged(f"its metadata has an empty or a repeated key, {key[:60]!r}")
        kind = cursor.value_type()
        value_types[key] = kind
        metadata[key] = cursor.value(kind)
    alignment = _alignment(cursor, metadata, value_types)
    tensors, data_bytes = _parse_tensors(cursor, n_tensors, alignment)
    data_start = _align(cursor.at, alignment)
    return Header(version, metadata, value_types, tensors, data_start, data_bytes)


class _Cursor:
    """Reads values one after the other, from behind the file's magic on."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.name = name
        self.at = 4

    def scalar(self, layout: struct.Struct) -> int | float | bool:
        try:
            value: int | float | bool = layout.unpack_from(self.data, self.at)[0]
        except (struct.error, OverflowError):
            raise ShortError from None
        self.at += layout.size
        return value

    def integer(self, layout: struct.Struct) -> int:
        return int(self.scalar(layout))

    def raw(self) -> bytes:
        n_bytes = self.integer(_U64)
        piece = self.data[self.at : self.at + n_bytes]
        if len(piece) != n_bytes:
            raise ShortError
        self.at += n_bytes
        return piece

    def value_type(self) -> ValueType:
        number = self.integer(_U32)
        try:
            return ValueType(number)
        except ValueError:
            raise self.damaged(f"it holds metadata of the unknown type {number}") from None

    def value(self, kind: ValueType) -> GgufValue:
        if kind is ValueType.STRING:
            return self.raw().decode("utf-8", "replace")
        if kind is ValueType.ARRAY:
            return self.array()
        return self.scalar(SCALARS[kind])

    def array(self) -> GgufArray:
        kind = self.value_type()
        count = self.integer(_U64)
        if kind is ValueType.ARRAY:
            raise self.damaged("its metadata holds an array of arrays")
        start = self.at
        values: tuple[int | float | bool, ...] = ()
        if kind is ValueType.STRING:
            self.skip_strings(count)
        elif count <= _KEPT_ELEMENTS:
            values = tuple(self.scalar(SCALARS[kind]) for _ in range(count))
        else:
            self.at += count * SCALARS[kind].size
        if self.at > len(self.data):
            raise ShortError
        return GgufArray(kind, count, start, self.at, values)

    def skip_strings(self, count: int) -> None:
        # Local names: this loop runs 300,000 times for Qwen's tokens and merges, and is the cost.
        unpack, data, at = _U64.unpack_from, self.data, self.at
        try:
            for _ in repeat(None, count):
                at += unpack(data, at)[0] + 8
        except (struct.error, OverflowError):
            raise ShortError from None
        self.at = at

    def damaged(self, reason: str) -> GgufError:
        return GgufError(
            f"{self.name} is damaged: {reason}", hint=DOWNLOAD_AGAIN, reference="damaged-gguf"
        )


def _align(at: int, alignment: int) -> int:
    return -(-at // alignment) * alignment


def _alignment(
    cursor: _Cursor, metadata: Mapping[str, GgufValue], types: Mapping[str, ValueType]
) -> int:
    alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
    is_uint32 = types.get("general.alignment", ValueType.UINT32) is ValueType.UINT32
    if not isinstance(alignment, int) or not is_uint32:
        raise cursor.damaged("general.alignment is not a 32-bit number")
    if alignment < 1 or alignment & (alignment - 1):
        raise cursor.damaged(f"general.alignment is {alignment}, not a power of two")
    return alignment


def _parse_tensors(
    cursor: _Cursor, n_tensors: int, alignment: int
) -> tuple[dict[str, TensorInfo], int]:
    """Returns: the tensors, and where their data ends, counted from where it starts."""
    tensors: dict[str, TensorInfo] = {}
    expected = end = 0
    for _ in range(n_tensors):
        tensor = _parse_tensor(cursor)
        if tensor.name in tensors:
            raise cursor.damaged(f"it holds the tensor {tensor.name!r} twice")
        if tensor.offset != expected:
            raise cursor.damaged(
                f"the data of {tensor.name!r} starts at {tensor.offset:,} instead of {expected:,}"
            )
        tensors[tensor.name] = tensor
        end = expected + tensor.n_bytes
        expected = _align(end, alignment)
    return tensors, end


def _parse_tensor(cursor: _Cursor) -> TensorInfo:
    raw = cursor.raw()
    name = raw.decode("utf-8", "replace")
    if not raw or len(raw) > _MAX_NAME_BYTES:
        raise cursor.damaged(f"a tensor's name has {len(raw):,} bytes: {name[:60]!r}")
    n_dims = cursor.integer(_U32)
    if not 1 <= n_dims <= _MAX_DIMS:
        raise cursor.damaged(f"tensor {name!r} has {n_dims:,} dimensions")
    dims = tuple(cursor.integer(_U64) for _ in range(n_dims))
    number = cursor.integer(_U32)
    offset = cursor.integer(_U64)
    kind = TENSOR_TYPES.get(number)
    if kind is None:
        raise cursor.damaged(f"tensor {name!r} has the unknown type {number}")
    n_elements = math.prod(dims)
    if not 0 < n_elements < _MAX_ELEMENTS or dims[0] % kind.block_elements:
        raise cursor.damaged(f"tensor {name!r} can't be {kind.name} of shape {list(dims)}")
    n_bytes = n_elements // kind.block_elements * kind.block_bytes
    return TensorInfo(name, dims, kind.name, offset, n_bytes)
