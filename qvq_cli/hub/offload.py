"""How many layers go on the GPU when nobody says: as many as its free memory holds.

llama.cpp itself would put all of them there and fail. The picture's encoder and the working memory
of both halves go first: every token needs the one and every picture the other.
"""

from typing import NamedTuple

from qvq_cli.hub.plan import MemoryPlan

MARGIN_BYTES = 768 << 20
"""Left free: a CUDA context, and what a desktop may want meanwhile."""
ALL_LAYERS = -1


class Offload(NamedTuple):
    """n_gpu_layers as llama.cpp counts them (the output layer is one; -1 for all)."""

    n_gpu_layers: int
    vision_on_gpu: bool


def plan_offload(plan: MemoryPlan, n_layers: int, gpu_free_bytes: int) -> Offload:
    """Spread a run over one or more GPUs with gpu_free_bytes in all, and the CPU."""
    vision_bytes = plan.mmproj_bytes + plan.vision_bytes
    room = gpu_free_bytes - MARGIN_BYTES - plan.compute_bytes - vision_bytes
    if room < 0:
        return Offload(0, vision_on_gpu=False)
    layer_bytes = (plan.weight_bytes + plan.kv_bytes) // (n_layers + 1)
    n_fitting = room // max(layer_bytes, 1)
    return Offload(ALL_LAYERS if n_fitting > n_layers else n_fitting, vision_on_gpu=True)
