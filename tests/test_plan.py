"""The memory plan: what it counts, and what it advises when a run doesn't fit."""

from dataclasses import replace
from pathlib import Path

import pytest

from gguf_samples import MMPROJ, MODEL, Sample, nano_mmproj, nano_model
from qvq_cli.errors import DoesNotFitError
from qvq_cli.hub.catalog import catalog_entry
from qvq_cli.hub.ggml_types import ValueType
from qvq_cli.hub.gguf import read_gguf
from qvq_cli.hub.pair import Pair, check_pair
from qvq_cli.hub.plan import MemoryPlan, plan_memory, require_fit

GB = 10**9
MB = 10**6


@pytest.fixture(scope="module")
def nano() -> Pair:
    return check_pair(read_gguf(MODEL), read_gguf(MMPROJ))


QVQ = MemoryPlan(
    n_ctx=8192,
    weight_bytes=47_400 * MB,
    mmproj_bytes=1_400 * MB,
    kv_bytes=8192 * 327_680,
    compute_bytes=300 * MB,
    vision_bytes=600 * MB,
    process_bytes=120 * MB,
)


def refusal(plan: MemoryPlan, free_bytes: int, **about: object) -> DoesNotFitError:
    with pytest.raises(DoesNotFitError) as caught:
        require_fit(plan, "QVQ-72B-Preview Q4_K_M", free_bytes=free_bytes, **about)  # type: ignore[arg-type]
    return caught.value


def test_weights_and_cache_are_counted_to_the_byte(nano: Pair) -> None:
    plan = plan_memory(nano, n_ctx=1000, image_tokens=[391])
    assert plan.weight_bytes == sum(tensor.n_bytes for tensor in nano.model.tensors.values())
    assert plan.n_ctx == 1024
    assert plan.kv_bytes == 1024 * 2 * 2 * 8 * 2 * 64
    parts = (plan.weight_bytes, plan.mmproj_bytes, plan.kv_bytes, plan.working_bytes)
    assert plan.total_bytes == sum(parts)


def test_the_context_is_never_longer_than_the_training(nano: Pair) -> None:
    assert plan_memory(nano, n_ctx=100_000, image_tokens=[]).n_ctx == 4096


def test_key_length_counts_where_heads_are_wider_than_the_model(tmp_path: Path) -> None:
    def pair(model: Sample) -> Pair:
        paths = model.write(tmp_path / "m.gguf"), nano_mmproj().write(tmp_path / "mmproj.gguf")
        return check_pair(*map(read_gguf, paths))

    wide = nano_model()
    for key in ("key_length", "value_length"):
        wide.values[f"qwen2vl.attention.{key}"] = (ValueType.UINT32, 128)
    for i in range(8):
        for letter, width in (("q", 512), ("k", 256), ("v", 256)):
            wide.tensors[f"blk.{i}.attn_{letter}.weight"] = ([256, width], "Q8_0")
            wide.tensors[f"blk.{i}.attn_{letter}.bias"] = ([width], "F32")
        wide.tensors[f"blk.{i}.attn_output.weight"] = ([512, 256], "Q8_0")
    assert pair(wide).text.kv_bytes_per_token == 2 * pair(nano_model()).text.kv_bytes_per_token


def test_the_largest_picture_sets_the_encoders_memory(nano: Pair) -> None:
    def vision(*image_tokens: int) -> int:
        return plan_memory(nano, n_ctx=1024, image_tokens=image_tokens).vision_bytes

    assert vision() == 0
    assert vision(200) == 2 * vision(100)
    assert vision(200) < vision(200, 100) < vision(300)


def test_what_fits_passes(nano: Pair) -> None:
    plan = plan_memory(nano, n_ctx=2048, image_tokens=[391])
    require_fit(plan, "nano", free_bytes=plan.total_bytes)
    require_fit(plan, "nano", free_bytes=0, device_free_bytes={"CUDA0": plan.total_bytes})
    with pytest.raises(DoesNotFitError):
        require_fit(plan, "nano", free_bytes=plan.total_bytes - 1)


def test_the_message_has_the_numbers() -> None:
    error = refusal(QVQ, 16 * GB)
    assert error.exit_code == 71
    for words in (
        "QVQ-72B-Preview Q4_K_M needs 52.5 GB of memory, and 16.0 GB are free",
        "47.4 GB weights",
        "1.4 GB mmproj",
        "2.7 GB context of 8,192 tokens",
        "1.0 GB working memory",
    ):
        assert words in error.message
    assert "--force" in (error.hint or "")


def test_less_thinking_is_advised_when_that_is_enough() -> None:
    hint = refusal(QVQ, QVQ.total_bytes - 500 * MB, max_thinking=4096).hint or ""
    advised = int(hint.split("--max-thinking ")[1].split()[0])
    assert 256 <= advised < 4096
    fewer = replace(QVQ, kv_bytes=QVQ.kv_bytes - (4096 - advised) * 327_680)
    require_fit(fewer, "QVQ", free_bytes=QVQ.total_bytes - 500 * MB)


def test_smaller_pictures_are_advised_when_they_are_enough() -> None:
    assert "--image-tokens-max" in (refusal(QVQ, QVQ.total_bytes - 100 * MB).hint or "")
    assert "--image-tokens-max" not in (refusal(QVQ, 16 * GB).hint or "")


def test_the_largest_quant_that_fits_is_advised() -> None:
    entry = catalog_entry("qvq-72b-preview")
    hint = refusal(QVQ, 45 * GB, entry=entry).hint or ""
    assert "--model qvq-72b-preview:IQ4_XS (39.7 GB) would fit" in hint
    hint = refusal(QVQ, 36 * GB, entry=entry).hint or ""
    assert "--model qvq-72b-preview:Q2_K (29.8 GB)" in hint


def test_a_smaller_model_is_advised_when_no_quant_fits() -> None:
    hint = refusal(QVQ, 16 * GB, entry=catalog_entry("qvq-72b-preview")).hint or ""
    assert "qwen3-vl-8b-thinking would fit" in hint
    hint = refusal(QVQ, 1 * GB, entry=catalog_entry("qvq-72b-preview")).hint or ""
    assert hint == "--force to try all the same"
