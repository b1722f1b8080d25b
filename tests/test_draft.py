"""A draft model that a person names: which file it is, what is refused, what memory it takes."""

import os
from pathlib import Path

import pytest

from gguf_samples import MMPROJ, MODEL, nano_mmproj, text_model
from qvq_cli.engine.protocol import N_VOCAB_APART, Device
from qvq_cli.errors import DoesNotFitError, GgufError, InputNotFoundError, UnavailableError
from qvq_cli.hub.advice import require_fit
from qvq_cli.hub.catalog import catalog_entry
from qvq_cli.hub.draft import AUTO, Draft, find_draft, place_draft
from qvq_cli.hub.ggml_types import ValueType
from qvq_cli.hub.offload import MARGIN_BYTES
from qvq_cli.hub.plan import catalog_sizes
from qvq_cli.hub.run_plan import DraftUse, Machine, plan_run, typical_demand

GB = 10**9
N_VOCAB = 1536
QVQ = catalog_entry("qvq-72b-preview")


def found(wanted: str | Path, n_vocab: int = N_VOCAB) -> Draft:
    return find_draft(str(wanted), None, n_vocab, os.environ)


# which file


def test_a_name_and_a_file() -> None:
    assert found("nano") == found(MODEL)
    assert (found("nano").name, found("nano").path) == ("nano Q8_0", MODEL)


def test_a_text_model_needs_no_mmproj(tmp_path: Path) -> None:
    draft = found(text_model().write(tmp_path / "alone.gguf"))
    assert draft.name == "Little Text Q8_0"
    assert draft.text.kv_bytes_per_token == catalog_entry("nano").kv_bytes_per_token


def test_a_cached_model_needs_no_mmproj(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    entry = catalog_entry("qwen2-vl-2b-instruct")
    for repo, name in (
        (str(entry.repo), entry.quants["Q4_K_M"][0].name),
        ("some/text-GGUF", "text-Q4_K_M.gguf"),
    ):
        snapshot = tmp_path / ("models--" + repo.replace("/", "--")) / "snapshots" / "c0ffee"
        snapshot.mkdir(parents=True)
        (snapshot.parents[1] / "refs").mkdir()
        (snapshot.parents[1] / "refs" / "main").write_text("c0ffee")
        text_model().write(snapshot / name)
    assert found("hf:some/text-GGUF").path.name == "text-Q4_K_M.gguf"
    auto = find_draft(AUTO, QVQ, N_VOCAB, os.environ)
    assert auto == found("qwen2-vl-2b-instruct")
    assert auto.path.name == entry.quants["Q4_K_M"][0].name


def test_what_is_not_here_is_to_be_pulled() -> None:
    with pytest.raises(UnavailableError, match=r"--draft auto: Qwen2-VL-2B.* is not on") as caught:
        find_draft(AUTO, QVQ, 152_064, os.environ)
    assert caught.value.hint == "qvq pull qwen2-vl-2b-instruct"
    with pytest.raises(InputNotFoundError):
        found("no-such.gguf")


@pytest.mark.parametrize("name", ["nano", None])
def test_auto_where_the_catalog_names_none(name: str | None) -> None:
    with pytest.raises(UnavailableError, match="names no draft model") as caught:
        find_draft(AUTO, catalog_entry(name) if name else None, N_VOCAB, os.environ)
    assert "--no-drafts" in (caught.value.hint or "")


# what is refused


@pytest.mark.parametrize("n_apart", [-N_VOCAB_APART - 1, N_VOCAB_APART + 1])
def test_another_vocabulary(n_apart: int) -> None:
    with pytest.raises(GgufError, match="1,536 tokens") as caught:
        found(MODEL, N_VOCAB + n_apart)
    assert caught.value.reference == "draft-vocabulary"
    assert found(MODEL, N_VOCAB + N_VOCAB_APART) == found(MODEL, N_VOCAB - N_VOCAB_APART)


def test_an_mmproj() -> None:
    with pytest.raises(GgufError, match=MMPROJ.name) as caught:
        found(MMPROJ)
    assert caught.value.reference == "mmproj-as-draft"


@pytest.mark.parametrize("n_bytes", [0, 3, 30, 3000])
def test_a_file_that_is_cut_off(tmp_path: Path, n_bytes: int) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(MODEL.read_bytes()[:n_bytes])
    with pytest.raises(GgufError, match=r"cut\.gguf"):
        found(path)


NUMBERS = (
    *("block_count", "embedding_length", "feed_forward_length", "context_length"),
    "attention.head_count",
)


@pytest.mark.parametrize("key", NUMBERS)
def test_missing_numbers(tmp_path: Path, key: str) -> None:
    sample = text_model()
    del sample.values[f"qwen2.{key}"]
    with pytest.raises(GgufError, match=r"odd\.gguf .*" + key):
        found(sample.write(tmp_path / "odd.gguf"))


@pytest.mark.parametrize("value", [0, 1 << 31, "text"])
@pytest.mark.parametrize("key", [*NUMBERS, "attention.head_count_kv", "attention.key_length"])
def test_absurd_numbers(tmp_path: Path, key: str, value: object) -> None:
    sample = text_model()
    kind = ValueType.STRING if isinstance(value, str) else ValueType.UINT32
    sample.values[f"qwen2.{key}"] = (kind, value)
    with pytest.raises(GgufError, match=r"odd\.gguf .*" + key):
        found(sample.write(tmp_path / "odd.gguf"))


def test_no_architecture_no_vocabulary_no_weights(tmp_path: Path) -> None:
    nameless, wordless, weightless = (text_model() for _ in range(3))
    del nameless.values["general.architecture"]
    del wordless.values["tokenizer.ggml.tokens"]
    weightless.tensors = {}
    for sample in (nameless, wordless, weightless, nano_mmproj()):
        with pytest.raises(GgufError, match=r"odd\.gguf"):
            found(sample.write(tmp_path / "odd.gguf"))


# memory


def gpu(name: str, free_bytes: int) -> Device:
    return Device(name, is_gpu=True, free_bytes=free_bytes)


def test_it_counts_weights_context_and_working_memory() -> None:
    draft = found(MODEL)
    small, large = (draft.needed_bytes(n, on_gpu=False) for n in (1024, 2048))
    assert large - small >= 1024 * draft.text.kv_bytes_per_token
    assert small > draft.weight_bytes + 1024 * draft.text.kv_bytes_per_token
    assert draft.needed_bytes(100_000, on_gpu=False) == draft.needed_bytes(4096, on_gpu=False), (
        "no more context than it was trained for"
    )
    assert draft.needed_bytes(1024, on_gpu=True) > small


def test_without_a_gpu_the_computer_gives_it() -> None:
    draft = found(MODEL)
    n_bytes = draft.needed_bytes(2000, on_gpu=False)
    left = place_draft(draft, 2000, Machine(GB), may_use_gpu=True)
    assert left == Machine(GB - n_bytes, draft=DraftUse(n_bytes, is_on_gpu=False))
    assert place_draft(draft, 2000, Machine(5), may_use_gpu=True).free_bytes == 0


def test_gpus_with_room_give_it_by_their_free_memory() -> None:
    draft = found(MODEL)
    n_bytes = draft.needed_bytes(2000, on_gpu=True)
    machine = Machine(GB, (gpu("A", 30 * GB), gpu("B", 10 * GB)))
    left = place_draft(draft, 2000, machine, may_use_gpu=True)
    assert left.draft == DraftUse(n_bytes, is_on_gpu=True)
    assert left.free_bytes == GB - draft.host_bytes, "the embedding stays with the computer"
    taken = [a.free_bytes - b.free_bytes for a, b in zip(machine.gpus, left.gpus, strict=True)]
    assert taken == pytest.approx([n_bytes * 3 / 4, n_bytes / 4], abs=1)


@pytest.mark.parametrize(("more_bytes", "is_on_gpu"), [(-1, False), (0, True)])
def test_a_gpu_without_room_is_left_alone(more_bytes: int, is_on_gpu: bool) -> None:
    draft = found(MODEL)
    room = draft.needed_bytes(2000, on_gpu=True) + MARGIN_BYTES
    machine = Machine(GB, (gpu("A", room + more_bytes),))
    left = place_draft(draft, 2000, machine, may_use_gpu=True)
    assert left.draft is not None
    assert left.draft.is_on_gpu is is_on_gpu
    assert (left.gpus == machine.gpus) is not is_on_gpu
    refused = place_draft(draft, 2000, machine, may_use_gpu=False)
    assert refused.draft is not None
    assert not refused.draft.is_on_gpu


def test_memory_that_both_share_is_taken_from_both() -> None:
    draft = found(MODEL)
    machine = Machine(8 * GB, (gpu("Metal", 6 * GB),), is_unified=True)
    left = place_draft(draft, 2000, machine, may_use_gpu=True)
    assert left.draft is not None
    assert left.free_bytes == 8 * GB - left.draft.n_bytes
    assert left.gpus[0].free_bytes == 6 * GB - left.draft.n_bytes


def test_a_plan_tells_it() -> None:
    sizes = catalog_sizes(QVQ, "Q4_K_M")
    assert sizes is not None
    demand = typical_demand(QVQ.profile)
    needed = plan_run(sizes, demand, Machine(1000 * GB)).needed_bytes
    use = DraftUse(1_600_000_000, is_on_gpu=False)
    plan = plan_run(sizes, demand, Machine(needed, draft=use))
    assert plan.fits
    assert plan.draft == use
    assert plan.reasons[-1] == "the draft model takes 1.6 GB of the computer's memory besides"
    too_large = plan_run(sizes, demand, Machine(needed - 12 * GB, draft=DraftUse(12 * GB, False)))
    with pytest.raises(DoesNotFitError, match=r"the draft model takes 12\.0 GB") as caught:
        require_fit(too_large, "QVQ", QVQ)
    assert (caught.value.hint or "").startswith("without --draft it would fit")
