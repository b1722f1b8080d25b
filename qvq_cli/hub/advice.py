"""What to tell someone whose run doesn't fit: the numbers, and what would."""

from collections.abc import Iterator

from qvq_cli.engine.protocol import N_UBATCH
from qvq_cli.errors import DoesNotFitError
from qvq_cli.hub.catalog import CatalogEntry, quants_by_size
from qvq_cli.hub.choose import best_reasoner
from qvq_cli.hub.plan import CTX_STEP, F16_BYTES, LEAST_THINKING
from qvq_cli.hub.run_plan import RunPlan
from qvq_cli.sizes import size


def require_fit(
    plan: RunPlan, name: str, entry: CatalogEntry | None = None, *, is_solve: bool = True
) -> None:
    """Refuse a run that would swap or be killed.

    Args:
        entry: the catalog's entry of the model, whose other quants may fit.
        is_solve: the options of solve are there to be typed.
    Raises: DoesNotFitError: with the numbers, and with what would fit.
    """
    if plan.fits:
        return
    memory = plan.memory
    in_q8_0 = "" if memory.kv_type == "f16" else f" in {memory.kv_type}"
    raise DoesNotFitError(
        f"{name} needs {size(plan.needed_bytes)} of memory, and {size(plan.usable_bytes)} are "
        f"free: {size(memory.weight_bytes)} weights, {size(memory.mmproj_bytes)} mmproj, "
        f"{size(memory.kv_bytes)} context of {memory.n_ctx:,} tokens{in_q8_0}, "
        f"{size(plan.working_bytes)} working memory",
        hint="; ".join(_advise(plan, entry, is_solve=is_solve))
        or "close other programs, or take a smaller model",
        reference="does-not-fit",
    )


def _advise(plan: RunPlan, entry: CatalogEntry | None, *, is_solve: bool) -> Iterator[str]:
    """What would fit, and what there is when nothing does."""
    option = "--model " if is_solve else ""
    yield from _what_fits(plan, entry, option)
    if is_solve:
        yield "--force to try all the same"


def _what_fits(plan: RunPlan, entry: CatalogEntry | None, option: str) -> Iterator[str]:
    """The least sacrifice first."""
    memory = plan.memory
    excess = plan.lacking_bytes
    cell_bytes = memory.kv_bytes_per_token + N_UBATCH * F16_BYTES
    if memory.n_ctx * cell_bytes * (plan.n_chains - 1) // plan.n_chains > excess:
        yield "fewer --votes would fit"
    less_thinking = -(-excess // (memory.kv_bytes_per_token * plan.n_chains)) + CTX_STEP
    if plan.n_thinking - less_thinking >= LEAST_THINKING:
        yield f"--max-thinking {plan.n_thinking - less_thinking} would fit"
        return
    if memory.vision_bytes > 2 * excess:
        yield "a smaller --image-tokens-max would fit"
    if entry is not None:
        for quant, n_bytes in quants_by_size(entry):
            if memory.weight_bytes - n_bytes >= excess:
                yield f"{option}{entry.name}:{quant} ({size(n_bytes)}) would fit"
                return
    smaller = best_reasoner(plan.usable_bytes)
    if smaller is not None:
        yield f"{option}{smaller.model_id} would fit"
