"""How a model is loaded: a plan from what was typed and what the machine has."""

import sys
from collections.abc import Iterator, Sequence

from qvq_cli.cli.inputs import Inputs
from qvq_cli.cli.settings import SolveOptions, needs_chance, system_prompt
from qvq_cli.cli.wishes import make_wishes
from qvq_cli.engine.protocol import CacheSpec, Device, LoadSpec
from qvq_cli.hub.draft import Draft, place_draft
from qvq_cli.hub.memory import free_memory, logical_cpus, physical_cores
from qvq_cli.hub.plan import LEAST_THINKING, sizes_of
from qvq_cli.hub.repacking import repacks
from qvq_cli.hub.run_plan import Demand, Machine, RunPlan, Wishes, chosen, draft_words, plan_run
from qvq_cli.hub.store import ModelChoice
from qvq_cli.reasoning.policy import Policy

TINY_MODEL_BYTES = 100_000_000
"""Below this a token is less work than the threads' waiting for each other.

Measured with nano on two cores of a Sapphire Rapids: one thread 880 tokens/s, two 1,320; beside one
busy program 890 and 170, beside two 560 and 140. Several tokens at once are another case, since
their threads can be changed at any time (batch_threads.py): another number for a single token may
round otherwise.
"""
_TINY_MODEL_BATCH_THREADS = 2


def make_demand(
    options: SolveOptions,
    choice: ModelChoice,
    inputs: Inputs,
    image_tokens: tuple[int, ...],
    policy: Policy,
) -> Demand:
    """KV cells of this run. Tokens of thinking that were typed are not for a plan to cut."""
    system = system_prompt(options, choice)
    n_text = (len(inputs.question.encode()) + len(system.encode())) // 2 + 64
    n_answer, n_thinking = policy.reserve.n_min, policy.n_thinking
    is_typed = options.max_thinking is not None and policy.budget.max_tokens is not None
    return Demand(
        n_prompt=sum(image_tokens) + n_text,
        image_tokens=image_tokens,
        n_answer=n_answer,
        n_thinking=n_thinking,
        n_thinking_min=n_thinking if is_typed else min(n_thinking, LEAST_THINKING),
        n_chains=policy.n_chains,
        n_looks=policy.n_looks,
        look_cells=policy.looks.n_cells if policy.looks else 0,
    )


def look_at_memory(devices: Sequence[Device]) -> Machine:
    """What there is to run on, before anything of this run takes its part."""
    # On a Mac the GPU's memory is the computer's own: counting both would count it twice.
    return Machine(
        free_memory(),
        tuple(device for device in devices if device.is_gpu),
        is_unified=sys.platform == "darwin",
    )


def make_plan(
    options: SolveOptions,
    choice: ModelChoice,
    demand: Demand,
    machine: Machine,
    draft: Draft | None = None,
) -> RunPlan:
    """Raises: UsageError: --kv-type or --n-gpu-layers is none."""
    wishes = make_wishes(options.kv_type, options.n_gpu_layers, options.device)
    if draft is not None:
        machine = beside_draft(draft, demand, machine, wishes)
    return plan_run(sizes_of(choice.pair), demand, machine, wishes)


def beside_draft(draft: Draft, demand: Demand, machine: Machine, wishes: Wishes) -> Machine:
    """What a draft model leaves of a machine."""
    may_use_gpu = wishes.n_gpu_layers != 0
    return place_draft(
        draft, demand.n_cells, chosen(machine, wishes.device), may_use_gpu=may_use_gpu
    )


def fitted_policy(policy: Policy, plan: RunPlan) -> Policy:
    """The policy with no more thinking and looks than the plan has room for."""
    if policy.looks is not None and plan.n_looks < policy.n_looks:
        policy = policy._replace(looks=policy.looks._replace(n_max=plan.n_looks))
    if policy.n_thinking <= plan.n_thinking:
        return policy
    budget = policy.budget._replace(max_tokens=plan.n_thinking)
    # The sentence that may be finished past the limit takes its room from the limit.
    n_past = (budget.reserve_tokens or 0) - plan.n_thinking
    return policy._replace(budget=budget._replace(max_tokens=max(0, plan.n_thinking - n_past)))


def choose_threads(typed: int | None, *, is_tiny: bool) -> int:
    """What was typed, but no more than there are CPUs; else one for each physical core.

    At every layer all threads wait for the last. Measured with nano on two CPUs: 4 threads are
    four times slower than 2, and 512 don't come to a first token within 100 s.
    """
    if typed is not None:
        return min(typed, logical_cpus())
    return 1 if is_tiny else physical_cores()


def choose_batch_threads() -> int:
    """For several tokens of a tiny model at once, where no number was typed."""
    return min(_TINY_MODEL_BATCH_THREADS, physical_cores())


def notices(
    options: SolveOptions, choice: ModelChoice, policy: Policy, plan: RunPlan, spec: LoadSpec
) -> Iterator[tuple[str, str]]:
    """What a run goes without or does otherwise than was typed, as (reference, message)."""
    yield from plan.sacrifices
    if plan.draft is not None:
        yield "draft-model", draft_words(plan.draft)
    if options.threads is not None and spec.n_threads < options.threads:
        yield "threads-cut", threads_cut_words(spec.n_threads)
    if needs_chance(options, choice.profile.sampling):
        yield "votes-sampling", _votes_notice(policy)
    if options.look_again is not None and policy.looks is None:
        yield (
            "no-look-again",
            "--look-again does nothing here: there is no reasoning before the answer",
        )


def threads_cut_words(n_threads: int) -> str:
    """Why fewer threads than were typed."""
    threads = "1 thread" if n_threads == 1 else f"{n_threads} threads"
    return f"taking {threads}: more than CPUs would only wait for each other"


def _votes_notice(policy: Policy) -> str:
    sampling = policy.sampling
    return (
        f"{policy.n_chains} chains vote, sampled with temperature {sampling.temperature:g}, "
        f"top_p {sampling.top_p:g} and top_k {sampling.top_k}: without chance they would all be one"
    )


def load_spec(
    choice: ModelChoice,
    plan: RunPlan,
    *,
    threads: int | None = None,
    device: str | None = None,
    repack: bool | None = None,
    cache: CacheSpec | None = None,
    drafts: bool = True,
    draft: Draft | None = None,
) -> LoadSpec:
    """What the engine is told. Args: threads, device, repack, drafts: as typed."""
    is_tiny = plan.memory.weight_bytes < TINY_MODEL_BYTES
    may_differ = is_tiny and threads is None and plan.offload.n_gpu_layers == 0
    return LoadSpec(
        model_path=str(choice.model_path),
        mmproj_path=str(choice.mmproj_path),
        n_threads=choose_threads(threads, is_tiny=is_tiny),
        n_threads_batch=choose_batch_threads() if may_differ else 0,
        n_gpu_layers=plan.offload.n_gpu_layers,
        device=device,
        repack=repacks(repack, choice.quant),
        vision_on_gpu=plan.offload.vision_on_gpu,
        kv_type=plan.memory.kv_type,
        cache=cache,
        drafts=drafts,
        draft_path=None if draft is None else str(draft.path),
        draft_on_gpu=plan.draft is not None and plan.draft.is_on_gpu,
    )
