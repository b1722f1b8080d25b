"""What to tell someone whose run doesn't fit: the numbers, and what would."""

from collections.abc import Iterator

from qvq_cli.errors import DoesNotFitError
from qvq_cli.hub.catalog import CatalogEntry, quants_by_size
from qvq_cli.hub.choose import best_reasoner
from qvq_cli.hub.plan import CTX_STEP, LEAST_THINKING
from qvq_cli.hub.run_plan import RunPlan, draft_words


def require_fit(plan: RunPlan, name: str, entry: CatalogEntry | None = None) -> None:
    """Refuse a run that would swap or be killed.

    Args: entry: the catalog's entry of the model, whose other quants may fit.
    Raises: DoesNotFitError: with the numbers, and with what would fit.
    """
    if plan.fits:
        return
    memory = plan.memory
    in_q8_0 = "" if memory.kv_type == "f16" else f" in {memory.kv_type}"
    raise DoesNotFitError(
        f"{name} needs {_gb(plan.needed_bytes)} GB of memory, and {_gb(plan.usable_bytes)} GB are "
        f"free: {_gb(memory.weight_bytes)} GB weights, {_gb(memory.mmproj_bytes)} GB mmproj, "
        f"{_gb(memory.kv_bytes)} GB context of {memory.n_ctx:,} tokens{in_q8_0}, "
        f"{_gb(plan.working_bytes)} GB working memory"
        + (f"; {draft_words(plan.draft)}" if plan.draft else ""),
        hint="; ".join([*_advise(plan, entry), "--force to try all the same"]),
        reference="does-not-fit",
    )


def _advise(plan: RunPlan, entry: CatalogEntry | None) -> Iterator[str]:
    """What would fit, the least sacrifice first."""
    memory = plan.memory
    excess = plan.lacking_bytes
    if plan.draft is not None and plan.draft.n_bytes >= excess:
        yield "without --draft it would fit"
    less_thinking = -(-excess // memory.kv_bytes_per_token) + CTX_STEP
    if plan.n_thinking - less_thinking >= LEAST_THINKING:
        yield f"--max-thinking {plan.n_thinking - less_thinking} would fit"
        return
    if memory.vision_bytes > 2 * excess:
        yield "a smaller --image-tokens-max would fit"
    if entry is not None:
        for quant, n_bytes in quants_by_size(entry):
            if memory.weight_bytes - n_bytes >= excess:
                yield f"--model {entry.name}:{quant} ({_gb(n_bytes)} GB) would fit"
                return
    smaller = best_reasoner(plan.usable_bytes)
    if smaller is not None:
        yield f"--model {smaller.model_id} would fit"


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f}"
