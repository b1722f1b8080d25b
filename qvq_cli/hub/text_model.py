"""The shape of a text model, taken from its GGUF and checked against its tensors.

Source: llama.cpp 0c1e570, src/llama-model.cpp (load_hparams) and src/models/qwen2vl.cpp,
qwen3vl.cpp, qwen3vlmoe.cpp. Refuses to know: the vision half (vision_model.py).
"""

from typing import NamedTuple

from qvq_cli.errors import GgufError
from qvq_cli.hub.ggml_types import ValueType
from qvq_cli.hub.gguf import GgufFile, read_strings
from qvq_cli.hub.gguf_checks import (
    MAX_LAYERS,
    array,
    damaged,
    dims_of,
    matrix,
    positive_float32,
    typed,
    uint32,
    vector,
)
from qvq_cli.hub.gguf_header import GgufArray

PROJECTORS = {
    "qwen2vl": frozenset({"qwen2vl_merger", "qwen2.5vl_merger"}),
    "qwen3vl": frozenset({"qwen3vl_merger"}),
    "qwen3vlmoe": frozenset({"qwen3vl_merger"}),
}
"""Supported architectures of the text model, and the projectors each can be paired with."""

SUPPORTED = "QVQ, Qwen2-VL, Qwen2.5-VL (qwen2vl) and Qwen3-VL (qwen3vl, qwen3vlmoe)"
_MAX_CONTEXT = 1 << 26
_MAX_CHECKED_VOCAB = 32_768
"""Looking for doubles in 152,000 tokens takes 40 ms of every start; a crash there is contained."""

_ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")


class TextShape(NamedTuple):
    """n_deepstack: how many more embeddings of n_embd a picture's token brings (Qwen3-VL)."""

    architecture: str
    n_layer: int
    n_embd: int
    n_head: int
    n_head_kv: int
    n_ff: int
    n_vocab: int
    head_dim: int
    n_ctx_train: int
    n_deepstack: int
    n_expert: int

    @property
    def kv_bytes_per_token(self) -> int:
        """What one KV cell takes: keys and values of all layers in f16."""
        return 2 * 2 * self.n_layer * self.n_head_kv * self.head_dim


def text_shape(gguf: GgufFile) -> TextShape:
    """Read and check the text model of a pair.

    Raises: GgufError: not a text model, not one of the supported ones, or damaged.
    """
    _check_architecture(gguf)
    shape = read_shape(gguf)
    _check_numbers(gguf, shape)
    _check_tokenizer(gguf, shape)
    _check_tensors(gguf, shape)
    return shape


def read_shape(gguf: GgufFile) -> TextShape:
    """What the metadata says, of any architecture. Raises: GgufError: absent, or out of range."""
    arch = gguf.architecture
    n_embd = uint32(gguf, f"{arch}.embedding_length")
    n_head = uint32(gguf, f"{arch}.attention.head_count")
    head_dim = uint32(gguf, f"{arch}.attention.key_length", default=n_embd // n_head)
    return TextShape(
        architecture=arch,
        n_layer=uint32(gguf, f"{arch}.block_count", maximum=MAX_LAYERS),
        n_embd=n_embd,
        n_head=n_head,
        n_head_kv=uint32(gguf, f"{arch}.attention.head_count_kv", default=n_head),
        n_ff=uint32(gguf, f"{arch}.feed_forward_length"),
        n_vocab=array(gguf, "tokenizer.ggml.tokens", [ValueType.STRING]).count,
        head_dim=head_dim,
        n_ctx_train=uint32(gguf, f"{arch}.context_length", maximum=_MAX_CONTEXT),
        n_deepstack=uint32(
            gguf, f"{arch}.n_deepstack_layers", default=0, minimum=0, maximum=MAX_LAYERS
        ),
        n_expert=uint32(gguf, f"{arch}.expert_count", default=0, minimum=0, maximum=1024),
    )


def _check_architecture(gguf: GgufFile) -> None:
    arch = gguf.architecture
    if arch in PROJECTORS:
        return
    if arch == "clip":
        raise GgufError(
            f"{gguf.path.name} is a vision projector (mmproj), not a model",
            hint="name the model's own file in its place; where solve doesn't find this one beside "
            f"it, add --mmproj {gguf.path}",
            reference="mmproj-as-model",
        )
    what = f"of the architecture {arch[:60]!r}" if arch else "without an architecture"
    raise GgufError(
        f"{gguf.path.name} is a model {what}, which qvq can't run; it runs {SUPPORTED}",
        hint="choose a vision model of these families; text-only models can't see pictures",
        reference="unsupported-architecture",
    )


def _check_numbers(gguf: GgufFile, shape: TextShape) -> None:
    """Check what llama.cpp asserts on or divides by."""
    arch, head_dim = shape.architecture, shape.head_dim
    if shape.n_head % shape.n_head_kv:
        raise damaged(gguf, f"{shape.n_head} heads can't share {shape.n_head_kv} KV heads")
    if head_dim < 2 or head_dim % 2:
        raise damaged(gguf, f"{shape.n_head} heads in {shape.n_embd} leave {head_dim} for each")
    for key in ("attention.value_length", "rope.dimension_count"):
        if uint32(gguf, f"{arch}.{key}", default=head_dim) != head_dim:
            raise damaged(gguf, f"{arch}.{key} differs from the {head_dim} of a head")
    sections = array(
        gguf, f"{arch}.rope.dimension_sections", [ValueType.INT32, ValueType.UINT32]
    ).values
    if len(sections) != 4 or min(sections) < 0 or not 0 < 2 * sum(sections) <= head_dim:
        raise damaged(gguf, f"{arch}.rope.dimension_sections is {list(sections)}")
    positive_float32(gguf, f"{arch}.attention.layer_norm_rms_epsilon")
    positive_float32(gguf, f"{arch}.rope.freq_base", is_required=False)
    scaling = typed(gguf, f"{arch}.rope.scaling.type", ValueType.STRING)
    if scaling is not None and scaling not in _ROPE_SCALINGS:
        raise damaged(gguf, f"{arch}.rope.scaling.type is {str(scaling)[:60]!r}")
    n_used = uint32(gguf, f"{arch}.expert_used_count", default=0, minimum=0)
    is_moe = arch == "qwen3vlmoe"
    if n_used > shape.n_expert or (n_used > 0) != is_moe or (shape.n_expert > 0) != is_moe:
        raise damaged(gguf, f"it uses {n_used} of {shape.n_expert} experts")


def _check_tokenizer(gguf: GgufFile, shape: TextShape) -> None:
    if typed(gguf, "tokenizer.ggml.model", ValueType.STRING) != "gpt2":
        raise damaged(gguf, "its tokenizer is not the byte-pair one of the Qwen models")
    typed(gguf, "tokenizer.ggml.pre", ValueType.STRING)
    array(gguf, "tokenizer.ggml.merges", [ValueType.STRING])
    types = array(gguf, "tokenizer.ggml.token_type", [ValueType.INT32])
    if types.count < shape.n_vocab:
        raise damaged(gguf, f"only {types.count:,} of {shape.n_vocab:,} tokens have a type")
    eos = uint32(gguf, "tokenizer.ggml.eos_token_id", minimum=0)
    if eos >= shape.n_vocab:
        raise damaged(gguf, f"its end token {eos:,} is not among {shape.n_vocab:,} tokens")
    if shape.n_vocab > _MAX_CHECKED_VOCAB:
        return
    tokens = gguf.metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, GgufArray)
    # llama.cpp cuts tokens at a NUL, gives empty ones a name, and asserts that no two are the same.
    strings = enumerate(read_strings(gguf.path, tokens))
    if len({token.partition(b"\0")[0] or i for i, token in strings}) != shape.n_vocab:
        raise damaged(gguf, "its vocabulary holds a token twice")


def _check_tensors(gguf: GgufFile, shape: TextShape) -> None:
    n_embd = shape.n_embd
    matrix(gguf, "token_embd.weight", n_embd, shape.n_vocab)
    vector(gguf, "output_norm.weight", n_embd)
    if "output.weight" in gguf.tensors:
        matrix(gguf, "output.weight", n_embd, shape.n_vocab)
    for i in range(shape.n_layer):
        _check_attention(gguf, shape, f"blk.{i}.")
        vector(gguf, f"blk.{i}.ffn_norm.weight", n_embd)
        if shape.n_expert:
            _check_experts(gguf, shape, f"blk.{i}.")
        else:
            matrix(gguf, f"blk.{i}.ffn_gate.weight", n_embd, shape.n_ff)
            matrix(gguf, f"blk.{i}.ffn_up.weight", n_embd, shape.n_ff)
            matrix(gguf, f"blk.{i}.ffn_down.weight", shape.n_ff, n_embd)


def _check_attention(gguf: GgufFile, shape: TextShape, block: str) -> None:
    n_q, n_kv = shape.head_dim * shape.n_head, shape.head_dim * shape.n_head_kv
    vector(gguf, f"{block}attn_norm.weight", shape.n_embd)
    if f"{block}attn_qkv.weight" in gguf.tensors:
        matrix(gguf, f"{block}attn_qkv.weight", shape.n_embd, n_q + 2 * n_kv)
    else:
        for letter, width in (("q", n_q), ("k", n_kv), ("v", n_kv)):
            matrix(gguf, f"{block}attn_{letter}.weight", shape.n_embd, width)
            if f"{block}attn_{letter}.bias" in gguf.tensors:
                vector(gguf, f"{block}attn_{letter}.bias", width)
    matrix(gguf, f"{block}attn_output.weight", n_q, shape.n_embd)
    if shape.architecture != "qwen2vl":
        vector(gguf, f"{block}attn_q_norm.weight", shape.head_dim)
        vector(gguf, f"{block}attn_k_norm.weight", shape.head_dim)


def _check_experts(gguf: GgufFile, shape: TextShape, block: str) -> None:
    n_ff = dims_of(gguf, f"{block}ffn_down_exps.weight")[0]
    matrix(gguf, f"{block}ffn_gate_inp.weight", shape.n_embd, shape.n_expert)
    matrix(gguf, f"{block}ffn_gate_exps.weight", shape.n_embd, n_ff, shape.n_expert)
    matrix(gguf, f"{block}ffn_up_exps.weight", shape.n_embd, n_ff, shape.n_expert)
    matrix(gguf, f"{block}ffn_down_exps.weight", n_ff, shape.n_embd, shape.n_expert)
