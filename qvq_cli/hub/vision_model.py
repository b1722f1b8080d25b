"""The shape of a vision projector (mmproj), taken from its GGUF and checked against its tensors.

Source: llama.cpp 0c1e570, tools/mtmd/clip.cpp (load_hparams, load_tensors) and its models'
qwen2vl.cpp and qwen3vl.cpp. Refuses to know: the text half (text_model.py).
"""

from typing import NamedTuple

from qvq_cli.errors import GgufError
from qvq_cli.hub.ggml_types import ValueType
from qvq_cli.hub.gguf import GgufFile
from qvq_cli.hub.gguf_checks import (
    MAX_LAYERS,
    array,
    damaged,
    dims_of,
    kernel,
    matrix,
    positive_float32,
    typed,
    uint32,
    vector,
)
from qvq_cli.hub.text_model import PROJECTORS, SUPPORTED

_KNOWN_PROJECTORS = frozenset().union(*PROJECTORS.values())
_WITH_WINDOWS = "qwen2.5vl_merger"
_OPTIONAL_TYPES = {
    "general.name": ValueType.STRING,
    "general.description": ValueType.STRING,
    "clip.projector_type": ValueType.STRING,
    "clip.vision.projector_type": ValueType.STRING,
    "clip.has_vision_encoder": ValueType.BOOL,
    "clip.has_audio_encoder": ValueType.BOOL,
    "clip.has_gen_audio_encoder": ValueType.BOOL,
    "clip.use_gelu": ValueType.BOOL,
    "clip.use_silu": ValueType.BOOL,
    "clip.vision.mm_patch_merge_type": ValueType.STRING,
    "clip.minicpmv_version": ValueType.INT32,
    "clip.minicpmv_query_num": ValueType.UINT32,
    "clip.vision.attention.head_count_kv": ValueType.UINT32,
    "clip.vision.attention.head_dim": ValueType.UINT32,
}
"""Optional values that clip.cpp fetches with functions that abort on another type."""


class VisionShape(NamedTuple):
    """patch_px: side of a patch; merge: patches a side that become one token of projection_dim.

    n_deepstack: layers whose output is handed over besides (Qwen3-VL).
    """

    projector: str
    n_layer: int
    n_embd: int
    n_head: int
    n_ff: int
    patch_px: int
    merge: int
    projection_dim: int
    n_deepstack: int


def is_mmproj(gguf: GgufFile) -> bool:
    return gguf.architecture == "clip"


def projector_of(gguf: GgufFile) -> str:
    """The projector's kind, "" where the file names none."""
    return gguf.text("clip.projector_type") or gguf.text("clip.vision.projector_type")


def vision_shape(gguf: GgufFile) -> VisionShape:
    """Read and check the mmproj of a pair.

    Raises: GgufError: not an mmproj, not one of the supported ones, or damaged.
    """
    if not is_mmproj(gguf):
        raise GgufError(
            f"{gguf.path.name} is a model ({gguf.architecture[:60]!r}), not a vision projector",
            hint="give the file whose name has mmproj in it with --mmproj",
            reference="model-as-mmproj",
        )
    projector = projector_of(gguf)
    if projector not in _KNOWN_PROJECTORS:
        raise GgufError(
            f"{gguf.path.name} has the projector {projector[:60]!r}; qvq runs {SUPPORTED}",
            hint="choose a vision model of these families, model and mmproj from one place",
            reference="unsupported-architecture",
        )
    shape = _read_shape(gguf, projector)
    _check_values(gguf)
    _check_ends(gguf, shape)
    for i in range(shape.n_layer):
        _check_block(gguf, shape, f"v.blk.{i}.")
    return shape


def _read_shape(gguf: GgufFile, projector: str) -> VisionShape:
    n_embd = uint32(gguf, "clip.vision.embedding_length")
    n_head = uint32(gguf, "clip.vision.attention.head_count")
    n_layer = uint32(gguf, "clip.vision.block_count", maximum=MAX_LAYERS)
    if n_embd % n_head or (n_embd // n_head) % 4:
        raise damaged(gguf, f"{n_head} heads can't share a width of {n_embd}")
    up, down = (dims_of(gguf, f"v.blk.0.ffn_{end}.weight") for end in ("up", "down"))
    if len(up) != 2 or down != up[::-1] or n_embd not in up:
        raise damaged(gguf, f"ffn_up {list(up)} and ffn_down {list(down)} don't fit each other")
    merge = uint32(gguf, "clip.vision.spatial_merge_size", default=2)
    if merge != 2:
        raise damaged(gguf, f"clip.vision.spatial_merge_size is {merge}; llama.cpp builds 2")
    # The converter of QVQ's days wrote a feed_forward_length of 0: llama.cpp goes by the tensors.
    uint32(gguf, "clip.vision.feed_forward_length", minimum=0)
    projection_dim = dims_of(gguf, "mm.2.bias")[0]
    said = uint32(gguf, "clip.vision.projection_dim", minimum=0)
    if projector == _WITH_WINDOWS and said != projection_dim:
        raise damaged(gguf, f"clip.vision.projection_dim is {said}, mm.2.bias {projection_dim}")
    return VisionShape(
        projector=projector,
        n_layer=n_layer,
        n_embd=n_embd,
        n_head=n_head,
        n_ff=up[0] if up[1] == n_embd else up[1],
        patch_px=uint32(gguf, "clip.vision.patch_size", maximum=256),
        merge=merge,
        projection_dim=projection_dim,
        n_deepstack=sum(f"v.deepstack.{i}.fc1.weight" in gguf.tensors for i in range(n_layer)),
    )


def _check_values(gguf: GgufFile) -> None:
    for key, kind in _OPTIONAL_TYPES.items():
        typed(gguf, key, kind)
    values = gguf.metadata
    if values.get("clip.has_vision_encoder") is not True:
        raise damaged(gguf, "it says that it has no vision encoder")
    if values.get("clip.has_audio_encoder") or values.get("clip.has_gen_audio_encoder"):
        raise damaged(gguf, "it says that it has an audio encoder")
    if values.get("clip.use_gelu") and values.get("clip.use_silu"):
        raise damaged(gguf, "it asks for two activation functions")
    for key in ("clip.vision.attention.head_count_kv", "clip.vision.attention.head_dim"):
        if key in values:
            uint32(gguf, key)
    uint32(gguf, "clip.vision.image_size", minimum=0, maximum=8192)
    uint32(gguf, "clip.vision.n_wa_pattern", default=0, minimum=0, maximum=MAX_LAYERS)
    positive_float32(gguf, "clip.vision.attention.layer_norm_epsilon")
    for key in ("clip.vision.image_mean", "clip.vision.image_std"):
        numbers = array(gguf, key, [ValueType.FLOAT32]).values
        if len(numbers) != 3 or not all(0 < number < 10 for number in numbers):
            raise damaged(gguf, f"{key} is {list(numbers)}")


def _check_ends(gguf: GgufFile, shape: VisionShape) -> None:
    """Check the tensors before and after the blocks."""
    patch, n_embd = shape.patch_px, shape.n_embd
    is_qwen3 = shape.projector == "qwen3vl_merger"
    kernel(gguf, "v.patch_embd.weight", patch, patch, 3, n_embd)
    kernel(gguf, "v.patch_embd.weight.1", patch, patch, 3, n_embd)
    if "v.class_embd" in gguf.tensors or ("v.patch_embd.bias" in gguf.tensors) != is_qwen3:
        raise damaged(gguf, f"its patch embedding isn't one of {shape.projector}")
    if is_qwen3:
        vector(gguf, "v.patch_embd.bias", n_embd)
        if dims_of(gguf, "v.position_embd.weight")[0] != n_embd:
            raise damaged(gguf, f"its position embeddings aren't {n_embd} wide")
    if shape.projector == _WITH_WINDOWS:
        uint32(gguf, "clip.vision.n_wa_pattern", maximum=MAX_LAYERS)
    for norm in ("v.post_ln", "v.pre_ln"):
        _check_norm(gguf, norm, n_embd)
    merged = n_embd * shape.merge * shape.merge
    hidden = dims_of(gguf, "mm.0.bias")[0]
    matrix(gguf, "mm.0.weight", merged, hidden)
    vector(gguf, "mm.0.bias", hidden)
    matrix(gguf, "mm.2.weight", hidden, shape.projection_dim)
    vector(gguf, "mm.2.bias", shape.projection_dim)


def _check_norm(gguf: GgufFile, name: str, width: int) -> None:
    for part in ("weight", "bias"):
        if f"{name}.{part}" in gguf.tensors:
            vector(gguf, f"{name}.{part}", width)


def _check_block(gguf: GgufFile, shape: VisionShape, block: str) -> None:
    n_embd, n_ff = shape.n_embd, shape.n_ff
    for norm in ("ln1", "ln2"):
        _check_norm(gguf, f"{block}{norm}", n_embd)
    if shape.projector == "qwen3vl_merger":
        matrix(gguf, f"{block}attn_qkv.weight", n_embd, 3 * n_embd)
        vector(gguf, f"{block}attn_qkv.bias", 3 * n_embd)
    else:
        for letter in "qkv":
            matrix(gguf, f"{block}attn_{letter}.weight", n_embd, n_embd)
            vector(gguf, f"{block}attn_{letter}.bias", n_embd)
    matrix(gguf, f"{block}attn_out.weight", n_embd, n_embd)
    # Old conversions call up what is down; clip.cpp swaps them back, biases too.
    is_swapped = dims_of(gguf, f"{block}ffn_down.weight")[0] == n_embd
    up, down = ("down", "up") if is_swapped else ("up", "down")
    matrix(gguf, f"{block}ffn_{up}.weight", n_embd, n_ff)
    matrix(gguf, f"{block}ffn_{down}.weight", n_ff, n_embd)
    for end, width in ((up, n_ff), (down, n_embd), ("gate", n_ff)):
        if f"{block}ffn_{end}.bias" in gguf.tensors:
            vector(gguf, f"{block}ffn_{end}.bias", width)
    if f"{block}ffn_gate.weight" in gguf.tensors:
        matrix(gguf, f"{block}ffn_gate.weight", n_embd, n_ff)
    if f"{block}attn_out.bias" in gguf.tensors:
        vector(gguf, f"{block}attn_out.bias", n_embd)
