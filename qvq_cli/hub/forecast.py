"""How long a model of the catalog would take here, from what was measured with something smaller.

    decoding   reads every weight once a token     seconds = bytes read / bytes a second
    prompt     multiplies every weight by a token  seconds = operations / operations a second
    picture    the same in the vision encoder, and its attention of all patches on all

The rates are those of the whole program or of one product (`Rates`), on the device that would hold
the layers; a model that would be split over two devices gets no forecast. Left out: reading the KV
cache (2 % of QVQ's decoding after 2,500 tokens), and that quants of the same size are not equally
fast to unpack.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from qvq_cli.hub.catalog import CatalogEntry
from qvq_cli.hub.choose import quant_fits
from qvq_cli.hub.plan import ModelSizes, catalog_sizes
from qvq_cli.hub.run_plan import Demand, Machine, RunPlan, Wishes, plan_run, typical_demand
from qvq_cli.hub.text_model import TextShape
from qvq_cli.hub.vision_model import VisionShape

Place = Literal["CPU", "GPU"]

ANSWER_TOKENS = 1_500
"""Reasoning and answer. Qwen's four published transcripts of QVQ have 940, 1,413, 1,565 and 1,911
tokens of its own vocabulary."""
QUESTION_TOKENS = 64
"""QVQ's system prompt has 23, the published questions about as many, the markup the rest."""
_TELLING_BYTES = 300_000_000
"""Weights of less fit into large caches or cost less than what is done around them."""
_WINDOWED = "qwen2.5vl_merger"
_LAYERS_A_WINDOWLESS = 8  # Qwen2.5-VL's fullatt_block_indexes: 7, 15, 23, 31


@dataclass(frozen=True, slots=True)
class Rates:
    """What one place achieves. draft_gain: decoding with drafts is so many times as fast."""

    bytes_per_s: float
    text_flop_per_s: float
    vision_flop_per_s: float
    draft_gain: float = 1.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """A quant on this machine. None: not known.

    n_bytes: of its files. load_s is no part of total_s: it depends on what the system keeps cached.
    """

    quant: str
    n_bytes: int
    needed_bytes: int
    fits: bool
    load_s: float | None = None
    image_s: float | None = None
    prefill_s: float | None = None
    decode_tps: float | None = None
    draft_gain: float = 1.0

    @property
    def total_s(self) -> float | None:
        """From the picture to the end of a typical answer, without drafts."""
        return self._total_s(1.0)

    @property
    def total_with_drafts_s(self) -> float | None:
        return self._total_s(self.draft_gain)

    def _total_s(self, gain: float) -> float | None:
        if self.image_s is None or self.prefill_s is None or self.decode_tps is None:
            return None
        return self.image_s + self.prefill_s + ANSWER_TOKENS / (self.decode_tps * gain)


def place_of(plan: RunPlan) -> Place | None:
    """Where a planned run computes; None where two devices share it."""
    n = plan.offload.n_gpu_layers
    if n == 0:
        return "CPU"
    return "GPU" if n < 0 and plan.offload.vision_on_gpu else None


def is_telling(sizes: ModelSizes) -> bool:
    """Whether a model is like QVQ: large enough, and every token uses all of it."""
    return sizes.text.n_expert == 0 and sizes.weight_bytes >= _TELLING_BYTES


def bytes_per_token(sizes: ModelSizes) -> int:
    """Weights that decoding a token reads: all but the embedding, unless it is the output too."""
    return sizes.weight_bytes - (sizes.embedding_bytes if sizes.output_bytes else 0)


def text_flop(shape: TextShape, n_tokens: int) -> float:
    """Multiplications and additions of a prompt, without its attention (1 % of QVQ's)."""
    attention = 2 * shape.n_embd * shape.head_dim * (shape.n_head + shape.n_head_kv)
    return 2.0 * n_tokens * shape.n_layer * (attention + 3 * shape.n_embd * shape.n_ff)


def vision_flop(shape: VisionShape, image_tokens: int) -> float:
    """Multiplications and additions of a picture, attention included."""
    is_windowed = shape.projector == _WINDOWED
    n_patches = image_tokens * shape.merge**2
    n_matrices = 3 if is_windowed else 2
    layer = 4 * shape.n_embd**2 + n_matrices * shape.n_embd * shape.n_ff
    merged = shape.n_embd * shape.merge**2
    weights = n_patches * shape.n_layer * layer + image_tokens * merged * (
        merged + shape.projection_dim
    )
    n_attending = shape.n_layer // (_LAYERS_A_WINDOWLESS if is_windowed else 1)
    return 2.0 * weights + 4.0 * n_patches**2 * shape.n_embd * n_attending


def needed_places(
    entry: CatalogEntry, machine: Machine, device: str | None = None
) -> frozenset[Place]:
    """Where the entry's quants would run."""
    places = (_place(entry, quant, machine, device) for quant in entry.quants)
    return frozenset(place for place in places if place is not None)


def forecast(
    entry: CatalogEntry,
    machine: Machine,
    free_bytes: int,
    rates: Mapping[Place, Rates],
    *,
    disk_bytes_per_s: float | None,
    device: str | None = None,
) -> tuple[Forecast, ...]:
    """Every quant of known size, the largest first.

    What doesn't fit is told as if it did: people buy memory by such numbers.
    Args: free_bytes: of memory in all; rates: of the places that were measured.
    """
    forecasts = []
    for fit in quant_fits(entry, free_bytes):
        known = Forecast(
            fit.quant,
            fit.n_bytes,
            fit.needed_bytes,
            fit.fits,
            load_s=None if disk_bytes_per_s is None else fit.n_bytes / disk_bytes_per_s,
        )
        sizes = catalog_sizes(entry, fit.quant)
        place = _place(entry, fit.quant, machine, device)
        if sizes is not None and place is not None and place in rates:
            known = _timed(known, sizes, typical_demand(entry.profile), rates[place])
        forecasts.append(known)
    return tuple(forecasts)


def _place(entry: CatalogEntry, quant: str, machine: Machine, device: str | None) -> Place | None:
    sizes = catalog_sizes(entry, quant)
    if sizes is None:
        return None
    wishes = Wishes(device=device)
    return place_of(plan_run(sizes, typical_demand(entry.profile), machine, wishes))


def _timed(known: Forecast, sizes: ModelSizes, demand: Demand, rates: Rates) -> Forecast:
    image_tokens = sum(demand.image_tokens)
    n_prompt = image_tokens + QUESTION_TOKENS
    return replace(
        known,
        image_s=vision_flop(sizes.vision, image_tokens) / rates.vision_flop_per_s,
        prefill_s=text_flop(sizes.text, n_prompt) / rates.text_flop_per_s,
        decode_tps=rates.bytes_per_s / bytes_per_token(sizes),
        draft_gain=rates.draft_gain,
    )
