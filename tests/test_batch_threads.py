"""Passes of several tokens take a second thread while that is faster, and it changes no bit."""

import ctypes
import itertools
from contextlib import closing

import pytest

from conftest import no_progress
from drafters import EagerDrafter
from qvq_cli.engine.batch_threads import N_REST, N_SLOW, BatchThreads
from qvq_cli.engine.llama import LlamaEngine
from qvq_cli.engine.protocol import LoadSpec, PromptPart, Reserve, Sampling

WARM = Sampling(temperature=0.9, top_p=0.95, top_k=40, seed=7)


class Passes:
    """A machine on which a pass takes so long a token, with one thread and with two."""

    def __init__(self) -> None:
        self.n_threads = 2
        self.token_s = {1: 1.0, 2: 0.6}
        self.chooser = BatchThreads(self.set, n_few=1, n_many=2)
        self.chooser.begin()

    def set(self, n: int) -> None:
        assert n != self.n_threads
        self.n_threads = n

    def run(self, n: int, n_tokens: int = 8) -> list[int]:
        """The threads that each of n passes had."""
        had = []
        for _ in range(n):
            self.chooser.choose(n_tokens)
            had.append(self.n_threads)
            self.chooser.passed(n_tokens, n_tokens * self.token_s[self.n_threads])
        return had


def test_one_pass_has_one_thread_and_all_others_two() -> None:
    assert Passes().run(1000) == [1] + [2] * 999


def test_a_prompt_has_two_and_tells_nothing_of_what_comes_behind_it() -> None:
    passes = Passes()
    passes.chooser = BatchThreads(passes.set, n_few=1, n_many=2)
    passes.token_s[2] = 9.0
    assert passes.run(5) == [2] * 5
    passes.chooser.begin()
    assert passes.run(5, n_tokens=64) == [2] * 5
    passes.token_s[2] = 0.6
    assert passes.run(3) == [1, 2, 2]


def test_where_two_are_slower_it_rests_from_them_most_of_the_time() -> None:
    passes = Passes()
    passes.token_s[2] = 3.0
    had = passes.run(10 * N_REST)
    assert 0 < had.count(2) <= 11 * N_SLOW
    passes.token_s[2] = 0.6
    assert passes.run(2 * N_REST)[-N_REST // 2 :] == [2] * (N_REST // 2)


def test_other_programs_may_come_at_any_time() -> None:
    passes = Passes()
    passes.run(100)
    passes.token_s = {1: 1.5, 2: 3.0}
    assert passes.run(N_SLOW + 1 + N_REST) == [2] * N_SLOW + [1] * (1 + N_REST)


def test_one_slow_pass_is_no_reason_to_rest() -> None:
    passes = Passes()
    passes.run(10)
    for _ in range(20):
        passes.token_s[2] = 30.0
        assert passes.run(1) == [2]
        passes.token_s[2] = 0.6
        assert passes.run(1) == [2]


def test_a_text_that_became_longer_is_no_reason_either() -> None:
    passes = Passes()
    passes.run(10)
    passes.token_s = {1: 2.0, 2: 1.2}
    assert passes.run(50) == [2] * N_SLOW + [1] + [2] * (49 - N_SLOW)


def test_with_as_many_for_both_nothing_is_set() -> None:
    chooser = BatchThreads(lambda _: pytest.fail("set"), n_few=3, n_many=3)
    for _ in range(5):
        chooser.choose(8)
        chooser.passed(8, 1.0)


def state(engine: LlamaEngine) -> bytes:
    """Keys and values of all cells of the first chain."""
    n_bytes = engine._lib.llama_state_seq_get_size(engine._ctx, 0)
    buffer = (ctypes.c_uint8 * n_bytes)()
    assert engine._lib.llama_state_seq_get_data(engine._ctx, buffer, n_bytes, 0) == n_bytes
    return bytes(buffer)


def all_said(spec: LoadSpec, prompt: tuple[PromptPart, ...]) -> tuple[list[bytes], list[object]]:
    """Cells behind the prompt and behind long texts, and all that is said there."""
    long = "Let me look at the picture: f(1) = 3, f(2) = 5, g(1) = 2, g(2) = 7. " * 12
    states, said = list[bytes](), list[object]()
    with closing(LlamaEngine()) as engine:
        engine.load(spec, no_progress)
        for seed in range(3):
            sampling = WARM._replace(seed=seed)
            engine.prefill(prompt, Reserve(100, 1500), sampling, no_progress)
            states.append(state(engine))
            engine.append(long)
            assert engine._n_tokens > 512
            said.append([piece.token for piece in engine.decode(200)])
            states.append(state(engine))
        engine.prefill(prompt, Reserve(100, 200, 4), WARM, no_progress)
        said.extend(itertools.chain.from_iterable(engine.decode_chains(range(4), 60)))
        states.append(state(engine))
    return states, said


def test_a_second_thread_changes_no_bit_of_what_is_computed_and_no_word(
    nano_spec: LoadSpec, table_prompt: tuple[PromptPart, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[int] = []
    choose = BatchThreads.choose

    def watched(self: BatchThreads, n_tokens: int) -> None:
        choose(self, n_tokens)
        used.append(self._n_now)

    monkeypatch.setattr(BatchThreads, "choose", watched)
    monkeypatch.setattr("qvq_cli.engine.llama.Drafter", EagerDrafter)
    one = all_said(nano_spec, table_prompt)
    assert set(used) == {1}
    used.clear()
    assert all_said(nano_spec._replace(n_threads_batch=2), table_prompt) == one
    assert set(used) == {1, 2}
