"""The plan of a run: what gives way when memory is short, and what is said of it."""

import pytest

from qvq_cli.engine.protocol import Device
from qvq_cli.errors import DoesNotFitError
from qvq_cli.hub.advice import require_fit
from qvq_cli.hub.catalog import catalog_entry
from qvq_cli.hub.offload import MARGIN_BYTES, Offload, gpu_share, plan_offload
from qvq_cli.hub.plan import ModelSizes, catalog_sizes, plan_memory
from qvq_cli.hub.run_plan import Demand, Machine, RunPlan, Wishes, plan_run, typical_demand

GB = 10**9
ENTRY = catalog_entry("qvq-72b-preview")
DEMAND = Demand(
    n_prompt=1500, image_tokens=(1280,), n_answer=544, n_thinking=4163, n_thinking_min=256
)
TYPED = DEMAND._replace(n_thinking_min=DEMAND.n_thinking)


@pytest.fixture(scope="module")
def qvq() -> ModelSizes:
    sizes = catalog_sizes(ENTRY, "Q4_K_M")
    assert sizes is not None
    return sizes


def gpu(name: str, free_bytes: int) -> Device:
    return Device(name, is_gpu=True, free_bytes=free_bytes)


def needed(sizes: ModelSizes, demand: Demand = DEMAND, **wishes: str) -> int:
    return plan_run(sizes, demand, Machine(1000 * GB), Wishes(**wishes)).needed_bytes  # type: ignore[arg-type]


def names(plan: RunPlan) -> list[str]:
    return [sacrifice.name for sacrifice in plan.sacrifices]


# What gives way


def test_with_room_nothing_is_given_up(qvq: ModelSizes) -> None:
    plan = plan_run(qvq, DEMAND, Machine(needed(qvq)))
    assert plan.fits
    assert (plan.memory.kv_type, plan.n_thinking, names(plan)) == ("f16", 4163, [])
    assert plan.reasons[0].startswith("it fits: it takes")


def test_the_context_is_quantized_before_anything_else(qvq: ModelSizes) -> None:
    plan = plan_run(qvq, DEMAND, Machine(needed(qvq) - 1))
    assert plan.fits
    assert (plan.memory.kv_type, plan.n_thinking, names(plan)) == ("q8_0", 4163, ["kv-q8-0"])
    assert plan.sacrifices[0].words in plan.reasons


def test_then_thinking_that_nobody_asked_for(qvq: ModelSizes) -> None:
    free_bytes = needed(qvq, kv_type="q8_0") - 200_000_000
    plan = plan_run(qvq, DEMAND, Machine(free_bytes))
    assert plan.fits
    assert names(plan) == ["kv-q8-0", "thinking-limited"]
    assert 256 <= plan.n_thinking < 4163
    more = TYPED._replace(n_thinking=plan.n_thinking + 512)
    assert needed(qvq, more, kv_type="q8_0") > free_bytes, "it gives up no more than it must"


def test_thinking_that_was_asked_for_is_not_touched(qvq: ModelSizes) -> None:
    plan = plan_run(qvq, TYPED, Machine(needed(qvq, kv_type="q8_0") - 1))
    assert not plan.fits
    assert plan.n_thinking == TYPED.n_thinking
    assert plan.reasons[0].startswith("it does not fit: with 6,400 tokens of context in q8_0 it")
    assert names(plan) == [], "what was tried in vain is no sacrifice"


def test_thinking_has_a_floor(qvq: ModelSizes) -> None:
    plan = plan_run(qvq, DEMAND, Machine(10 * GB))
    assert not plan.fits
    assert plan.n_thinking == 256


def test_then_looks_at_the_picture(qvq: ModelSizes) -> None:
    looking = TYPED._replace(n_looks=8, look_cells=1346)
    without = needed(qvq, TYPED, kv_type="q8_0")
    assert needed(qvq, looking, kv_type="q8_0") > without + 8 * 1346 * 80 * 2048
    plan = plan_run(qvq, looking, Machine(without + 1_000_000_000))
    assert plan.fits
    assert names(plan) == ["kv-q8-0", "looks-limited"]
    assert 1 <= plan.n_looks < 8 and plan.n_thinking == TYPED.n_thinking
    none = plan_run(qvq, looking, Machine(without))
    assert none.fits and none.n_looks == 0
    assert "memory for 0 looks at the picture again, not for 8" in none.sacrifices[-1].words
    assert not plan_run(qvq, looking, Machine(without - 1)).fits


def test_kept_pictures_count(qvq: ModelSizes) -> None:
    """A float32 of every picture's embeddings stays where the program is."""
    plain, kept = (
        plan_memory(qvq, n_ctx=8192, image_tokens=(1280, 500), keeps_pictures=keeps)
        for keeps in (False, True)
    )
    assert kept.total_bytes - plain.total_bytes == 1780 * 8192 * 4


def test_a_kv_type_that_was_asked_for_is_kept(qvq: ModelSizes) -> None:
    assert plan_run(qvq, TYPED, Machine(1000 * GB), Wishes("q8_0")).memory.kv_type == "q8_0"
    plan = plan_run(qvq, TYPED, Machine(needed(qvq) - 1), Wishes("f16"))
    assert (plan.memory.kv_type, plan.fits) == ("f16", False)


def test_heads_that_q8_0_cannot_hold_keep_f16(qvq: ModelSizes) -> None:
    odd = qvq._replace(text=qvq.text._replace(head_dim=80))
    assert not plan_run(odd, TYPED, Machine(needed(odd) - 1)).fits


def test_a_demand_for_plans_without_a_picture() -> None:
    demand = typical_demand(ENTRY.profile)
    assert demand.image_tokens == (ENTRY.profile.limits.image_tokens_min,)
    assert demand.n_prompt > sum(demand.image_tokens)
    assert demand.n_thinking == ENTRY.profile.max_thinking


# GPUs


def test_all_layers_go_on_a_gpu_that_holds_them(qvq: ModelSizes) -> None:
    plan = plan_run(qvq, DEMAND, Machine(16 * GB, (gpu("CUDA0", 80 * GB),)))
    assert plan.fits
    assert plan.offload == Offload(-1, vision_on_gpu=True)
    host, cuda = plan.devices
    assert (host.name, cuda.name) == ("CPU", "CUDA0")
    assert host.weight_bytes == qvq.embedding_bytes
    assert host.kv_bytes == 0
    assert cuda.weight_bytes == qvq.weight_bytes - qvq.embedding_bytes
    assert cuda.mmproj_bytes == qvq.mmproj_bytes
    assert "all 81 layers go on CUDA0" in plan.reasons


def test_a_quantized_context_that_brings_all_layers_to_the_gpu_is_taken(qvq: ModelSizes) -> None:
    whole = Offload(-1, vision_on_gpu=True)
    n_ctx = sum((DEMAND.n_prompt, DEMAND.n_answer, DEMAND.n_thinking))
    f16 = plan_memory(qvq, n_ctx=n_ctx, image_tokens=DEMAND.image_tokens)
    free_bytes = gpu_share(qvq, f16, whole).total + MARGIN_BYTES - 1
    plan = plan_run(qvq, DEMAND, Machine(60 * GB, (gpu("CUDA0", free_bytes),)))
    assert (plan.memory.kv_type, plan.offload) == ("q8_0", whole)
    assert "so that all layers fit on the GPU" in plan.sacrifices[0].words
    kept = plan_run(qvq, DEMAND, Machine(60 * GB, (gpu("CUDA0", free_bytes),)), Wishes("f16"))
    assert kept.offload.n_gpu_layers == 80


def test_the_rest_stays_on_the_cpu(qvq: ModelSizes) -> None:
    plan = plan_run(qvq, DEMAND, Machine(60 * GB, (gpu("CUDA0", 24 * GB),)))
    host, cuda = plan.devices
    assert 0 < plan.offload.n_gpu_layers < 81
    assert cuda.total_bytes <= 24 * GB - MARGIN_BYTES
    assert host.weight_bytes + cuda.weight_bytes == qvq.weight_bytes
    assert abs(host.kv_bytes + cuda.kv_bytes - plan.memory.kv_bytes) <= 1
    assert f"{plan.offload.n_gpu_layers} of 81 layers go on CUDA0" in plan.reasons[-1]


def test_two_gpus_share_by_their_free_memory(qvq: ModelSizes) -> None:
    machine = Machine(16 * GB, (gpu("CUDA0", 60 * GB), gpu("CUDA1", 20 * GB)))
    _, first, second = plan_run(qvq, DEMAND, machine).devices
    assert first.weight_bytes == pytest.approx(3 * second.weight_bytes, rel=1e-6)


def test_a_gpu_can_be_named_and_refused(qvq: ModelSizes) -> None:
    machine = Machine(60 * GB, (gpu("CUDA0", 80 * GB), gpu("CUDA1", 80 * GB)))
    named = plan_run(qvq, DEMAND, machine, Wishes(device="cuda1"))
    assert [use.name for use in named.devices] == ["CPU", "CUDA1"]
    none = plan_run(qvq, DEMAND, machine, Wishes(device="none"))
    assert none.offload == Offload(0, vision_on_gpu=False)
    assert [use.name for use in none.devices] == ["CPU"]


def test_layers_that_were_asked_for_are_kept_and_refused_where_they_do_not_fit(
    qvq: ModelSizes,
) -> None:
    machine = Machine(60 * GB, (gpu("CUDA0", 24 * GB),))
    assert plan_run(qvq, DEMAND, machine, Wishes(n_gpu_layers=5)).offload.n_gpu_layers == 5
    assert not plan_run(qvq, DEMAND, machine, Wishes(n_gpu_layers=81)).fits


def test_memory_that_cpu_and_gpu_share_counts_once(qvq: ModelSizes) -> None:
    def fits(free_bytes: int) -> bool:
        gpus = (gpu("MTL0", 64 * GB),)
        return plan_run(qvq, TYPED, Machine(free_bytes, gpus, is_unified=True)).fits

    assert fits(64 * GB)
    assert not fits(40 * GB)


@pytest.mark.parametrize("free_gb", [0, 1, 4, 16, 48, 60])
def test_offload_never_takes_more_than_there_is(qvq: ModelSizes, free_gb: int) -> None:
    memory = plan_memory(qvq, n_ctx=8192, image_tokens=[1280])
    offload = plan_offload(qvq, memory, free_gb * GB)
    used = gpu_share(qvq, memory, offload).total
    assert used == 0 or used + MARGIN_BYTES <= free_gb * GB
    assert offload.vision_on_gpu == (offload.n_gpu_layers != 0)


def test_an_output_that_shares_the_embedding_is_copied_to_the_gpu(qvq: ModelSizes) -> None:
    memory = plan_memory(qvq, n_ctx=8192, image_tokens=[])
    tied = qvq._replace(output_bytes=0)
    one = Offload(1, vision_on_gpu=False)
    assert gpu_share(tied, memory, one).weight == qvq.embedding_bytes
    assert gpu_share(qvq, memory, one).weight == qvq.output_bytes


# Advice


def refusal(plan: RunPlan) -> DoesNotFitError:
    with pytest.raises(DoesNotFitError) as caught:
        require_fit(plan, "QVQ-72B-Preview Q4_K_M", ENTRY)
    return caught.value


def test_what_fits_passes(qvq: ModelSizes) -> None:
    require_fit(plan_run(qvq, DEMAND, Machine(needed(qvq))), "QVQ")


def test_the_message_has_the_numbers(qvq: ModelSizes) -> None:
    error = refusal(plan_run(qvq, TYPED, Machine(16 * GB)))
    assert error.exit_code == 71
    for words in (
        "QVQ-72B-Preview Q4_K_M needs 50.6 GB of memory, and 16.0 GB are free",
        "47.4 GB weights",
        "1.4 GB mmproj",
        "1.1 GB context of 6,400 tokens in q8_0",
        "691 MB working memory",
    ):
        assert words in error.message
    assert "--force" in (error.hint or "")


def test_less_thinking_is_advised_when_that_is_enough(qvq: ModelSizes) -> None:
    free_bytes = needed(qvq, kv_type="q8_0") - 200_000_000
    hint = refusal(plan_run(qvq, TYPED, Machine(free_bytes))).hint or ""
    advised = int(hint.split("--max-thinking ")[1].split()[0])
    assert 256 <= advised < 4096
    less = TYPED._replace(n_thinking=advised, n_thinking_min=advised)
    assert plan_run(qvq, less, Machine(free_bytes)).fits


def test_smaller_pictures_are_advised_when_they_are_enough(qvq: ModelSizes) -> None:
    short = TYPED._replace(n_thinking=300, n_thinking_min=300)
    close = plan_run(qvq, short, Machine(needed(qvq, short, kv_type="q8_0") - 100_000_000))
    assert "--image-tokens-max" in (refusal(close).hint or "")
    assert "--image-tokens-max" not in (refusal(plan_run(qvq, short, Machine(16 * GB))).hint or "")


def test_the_largest_quant_that_fits_is_advised(qvq: ModelSizes) -> None:
    hint = refusal(plan_run(qvq, TYPED, Machine(44 * GB))).hint or ""
    assert "--model qvq-72b-preview:IQ4_XS (39.7 GB) would fit" in hint


def test_a_smaller_model_is_advised_when_no_quant_fits(qvq: ModelSizes) -> None:
    hint = refusal(plan_run(qvq, TYPED, Machine(16 * GB))).hint or ""
    assert "--model qwen3-vl-8b-thinking:Q8_0 would fit" in hint
    hint = refusal(plan_run(qvq, TYPED, Machine(1 * GB))).hint or ""
    assert hint == "--force to try all the same"
