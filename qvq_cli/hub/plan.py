"""How much memory a run will take, told before anything is loaded.

An estimate of what the worker keeps resident on a CPU with flash attention: weights and KV cache
are known to the byte, the working memory follows llama.cpp's graphs. Against the peak of program
and worker together (PSS) it is 1.9 % high on a random model of Qwen2-VL-2B's shape and 1.7 % on one
of the 7B's. It works from the files of a model or, before they are here, from what the catalog says
of it.

Refuses to know: how layers are spread over GPUs (offload.py), and what to do when memory is short
(run_plan.py).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from qvq_cli.engine.protocol import N_UBATCH, KvType
from qvq_cli.hub.catalog import CatalogEntry
from qvq_cli.hub.pair import Pair
from qvq_cli.hub.text_model import TextShape
from qvq_cli.hub.vision_model import VisionShape

CTX_STEP = 256  # llama.cpp rounds n_ctx up to it
LEAST_THINKING = 256
F32_BYTES, F16_BYTES = 4, 2
VOCABULARY_BYTES_PER_TOKEN = 300  # measured: 44 MiB for Qwen's 151,936 tokens and their merges
_PROCESS_BYTES = 64 << 20  # measured: Python, the libraries, and what loading takes for a moment
_KV_BITS: Mapping[KvType, float] = {"f16": 16, "q8_0": 8.5}


class ModelSizes(NamedTuple):
    """What a plan has to know of a model: its shapes, and where its bytes are.

    output_bytes is 0 where the output shares the embedding's matrix.
    """

    text: TextShape
    vision: VisionShape
    layer_bytes: tuple[int, ...]
    output_bytes: int
    embedding_bytes: int
    mmproj_bytes: int

    @property
    def weight_bytes(self) -> int:
        return sum(self.layer_bytes) + self.output_bytes + self.embedding_bytes


class MemoryPlan(NamedTuple):
    """What a run takes, by cause. compute_bytes, vision_bytes: working memory of the two halves."""

    n_ctx: int
    weight_bytes: int
    mmproj_bytes: int
    kv_bytes: int
    compute_bytes: int
    vision_bytes: int
    process_bytes: int
    kv_type: KvType = "f16"

    @property
    def total_bytes(self) -> int:
        model = self.weight_bytes + self.mmproj_bytes
        return model + self.kv_bytes + self.working_bytes

    @property
    def working_bytes(self) -> int:
        """Everything but the model and the KV cache."""
        return self.compute_bytes + self.vision_bytes + self.process_bytes

    @property
    def kv_bytes_per_token(self) -> int:
        return self.kv_bytes // self.n_ctx


def sizes_of(pair: Pair) -> ModelSizes:
    """The sizes of a model whose files are here, to the byte."""
    layers = [0] * pair.text.n_layer
    output = embedding = 0
    for tensor in pair.model.tensors.values():
        block, _, rest = tensor.name.removeprefix("blk.").partition(".")
        if tensor.name.startswith("blk.") and rest and block.isdecimal():
            layers[min(int(block), len(layers) - 1)] += tensor.n_bytes
        elif tensor.name == "output.weight":
            output = tensor.n_bytes
        else:
            embedding += tensor.n_bytes
    return ModelSizes(
        pair.text, pair.vision, tuple(layers), output, embedding, pair.mmproj.weight_bytes
    )


def catalog_sizes(entry: CatalogEntry, quant: str) -> ModelSizes | None:
    """The sizes of a catalog model that need not be here; None where the catalog doesn't tell."""
    total, mmproj_bytes = entry.about_bytes(quant), entry.mmproj.about_bytes
    if entry.shape is None or total is None or mmproj_bytes is None:
        return None
    text = entry.shape.text
    # Matrices in order: q and output, k and v, the three of the feed-forward layer.
    attention = 2 * text.n_embd * text.head_dim * (text.n_head + text.n_head_kv)
    n_layer_weights = attention + 3 * text.n_embd * text.n_ff
    n_embedding = text.n_vocab * text.n_embd
    share = total / (text.n_layer * n_layer_weights + 2 * n_embedding)
    embedding = round(n_embedding * share)
    layer = (total - 2 * embedding) // text.n_layer
    output = total - embedding - text.n_layer * layer
    layers = (layer,) * text.n_layer
    return ModelSizes(text, entry.shape.vision, layers, output, embedding, mmproj_bytes)


def plan_memory(
    sizes: ModelSizes,
    *,
    n_ctx: int,
    image_tokens: Sequence[int],
    kv_type: KvType = "f16",
    n_chains: int = 1,
    n_shared: int = 0,
    keeps_pictures: bool = False,
) -> MemoryPlan:
    """Estimate a run.

    Args:
        n_ctx: KV cells: the prompt with its pictures, the reasoning and the answer.
        image_tokens: what each picture costs; the largest one sets the encoder's working memory.
        n_chains: how often reasoning and answer are there; the first n_shared cells are there once.
        keeps_pictures: the embeddings of all stay in memory, for --look-again.
    """
    text = sizes.text
    kept_bytes = sum(image_tokens) * text.n_embd * (1 + text.n_deepstack) * F32_BYTES
    n_ctx = min(n_ctx, text.n_ctx_train)
    if n_chains > 1:
        n_ctx += (n_chains - 1) * (n_ctx - n_shared) + n_chains  # as the engine counts
    n_ctx = -(-n_ctx // CTX_STEP) * CTX_STEP
    if n_chains == 1:
        n_ctx = min(n_ctx, text.n_ctx_train)
    return MemoryPlan(
        n_ctx=n_ctx,
        weight_bytes=sizes.weight_bytes,
        mmproj_bytes=sizes.mmproj_bytes,
        kv_bytes=int(n_ctx * text.kv_bytes_per_token * _KV_BITS[kv_type] / _KV_BITS["f16"]),
        compute_bytes=activation_bytes(text, n_ctx) + n_chains * text.n_vocab * F32_BYTES,
        vision_bytes=_vision_bytes(sizes, image_tokens),
        process_bytes=_PROCESS_BYTES
        + text.n_vocab * VOCABULARY_BYTES_PER_TOKEN
        + kept_bytes * keeps_pictures,
        kv_type=kv_type,
    )


def activation_bytes(text: TextShape, n_ctx: int) -> int:
    """What N_UBATCH tokens need on their way through a layer, and the mask of their attention."""
    activations = 2 * text.n_ff + 7 * text.n_embd
    return N_UBATCH * (activations * F32_BYTES + n_ctx * F16_BYTES)


def _vision_bytes(sizes: ModelSizes, image_tokens: Sequence[int]) -> int:
    """The encoder's working memory for the largest picture, and the pixels of all.

    A patch holds its pixels as f32, its residual, its input and its wide layer in f32, and that
    layer again in f16 for the product after it (clip.cpp's graph of Qwen2-VL, flash attention on).
    """
    text, vision = sizes.text, sizes.vision
    patches = [tokens * vision.merge**2 for tokens in image_tokens]
    pixel_bytes = 3 * vision.patch_px**2
    wide = vision.n_ff * (F32_BYTES + F16_BYTES)
    graph = 2 * vision.n_embd * F32_BYTES + wide + pixel_bytes * F32_BYTES
    copies = 2 * pixel_bytes * F32_BYTES
    embeddings = 2 * text.n_embd * (1 + text.n_deepstack) * F32_BYTES // vision.merge**2
    return max(patches, default=0) * (graph + copies + embeddings) + sum(patches) * pixel_bytes
