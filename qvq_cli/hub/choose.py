"""Which quant to pull for this machine, decided from the catalog's numbers before a byte is here.

Memory is what plan.py says of a typical run; where the catalog doesn't tell a model's shape, its
weights, KV cache and a generous working memory. Speed is a rough guess: each token reads all
weights once, so memory bandwidth divided by weights is its upper limit.
"""

from collections.abc import Iterator
from typing import NamedTuple

from qvq_cli.errors import DoesNotFitError
from qvq_cli.hub.catalog import EMBEDDED, CatalogEntry, load_catalog, quants_by_size
from qvq_cli.hub.plan import catalog_sizes, plan_memory
from qvq_cli.hub.run_plan import typical_demand
from qvq_cli.sizes import size

_VISION_BYTES_PER_TOKEN = 250_000  # plan.py's encoder graph, of the widest in the catalog
_COMPUTE_BYTES = 500 << 20  # plan.py's compute_bytes and process_bytes of a 72B model
_UNKNOWN_MMPROJ_BYTES = 1_400_000_000  # f16 of the largest encoder in the catalog
_SMALL_BYTES = 10_000_000_000
_MORE_THAN_ENOUGH = frozenset({"Q8_0", "F16", "BF16", "F32"})
_LEGACY = frozenset({"Q4_0", "Q4_1", "Q5_0", "Q5_1"})
"""From before the k-quants, which are better at fewer bytes; taken only where they are named."""


class QuantFit(NamedTuple):
    """A quant on this machine.

    n_bytes: to download, with the mmproj. needed_bytes: of memory, for a question with one picture
    and the default budget.
    tokens_per_s: a rough guess, None where the bandwidth isn't known.
    """

    entry: CatalogEntry
    quant: str
    n_bytes: int
    needed_bytes: int
    fits: bool
    tokens_per_s: float | None

    @property
    def model_id(self) -> str:
        return f"{self.entry.name}:{self.quant}"


def quant_fits(
    entry: CatalogEntry, free_bytes: int, *, bandwidth: float | None = None
) -> tuple[QuantFit, ...]:
    """All quants of known size, the largest first.

    Args: free_bytes: of memory, GPUs' added; bandwidth: of that memory, in bytes a second.
    """
    mmproj_bytes = entry.mmproj.about_bytes or _UNKNOWN_MMPROJ_BYTES
    fits = []
    for quant, weight_bytes in quants_by_size(entry):
        needed_bytes = _needed_bytes(entry, quant, weight_bytes + mmproj_bytes)
        fits.append(
            QuantFit(
                entry=entry,
                quant=quant,
                n_bytes=weight_bytes + mmproj_bytes,
                needed_bytes=needed_bytes,
                fits=needed_bytes <= free_bytes,
                tokens_per_s=None if bandwidth is None else bandwidth / weight_bytes,
            )
        )
    return tuple(fits)


def _needed_bytes(entry: CatalogEntry, quant: str, model_bytes: int) -> int:
    demand = typical_demand(entry.profile)
    n_ctx = demand.n_prompt + demand.n_thinking + demand.n_answer
    sizes = catalog_sizes(entry, quant)
    if sizes is not None:
        return plan_memory(sizes, n_ctx=n_ctx, image_tokens=demand.image_tokens).total_bytes
    vision_bytes = sum(demand.image_tokens) * _VISION_BYTES_PER_TOKEN
    return model_bytes + n_ctx * entry.kv_bytes_per_token + vision_bytes + _COMPUTE_BYTES


def choose_quant(
    entry: CatalogEntry, free_bytes: int, *, bandwidth: float | None = None
) -> QuantFit:
    """The best quant that fits.

    Of a large model nothing above Q6_K: Q8_0 takes a third more memory and time for each token, and
    no benchmark sees the difference.
    Raises: DoesNotFitError: none does; with the numbers, and the best reasoner that does.
    """
    fits = quant_fits(entry, free_bytes, bandwidth=bandwidth)
    best = _best(fits)
    if best is not None:
        return best
    if not fits:
        raise DoesNotFitError(
            f"the catalog knows no size for {entry.title}, so nothing can be chosen for you",
            hint=f"name one: qvq pull {entry.name} --quant {entry.default_quant}",
            reference="unknown-size",
        )
    least = fits[-1]
    raise DoesNotFitError(
        f"{entry.title} doesn't fit: its smallest quant, {least.quant}, needs "
        f"{size(least.needed_bytes)} of memory, and {size(free_bytes)} are free",
        hint=_instead(entry, least, free_bytes),
        reference="no-quant-fits",
    )


def best_reasoner(free_bytes: int, *, bandwidth: float | None = None) -> QuantFit | None:
    """The largest model that shows its reasoning and fits, at its best quant that does."""
    chosen = (_best(quant_fits(entry, free_bytes, bandwidth=bandwidth)) for entry in _reasoners())
    return next((fit for fit in chosen if fit is not None), None)


def _reasoners() -> Iterator[CatalogEntry]:
    """The catalog's models that show their reasoning, the largest first, without nano."""
    entries = [
        entry
        for entry in load_catalog()
        if entry.name != EMBEDDED and entry.profile.dialect != "plain"
    ]
    yield from sorted(
        entries, key=lambda entry: entry.about_bytes(entry.default_quant) or 0, reverse=True
    )


def _best(fits: tuple[QuantFit, ...]) -> QuantFit | None:
    """The largest that fits; fits are given largest first."""
    fitting = [fit for fit in fits if fit.fits and fit.quant not in _LEGACY]
    enough = [
        fit for fit in fitting if fit.n_bytes < _SMALL_BYTES or fit.quant not in _MORE_THAN_ENOUGH
    ]
    return next(iter(enough or fitting), None)


def _instead(entry: CatalogEntry, least: QuantFit, free_bytes: int) -> str:
    anyway = f"`qvq pull {entry.name} --quant {least.quant}` gets it all the same"
    other = best_reasoner(free_bytes)
    if other is None:
        return f"no reasoner of the catalog fits in {size(free_bytes)}; close programs, or {anyway}"
    return (
        f"`qvq pull {other.entry.name}` gets the best reasoner that fits: {other.quant}, "
        f"{size(other.n_bytes)} to download, {size(other.needed_bytes)} in memory; {anyway}"
    )
