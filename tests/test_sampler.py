"""Choosing tokens: the short way to the greatest logit says what llama.cpp's sampler says."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from conftest import no_progress
from drafters import EagerDrafter
from qvq_cli.engine.llama import LlamaEngine
from qvq_cli.engine.protocol import LoadSpec, PromptPart, Reserve, Sampling
from qvq_cli.engine.sampler import GreatestLogit, is_plain_greedy

ROOM = Reserve(100, 900)


@pytest.fixture(scope="module")
def as_on_gpu(nano_spec: LoadSpec) -> Iterator[LlamaEngine]:
    """Told that all layers are on a GPU: llama.cpp finds none and computes as ever."""
    with closing(LlamaEngine()) as engine:
        engine.load(nano_spec._replace(n_gpu_layers=-1), no_progress)
        yield engine


def said(engine: LlamaEngine, prompt: tuple[PromptPart, ...], sampling: Sampling) -> list[int]:
    engine.prefill(prompt, ROOM, sampling, no_progress)
    return [piece.token for piece in engine.decode(400)]


@pytest.mark.parametrize("is_forced", [False, True], ids=["as it pays", "drafts always"])
def test_the_greatest_logit_is_what_the_sampler_chooses(
    as_on_gpu: LlamaEngine,
    nano_spec: LoadSpec,
    table_prompt: tuple[PromptPart, ...],
    monkeypatch: pytest.MonkeyPatch,
    is_forced: bool,
) -> None:
    if is_forced:
        monkeypatch.setattr("qvq_cli.engine.llama.Drafter", EagerDrafter)
    with closing(LlamaEngine()) as plain:
        plain.load(nano_spec, no_progress)
        expected = said(plain, table_prompt, Sampling())
        assert not isinstance(plain._sample, GreatestLogit)
    found = said(as_on_gpu, table_prompt, Sampling())
    assert isinstance(as_on_gpu._sample, GreatestLogit)
    assert found == expected
    assert not is_forced or as_on_gpu.draft_counts().accepted > 0
    assert len(found) > 100


def test_any_other_sampling_is_llama_cpp_s_own(
    as_on_gpu: LlamaEngine, nano_spec: LoadSpec, table_prompt: tuple[PromptPart, ...]
) -> None:
    warm = Sampling(temperature=0.9, seed=7)
    with closing(LlamaEngine()) as plain:
        plain.load(nano_spec, no_progress)
        expected = said(plain, table_prompt, warm)
    assert said(as_on_gpu, table_prompt, warm) == expected


def test_what_plain_greedy_is() -> None:
    assert is_plain_greedy(Sampling())
    assert is_plain_greedy(Sampling(top_p=0.5, seed=3)), "neither counts at temperature 0"
    assert not is_plain_greedy(Sampling(temperature=0.1))
    assert not is_plain_greedy(Sampling(repeat_penalty=1.1))
