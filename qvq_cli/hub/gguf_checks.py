"""Questions to a GGUF that must have an answer: a number of this type, a tensor of that shape.

llama.cpp aborts the process (GGML_ASSERT) on metadata of the wrong type in an mmproj, on tensors of
the wrong shape in its graphs, and divides by zeros it was given. Everything asked for here is what
one of those places takes for granted.
"""

import math
from collections.abc import Sequence

from qvq_cli.errors import GgufError
from qvq_cli.hub.ggml_types import TENSOR_TYPES, ValueType
from qvq_cli.hub.gguf import GgufFile
from qvq_cli.hub.gguf_header import DOWNLOAD_AGAIN, GgufArray, GgufValue

MAX_LAYERS = 512  # LLAMA_MAX_LAYERS
MAX_WIDTH = 1 << 20  # far above any model's widths; products of two stay exact in llama.cpp
VECTOR_TYPES = frozenset({"F32"})
_NO_WEIGHTS = {"Q8_1", "Q8_K", "I8", "I16", "I32", "I64", "F64"}
MATRIX_TYPES = frozenset(kind.name for kind in TENSOR_TYPES.values()) - _NO_WEIGHTS
"""The types ggml can multiply with; Q8_1, Q8_K and the integers are for intermediate results."""


def damaged(gguf: GgufFile, reason: str) -> GgufError:
    return GgufError(
        f"{gguf.path.name} is damaged or was badly converted: {reason}",
        hint=DOWNLOAD_AGAIN,
        reference="damaged-gguf",
    )


def typed(gguf: GgufFile, key: str, kind: ValueType) -> GgufValue | None:
    """A metadata value, None where it is absent. Raises: GgufError: it has another type."""
    found = gguf.value_types.get(key)
    if found is None:
        return None
    if found is not kind:
        raise damaged(gguf, f"{key} is of type {found.name.lower()}, not {kind.name.lower()}")
    return gguf.metadata[key]


def uint32(
    gguf: GgufFile,
    key: str,
    *,
    default: int | None = None,
    minimum: int = 1,
    maximum: int = MAX_WIDTH,
) -> int:
    """A number from the metadata. Raises: GgufError: absent without default, or out of range."""
    value = typed(gguf, key, ValueType.UINT32)
    if value is None:
        if default is None:
            raise damaged(gguf, f"its metadata has no {key}")
        return default
    assert isinstance(value, int)
    if not minimum <= value <= maximum:
        raise damaged(gguf, f"{key} is {value:,}, not between {minimum:,} and {maximum:,}")
    return value


def positive_float32(gguf: GgufFile, key: str, *, is_required: bool = True) -> None:
    """Raises: GgufError: the value is not a finite number above zero."""
    value = typed(gguf, key, ValueType.FLOAT32)
    if value is None:
        if is_required:
            raise damaged(gguf, f"its metadata has no {key}")
        return
    assert isinstance(value, float)
    if not (math.isfinite(value) and value > 0):
        raise damaged(gguf, f"{key} is {value}")


def array(gguf: GgufFile, key: str, kinds: Sequence[ValueType]) -> GgufArray:
    """An array from the metadata. Raises: GgufError: absent, or of other elements."""
    value = typed(gguf, key, ValueType.ARRAY)
    if value is None:
        raise damaged(gguf, f"its metadata has no {key}")
    assert isinstance(value, GgufArray)
    if value.element_type not in kinds:
        raise damaged(gguf, f"{key} holds elements of type {value.element_type.name.lower()}")
    return value


def dims_of(gguf: GgufFile, name: str) -> tuple[int, ...]:
    """The shape of a tensor, without final ones. Raises: GgufError: there is no such tensor."""
    tensor = gguf.tensors.get(name)
    if tensor is None:
        raise damaged(gguf, f"it has no tensor {name!r}")
    dims = tensor.dims
    while len(dims) > 1 and dims[-1] == 1:
        dims = dims[:-1]
    return dims


def vector(gguf: GgufFile, name: str, length: int) -> None:
    """Raises: GgufError: the tensor isn't a vector of `length` 32-bit floats."""
    _expect(gguf, name, (length,), VECTOR_TYPES)


def matrix(gguf: GgufFile, name: str, *dims: int) -> None:
    """Raises: GgufError: the tensor isn't a weight matrix of these dims, row length first."""
    _expect(gguf, name, dims, MATRIX_TYPES)


def kernel(gguf: GgufFile, name: str, *dims: int) -> None:
    """Raises: GgufError: the tensor isn't a convolution kernel of these dims (F16 or F32 only)."""
    _expect(gguf, name, dims, frozenset({"F16", "F32"}))


def _expect(gguf: GgufFile, name: str, dims: tuple[int, ...], types: frozenset[str]) -> None:
    found = dims_of(gguf, name)
    if found != dims:
        raise damaged(gguf, f"tensor {name!r} has the shape {list(found)}, not {list(dims)}")
    kind = gguf.tensors[name].type
    if kind not in types:
        raise damaged(gguf, f"tensor {name!r} is of type {kind}, which can't be used there")
