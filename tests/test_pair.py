"""Which models and mmprojs are let through to llama.cpp, and why the others aren't."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gguf_samples import (
    MMPROJ,
    MODEL,
    Sample,
    nano_mmproj,
    nano_model,
    qwen3vl_mmproj,
    qwen3vl_model,
)
from qvq_cli.errors import GgufError, InputNotFoundError
from qvq_cli.hub.ggml_types import ValueType
from qvq_cli.hub.gguf import read_gguf
from qvq_cli.hub.pair import Pair, check_pair, pair_with_sibling

U32, I32, F32, TEXT, BOOL = (
    ValueType.UINT32,
    ValueType.INT32,
    ValueType.FLOAT32,
    ValueType.STRING,
    ValueType.BOOL,
)


def check(folder: Path, model: Sample, mmproj: Sample) -> Pair:
    model_path, mmproj_path = folder / "model.gguf", folder / "mmproj.gguf"
    return check_pair(read_gguf(model.write(model_path)), read_gguf(mmproj.write(mmproj_path)))


def refusal(folder: Path, model: Sample, mmproj: Sample) -> GgufError:
    with pytest.raises(GgufError) as caught:
        check(folder, model, mmproj)
    assert caught.value.hint
    return caught.value


def test_nano_is_a_pair() -> None:
    pair = check_pair(read_gguf(MODEL), read_gguf(MMPROJ))
    assert (pair.text.n_layer, pair.text.n_embd, pair.text.n_head_kv) == (8, 256, 2)
    assert pair.text.kv_bytes_per_token == 4096
    assert (pair.vision.patch_px, pair.vision.merge, pair.vision.n_ff) == (14, 2, 768)


def test_qwen3vl_with_deepstack_is_a_pair(tmp_path: Path) -> None:
    pair = check(tmp_path, qwen3vl_model(), qwen3vl_mmproj())
    assert (pair.text.n_deepstack, pair.vision.n_deepstack, pair.vision.patch_px) == (2, 2, 16)


def test_qwen3vlmoe_is_a_pair_with_experts_only(tmp_path: Path) -> None:
    model = qwen3vl_model()
    model.values = {k.replace("qwen3vl.", "qwen3vlmoe."): v for k, v in model.values.items()}
    model.values["general.architecture"] = (TEXT, "qwen3vlmoe")
    assert "0 of 0 experts" in refusal(tmp_path, model, qwen3vl_mmproj()).message
    model.values["qwen3vlmoe.expert_count"] = (U32, 4)
    model.values["qwen3vlmoe.expert_used_count"] = (U32, 2)
    assert "ffn_down_exps" in refusal(tmp_path, model, qwen3vl_mmproj()).message
    for i in range(8):
        model.tensors[f"blk.{i}.ffn_gate_inp.weight"] = ([256, 4], "F32")
        model.tensors[f"blk.{i}.ffn_gate_exps.weight"] = ([256, 96, 4], "Q8_0")
        model.tensors[f"blk.{i}.ffn_up_exps.weight"] = ([256, 96, 4], "Q8_0")
        model.tensors[f"blk.{i}.ffn_down_exps.weight"] = ([96, 256, 4], "Q8_0")
    assert check(tmp_path, model, qwen3vl_mmproj()).text.n_expert == 4


def test_qwen25vl_is_a_pair_with_window_attention_only(tmp_path: Path) -> None:
    mmproj = nano_mmproj()
    mmproj.values["clip.projector_type"] = (TEXT, "qwen2.5vl_merger")
    assert "n_wa_pattern" in refusal(tmp_path, nano_model(), mmproj).message
    mmproj.values["clip.vision.n_wa_pattern"] = (U32, 8)
    assert check(tmp_path, nano_model(), mmproj).vision.projector == "qwen2.5vl_merger"
    mmproj.values["clip.vision.projection_dim"] = (U32, 255)
    assert "projection_dim" in refusal(tmp_path, nano_model(), mmproj).message


def test_old_mmproj_with_up_and_down_swapped(tmp_path: Path) -> None:
    mmproj = nano_mmproj()
    mmproj.values["clip.vision.feed_forward_length"] = (U32, 0)
    for i in range(6):
        block = f"v.blk.{i}.ffn_"
        mmproj.tensors[f"{block}up.weight"] = ([768, 256], "Q8_0")
        mmproj.tensors[f"{block}down.weight"] = ([256, 768], "Q8_0")
        mmproj.tensors[f"{block}up.bias"] = ([256], "F32")
        mmproj.tensors[f"{block}down.bias"] = ([768], "F32")
    assert check(tmp_path, nano_model(), mmproj).vision.n_ff == 768


def test_empty_tokens_are_no_doubles(tmp_path: Path) -> None:
    model = nano_model()
    model.values["tokenizer.ggml.tokens"] = (TEXT, [b"%d" % i for i in range(1534)] + [b"", b""])
    assert check(tmp_path, model, nano_mmproj()).text.n_vocab == 1536


# pairs that don't belong together


def test_swapped_files() -> None:
    with pytest.raises(GgufError, match="swapped") as caught:
        check_pair(read_gguf(MMPROJ), read_gguf(MODEL))
    assert caught.value.reference == "swapped-pair"
    assert f'--model "{MODEL}" --mmproj "{MMPROJ}"' in (caught.value.hint or "")


def test_an_mmproj_twice_and_a_model_twice() -> None:
    model, mmproj = read_gguf(MODEL), read_gguf(MMPROJ)
    with pytest.raises(GgufError) as caught:
        check_pair(mmproj, mmproj)
    assert caught.value.reference == "mmproj-as-model"
    with pytest.raises(GgufError) as caught:
        check_pair(model, model)
    assert caught.value.reference == "model-as-mmproj"


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "gemma3", ""])
def test_other_architectures_are_named(architecture: str, tmp_path: Path) -> None:
    model = nano_model()
    model.values["general.architecture"] = (TEXT, architecture)
    error = refusal(tmp_path, model, nano_mmproj())
    assert error.reference == "unsupported-architecture"
    assert repr(architecture) in error.message if architecture else "without" in error.message
    assert "Qwen2-VL" in error.message


def test_other_projectors_are_named(tmp_path: Path) -> None:
    mmproj = nano_mmproj()
    mmproj.values["clip.projector_type"] = (TEXT, "idefics3")
    error = refusal(tmp_path, nano_model(), mmproj)
    assert error.reference == "unsupported-architecture"
    assert "'idefics3'" in error.message


def test_mmproj_of_another_width(tmp_path: Path) -> None:
    mmproj = nano_mmproj()
    mmproj.values["clip.vision.projection_dim"] = (U32, 512)
    mmproj.tensors["mm.2.weight"] = ([1024, 512], "Q8_0")
    mmproj.tensors["mm.2.bias"] = ([512], "F32")
    error = refusal(tmp_path, nano_model(), mmproj)
    assert error.reference == "foreign-mmproj"
    assert "512" in error.message
    assert "256" in error.message


def test_projector_of_another_family(tmp_path: Path) -> None:
    for model, mmproj in ((nano_model(), qwen3vl_mmproj(0)), (qwen3vl_model(0), nano_mmproj())):
        error = refusal(tmp_path, model, mmproj)
        assert error.reference == "foreign-mmproj"
        assert "merger" in error.message


def test_deepstack_counts_in_the_width(tmp_path: Path) -> None:
    error = refusal(tmp_path, qwen3vl_model(2), qwen3vl_mmproj(1))
    assert error.reference == "foreign-mmproj"
    assert "its embeddings have 512 numbers, the model's 768" in error.message


# what llama.cpp would abort on

MODEL_DAMAGE: dict[str, tuple[str, tuple[ValueType, object] | None]] = {
    "no layers": ("qwen2vl.block_count", (U32, 0)),
    "absurdly many layers": ("qwen2vl.block_count", (U32, 513)),
    "a layer more than there is": ("qwen2vl.block_count", (U32, 9)),
    "no heads": ("qwen2vl.attention.head_count", (U32, 0)),
    "heads that don't divide": ("qwen2vl.attention.head_count", (U32, 3)),
    "kv heads that don't divide": ("qwen2vl.attention.head_count_kv", (U32, 3)),
    "number of another type": ("qwen2vl.embedding_length", (I32, 256)),
    "number missing": ("qwen2vl.context_length", None),
    "rope of no dimensions": ("qwen2vl.rope.dimension_sections", (I32, [0, 0, 0, 0])),
    "rope of three sections": ("qwen2vl.rope.dimension_sections", (I32, [8, 12, 12])),
    "rope of other dimensions": ("qwen2vl.rope.dimension_count", (U32, 32)),
    "unknown rope scaling": ("qwen2vl.rope.scaling.type", (TEXT, "su")),
    "epsilon not a number": (
        "qwen2vl.attention.layer_norm_rms_epsilon",
        (F32, float("nan")),
    ),
    "experts": ("qwen2vl.expert_used_count", (U32, 2)),
    "no tokens": ("tokenizer.ggml.tokens", None),
    "other tokenizer": ("tokenizer.ggml.model", (TEXT, "llama")),
    "tokens without types": ("tokenizer.ggml.token_type", (I32, [1, 1])),
    "end token out of range": ("tokenizer.ggml.eos_token_id", (U32, 1536)),
    "a token twice": ("tokenizer.ggml.tokens", (TEXT, [b"%d" % max(i, 1) for i in range(1536)])),
    "a token twice up to its NUL": (
        "tokenizer.ggml.tokens",
        (TEXT, [b"%d" % i for i in range(1535)] + [b"7\0x"]),
    ),
}


@pytest.mark.parametrize("case", MODEL_DAMAGE)
def test_damaged_model_metadata(case: str, tmp_path: Path) -> None:
    key, value = MODEL_DAMAGE[case]
    error = refusal(tmp_path, _with_value(nano_model(), key, value), nano_mmproj())
    assert error.reference == "damaged-gguf"
    assert "model.gguf is damaged" in error.message


MMPROJ_DAMAGE: dict[str, tuple[str, tuple[ValueType, object] | None]] = {
    "no patches": ("clip.vision.patch_size", (U32, 0)),
    "patches of another size": ("clip.vision.patch_size", (U32, 16)),
    "no heads": ("clip.vision.attention.head_count", (U32, 0)),
    "heads that don't divide": ("clip.vision.attention.head_count", (U32, 3)),
    "a layer more than there is": ("clip.vision.block_count", (U32, 7)),
    "number of another type": ("clip.vision.image_size", (I32, 560)),
    "switch that is a number": ("clip.use_silu", (U32, 1)),
    "name that is a number": ("general.name", (U32, 1)),
    "no vision": ("clip.has_vision_encoder", (BOOL, False)),
    "audio": ("clip.has_audio_encoder", (BOOL, True)),
    "other merge": ("clip.vision.spatial_merge_size", (U32, 3)),
    "division by zero": ("clip.vision.image_std", (F32, [0.0, 0.2, 0.2])),
    "two channels": ("clip.vision.image_mean", (F32, [0.4, 0.4])),
    "projection without a number": ("clip.vision.projection_dim", None),
}


@pytest.mark.parametrize("case", MMPROJ_DAMAGE)
def test_damaged_mmproj_metadata(case: str, tmp_path: Path) -> None:
    key, value = MMPROJ_DAMAGE[case]
    error = refusal(tmp_path, nano_model(), _with_value(nano_mmproj(), key, value))
    assert error.reference == "damaged-gguf"
    assert "mmproj.gguf is damaged" in error.message


def _with_value(sample: Sample, key: str, value: tuple[ValueType, object] | None) -> Sample:
    if value is None:
        del sample.values[key]
    else:
        sample.values[key] = value
    return sample


@pytest.mark.parametrize(
    ("make", "name", "dims", "kind"),
    [
        (nano_model, "token_embd.weight", [256, 1535], "Q8_0"),
        (nano_model, "blk.7.attn_k.weight", [256, 256], "Q8_0"),
        (nano_model, "blk.0.ffn_down.weight", [256, 768], "Q8_0"),
        (nano_model, "blk.3.attn_norm.weight", [256], "F16"),
        (nano_model, "blk.3.ffn_up.weight", [256, 768], "Q8_1"),
        (nano_mmproj, "v.patch_embd.weight", [14, 14, 3, 256], "BF16"),
        (nano_mmproj, "v.blk.5.attn_v.weight", [256, 512], "Q8_0"),
        (nano_mmproj, "mm.2.bias", [256], "I32"),
        (nano_mmproj, "v.class_embd", [256], "F32"),
    ],
)
def test_tensors_that_would_abort_the_graph(
    make: Callable[[], Sample], name: str, dims: list[int], kind: str, tmp_path: Path
) -> None:
    sample = make()
    sample.tensors[name] = (dims, kind)
    pair = (sample, nano_mmproj()) if make is nano_model else (nano_model(), sample)
    error = refusal(tmp_path, *pair)
    assert error.reference == "damaged-gguf"


def test_missing_tensor_is_named(tmp_path: Path) -> None:
    model = nano_model()
    del model.tensors["blk.4.ffn_gate.weight"]
    assert "'blk.4.ffn_gate.weight'" in refusal(tmp_path, model, nano_mmproj()).message


# the mmproj beside the model


def test_the_sibling_that_fits_is_taken(tmp_path: Path) -> None:
    model = read_gguf(nano_model().write(tmp_path / "Some-VL-2B-Q4_K_M.gguf"))
    other = nano_mmproj()
    other.values["clip.projector_type"] = (TEXT, "qwen3vl_merger")
    other.write(tmp_path / "mmproj-Some-VL-2B-f16.gguf")
    (tmp_path / "mmproj-broken.gguf").write_bytes(b"GGUF")
    nano_mmproj().write(tmp_path / "a-mmproj.GGUF")
    assert pair_with_sibling(model).mmproj.path.name == "a-mmproj.GGUF"


def test_of_several_the_name_decides_then_the_precision(tmp_path: Path) -> None:
    model = read_gguf(nano_model().write(tmp_path / "Qwen2-VL-7B-Instruct-Q4_K_M.gguf"))
    for name in (
        "mmproj-F16.gguf",
        "mmproj-Qwen2.5-VL-7B-Instruct-f16.gguf",
        "mmproj-Qwen2-VL-7B-Instruct-f32.gguf",
        "mmproj-Qwen2-VL-7B-Instruct-f16.gguf",
    ):
        nano_mmproj().write(tmp_path / name)
    chosen = pair_with_sibling(model).mmproj.path
    assert chosen.name == "mmproj-Qwen2-VL-7B-Instruct-f16.gguf"
    chosen.unlink()
    chosen = pair_with_sibling(model).mmproj.path
    assert chosen.name == "mmproj-Qwen2-VL-7B-Instruct-f32.gguf"


def test_no_sibling(tmp_path: Path) -> None:
    model = read_gguf(nano_model().write(tmp_path / "model.gguf"))
    with pytest.raises(InputNotFoundError) as caught:
        pair_with_sibling(model)
    assert caught.value.reference == "no-mmproj"
    assert "--mmproj" in (caught.value.hint or "")


def test_only_a_foreign_sibling(tmp_path: Path) -> None:
    model = read_gguf(nano_model().write(tmp_path / "model.gguf"))
    qwen3vl_mmproj(0).write(tmp_path / "mmproj.gguf")
    with pytest.raises(GgufError) as caught:
        pair_with_sibling(model)
    assert caught.value.reference == "foreign-mmproj"
