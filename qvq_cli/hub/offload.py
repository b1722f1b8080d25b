"""How many layers go on the GPU when nobody says: as many as its free memory holds.

llama.cpp itself would put all of them there and fail. The picture's encoder and the working memory
of both halves go first: every token needs the one and every picture the other. Layers are counted
as llama.cpp counts them: the output matrix is one and goes first, then the last layers; the
embedding always stays on the CPU. Source: llama.cpp 0c1e570, src/llama-model.cpp (load_tensors).
"""

from typing import NamedTuple

from qvq_cli.engine.protocol import N_UBATCH
from qvq_cli.hub.plan import F32_BYTES, MemoryPlan, ModelSizes, activation_bytes

MARGIN_BYTES = 768 << 20
"""Left free: a CUDA context, and what a desktop may want meanwhile."""
ALL_LAYERS = -1


class Offload(NamedTuple):
    """n_gpu_layers as llama.cpp counts them (the output layer is one; -1 for all)."""

    n_gpu_layers: int
    vision_on_gpu: bool


class GpuShare(NamedTuple):
    """What an Offload puts on the GPUs, in bytes."""

    weight: int
    mmproj: int
    kv: int
    working: int

    @property
    def total(self) -> int:
        return sum(self)


def plan_offload(sizes: ModelSizes, plan: MemoryPlan, gpu_free_bytes: int) -> Offload:
    """Spread a run over one or more GPUs with gpu_free_bytes in all, and the CPU."""
    room = gpu_free_bytes - MARGIN_BYTES
    n_all = len(sizes.layer_bytes) + 1
    if gpu_share(sizes, plan, Offload(1, vision_on_gpu=True)).total > room:
        return Offload(0, vision_on_gpu=False)
    for n in range(n_all, 0, -1):
        offload = Offload(n, vision_on_gpu=True)
        if gpu_share(sizes, plan, offload).total <= room:
            break
    return Offload(ALL_LAYERS, vision_on_gpu=True) if n == n_all else offload


def gpu_share(sizes: ModelSizes, plan: MemoryPlan, offload: Offload) -> GpuShare:
    """What lies on the GPUs under an Offload."""
    n_all = len(sizes.layer_bytes) + 1
    n = n_all if offload.n_gpu_layers < 0 else min(offload.n_gpu_layers, n_all)
    n_blocks = max(0, n - 1)
    weight = sum(sizes.layer_bytes[len(sizes.layer_bytes) - n_blocks :])
    kv = plan.kv_bytes * n_blocks // max(len(sizes.layer_bytes), 1)
    mmproj = working = 0
    if n:
        # Where input and output share one matrix, the GPU gets a copy of it.
        weight += sizes.output_bytes or sizes.embedding_bytes
        # llama.cpp makes room for the scores of a whole batch, which a CPU would never touch.
        logits = N_UBATCH * sizes.text.n_vocab * F32_BYTES
        working = activation_bytes(sizes.text, plan.n_ctx) + logits
    if offload.vision_on_gpu:
        mmproj, working = plan.mmproj_bytes, working + plan.vision_bytes
    return GpuShare(weight, mmproj, kv, working)
