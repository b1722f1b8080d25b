"""`qvq plan [MODEL]`: where the memory of a run would go, whether it fits, and why it is so.

The numbers are those that solve itself loads by. A model that isn't here yet is planned from what
the catalog says of it.
"""

from dataclasses import dataclass
from typing import Any

from qvq_cli.cli.machine import Resources, look_at_machine
from qvq_cli.cli.model_words import speed_words
from qvq_cli.cli.planning import beside_draft
from qvq_cli.cli.session import Session
from qvq_cli.cli.wishes import check_votes, make_wishes, require_device, wanted_draft
from qvq_cli.errors import DoesNotFitError, UnavailableError
from qvq_cli.hub.advice import require_fit
from qvq_cli.hub.catalog import CatalogEntry, Profile
from qvq_cli.hub.choose import choose_quant
from qvq_cli.hub.draft import find_draft
from qvq_cli.hub.names import entry_named, with_quant
from qvq_cli.hub.plan import ModelSizes, catalog_sizes, sizes_of
from qvq_cli.hub.run_plan import (
    ASKING_TOKENS,
    Demand,
    DeviceUse,
    RunPlan,
    plan_run,
    typical_demand,
)
from qvq_cli.hub.store import resolve_model
from qvq_cli.reasoning.budget import parse_thinking_budget
from qvq_cli.reasoning.policy import Policy
from qvq_cli.sizes import size
from qvq_cli.ui.report import Cell, Column, Fact, Facts, Report, Sentence, Table, Tone


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What was typed, as for solve; None where the model's own or the plan's choice applies."""

    model: str | None
    quant: str | None
    max_thinking: str | None
    max_answer: int
    votes: int
    image_tokens_max: int | None
    kv_type: str
    n_gpu_layers: str
    device: str | None
    draft: str | None


@dataclass(frozen=True, slots=True)
class _Subject:
    """The model that is planned for."""

    name: str
    quant: str
    sizes: ModelSizes
    profile: Profile
    entry: CatalogEntry | None
    is_here: bool


def run(session: Session, options: PlanOptions, *, json: bool) -> None:
    """Plan a run and show it.

    Raises:
        DoesNotFitError: it doesn't fit; the plan has been shown. UnavailableError: no such model,
        or no such device. UsageError: an option that can't be meant.
    """
    screen = session.open_screen(json=json)
    resources = look_at_machine(session.env.variables)
    subject = _subject(session, options, resources)
    wishes = make_wishes(options.kv_type, options.n_gpu_layers, options.device)
    require_device(options.device, resources.gpus)
    demand, machine = _demand(subject, options), resources.for_plan()
    wanted = wanted_draft(options.draft, drafts=True, votes=options.votes)
    if wanted is not None:
        n_vocab = subject.sizes.text.n_vocab
        draft = find_draft(wanted, subject.entry, n_vocab, session.env.variables)
        machine = beside_draft(draft, demand, machine, wishes)
    plan = plan_run(subject.sizes, demand, machine, wishes)
    plan = _within_context(plan, demand, subject.sizes.text.n_ctx_train)
    tokens_per_s = None
    if resources.bandwidth is not None and plan.offload.n_gpu_layers == 0:
        tokens_per_s = resources.bandwidth / plan.memory.weight_bytes
    screen.result(_report(subject, plan, tokens_per_s), _body(subject, plan, tokens_per_s))
    require_fit(plan, f"{subject.name} {subject.quant}", subject.entry, is_solve=False)


def _subject(session: Session, options: PlanOptions, resources: Resources) -> _Subject:
    model = with_quant(options.model, options.quant)
    try:
        choice = resolve_model(model, None, environ=session.env.variables, config=session.config)
    except UnavailableError:
        subject = _of_catalog(model, resources) if model else None
        if subject is None:
            raise
        return subject
    sizes = sizes_of(choice.pair)
    return _Subject(choice.name, choice.quant, sizes, choice.profile, choice.entry, is_here=True)


def _of_catalog(model: str, resources: Resources) -> _Subject | None:
    """A model of the catalog that isn't here; None where the catalog doesn't know enough."""
    named = entry_named(model)
    if named is None:
        return None
    entry, quant = named
    if not quant:
        try:
            quant = choose_quant(entry, resources.free_bytes).quant
        except DoesNotFitError:
            quant = entry.default_quant
    sizes = catalog_sizes(entry, quant) if quant in entry.quants else None
    if sizes is None:
        return None
    return _Subject(entry.name, quant, sizes, entry.profile, entry, is_here=False)


def _demand(subject: _Subject, options: PlanOptions) -> Demand:
    demand = typical_demand(subject.profile)._replace(
        n_answer=options.max_answer + ASKING_TOKENS,
        n_chains=check_votes(options.votes),
    )
    n_image = options.image_tokens_max
    if n_image is not None:
        n_text = demand.n_prompt - sum(demand.image_tokens)
        demand = demand._replace(n_prompt=n_text + n_image, image_tokens=(n_image,))
    if options.max_thinking is not None:
        budget = parse_thinking_budget(options.max_thinking)
        reserve = Policy(budget, options.max_answer, subject.profile.sampling).reserve
        n_thinking = reserve.n_max - reserve.n_min
        demand = demand._replace(n_thinking=n_thinking, n_thinking_min=n_thinking)
    return demand


def _within_context(plan: RunPlan, demand: Demand, n_ctx_train: int) -> RunPlan:
    """The plan with no more thinking than the model's context holds, as solve cuts it."""
    n_room = max(0, n_ctx_train - demand.n_prompt - demand.n_answer)
    if plan.n_thinking <= n_room:
        return plan
    reason = (
        f"the model's context, {n_ctx_train:,} tokens, leaves {n_room:,} for reasoning, not "
        f"{plan.n_thinking:,}"
    )
    return plan._replace(n_thinking=n_room, reasons=(*plan.reasons, reason))


def _report(subject: _Subject, plan: RunPlan, tokens_per_s: float | None) -> Report:
    memory = plan.memory
    chains = f" of each of {plan.n_chains} chains" if plan.n_chains > 1 else ""
    verdict, tone = ("fits", Tone.GOOD) if plan.fits else ("does not fit", Tone.BAD)
    layers = plan.offload.n_gpu_layers
    facts = [
        Fact("why", "\n".join(plan.reasons)),
        Fact(
            "context",
            f"{memory.n_ctx:,} tokens, {plan.n_thinking:,} of them for reasoning{chains}, "
            f"kept as {memory.kv_type}",
        ),
        Fact("GPU layers", "all" if layers < 0 else str(layers)),
        Fact("speed", speed_words(tokens_per_s)),
    ]
    if not subject.is_here:
        facts.append(
            Fact(
                "to get it",
                f"qvq pull {subject.name}:{subject.quant}",
                text_tone=Tone.STRONG,
                is_exact=True,
            )
        )
    return [
        Sentence(f"{subject.name} {subject.quant} {verdict}", tone),
        _table(plan),
        Facts(tuple(facts)),
    ]


def _table(plan: RunPlan) -> Table:
    """Memory by cause, a column for each device."""
    devices = plan.devices
    names = [Column(use.name, is_number=True) for use in devices]
    has_sum = len(devices) > 1
    columns = (Column("MEMORY"), *names, *([Column("IN ALL", is_number=True)] if has_sum else []))

    def row(label: str, values: list[int], tone: Tone = Tone.PLAIN) -> tuple[Cell, ...]:
        shown = [*values, *([sum(values)] if has_sum else [])]
        return (Cell(label, tone), *(Cell(size(value), tone) for value in shown))

    rows = [
        row("weights", [use.weight_bytes for use in devices]),
        row("mmproj", [use.mmproj_bytes for use in devices]),
        row(f"KV cache, {plan.memory.kv_type}", [use.kv_bytes for use in devices]),
        row("compute buffers", [use.working_bytes for use in devices]),
        row("needed", [use.total_bytes for use in devices], Tone.STRONG),
    ]
    free = [Cell(size(use.free_bytes), Tone.DIM) for use in devices]
    rows.append((Cell("free", Tone.DIM), *free, *([Cell("")] if has_sum else [])))
    return Table(columns, tuple(rows))


def _body(subject: _Subject, plan: RunPlan, tokens_per_s: float | None) -> dict[str, Any]:
    memory = plan.memory
    return {
        "name": subject.name,
        "quant": subject.quant,
        "is_installed": subject.is_here,
        "fits": plan.fits,
        "needed_bytes": plan.needed_bytes,
        "usable_bytes": plan.usable_bytes,
        "weight_bytes": memory.weight_bytes,
        "mmproj_bytes": memory.mmproj_bytes,
        "kv_bytes": memory.kv_bytes,
        "compute_bytes": plan.working_bytes,
        "draft_bytes": plan.draft.n_bytes if plan.draft else 0,
        "n_ctx": memory.n_ctx,
        "kv_type": memory.kv_type,
        "n_thinking": plan.n_thinking,
        "n_chains": plan.n_chains,
        "n_gpu_layers": plan.offload.n_gpu_layers,
        "vision_on_gpu": plan.offload.vision_on_gpu,
        "tokens_per_s": tokens_per_s,
        "devices": [_device_body(use) for use in plan.devices],
        "reasons": list(plan.reasons),
    }


def _device_body(use: DeviceUse) -> dict[str, Any]:
    return {
        "name": use.name,
        "free_bytes": use.free_bytes,
        "weight_bytes": use.weight_bytes,
        "mmproj_bytes": use.mmproj_bytes,
        "kv_bytes": use.kv_bytes,
        "compute_bytes": use.working_bytes,
        "total_bytes": use.total_bytes,
    }
