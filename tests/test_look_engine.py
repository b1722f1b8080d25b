"""A second look at the pictures: to the engine it is a prompt in which they stand there too."""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest

from conftest import DATA, QUESTION, TABLE, no_progress
from qvq_cli.engine.grid import ImageLimits
from qvq_cli.engine.images import load_picture
from qvq_cli.engine.llama import LlamaEngine
from qvq_cli.engine.process import WorkerEngine
from qvq_cli.engine.protocol import (
    Bitmap,
    Engine,
    LoadSpec,
    PromptPart,
    Reserve,
    Sampling,
    TextPart,
)
from qvq_cli.errors import PromptError
from qvq_cli.reasoning.prompt import build_prompt
from qvq_cli.reasoning.transcript import Dialect

ROOM = Reserve(100, 1500)
BEFORE, AFTER = "\n\nLet me look at the image again.", "\n\n"
GREEDY = Sampling()
GAP = 0.4  # in logits, see largest_gap


def prefill(engine: Engine, prompt: Sequence[PromptPart], sampling: Sampling = GREEDY) -> None:
    engine.prefill(prompt, ROOM, sampling, no_progress, keep_pictures=True)


def take(engine: Engine, n: int) -> bytes:
    """Exactly n tokens' bytes from a decode that would have gone on."""
    with closing(engine.decode(10_000)) as pieces:
        return b"".join(next(pieces).data for _ in range(n))


def rest(engine: Engine, n_max: int) -> list[int]:
    return [piece.token for piece in engine.decode(n_max)]


def logits(engine: LlamaEngine) -> list[float]:
    """What the next token will be sampled from, of shape (n_vocab,)."""
    n_vocab = engine._lib.llama_vocab_n_tokens(engine._vocab)
    last = engine._lib.llama_get_logits_ith(engine._ctx, -1)
    return list(ctypes.cast(last, ctypes.POINTER(ctypes.c_float))[:n_vocab])


def words(engine: LlamaEngine, n_max: int) -> list[tuple[int, float]]:
    """Tokens, each with how far the next best one was behind it in logits."""
    found = []
    for piece in engine.decode(n_max):
        best = sorted(logits(engine))[-2:]
        found.append((piece.token, best[1] - best[0]))
    return found


def agree(left: list[tuple[int, float]], right: list[tuple[int, float]]) -> bool:
    """Whether tokens are the same, or part only where two of them were as good."""
    for (token, margin), (other, _) in zip(left, right, strict=False):
        if token != other:
            return margin < GAP
    return len(left) == len(right)


def largest_gap(left: list[float], right: list[float]) -> float:
    """In logits; nano's differ by 0.1 to 0.2 where tokens went through in other batches, and by 0.5
    or more where a position or a picture is wrong."""
    return max(abs(a - b) for a, b in zip(left, right, strict=True))


@pytest.fixture(scope="module")
def engine(nano_spec: LoadSpec) -> Iterator[LlamaEngine]:
    engine = LlamaEngine()
    engine.load(nano_spec, no_progress)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def two_pictures() -> tuple[PromptPart, ...]:
    """Two pictures of different shapes, the higher one first."""
    bitmaps = [
        load_picture(str(DATA / "tall-0.png"), ImageLimits(70, 90)).bitmap,
        load_picture(str(TABLE), ImageLimits(70, 391)).bitmap,
    ]
    return build_prompt("Think.", bitmaps, QUESTION, Dialect.HEADING)


@pytest.mark.parametrize("n_said", [0, 1, 40])
@pytest.mark.parametrize("name", ["table_prompt", "two_pictures"])
def test_a_look_is_a_prompt_in_which_the_pictures_stand_there(
    engine: LlamaEngine, name: str, n_said: int, request: pytest.FixtureRequest
) -> None:
    """The same cells, positions, logits and words, but for ties that other batches decide."""
    prompt = request.getfixturevalue(name)
    bitmaps = [part for part in prompt if isinstance(part, Bitmap)]
    prefill(engine, prompt)
    before = engine._n_tokens, engine._n_pos
    said = take(engine, n_said).decode()
    n_cells = engine.look_again(BEFORE, AFTER)
    looked = engine._n_tokens, engine._n_pos
    assert looked[0] == before[0] + n_said + n_cells
    assert looked[1] < before[1] + n_said + n_cells, "a picture takes more cells than positions"
    seen = logits(engine), words(engine, 120)

    prefill(
        engine,
        (*prompt, TextPart(said, False), TextPart(BEFORE, False), *bitmaps, TextPart(AFTER, False)),
    )
    assert (engine._n_tokens, engine._n_pos) == looked
    assert largest_gap(seen[0], logits(engine)) < GAP
    assert agree(seen[1], words(engine, 120))


@pytest.mark.parametrize(
    "sampling", [GREEDY, Sampling(temperature=0.9, seed=7), Sampling(repeat_penalty=1.2)]
)
def test_worker_looks_as_the_engine_does(
    engine: LlamaEngine,
    nano_spec: LoadSpec,
    two_pictures: tuple[PromptPart, ...],
    sampling: Sampling,
) -> None:
    """Twice, at places where the worker has run ahead, and then a conclusion."""

    def session(engine: Engine) -> list[object]:
        prefill(engine, two_pictures, sampling)
        said: list[object] = []
        for n in (17, 30):
            said += [take(engine, n), engine.look_again(BEFORE, AFTER)]
        said += [take(engine, 12), engine.append("\n\n**Final Answer**\n\n")]
        return [*said, rest(engine, 30)]

    with closing(WorkerEngine(verbose=False)) as worker:
        worker.load(nano_spec, no_progress)
        assert session(worker) == session(engine)


def test_stopping_behind_a_look_leaves_no_trace(
    engine: LlamaEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    """Rewound to the look itself, and past a few tokens: the words are the same again."""
    prefill(engine, table_prompt)
    take(engine, 30)
    engine.look_again(BEFORE, AFTER)
    whole = rest(engine, 60)
    for n_kept in (0, 1, 9):
        prefill(engine, table_prompt)
        take(engine, 30)
        engine.look_again(BEFORE, AFTER)
        take(engine, n_kept + 8)
        engine.rewind(8)
        assert rest(engine, 60 - n_kept) == whole[n_kept:]


def test_a_look_that_has_no_room_changes_nothing(
    engine: LlamaEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    def session(n_refused: int) -> list[int]:
        prefilled = engine.prefill(
            table_prompt, Reserve(10, 60), GREEDY, no_progress, keep_pictures=True
        )
        while prefilled.n_ctx - engine._n_tokens > 180:  # llama.cpp rounds the context up
            engine.look_again(BEFORE, AFTER)
        take(engine, 8)
        for _ in range(n_refused):
            with pytest.raises(PromptError, match="no room"):
                engine.look_again(BEFORE, AFTER)
        return rest(engine, 20)

    assert session(2) == session(0)


def test_pictures_are_kept_only_when_asked_for(
    engine: LlamaEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    prefill(engine, table_prompt)
    assert len(engine._seen) == 1
    engine.prefill(table_prompt, ROOM, GREEDY, no_progress)
    assert not engine._seen
    with pytest.raises(PromptError, match="no picture"):
        engine.look_again(BEFORE, AFTER)
