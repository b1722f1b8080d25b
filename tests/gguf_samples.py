"""GGUF files made for tests: taken from nano or from nothing, changed where a test wants it."""

import struct
from dataclasses import dataclass, field
from pathlib import Path

from qvq_cli.hub.catalog import models_dir
from qvq_cli.hub.ggml_types import SCALARS, TENSOR_TYPES, ValueType
from qvq_cli.hub.gguf import read_gguf, read_strings
from qvq_cli.hub.gguf_header import GgufArray

MODEL = models_dir() / "nano" / "nano-q8_0.gguf"
MMPROJ = models_dir() / "nano" / "mmproj-nano-q8_0.gguf"
ALIGNMENT = 32
_NUMBERS = {kind.name: number for number, kind in TENSOR_TYPES.items()}


@dataclass
class Sample:
    """The header of a GGUF that can still be changed; its weights are zeros.

    values: key -> (type, value), for arrays (type of the elements, list). tensors: name -> (dims,
    type name).
    """

    values: dict[str, tuple[ValueType, object]] = field(default_factory=dict)
    tensors: dict[str, tuple[list[int], str]] = field(default_factory=dict)
    version: int = 3

    def write(self, path: Path) -> Path:
        path.write_bytes(self.to_bytes())
        return path

    def write_sparse(self, path: Path) -> Path:
        """The same file, with a hole for its weights: any size takes no room on disk."""
        head, n_weight_bytes = self._head()
        with path.open("wb") as file:
            file.write(head)
            file.truncate(len(head) + n_weight_bytes)
        return path

    def write_with_nanos_weights(self, path: Path) -> Path:
        """A changed header before what the tensors of nano's own file hold."""
        head, n_weight_bytes = self._head()
        path.write_bytes(head + MODEL.read_bytes()[-n_weight_bytes:])
        return path

    def to_bytes(self) -> bytes:
        head, n_weight_bytes = self._head()
        return head + bytes(n_weight_bytes)

    def _head(self) -> tuple[bytes, int]:
        """The header with its padding, and how many bytes of weights follow."""
        counts = struct.pack("<IQQ", self.version, len(self.tensors), len(self.values))
        head = b"GGUF" + counts + b"".join(_value(key, *v) for key, v in self.values.items())
        offset = 0
        for name, (dims, kind) in self.tensors.items():
            head += _string(name) + struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
            head += struct.pack("<IQ", _NUMBERS[kind], offset)
            offset += _padded(_tensor_bytes(dims, kind))
        return head.ljust(_padded(len(head)), b"\0"), offset


def nano_model() -> Sample:
    return _sample_of(MODEL)


def nano_mmproj() -> Sample:
    return _sample_of(MMPROJ)


def text_model() -> Sample:
    """nano as a Qwen2 that reads text only."""
    sample = nano_model()
    sample.values = {
        key.replace("qwen2vl.", "qwen2."): value
        for key, value in sample.values.items()
        if not key.endswith("dimension_sections")
    }
    sample.values["general.architecture"] = (ValueType.STRING, "qwen2")
    sample.values["general.name"] = (ValueType.STRING, "Little Text")
    return sample


def qvq_model() -> Sample:
    """The shape of QVQ-72B with nano's vocabulary, 49 GB: Q4_K, ffn_down in Q8_0."""
    sample = nano_model()
    for key, number in (
        ("block_count", 80),
        ("embedding_length", 8192),
        ("feed_forward_length", 29568),
        ("attention.head_count", 64),
        ("attention.head_count_kv", 8),
        ("context_length", 128_000),
    ):
        sample.values[f"qwen2vl.{key}"] = (ValueType.UINT32, number)
    for key in ("attention.key_length", "attention.value_length", "rope.dimension_count"):
        sample.values.pop(f"qwen2vl.{key}", None)
    sections = [16, 24, 24, 0]
    sample.values["qwen2vl.rope.dimension_sections"] = (ValueType.INT32, sections)
    sample.values["general.name"] = (ValueType.STRING, "QVQ 72B Preview")
    sample.values["general.file_type"] = (ValueType.UINT32, 15)
    n_vocab = sample.tensors["token_embd.weight"][0][1]
    sample.tensors = {
        "token_embd.weight": ([8192, n_vocab], "Q8_0"),
        "output.weight": ([8192, n_vocab], "Q8_0"),
        "output_norm.weight": ([8192], "F32"),
    }
    for i in range(80):
        sample.tensors |= {
            f"blk.{i}.{name}.weight": (dims, kind)
            for name, dims, kind in (
                ("attn_norm", [8192], "F32"),
                ("attn_q", [8192, 8192], "Q4_K"),
                ("attn_k", [8192, 1024], "Q4_K"),
                ("attn_v", [8192, 1024], "Q4_K"),
                ("attn_output", [8192, 8192], "Q4_K"),
                ("ffn_norm", [8192], "F32"),
                ("ffn_gate", [8192, 29568], "Q4_K"),
                ("ffn_up", [8192, 29568], "Q4_K"),
                ("ffn_down", [29568, 8192], "Q8_0"),
            )
        }
    return sample


def qvq_mmproj() -> Sample:
    """nano's projector, made for a model that is 8,192 wide."""
    sample = nano_mmproj()
    sample.values["clip.vision.projection_dim"] = (ValueType.UINT32, 8192)
    hidden = sample.tensors["mm.2.weight"][0][0]
    sample.tensors["mm.2.weight"] = ([hidden, 8192], "Q8_0")
    sample.tensors["mm.2.bias"] = ([8192], "F32")
    return sample


def qwen3vl_model(n_deepstack: int = 2) -> Sample:
    """nano's shape as Qwen3-VL has it: norms on queries and keys, no biases, deepstack."""
    sample = nano_model()
    sample.values = {
        key.replace("qwen2vl.", "qwen3vl."): value for key, value in sample.values.items()
    }
    sample.values["general.architecture"] = (ValueType.STRING, "qwen3vl")
    sample.values["general.name"] = (ValueType.STRING, "Something of one's own")
    sample.values["qwen3vl.n_deepstack_layers"] = (ValueType.UINT32, n_deepstack)
    for i in range(8):
        for letter in "qk":
            sample.tensors[f"blk.{i}.attn_{letter}_norm.weight"] = ([64], "F32")
    return sample


def qwen3vl_mmproj(n_deepstack: int = 2) -> Sample:
    sample = nano_mmproj()
    sample.values["clip.projector_type"] = (ValueType.STRING, "qwen3vl_merger")
    sample.values["clip.vision.patch_size"] = (ValueType.UINT32, 16)
    tensors = {
        name: shape
        for name, shape in sample.tensors.items()
        if not any(f"attn_{letter}." in name for letter in "qkv")
    }
    for name in ("v.patch_embd.weight", "v.patch_embd.weight.1"):
        tensors[name] = ([16, 16, 3, 256], "F16")
    tensors["v.patch_embd.bias"] = ([256], "F32")
    tensors["v.position_embd.weight"] = ([256, 2304], "F32")
    for i in range(6):
        tensors[f"v.blk.{i}.attn_qkv.weight"] = ([256, 768], "Q8_0")
        tensors[f"v.blk.{i}.attn_qkv.bias"] = ([768], "F32")
    for i in range(n_deepstack):
        tensors[f"v.deepstack.{i}.fc1.weight"] = ([1024, 1024], "Q8_0")
    sample.tensors = tensors
    return sample


def _sample_of(path: Path) -> Sample:
    gguf = read_gguf(path)
    sample = Sample()
    for key, value in gguf.metadata.items():
        if isinstance(value, GgufArray):
            is_text = value.element_type is ValueType.STRING
            elements: object = read_strings(path, value) if is_text else list(value.values)
            if not is_text and len(value.values) != value.count:
                elements = [1] * value.count  # token types: nano's long array of numbers
            sample.values[key] = (value.element_type, elements)
        else:
            sample.values[key] = (gguf.value_types[key], value)
    for tensor in gguf.tensors.values():
        sample.tensors[tensor.name] = (list(tensor.dims), tensor.type)
    return sample


def _value(key: str, kind: ValueType, value: object) -> bytes:
    if isinstance(value, list):
        elements = b"".join(_scalar(kind, element) for element in value)
        return _string(key) + struct.pack("<IIQ", ValueType.ARRAY, kind, len(value)) + elements
    return _string(key) + struct.pack("<I", kind) + _scalar(kind, value)


def _scalar(kind: ValueType, value: object) -> bytes:
    return _string(value) if kind is ValueType.STRING else SCALARS[kind].pack(value)


def _string(text: object) -> bytes:
    data = text if isinstance(text, bytes) else str(text).encode()
    return struct.pack("<Q", len(data)) + data


def _tensor_bytes(dims: list[int], kind: str) -> int:
    n_elements = 1
    for dim in dims:
        n_elements *= dim
    tensor_type = TENSOR_TYPES[_NUMBERS[kind]]
    return n_elements // tensor_type.block_elements * tensor_type.block_bytes


def _padded(n_bytes: int) -> int:
    return -(-n_bytes // ALIGNMENT) * ALIGNMENT
