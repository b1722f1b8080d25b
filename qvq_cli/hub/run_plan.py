"""One run on one machine: what goes where, what gives way when memory is short, and why.

What is given up, in this order, until the run fits: half of the KV cache's bits (q8_0, which no
benchmark of llama.cpp's tells from f16), then thinking that nobody asked for, then looks at the
pictures again. The pictures and the question never are: their readers would not notice.

Refuses to know: where free memory is read from; how a plan is shown.
"""

from collections.abc import Iterator
from typing import NamedTuple

from qvq_cli.engine.protocol import N_UBATCH, Device, KvType
from qvq_cli.hub.catalog import Profile
from qvq_cli.hub.offload import MARGIN_BYTES, Offload, gpu_share, plan_offload
from qvq_cli.hub.plan import (
    CTX_STEP,
    F16_BYTES,
    F32_BYTES,
    LEAST_THINKING,
    MemoryPlan,
    ModelSizes,
    plan_memory,
)
from qvq_cli.sizes import size

_Q8_0_BLOCK = 32
_TYPICAL_QUESTION_TOKENS = 256
ASKING_TOKENS = 64
"""KV cells for what asks for the answer, with some to spare."""
_TYPICAL_ANSWER_TOKENS = 512 + ASKING_TOKENS  # solve's --max-answer
_NO_LAYERS = Offload(0, vision_on_gpu=False)


class DraftUse(NamedTuple):
    """What a draft model takes (draft.py), all of it on one side."""

    n_bytes: int
    is_on_gpu: bool


class Machine(NamedTuple):
    """Memory to be had. is_unified: the GPUs' memory is the computer's own (Apple).

    draft: what has been taken from that memory for a draft model.
    """

    free_bytes: int
    gpus: tuple[Device, ...] = ()
    is_unified: bool = False
    draft: DraftUse | None = None


class Demand(NamedTuple):
    """KV cells a run asks for. n_prompt counts the pictures' tokens too.

    n_thinking may be cut down to n_thinking_min; the two are equal where a person chose it. n_looks
    looks at the pictures again, look_cells each, may be cut down to none. Each of n_chains has all
    of that and an answer of its own behind the one prompt.
    """

    n_prompt: int
    image_tokens: tuple[int, ...]
    n_answer: int
    n_thinking: int
    n_thinking_min: int
    n_chains: int = 1
    n_looks: int = 0
    look_cells: int = 0

    @property
    def n_cells(self) -> int:
        """The prompt and all of one chain, with nothing cut."""
        n_looking = self.n_looks * self.look_cells
        return self.n_prompt + self.n_thinking + n_looking + self.n_answer


class DeviceUse(NamedTuple):
    """What a run puts on one device, beside what is free there."""

    name: str
    free_bytes: int
    weight_bytes: int
    mmproj_bytes: int
    kv_bytes: int
    working_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.weight_bytes + self.mmproj_bytes + self.kv_bytes + self.working_bytes


class Sacrifice(NamedTuple):
    name: str
    words: str


class RunPlan(NamedTuple):
    """How a run will be loaded.

    devices: the computer's own memory first. reasons: why it is so, in words. sacrifices: what was
    given up, with a kebab-case name. draft: what a draft model takes besides, which the devices'
    free memory lacks already.
    """

    memory: MemoryPlan
    n_thinking: int
    offload: Offload
    devices: tuple[DeviceUse, ...]
    is_unified: bool = False
    reasons: tuple[str, ...] = ()
    sacrifices: tuple[Sacrifice, ...] = ()
    n_chains: int = 1
    n_looks: int = 0
    draft: DraftUse | None = None

    @property
    def fits(self) -> bool:
        return self.lacking_bytes == 0

    @property
    def needed_bytes(self) -> int:
        """All devices together: a little more than on one, each has working memory of its own."""
        return sum(use.total_bytes for use in self.devices)

    @property
    def lacking_bytes(self) -> int:
        """What doesn't fit where it has to go."""
        if self.is_unified:
            return max(0, self.needed_bytes - self.devices[0].free_bytes)
        return sum(max(0, use.total_bytes - use.free_bytes) for use in self.devices)

    @property
    def usable_bytes(self) -> int:
        """Free memory that counts: the computer's own, and on GPUs as much as the plan fills."""
        if not self.fits:
            return self.needed_bytes - self.lacking_bytes
        host, *gpus = self.devices
        return host.free_bytes + sum(use.total_bytes for use in gpus if not self.is_unified)

    @property
    def working_bytes(self) -> int:
        return sum(use.working_bytes for use in self.devices)


class Wishes(NamedTuple):
    """What a person fixed; None leaves it to the plan. device: a GPU's name, or "none"."""

    kv_type: KvType | None = None
    n_gpu_layers: int | None = None
    device: str | None = None


NO_WISHES = Wishes()


def typical_demand(profile: Profile) -> Demand:
    """A question with one picture as large as the model likes small ones to be."""
    picture = profile.limits.image_tokens_min
    return Demand(
        n_prompt=picture + _TYPICAL_QUESTION_TOKENS,
        image_tokens=(picture,),
        n_answer=_TYPICAL_ANSWER_TOKENS,
        n_thinking=profile.max_thinking,
        n_thinking_min=min(LEAST_THINKING, profile.max_thinking),
    )


def plan_run(
    sizes: ModelSizes, demand: Demand, machine: Machine, wishes: Wishes = NO_WISHES
) -> RunPlan:
    """Choose KV type, thinking and GPU layers so that the run fits, giving up as little as it can.

    Where nothing fits, the plan is the smallest one tried, with fits False.
    """
    planner = _Planner(sizes, demand, chosen(machine, wishes.device), wishes)
    plans = list(planner.candidates())
    first = plans[0]
    plan = next((plan for plan in plans if plan.fits), plans[-1])
    # Layers left on the CPU cost a run most of its speed, half of the KV's bits hardly anything.
    whole = next((each for each in plans[:2] if each.fits and each.offload.n_gpu_layers < 0), None)
    if whole is not None and plan is first and wishes.n_gpu_layers is None:
        plan = whole
    sacrifices = tuple(_sacrifices(plan, first)) if plan.fits else ()
    reasons = (
        _verdict(plan),
        *(sacrifice.words for sacrifice in sacrifices),
        _place(plan, planner.machine, len(sizes.layer_bytes)),
        *([draft_words(machine.draft)] if machine.draft else []),
    )
    return plan._replace(reasons=reasons, sacrifices=sacrifices, draft=machine.draft)


class _Planner:
    """The plans between which plan_run chooses."""

    def __init__(self, sizes: ModelSizes, demand: Demand, machine: Machine, wishes: Wishes) -> None:
        self._sizes, self._demand, self._wishes = sizes, demand, wishes
        self.machine = machine

    def candidates(self) -> Iterator[RunPlan]:
        """Plans from the most comfortable to the smallest."""
        wished = self._wishes.kv_type
        demand = self._demand
        plan = self._plan(wished or "f16", demand.n_thinking, demand.n_looks)
        yield plan
        if wished is None and self._sizes.text.head_dim % _Q8_0_BLOCK == 0:
            plan = self._plan("q8_0", demand.n_thinking, demand.n_looks)
            yield plan
        kv_type = plan.memory.kv_type
        if not plan.fits and demand.n_thinking_min < demand.n_thinking:
            n_thinking = max(demand.n_thinking_min, demand.n_thinking - _lacking_cells(plan))
            plan = self._plan(kv_type, n_thinking, demand.n_looks)
            yield plan
        if not plan.fits and demand.n_looks:
            n_fewer = -(-_lacking_cells(plan) // demand.look_cells)
            yield self._plan(kv_type, plan.n_thinking, max(0, demand.n_looks - n_fewer))

    def _plan(self, kv_type: KvType, n_thinking: int, n_looks: int) -> RunPlan:
        demand, machine = self._demand, self.machine
        n_looking = n_looks * demand.look_cells
        memory = plan_memory(
            self._sizes,
            n_ctx=demand.n_prompt + n_thinking + n_looking + demand.n_answer,
            n_chains=demand.n_chains,
            n_shared=demand.n_prompt,
            image_tokens=demand.image_tokens,
            kv_type=kv_type,
            keeps_pictures=n_looks > 0,
        )
        gpu_free_bytes = sum(gpu.free_bytes for gpu in machine.gpus)
        n_wished = self._wishes.n_gpu_layers
        if not machine.gpus:
            offload = _NO_LAYERS
        elif n_wished is None:
            offload = plan_offload(self._sizes, memory, gpu_free_bytes)
        else:
            offload = Offload(n_wished, vision_on_gpu=n_wished != 0)
        host = self._host_use(memory, offload)
        devices = (host, *self._gpu_uses(memory, offload, gpu_free_bytes))
        return RunPlan(
            memory,
            n_thinking,
            offload,
            devices,
            machine.is_unified,
            n_chains=demand.n_chains,
            n_looks=n_looks,
        )

    def _host_use(self, memory: MemoryPlan, offload: Offload) -> DeviceUse:
        """What stays in the computer's own memory."""
        sizes, n_layer = self._sizes, len(self._sizes.layer_bytes)
        is_whole = offload.n_gpu_layers < 0 or offload.n_gpu_layers > n_layer
        n_blocks = n_layer if is_whole else max(0, offload.n_gpu_layers - 1)
        weight = sizes.embedding_bytes + sum(sizes.layer_bytes[: n_layer - n_blocks])
        if offload.n_gpu_layers == 0:
            weight += sizes.output_bytes
        compute = memory.compute_bytes
        if is_whole:
            # What is passed to the GPU: the batch's embeddings, and the scores that come back.
            compute = (N_UBATCH * sizes.text.n_embd + sizes.text.n_vocab) * F32_BYTES
        return DeviceUse(
            name="CPU",
            free_bytes=self.machine.free_bytes,
            weight_bytes=weight,
            mmproj_bytes=0 if offload.vision_on_gpu else memory.mmproj_bytes,
            kv_bytes=memory.kv_bytes * (n_layer - n_blocks) // max(n_layer, 1),
            working_bytes=compute
            + memory.process_bytes
            + (0 if offload.vision_on_gpu else memory.vision_bytes),
        )

    def _gpu_uses(
        self, memory: MemoryPlan, offload: Offload, gpu_free_bytes: int
    ) -> Iterator[DeviceUse]:
        """What goes on each GPU: llama.cpp splits layers by free memory."""
        if offload.n_gpu_layers == 0 and not offload.vision_on_gpu:
            return
        share = gpu_share(self._sizes, memory, offload)
        for gpu in self.machine.gpus:
            part = gpu.free_bytes / max(gpu_free_bytes, 1)
            yield DeviceUse(
                gpu.name,
                gpu.free_bytes,
                *(round(n_bytes * part) for n_bytes in share),
            )


def _lacking_cells(plan: RunPlan) -> int:
    """KV cells that each chain must give up so that the plan fits, in all a whole step or more."""
    cell_bytes = plan.memory.kv_bytes_per_token + N_UBATCH * F16_BYTES
    n_lacking = (-(-plan.lacking_bytes // cell_bytes) // CTX_STEP + 1) * CTX_STEP
    return -(-n_lacking // plan.n_chains)


def chosen(machine: Machine, device: str | None) -> Machine:
    """The machine with the GPUs that may be used."""
    if device is None:
        return machine
    gpus = tuple(gpu for gpu in machine.gpus if gpu.name.lower() == device.lower())
    return machine._replace(gpus=gpus)


def _verdict(plan: RunPlan) -> str:
    needed, usable = size(plan.needed_bytes), size(plan.usable_bytes)
    if plan.fits:
        return f"it fits: it takes {needed} of the {usable} of memory that are free"
    memory = plan.memory
    return (
        f"it does not fit: with {memory.n_ctx:,} tokens of context in {memory.kv_type} it needs "
        f"{needed} of memory, and {usable} are free"
    )


def _sacrifices(plan: RunPlan, first: RunPlan) -> Iterator[Sacrifice]:
    if plan.memory.kv_type != first.memory.kv_type:
        saved = first.memory.kv_bytes - plan.memory.kv_bytes
        why = "so that all layers fit on the GPU" if first.fits else "as memory is short"
        yield Sacrifice("kv-q8-0", f"the context is kept in q8_0, {why}: {size(saved)} less")
    if plan.n_thinking < first.n_thinking:
        yield Sacrifice(
            "thinking-limited",
            f"there is memory for {plan.n_thinking:,} tokens of thinking, not for the usual "
            f"{first.n_thinking:,}",
        )
    if plan.n_looks < first.n_looks:
        yield Sacrifice(
            "looks-limited",
            f"there is memory for {plan.n_looks} looks at the picture again, not for "
            f"{first.n_looks}",
        )


def _place(plan: RunPlan, machine: Machine, n_layer: int) -> str:
    """Where the layers go, and why not elsewhere."""
    names = " and ".join(gpu.name for gpu in machine.gpus)
    n = plan.offload.n_gpu_layers
    if not names:
        return "it runs on the CPU: llama.cpp has no GPU to use"
    if n < 0 or n > n_layer:
        return f"all {n_layer + 1} layers go on {names}"
    if n == 0:
        return f"it runs on the CPU: {names} has too little free memory"
    free = size(sum(gpu.free_bytes for gpu in machine.gpus))
    return (
        f"{n} of {n_layer + 1} layers go on {names}, as many as {free} hold with "
        f"{size(MARGIN_BYTES)} left free; the CPU has the rest"
    )


def draft_words(draft: DraftUse) -> str:
    """What a person should know of the draft model's memory."""
    where = "the GPU's" if draft.is_on_gpu else "the computer's"
    return f"the draft model takes {size(draft.n_bytes)} of {where} memory besides"
