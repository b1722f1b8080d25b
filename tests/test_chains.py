"""Several chains in one batch: each says what it would have said alone, whoever else does what."""

import os
import signal
from collections.abc import Iterator, Sequence

import pytest

from chain_texts import ALONE, Texts, say, say_alone
from conftest import no_progress
from qvq_cli.engine.llama import LlamaEngine
from qvq_cli.engine.process import WorkerEngine
from qvq_cli.engine.protocol import (
    Engine,
    LoadSpec,
    PromptPart,
    Reserve,
    Sampling,
    chain_seed,
)
from qvq_cli.errors import EngineDiedError, PromptError

HEADING = "\n\n**Final Answer**\n\n"
N = 5
TOGETHER = ALONE._replace(n_chains=N)
WARM = Sampling(temperature=0.9, top_p=0.95, top_k=40, seed=7)


@pytest.fixture(scope="module")
def in_process(nano_spec: LoadSpec) -> Iterator[LlamaEngine]:
    engine = LlamaEngine()
    engine.load(nano_spec, no_progress)
    yield engine
    engine.close()


@pytest.fixture
def worker(nano_spec: LoadSpec) -> Iterator[WorkerEngine]:
    engine = WorkerEngine(verbose=False)
    engine.load(nano_spec, no_progress)
    yield engine
    engine.close()


def begin(engine: Engine, prompt: Sequence[PromptPart], sampling: Sampling) -> Texts:
    engine.prefill(prompt, TOGETHER, sampling, no_progress)
    return {chain: [] for chain in range(N)}


@pytest.mark.parametrize(
    "sampling", [WARM, Sampling(temperature=1.3, seed=3), WARM._replace(min_p=0.05),
                 WARM._replace(repeat_penalty=1.1), Sampling()]
)  # fmt: skip
def test_each_chain_says_what_it_says_alone(
    in_process: LlamaEngine, table_prompt: tuple[PromptPart, ...], sampling: Sampling
) -> None:
    """To the token, here; on other processors a batch may round otherwise and tip a near-tie."""
    texts = begin(in_process, table_prompt, sampling)
    say(in_process, texts, range(N), 400)
    alone = [say_alone(in_process, table_prompt, sampling, i, 400) for i in range(N)]
    assert list(texts.values()) == alone
    if sampling.temperature:
        assert len({len(text) for text in alone}) > 1, "they end at different times"


def test_the_first_chain_is_the_run_without_votes() -> None:
    assert chain_seed(42, 0) == 42
    assert len({chain_seed(seed, chain) for seed in range(50) for chain in range(64)}) == 50 * 64


def test_a_conclusion_for_one_chain_while_others_go_on(
    in_process: LlamaEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    texts = begin(in_process, table_prompt, WARM)
    say(in_process, texts, range(N), 40)
    n_appended = in_process.append(HEADING, chain=2)
    say(in_process, texts, range(N), 30)
    for chain in (1, 3):
        assert texts[chain] == say_alone(in_process, table_prompt, WARM, chain, 70)
    own = WARM._replace(seed=chain_seed(WARM.seed, 2))
    in_process.prefill(table_prompt, ALONE, own, no_progress)
    concluded = [piece.token for piece in in_process.decode(40)]
    assert in_process.append(HEADING) == n_appended
    concluded += [piece.token for piece in in_process.decode(30)]
    assert texts[2] == concluded


def test_a_conclusion_before_the_first_token(
    in_process: LlamaEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    """--max-thinking 0; and a chain that said nothing yet is not disturbed by it."""
    texts = begin(in_process, table_prompt, WARM)
    in_process.append(HEADING, chain=0)
    say(in_process, texts, [0], 20)
    say(in_process, texts, range(1, N), 20)
    assert texts[1] == say_alone(in_process, table_prompt, WARM, 1, 20)
    in_process.prefill(table_prompt, ALONE, WARM, no_progress)
    in_process.append(HEADING)
    assert texts[0] == [piece.token for piece in in_process.decode(20)]


def test_a_long_text_for_one_chain(
    in_process: LlamaEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    texts = begin(in_process, table_prompt, WARM)
    say(in_process, texts, range(N), 10)
    long = " Wait, the table has more rows than I took it to have." * 12
    in_process.append(long, chain=1)
    say(in_process, texts, range(N), 20)
    with pytest.raises(PromptError, match="no room"):
        in_process.append(long * 20, chain=1)
    again = begin(in_process, table_prompt, WARM)
    say(in_process, again, [1], 10)
    in_process.append(long, chain=1)
    say(in_process, again, [1], 20)
    assert texts[1] == again[1]
    assert texts[3] == say_alone(in_process, table_prompt, WARM, 3, 30)


def session(engine: Engine, prompt: Sequence[PromptPart], n_ahead: int) -> Texts:
    """Chains stopped, concluded, left out; the engine asked for n_ahead more than is taken."""
    texts = begin(engine, prompt, WARM)
    say(engine, texts, range(N), 30, n_ahead)
    engine.append(HEADING, chain=4)
    say(engine, texts, range(N), 1, n_ahead)
    engine.append(HEADING, chain=1)
    engine.append(HEADING, chain=0)
    say(engine, texts, range(N), 25, n_ahead)
    say(engine, texts, [2, 3], 160, n_ahead)
    return texts


def test_the_worker_says_what_the_engine_says(
    in_process: LlamaEngine, worker: WorkerEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    """However far it ran ahead: what was not taken leaves no trace, not even in the draws."""
    assert session(worker, table_prompt, 0) == session(in_process, table_prompt, 0)
    assert session(worker, table_prompt, 300) == session(in_process, table_prompt, 0)


@pytest.mark.parametrize("n_ahead", [1, 7, 250])
def test_going_back_leaves_no_trace(
    in_process: LlamaEngine, table_prompt: tuple[PromptPart, ...], n_ahead: int
) -> None:
    """Also over ends of generation and right behind a conclusion."""
    texts = begin(in_process, table_prompt, WARM)
    lost: Texts = {chain: [] for chain in range(N)}
    for n in (60, 1, 59):
        say(in_process, texts, range(N), n)
        in_process.rewind(say(in_process, lost, range(N), n_ahead))
    in_process.append(HEADING, chain=0)
    in_process.rewind(say(in_process, lost, range(N), n_ahead))
    say(in_process, texts, range(N), 40)
    again = begin(in_process, table_prompt, WARM)
    say(in_process, again, range(N), 120)
    in_process.append(HEADING, chain=0)
    say(in_process, again, range(N), 40)
    assert texts == again


def test_cells_that_run_out(in_process: LlamaEngine, table_prompt: tuple[PromptPart, ...]) -> None:
    """A chain stops at the end of its own cells; the prompt's are counted once for all."""
    hot = Sampling(temperature=30.0, seed=5)  # wanders: no chain ends by itself
    prefilled = in_process.prefill(table_prompt, Reserve(10, 60, N), hot, no_progress)
    room = prefilled.n_ctx - prefilled.n_tokens
    assert 60 <= room <= 60 + 256
    n_appended = in_process.append(HEADING, chain=0)
    texts: Texts = {chain: [] for chain in range(N)}
    say(in_process, texts, range(N), 400)
    lengths = [len(text) for text in texts.values()]
    assert lengths == [room + 1 - n_appended] + [room + 1] * (N - 1)
    assert texts[1] == say_alone(in_process, table_prompt, hot, 1, room + 1)


def test_the_context_is_no_larger_than_its_chains(
    in_process: LlamaEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    prefilled = in_process.prefill(table_prompt, Reserve(1, 500, 8), WARM, no_progress)
    n_cells = in_process._lib.llama_n_ctx(in_process._ctx)
    assert n_cells - (prefilled.n_tokens + 8 * 501) < 256
    in_process.prefill(table_prompt, Reserve(1, 100_000, 2), WARM, no_progress)
    assert in_process._lib.llama_n_ctx(in_process._ctx) < 2 * 4096 + 256


def test_death_while_decoding(worker: WorkerEngine, table_prompt: tuple[PromptPart, ...]) -> None:
    worker.prefill(table_prompt, TOGETHER, WARM, no_progress)
    with pytest.raises(EngineDiedError, match="SIGABRT"):
        for i, _ in enumerate(worker.decode_chains(range(N), 800)):
            if i == 3:
                os.kill(worker.pid, signal.SIGABRT)
