"""The catalog: every entry complete and consistent, and models recognized for what they are."""

import hashlib
import math
import re
import tomllib
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
from qvq_cli.engine.protocol import N_VOCAB_APART, Sampling
from qvq_cli.errors import GgufError
from qvq_cli.hub.catalog import (
    DIALECTS,
    CatalogEntry,
    catalog_entry,
    catalog_names,
    load_catalog,
    models_dir,
    quants_by_size,
)
from qvq_cli.hub.ggml_types import ValueType
from qvq_cli.hub.gguf import read_gguf
from qvq_cli.hub.identify import Identity, identify, quant_of
from qvq_cli.hub.pair import check_pair

ENTRIES = load_catalog()
KEYS = {
    "name": str, "title": str, "description": str, "repo": str, "revision": str, "licence": str,
    "kv_bytes_per_token": int, "default_quant": str, "profile": dict, "sampling": dict,
    "image": dict, "draft": str, "mmproj": dict, "quants": dict, "shape": dict,
}  # fmt: skip
OPTIONAL = {"repo", "revision", "shape", "draft"}


def each_entry() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)


def test_the_models_that_people_are_told_about_are_there() -> None:
    assert {"nano", "qvq-72b-preview", "qwen2-vl-2b-instruct"} <= set(catalog_names())
    assert tuple(entry.name for entry in ENTRIES) == catalog_names()


@each_entry()
def test_entry_has_no_unknown_keys(entry: CatalogEntry) -> None:
    path = models_dir() / "catalog" / f"{entry.name}.toml"
    table = tomllib.loads(path.read_text("utf-8"))
    assert KEYS.keys() - OPTIONAL <= table.keys() <= KEYS.keys()
    for key, value in table.items():
        assert type(value) is KEYS[key]
    files = [table["mmproj"], *(file for files in table["quants"].values() for file in files)]
    for file in files:
        assert {"name"} <= file.keys() <= {"name", "repo", "bytes", "gigabytes", "sha256"}


@each_entry()
def test_entry_is_sane(entry: CatalogEntry) -> None:
    assert re.fullmatch(r"[a-z0-9.-]+", entry.name)
    assert entry.title
    assert entry.description.endswith(".")
    assert entry.licence
    assert entry.default_quant in entry.quants
    assert (entry.repo is None) == (entry.name == "nano")
    assert entry.repo is None or re.fullmatch(r"[\w.-]+/[\w.-]+", entry.repo)
    assert entry.kv_bytes_per_token % 1024 == 0
    assert entry.shape is None or entry.shape.text.kv_bytes_per_token == entry.kv_bytes_per_token
    profile = entry.profile
    assert profile.dialect in DIALECTS
    assert profile.max_thinking >= 256
    limits = profile.limits
    assert 1 <= limits.image_tokens_min < limits.image_tokens_max <= 16384
    assert (limits.patch_px, limits.merge) == (16 if "qwen3" in entry.name else 14, 2)
    sampling = profile.sampling
    assert 0 <= sampling.temperature <= 1
    assert 0 < sampling.top_p <= 1
    assert 1 <= sampling.repeat_penalty < 1.2


@each_entry()
def test_draft_is_smaller_and_of_the_same_vocabulary(entry: CatalogEntry) -> None:
    if entry.draft is None:
        return
    draft = catalog_entry(entry.draft)
    assert draft.shape and entry.shape
    assert abs(draft.shape.text.n_vocab - entry.shape.text.n_vocab) <= N_VOCAB_APART
    assert draft.about_bytes("Q4_K_M") < 0.7 * entry.about_bytes("Q4_K_M")  # type: ignore[operator]
    assert draft.draft is None, "the smallest of its family"


def test_qvq_has_a_draft_model() -> None:
    assert catalog_entry("qvq-72b-preview").draft == "qwen2-vl-2b-instruct"
    assert catalog_entry("nano").draft is None


@each_entry()
def test_files_are_sane(entry: CatalogEntry) -> None:
    for quant, files in entry.quants.items():
        for file in (*files, entry.mmproj):
            assert file.name.endswith(".gguf")
            assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
            assert file.n_bytes is None or file.gigabytes is None
            assert file.about_bytes is None or file.about_bytes > 1_000_000
        assert all(quant.lower() in file.name.lower() for file in files)
    assert "mmproj" in entry.mmproj.name


@each_entry()
def test_more_bits_are_more_bytes(entry: CatalogEntry) -> None:
    by_size = [int(re.findall(r"\d", quant)[0]) for quant, _ in quants_by_size(entry)]
    assert by_size == sorted(by_size, reverse=True)


def test_nanos_files_are_the_ones_in_its_entry() -> None:
    entry = catalog_entry("nano")
    for file in (*entry.quants["Q8_0"], entry.mmproj):
        path = models_dir() / "nano" / file.name
        assert path.stat().st_size == file.n_bytes
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
        card = (models_dir() / "nano" / "README.md").read_text("utf-8")
        assert file.sha256 in card
        assert f"{file.n_bytes:,}" in card
    pair = check_pair(read_gguf(MODEL), read_gguf(MMPROJ))
    assert entry.kv_bytes_per_token == pair.text.kv_bytes_per_token


def test_nano_never_passes_for_qvq() -> None:
    for path in (MODEL, MMPROJ):
        assert b"qvq" not in path.read_bytes()[:60_000].lower()
    entry = catalog_entry("nano")
    assert "qvq" not in f"{entry.title} {entry.description}".lower()


def test_size_of_a_split_quant_is_that_of_its_parts() -> None:
    entry = catalog_entry("qvq-72b-preview")
    assert entry.about_bytes("Q6_K") == 64_300_000_000
    assert entry.about_bytes("Q4_0") == 41_383_125_344


# recognizing models


def identified(folder: Path, model: Sample, mmproj: Sample, name: str = "model.gguf") -> Identity:
    pair = check_pair(
        read_gguf(model.write(folder / name)), read_gguf(mmproj.write(folder / "mmproj.gguf"))
    )
    return identify(pair)


def named(sample: Sample, name: str) -> Sample:
    sample.values["general.name"] = (ValueType.STRING, name)
    return sample


def test_nano_is_known(tmp_path: Path) -> None:
    identity = identified(tmp_path, nano_model(), nano_mmproj())
    assert (identity.name, identity.quant) == ("nano", "Q8_0")
    assert identity.profile == catalog_entry("nano").profile


@pytest.mark.parametrize(
    ("said", "file", "expected"),
    [
        ("QVQ 72B Preview", "x.gguf", "qvq-72b-preview"),
        ("", "QVQ-72B-Preview-Q4_K_M.gguf", "qvq-72b-preview"),
        ("My QVQ Distill", "x.gguf", "qvq-72b-preview"),
        ("Qwen2 VL 2B Instruct", "x.gguf", "qwen2-vl-2b-instruct"),
        ("", "Qwen3VL-8B-Thinking-Q4_K_M.gguf", "qwen3-vl-8b-thinking"),
        ("", "Qwen3-VL-8B-Thinking-Q4_K_M.gguf", "qwen3-vl-8b-thinking"),
    ],
)
def test_catalog_models_are_known_by_name(
    said: str, file: str, expected: str, tmp_path: Path
) -> None:
    identity = identified(tmp_path, named(nano_model(), said), nano_mmproj(), file)
    assert identity.name == expected
    assert identity.entry == catalog_entry(expected)
    assert identity.profile.dialect == catalog_entry(expected).profile.dialect
    # nano's mmproj, not the entry, says how large the patches are.
    assert identity.profile.limits.patch_px == 14


def test_unknown_model_without_think_tags_is_plain(tmp_path: Path) -> None:
    identity = identified(tmp_path, named(nano_model(), "Other\x1b[31m VL"), nano_mmproj())
    assert identity.entry is None
    assert identity.name == "Other[31m VL"
    assert identity.profile.dialect == "plain"
    assert identity.profile.sampling == Sampling()
    assert identity.profile.system == "You are a helpful assistant."


def test_template_with_think_is_think_tags(tmp_path: Path) -> None:
    model = qwen3vl_model()
    model.values["tokenizer.chat_template"] = (ValueType.STRING, "{{ '<think>\\n' }}")
    profile = identified(tmp_path, model, qwen3vl_mmproj()).profile
    assert profile.dialect == "think-tags"
    assert profile.limits.patch_px == 16
    assert profile.sampling.temperature == 0.6
    assert profile.system == ""
    instruct = named(model, "Mine-VL-Instruct")
    assert identified(tmp_path, instruct, qwen3vl_mmproj()).profile.dialect == "plain"


def test_sampling_in_the_file_is_used(tmp_path: Path) -> None:
    model = named(nano_model(), "Other VL")
    model.values["general.sampling.temp"] = (ValueType.FLOAT32, 0.75)
    model.values["general.sampling.top_k"] = (ValueType.INT32, 40)
    sampling = identified(tmp_path, model, nano_mmproj()).profile.sampling
    assert sampling == Sampling(temperature=0.75, top_k=40)
    model.values["general.sampling.top_p"] = (ValueType.FLOAT32, math.nan)
    with pytest.raises(GgufError, match="top_p is nan"):
        identified(tmp_path, model, nano_mmproj())


def test_quant_without_file_type_is_what_most_bytes_are(tmp_path: Path) -> None:
    model = nano_model()
    del model.values["general.file_type"]
    assert quant_of(read_gguf(model.write(tmp_path / "x.gguf"))) == "Q8_0"
    model.values["general.file_type"] = (ValueType.UINT32, 15)
    assert quant_of(read_gguf(model.write(tmp_path / "x.gguf"))) == "Q4_K_M"
