"""The memory plan: what it counts, from files and from the catalog."""

from pathlib import Path

import pytest

from gguf_samples import MMPROJ, MODEL, Sample, nano_mmproj, nano_model
from qvq_cli.hub.catalog import CatalogEntry, catalog_entry, load_catalog
from qvq_cli.hub.ggml_types import ValueType
from qvq_cli.hub.gguf import read_gguf
from qvq_cli.hub.pair import Pair, check_pair
from qvq_cli.hub.plan import ModelSizes, catalog_sizes, plan_memory, sizes_of


@pytest.fixture(scope="module")
def nano() -> ModelSizes:
    return sizes_of(check_pair(read_gguf(MODEL), read_gguf(MMPROJ)))


def test_weights_and_cache_are_counted_to_the_byte(nano: ModelSizes) -> None:
    plan = plan_memory(nano, n_ctx=1000, image_tokens=[391])
    tensors = read_gguf(MODEL).tensors.values()
    assert plan.weight_bytes == sum(tensor.n_bytes for tensor in tensors)
    assert sum(nano.layer_bytes) == sum(t.n_bytes for t in tensors if t.name.startswith("blk."))
    assert plan.n_ctx == 1024
    assert plan.kv_bytes == 1024 * 2 * 2 * 8 * 2 * 64
    parts = (plan.weight_bytes, plan.mmproj_bytes, plan.kv_bytes, plan.working_bytes)
    assert plan.total_bytes == sum(parts)


def test_the_context_is_never_longer_than_the_training(nano: ModelSizes) -> None:
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


def test_the_largest_picture_sets_the_encoders_memory(nano: ModelSizes) -> None:
    def vision(*image_tokens: int) -> int:
        return plan_memory(nano, n_ctx=1024, image_tokens=image_tokens).vision_bytes

    assert vision() == 0
    assert vision(200) == 2 * vision(100)
    assert vision(200) < vision(200, 100) < vision(300)


def test_quantized_keys_and_values_take_half(nano: ModelSizes) -> None:
    f16 = plan_memory(nano, n_ctx=1024, image_tokens=[])
    q8_0 = plan_memory(nano, n_ctx=1024, image_tokens=[], kv_type="q8_0")
    assert q8_0.kv_bytes * 64 == f16.kv_bytes * 34  # blocks of 32 numbers in 34 bytes
    assert f16.total_bytes - q8_0.total_bytes == f16.kv_bytes - q8_0.kv_bytes


@pytest.mark.parametrize("entry", [e for e in load_catalog() if e.repo], ids=lambda e: e.name)
def test_a_model_of_the_catalog_can_be_planned_before_it_is_here(entry: CatalogEntry) -> None:
    for quant in entry.quants:
        sizes = catalog_sizes(entry, quant)
        if entry.about_bytes(quant) is None or entry.mmproj.about_bytes is None:
            assert sizes is None
            continue
        assert sizes is not None
        assert sizes.weight_bytes == entry.about_bytes(quant)
        assert len(sizes.layer_bytes) == sizes.text.n_layer
        assert min(*sizes.layer_bytes, sizes.output_bytes, sizes.embedding_bytes) > 0


def test_the_catalog_comes_close_to_the_files(nano: ModelSizes) -> None:
    said = catalog_sizes(catalog_entry("nano"), "Q8_0")
    assert said is not None
    assert (said.text, said.vision) == (nano.text, nano.vision)
    assert said.weight_bytes == pytest.approx(nano.weight_bytes, rel=0.02)
    assert sum(said.layer_bytes) == pytest.approx(sum(nano.layer_bytes), rel=0.05)
