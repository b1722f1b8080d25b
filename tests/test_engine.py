"""The engine on the embedded model: in this process, and behind the worker, they are one engine."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from conftest import no_progress
from drafters import EagerDrafter, RestlessDrafter
from gguf_samples import text_model
from qvq_cli.engine.drafts import GUESSED, Place
from qvq_cli.engine.llama import LlamaEngine
from qvq_cli.engine.process import WorkerEngine, cautious, explain_death
from qvq_cli.engine.protocol import Engine, LoadSpec, PromptPart, Reserve, Sampling, TextPart
from qvq_cli.errors import DoesNotFitError, EngineDiedError, GgufError, PromptError

HEADING = "\n\n**Final Answer**\n\n"
ROOM = Reserve(100, 900)
WARM = Sampling(temperature=0.9, seed=7)


def refuse_notice(reference: str, message: str) -> None:
    pytest.fail(f"unexpected notice {reference}: {message}")


@pytest.fixture(scope="module")
def in_process(nano_spec: LoadSpec) -> Iterator[LlamaEngine]:
    engine = LlamaEngine()
    engine.load(nano_spec, no_progress)
    yield engine
    engine.close()


@pytest.fixture
def worker(nano_spec: LoadSpec) -> Iterator[WorkerEngine]:
    engine = WorkerEngine(verbose=False)
    engine.on_notice = refuse_notice
    engine.load(nano_spec, no_progress)
    yield engine
    engine.close()


@contextmanager
def telling_worker() -> Iterator[tuple[WorkerEngine, list[str]]]:
    """A worker without a model, and the notices that it has told."""
    notices: list[str] = []
    with closing(WorkerEngine(verbose=False)) as engine:
        engine.on_notice = lambda reference, _message: notices.append(reference)
        yield engine, notices


def take(engine: Engine, n: int) -> list[int]:
    """Exactly n tokens from a decode that would have gone on."""
    with closing(engine.decode(10_000)) as pieces:
        return [next(pieces).token for _ in range(n)]


def text_of(engine: Engine, n_max: int) -> str:
    return b"".join(piece.data for piece in engine.decode(n_max)).decode()


def test_reads_the_table(in_process: LlamaEngine, table_prompt: tuple[PromptPart, ...]) -> None:
    prefilled = in_process.prefill(table_prompt, ROOM, Sampling(), no_progress)
    assert len(prefilled.image_tokens) == 1
    assert prefilled.n_tokens > prefilled.n_pos, "a picture takes more cells than positions"
    assert prefilled.n_ctx >= prefilled.n_tokens + ROOM.n_max
    pieces = list(in_process.decode(900))
    assert pieces[-1].is_eog
    assert "-29" in b"".join(piece.data for piece in pieces).decode().rpartition("boxed")[2]


@pytest.mark.parametrize("sampling", [Sampling(), WARM, Sampling(repeat_penalty=1.2)])
def test_worker_says_what_the_engine_says(
    in_process: LlamaEngine,
    worker: WorkerEngine,
    table_prompt: tuple[PromptPart, ...],
    sampling: Sampling,
) -> None:
    """Stopping, appending and going on, at places where the worker has run ahead."""

    def session(engine: Engine) -> list[object]:
        engine.prefill(table_prompt, ROOM, sampling, no_progress)
        first = take(engine, 23)
        second = take(engine, 1)  # no append between: the same sampler goes on
        n_appended = engine.append(HEADING)
        return [first, n_appended, text_of(engine, 40), second]

    assert session(worker)[:3] == session(in_process)[:3]


def test_stopping_leaves_no_trace(
    in_process: LlamaEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    """Greedy text is the same, decoded in one go or stopped and rewound on the way."""
    in_process.prefill(table_prompt, ROOM, Sampling(), no_progress)
    whole = [piece.token for piece in in_process.decode(120)]
    in_process.prefill(table_prompt, ROOM, Sampling(), no_progress)
    start = take(in_process, 40)
    take(in_process, 30)
    in_process.rewind(30)
    assert start + [piece.token for piece in in_process.decode(80)] == whole


def test_rewinding_to_the_prompt(
    in_process: LlamaEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    in_process.prefill(table_prompt, ROOM, Sampling(), no_progress)
    first = take(in_process, 12)
    in_process.rewind(12)
    assert take(in_process, 12) == first


def test_same_seed_same_text(in_process: LlamaEngine, table_prompt: tuple[PromptPart, ...]) -> None:
    def run(seed: int) -> list[int]:
        sampling = WARM._replace(temperature=1.5, seed=seed)
        in_process.prefill(table_prompt, ROOM, sampling, no_progress)
        return take(in_process, 60)

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_a_question_can_not_inject_markup(in_process: LlamaEngine) -> None:
    """`<|im_end|>` in a person's text is harmless tokens, in our markup it is a special one."""
    in_process.prefill(
        [TextPart("<|im_end|>", True), TextPart("x", False)], ROOM, WARM, no_progress
    )
    n_special = in_process._n_tokens
    in_process.prefill(
        [TextPart("<|im_end|>", False), TextPart("x", False)], ROOM, WARM, no_progress
    )
    assert n_special == 2
    assert in_process._n_tokens > 3


def test_a_prompt_that_is_too_long(in_process: LlamaEngine) -> None:
    with pytest.raises(PromptError, match="trained for 4096"):
        in_process.prefill([TextPart("why " * 5000, False)], ROOM, Sampling(), no_progress)


def test_room_is_cut_to_what_the_model_can_hold(
    in_process: LlamaEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    prefilled = in_process.prefill(table_prompt, Reserve(100, 100_000), Sampling(), no_progress)
    assert prefilled.n_ctx == 4096


def test_decoding_stops_where_the_context_ends(
    in_process: LlamaEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    prefilled = in_process.prefill(table_prompt, Reserve(1, 1), Sampling(), no_progress)
    n = len([piece for piece in in_process.decode(10_000) if not piece.is_eog])
    assert n <= prefilled.n_ctx - prefilled.n_tokens + 1


def test_a_file_that_is_no_model(worker: WorkerEngine) -> None:
    spec = LoadSpec(__file__, __file__, n_threads=1)
    with pytest.raises(GgufError, match=r"test_engine\.py"):
        worker.load(spec, no_progress)


# loading ahead


def test_a_model_loaded_ahead_is_not_loaded_again(nano_spec: LoadSpec) -> None:
    engine = LlamaEngine()
    ahead: list[float] = []
    engine.load_ahead(nano_spec, lambda _stage, share: ahead.append(share))
    assert ahead
    same = nano_spec._replace(n_threads=2, kv_type="q8_0")
    info = engine.load(same, lambda *_: pytest.fail("it was loaded again"))
    assert info.load_s > 0
    engine.close()


def test_what_was_loaded_ahead_for_nothing(
    nano_spec: LoadSpec, table_prompt: tuple[PromptPart, ...], in_process: LlamaEngine
) -> None:
    """A load that reads the model another way does so, and says the same."""
    in_process.prefill(table_prompt, ROOM, Sampling(), no_progress)
    engine = LlamaEngine()
    other = nano_spec._replace(repack=not nano_spec.repack)
    engine.load_ahead(other, no_progress)
    shares: list[float] = []
    engine.load(nano_spec, lambda _stage, share: shares.append(share))
    assert shares
    engine.prefill(table_prompt, ROOM, Sampling(), no_progress)
    assert take(engine, 20) == take(in_process, 20)
    engine.load_ahead(nano_spec, no_progress)
    engine.close()


def test_a_worker_that_loads_ahead_says_the_same(
    nano_spec: LoadSpec, table_prompt: tuple[PromptPart, ...], in_process: LlamaEngine
) -> None:
    in_process.prefill(table_prompt, ROOM, Sampling(), no_progress)
    engine = WorkerEngine(verbose=False)
    engine.on_notice = refuse_notice
    with closing(engine):
        engine.load_ahead(nano_spec)
        engine.load(nano_spec, no_progress)
        engine.prefill(table_prompt, ROOM, Sampling(), no_progress)
        assert take(engine, 20) == take(in_process, 20)


def test_loading_ahead_leaves_errors_to_the_load() -> None:
    spec = LoadSpec(__file__, __file__, n_threads=1)
    with closing(WorkerEngine(verbose=False)) as engine:
        engine.load_ahead(spec)
        with pytest.raises(GgufError, match=r"test_engine\.py"):
            engine.load(spec, no_progress)


def test_a_crash_while_loading_ahead_is_tried_again(
    nano_spec: LoadSpec, table_prompt: tuple[PromptPart, ...]
) -> None:
    with telling_worker() as (engine, notices):
        engine.load_ahead(nano_spec)
        os.kill(engine.pid, signal.SIGSEGV)
        engine.load(nano_spec, no_progress)
        engine.prefill(table_prompt, ROOM, Sampling(), no_progress)
        assert len(take(engine, 5)) == 5
    assert notices == ["engine-restarted"]


# the death of the worker


def kill_when(engine: WorkerEngine, number: int) -> Callable[[str, float], None]:
    """A progress callback that sends a signal at the first news of a stage."""
    done: list[int] = []

    def on_progress(_stage: str, _share: float) -> None:
        if not done:
            done.append(engine.pid)
            os.kill(engine.pid, number)
            time.sleep(0.2)

    return on_progress


def test_a_crash_before_the_model_is_loaded_is_tried_again(
    nano_spec: LoadSpec, table_prompt: tuple[PromptPart, ...]
) -> None:
    with telling_worker() as (engine, notices):
        os.kill(engine.pid, signal.SIGSEGV)
        engine.load(nano_spec, no_progress)
        engine.prefill(table_prompt, ROOM, Sampling(), no_progress)
        assert len(take(engine, 5)) == 5
    assert notices == ["engine-restarted"]


@pytest.mark.parametrize(
    ("repack", "change"),
    [
        (True, "without weight repacking, with the picture on the CPU, which is slower"),
        (False, "with the picture on the CPU, which is slower"),
    ],
)
def test_people_are_told_what_is_different_now(
    nano_spec: LoadSpec, repack: bool, change: str
) -> None:
    messages: list[str] = []
    with closing(WorkerEngine(verbose=False)) as engine:
        engine.on_notice = lambda _reference, message: messages.append(message)
        os.kill(engine.pid, signal.SIGSEGV)
        engine.load(nano_spec._replace(repack=repack), no_progress)
    assert [message.partition("; trying once more ")[2] for message in messages] == [change]


def test_a_crash_while_reading_the_picture_is_tried_again(
    nano_spec: LoadSpec, table_prompt: tuple[PromptPart, ...]
) -> None:
    with telling_worker() as (engine, notices):
        engine.load(nano_spec, no_progress)
        engine.prefill(table_prompt, ROOM, Sampling(), kill_when(engine, signal.SIGABRT))
        assert len(take(engine, 5)) == 5
    assert notices == ["engine-restarted"]


def test_a_crash_with_cautious_settings_is_an_error(nano_spec: LoadSpec) -> None:
    engine = WorkerEngine(verbose=False)
    engine.on_notice = refuse_notice
    with closing(engine), pytest.raises(EngineDiedError, match="SIGSEGV"):
        engine.load(cautious(nano_spec), kill_when(engine, signal.SIGSEGV))
        engine.system_info()  # where all was loaded before the signal came


def test_a_crash_is_tried_again_without_the_draft_model(nano_spec: LoadSpec) -> None:
    notices: list[str] = []
    engine = WorkerEngine(verbose=False)
    engine.on_notice = lambda _, message: notices.append(message)
    with closing(engine):
        os.kill(engine.pid, signal.SIGSEGV)
        engine.load(nano_spec._replace(draft_path=nano_spec.model_path), no_progress)
        assert engine._spec == cautious(nano_spec)
    assert "without the --draft model" in notices[0]


def test_a_kill_is_not_tried_again(nano_spec: LoadSpec) -> None:
    engine = WorkerEngine(verbose=False)
    engine.on_notice = refuse_notice
    with closing(engine), pytest.raises(EngineDiedError, match="SIGKILL"):
        engine.load(nano_spec, kill_when(engine, signal.SIGKILL))
        engine.system_info()  # where all was loaded before the signal came


def test_death_while_decoding(worker: WorkerEngine, table_prompt: tuple[PromptPart, ...]) -> None:
    worker.prefill(table_prompt, ROOM, Sampling(), no_progress)
    with pytest.raises(EngineDiedError, match="SIGABRT"):
        for i, _ in enumerate(worker.decode(800)):
            if i == 3:
                os.kill(worker.pid, signal.SIGABRT)


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="the system can't tell")
def test_a_stopped_worker_is_told_and_waited_for(
    worker: WorkerEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    notices: list[str] = []

    def go_on(reference: str, message: str) -> None:
        notices.append(reference)
        assert f"kill -CONT {worker.pid}" in message
        os.kill(worker.pid, signal.SIGCONT)

    worker.on_notice = go_on
    worker.prefill(table_prompt, ROOM, Sampling(), no_progress)
    for n_said, _ in enumerate(worker.decode(800)):
        if n_said == 3:
            os.kill(worker.pid, signal.SIGSTOP)
    assert notices == ["engine-stopped"]
    assert n_said > 200


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_closing_leaves_no_process(worker: WorkerEngine) -> None:
    pid = worker.pid
    worker.close()
    worker.close()
    assert not is_alive(pid)


def test_the_worker_dies_with_its_parent() -> None:
    """A parent that is killed outright can't clean up; its worker goes all the same."""
    script = (
        "import time\n"
        "from qvq_cli.engine.process import WorkerEngine\n"
        "engine = WorkerEngine(verbose=False)\n"
        "print(engine.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker_pid = int(parent.stdout.readline())
    time.sleep(0.5)
    assert is_alive(worker_pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while is_alive(worker_pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(worker_pid)


def test_what_a_death_means() -> None:
    assertion = ["noise", "ggml.c:12: GGML_ASSERT(a == b) failed"]
    assert "GGML_ASSERT(a == b)" in explain_death(-6, assertion, was_oom=False).message
    memory = ["ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 44"]
    assert isinstance(explain_death(-6, memory, was_oom=False), DoesNotFitError)
    assert isinstance(explain_death(-9, [], was_oom=True), DoesNotFitError)
    assert not isinstance(explain_death(-11, [], was_oom=True), DoesNotFitError)
    assert not isinstance(explain_death(1, ["bye"], was_oom=True), DoesNotFitError)
    assert "code 3: bye" in explain_death(3, ["bye"], was_oom=False).message
    assert "by SIGSEGV" in explain_death(-11, [], was_oom=False).message
    assert "by signal 40" in explain_death(-40, [], was_oom=False).message, "has no name"


def test_a_death_in_the_middle_keeps_the_exit_code_of_its_cause(
    monkeypatch: pytest.MonkeyPatch, nano_spec: LoadSpec, table_prompt: tuple[PromptPart, ...]
) -> None:
    kills = itertools.count()
    monkeypatch.setattr("qvq_cli.engine.process.count_oom_kills", lambda: next(kills))
    with closing(WorkerEngine(verbose=False)) as engine:
        engine.load(nano_spec, no_progress)
        engine.prefill(table_prompt, ROOM, Sampling(), no_progress)
        pieces = engine.decode(900)
        next(pieces)
        os.kill(engine.pid, signal.SIGKILL)
        with pytest.raises(DoesNotFitError):
            list(pieces)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qvq_cli.engine.llama.Drafter", EagerDrafter)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "sampling", [Sampling(), WARM, Sampling(temperature=1.3), Sampling(repeat_penalty=1.2)]
)
def test_drafts_change_nothing(
    in_process: LlamaEngine,
    table_prompt: tuple[PromptPart, ...],
    monkeypatch: pytest.MonkeyPatch,
    sampling: Sampling,
    seed: int,
) -> None:
    """The tokens of plain decoding, also where it is stopped, appended to and rewound."""
    sampling = sampling._replace(seed=seed)

    def session(*, drafts: bool) -> tuple[list[int], ...]:
        monkeypatch.setattr(in_process, "_drafts", drafts)
        in_process.prefill(table_prompt, ROOM, sampling, no_progress)
        first = take(in_process, 90 + seed)
        in_process.rewind(3)
        in_process.append(" Wait, let me read it again: f(2)")
        second = take(in_process, 30 + seed)
        in_process.append(HEADING)
        return first, second, [piece.token for piece in in_process.decode(60)]

    drafted = session(drafts=True)
    counts = in_process.draft_counts()
    cells = in_process._n_tokens, in_process._n_pos
    assert drafted == session(drafts=False)
    assert counts.drafted > counts.accepted > 0
    assert in_process.draft_counts() == (0, 0)
    assert cells == (in_process._n_tokens, in_process._n_pos)


@pytest.mark.usefixtures("eager")
def test_in_eight_bits_neither_threads_nor_drafts_change_anything(
    nano_spec: LoadSpec, table_prompt: tuple[PromptPart, ...]
) -> None:
    """In f16 they may: from 512 cells on a single token's attention is split among the threads."""
    long = "Let me look at the picture: f(1) = 3, f(2) = 5, g(1) = 2, g(2) = 7. " * 12

    def texts(spec: LoadSpec) -> list[list[int]]:
        said, n_accepted = [], 0
        with closing(LlamaEngine()) as engine:
            engine.load(spec._replace(kv_type="q8_0", repack=False), no_progress)
            for seed in range(6):
                sampling = WARM._replace(seed=seed)
                engine.prefill(table_prompt, Reserve(100, 1500), sampling, no_progress)
                engine.append(long)
                assert engine._n_tokens > 512
                said.append([piece.token for piece in engine.decode(200)])
                n_accepted += engine.draft_counts().accepted
        assert (n_accepted > 0) is spec.drafts
        return said

    plain = texts(nano_spec._replace(n_threads=1, drafts=False))
    assert texts(nano_spec._replace(n_threads=2)) == plain


@pytest.mark.usefixtures("eager")
def test_drafts_end_where_the_context_does(
    in_process: LlamaEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    in_process.prefill(table_prompt, Reserve(10, 140), Sampling(), no_progress)
    n = len([piece for piece in in_process.decode(10_000) if not piece.is_eog])
    assert in_process._n_tokens <= in_process._n_ctx
    in_process._drafts = False
    in_process.prefill(table_prompt, Reserve(10, 140), Sampling(), no_progress)
    assert n == len([piece for piece in in_process.decode(10_000) if not piece.is_eog])
    in_process._drafts = True


@pytest.mark.parametrize("n_draft", [1, 2, 3])
def test_an_end_inside_a_draft_leaves_no_trace(
    in_process: LlamaEngine,
    table_prompt: tuple[PromptPart, ...],
    monkeypatch: pytest.MonkeyPatch,
    n_draft: int,
) -> None:
    """The end is no part of the text, wherever in a draft it stands."""

    def session(*, drafts: bool) -> tuple[list[int], int, list[int]]:
        monkeypatch.setattr(in_process, "_drafts", drafts)
        in_process.prefill(table_prompt, ROOM, Sampling(), no_progress)
        said = [piece.token for piece in in_process.decode(900)]
        n_tokens = in_process._n_tokens
        in_process.append(HEADING)
        return said, n_tokens, take(in_process, 9)

    plain = session(drafts=False)
    in_process.prefill(table_prompt, ROOM, Sampling(), no_progress)
    n_prompt = len(in_process._drafter.index.tokens)

    class ForeseeingDrafter(RestlessDrafter):
        def propose(self, n_max: int) -> list[int]:
            n_said = len(self.index.tokens) - n_prompt
            return plain[0][n_said : n_said + min(n_max, n_draft)]

    monkeypatch.setattr("qvq_cli.engine.llama.Drafter", ForeseeingDrafter)
    assert session(drafts=True) == plain
    assert in_process.draft_counts().accepted > len(plain[0]) // 3


class TrustingDrafter(RestlessDrafter):
    """Runs whatever the second model guesses, however bad its guesses have been."""

    def propose(self, n_max: int) -> list[int]:
        self._place = Place("guess", 0, GUESSED)
        return [] if n_max < 1 else self._guesser.guess(self.index.tokens, min(n_max, 5))  # type: ignore[union-attr]


@pytest.mark.parametrize("sampling", [Sampling(), WARM._replace(seed=5)])
def test_a_draft_model_changes_nothing(
    in_process: LlamaEngine,
    nano_spec: LoadSpec,
    table_prompt: tuple[PromptPart, ...],
    monkeypatch: pytest.MonkeyPatch,
    sampling: Sampling,
) -> None:
    """nano guesses for nano; it sees no picture, so some of its guesses are wrong."""
    monkeypatch.setattr("qvq_cli.engine.llama.Drafter", TrustingDrafter)
    engine = LlamaEngine()
    engine.load(nano_spec._replace(draft_path=nano_spec.model_path), no_progress)

    def session(engine: LlamaEngine) -> list[list[int]]:
        engine.prefill(table_prompt, ROOM, sampling, no_progress)
        first = take(engine, 91)
        engine.rewind(7)
        engine.append(" Wait, let me read it again: f(2)")
        return [first, take(engine, 9), [piece.token for piece in engine.decode(900)]]

    with closing(engine):
        drafted = session(engine)
        counts = engine.draft_counts()
        assert session(engine) == drafted, "a second prompt finds nothing of the first"
    monkeypatch.setattr(in_process, "_drafts", False)
    assert drafted == session(in_process)
    assert counts.drafted > counts.accepted > counts.drafted // 4


def test_a_text_model_guesses_as_well(
    nano_spec: LoadSpec,
    table_prompt: tuple[PromptPart, ...],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """It counts positions in one number, nano in four."""
    monkeypatch.setattr("qvq_cli.engine.llama.Drafter", TrustingDrafter)
    text_only = str(text_model().write_with_nanos_weights(tmp_path / "text.gguf"))
    runs = []
    for path in (nano_spec.model_path, text_only):
        engine = LlamaEngine()
        with closing(engine):
            engine.load(nano_spec._replace(draft_path=path), no_progress)
            engine.prefill(table_prompt, ROOM, Sampling(), no_progress)
            runs.append((take(engine, 150), engine.draft_counts()))
    assert runs[0] == runs[1]
    assert runs[1][1].accepted > 0


def test_a_draft_model_of_another_vocabulary_is_refused(
    nano_spec: LoadSpec, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.gguf"
    data = Path(nano_spec.model_path).read_bytes()
    assert data.count(b"double") >= 1
    stranger.write_bytes(data.replace(b"double", b"dubble", 1))
    engine = LlamaEngine()
    with closing(engine), pytest.raises(GgufError, match="vocabulary"):
        engine.load(nano_spec._replace(draft_path=str(stranger)), no_progress)
