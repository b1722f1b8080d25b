"""How much memory a run will take, told before anything is loaded.

An estimate of what the worker keeps resident on a CPU with flash attention: weights and KV cache
are known to the byte, the working memory follows llama.cpp's graphs. Against the real engine's peak
it is 0.3 and 1.5 % high on a random model of Qwen2-VL-2B's shape (pictures of 1,024 and 256
tokens), and up to 60 MB high on nano, all of which fits in 150 MB.

Refuses to know: how layers are spread over GPUs; with their free memory given it is simply added.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from qvq_cli.errors import DoesNotFitError
from qvq_cli.hub.catalog import CatalogEntry, load_catalog, quants_by_size
from qvq_cli.hub.pair import Pair

_N_UBATCH = 512  # the engine's; tokens that go through the graph at once
_CTX_STEP = 256  # llama.cpp rounds n_ctx up to it
_F32, _F16 = 4, 2
_VOCABULARY_BYTES_PER_TOKEN = 300  # measured: 44 MiB for Qwen's 151,936 tokens and their merges
_PROCESS_BYTES = 64 << 20  # measured: Python, the libraries, and what loading takes for a moment
_LEAST_THINKING = 256


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What a run takes, by cause. compute_bytes, vision_bytes: working memory of the two halves."""

    n_ctx: int
    weight_bytes: int
    mmproj_bytes: int
    kv_bytes: int
    compute_bytes: int
    vision_bytes: int
    process_bytes: int

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


def plan_memory(pair: Pair, *, n_ctx: int, image_tokens: Sequence[int]) -> MemoryPlan:
    """Estimate a run.

    Args:
        n_ctx: KV cells: the prompt with its pictures, the reasoning and the answer.
        image_tokens: what each picture costs; the largest one sets the encoder's working memory.
    """
    text = pair.text
    n_ctx = min(-(-n_ctx // _CTX_STEP) * _CTX_STEP, text.n_ctx_train)
    activations = 2 * text.n_ff + 7 * text.n_embd
    mask_bytes = n_ctx * _N_UBATCH * _F16
    return MemoryPlan(
        n_ctx=n_ctx,
        weight_bytes=pair.model.weight_bytes,
        mmproj_bytes=pair.mmproj.weight_bytes,
        kv_bytes=n_ctx * text.kv_bytes_per_token,
        compute_bytes=_N_UBATCH * activations * _F32 + mask_bytes + text.n_vocab * _F32,
        vision_bytes=_vision_bytes(pair, image_tokens),
        process_bytes=_PROCESS_BYTES + text.n_vocab * _VOCABULARY_BYTES_PER_TOKEN,
    )


def _vision_bytes(pair: Pair, image_tokens: Sequence[int]) -> int:
    """The encoder's working memory for the largest picture, and the pixels of all.

    A patch holds its pixels as f32, its residual, its input and its wide layer in f32, and that
    layer again in f16 for the product after it (clip.cpp's graph of Qwen2-VL, flash attention on).
    """
    vision = pair.vision
    patches = [tokens * vision.merge**2 for tokens in image_tokens]
    pixel_bytes = 3 * vision.patch_px**2
    graph = (2 * vision.n_embd + vision.n_ff) * _F32 + vision.n_ff * _F16 + pixel_bytes * _F32
    copies = 2 * pixel_bytes * _F32
    embeddings = 2 * pair.text.n_embd * (1 + pair.text.n_deepstack) * _F32 // vision.merge**2
    return max(patches, default=0) * (graph + copies + embeddings) + sum(patches) * pixel_bytes


def require_fit(
    plan: MemoryPlan,
    name: str,
    *,
    free_bytes: int,
    entry: CatalogEntry | None = None,
    max_thinking: int | None = None,
    device_free_bytes: Mapping[str, int] | None = None,
) -> None:
    """Refuse a run that would swap or be killed.

    Args: entry, max_thinking: the catalog's entry of the model and the reasoning tokens in
        plan.n_ctx, for the advice; device_free_bytes: free memory of GPUs, where it is known.
    Raises: DoesNotFitError: with the numbers, and with what would fit.
    """
    usable = free_bytes + sum((device_free_bytes or {}).values())
    if plan.total_bytes <= usable:
        return
    advice = [*_advise(plan, usable, entry, max_thinking), "--force to try all the same"]
    raise DoesNotFitError(
        f"{name} needs {_gb(plan.total_bytes)} GB of memory, and {_gb(usable)} GB are free: "
        f"{_gb(plan.weight_bytes)} GB weights, {_gb(plan.mmproj_bytes)} GB mmproj, "
        f"{_gb(plan.kv_bytes)} GB context of {plan.n_ctx:,} tokens, "
        f"{_gb(plan.working_bytes)} GB working memory",
        hint="; ".join(advice),
        reference="does-not-fit",
    )


def _advise(
    plan: MemoryPlan, usable: int, entry: CatalogEntry | None, max_thinking: int | None
) -> Iterator[str]:
    """What would fit, the least sacrifice first."""
    excess = plan.total_bytes - usable
    less_thinking = -(-excess // plan.kv_bytes_per_token) + _CTX_STEP
    if max_thinking is not None and max_thinking - less_thinking >= _LEAST_THINKING:
        yield f"--max-thinking {max_thinking - less_thinking} would fit"
        return
    if plan.vision_bytes > 2 * excess:
        yield "a smaller --image-tokens-max would fit"
    if entry is not None:
        for quant, n_bytes in quants_by_size(entry):
            if replace(plan, weight_bytes=n_bytes).total_bytes <= usable:
                yield f"--model {entry.name}:{quant} ({_gb(n_bytes)} GB) would fit"
                return
    smaller = _largest_fitting(usable - plan.working_bytes, plan.n_ctx)
    if smaller is not None:
        yield f"--model {smaller.name} would fit"


def _largest_fitting(usable: int, n_ctx: int) -> CatalogEntry | None:
    """The largest catalog model whose default quant fits beside its mmproj and context."""
    best, best_bytes = None, 0
    for entry in load_catalog():
        size, mmproj = entry.about_bytes(entry.default_quant), entry.mmproj.about_bytes
        if size is None or mmproj is None:
            continue
        needed = size + mmproj + n_ctx * entry.kv_bytes_per_token
        if best_bytes < size and needed <= usable:
            best, best_bytes = entry, size
    return best


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f}"
