"""What was said is said again faster, and by the same words."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from conftest import DATA, QUESTION, TABLE, no_progress
from drafters import RecallingDrafter
from qvq_cli.engine import past
from qvq_cli.engine.cache_store import CacheStore
from qvq_cli.engine.grid import ImageLimits
from qvq_cli.engine.images import load_picture
from qvq_cli.engine.llama import LlamaEngine
from qvq_cli.engine.ngrams import BREAK
from qvq_cli.engine.past import N_BEFORE, N_SAID_MIN, Past, Said, remember
from qvq_cli.engine.process import WorkerEngine
from qvq_cli.engine.protocol import (
    Bitmap,
    CacheSpec,
    DraftCounts,
    LoadSpec,
    PromptPart,
    Reserve,
    Sampling,
    TextPart,
)
from qvq_cli.hub.catalog import catalog_entry
from qvq_cli.reasoning.prompt import build_prompt
from qvq_cli.reasoning.transcript import Dialect

ROOM = Reserve(100, 900)
SYSTEM = catalog_entry("nano").profile.system
GREEDY = Sampling()
WARM = Sampling(temperature=0.9, seed=7)
TEXT = tuple(range(100, 130))


@pytest.fixture
def cache(tmp_path: Path) -> CacheSpec:
    return CacheSpec(str(tmp_path / "kept"), 1 << 30, 1 << 30, "model", "mmproj", "nano Q8_0")


@pytest.fixture
def spec(nano_spec: LoadSpec, cache: CacheSpec, monkeypatch: pytest.MonkeyPatch) -> LoadSpec:
    monkeypatch.setattr("qvq_cli.engine.llama.Drafter", RecallingDrafter)
    return nano_spec._replace(cache=cache)


def prompt(question: str = QUESTION, picture: Path = TABLE) -> tuple[PromptPart, ...]:
    bitmap = load_picture(str(picture), ImageLimits(70, 391)).bitmap
    return build_prompt(SYSTEM, [bitmap], question, Dialect.HEADING)


def say(
    spec: LoadSpec, parts: Sequence[PromptPart], sampling: Sampling = GREEDY, n: int = 900
) -> tuple[list[int], DraftCounts]:
    """What a fresh engine says, with its drafts."""
    engine = LlamaEngine()
    with closing(engine):
        engine.load(spec, no_progress)
        engine.prefill(parts, ROOM, sampling, no_progress)
        return [piece.token for piece in engine.decode(n)], engine.draft_counts()


def kept(cache: CacheSpec, parts: Sequence[PromptPart]) -> list[list[int]]:
    """The texts that drafts would be looked up in."""
    texts: list[list[int]] = []
    for token in Past(cache, parts).index(1 << 20).tokens:
        if token == BREAK:
            texts.append([])
        else:
            texts[-1].append(token)
    return texts


# in the engine


@pytest.mark.parametrize("sampling", [GREEDY, WARM, Sampling(repeat_penalty=1.2)])
def test_the_same_again_is_drafted_and_is_the_same(
    spec: LoadSpec, nano_spec: LoadSpec, sampling: Sampling
) -> None:
    plain, _ = say(nano_spec._replace(drafts=False), prompt(), sampling)
    first, none = say(spec, prompt(), sampling)
    again, counts = say(spec, prompt(), sampling)
    assert plain == first == again
    assert none == (0, 0)
    assert counts.accepted == counts.drafted > len(plain) // 2


def test_a_run_that_was_cut_is_known_as_far_as_it_went(spec: LoadSpec) -> None:
    cut, _ = say(spec, prompt(), n=60)
    whole, counts = say(spec, prompt())
    assert whole[:60] == cut
    assert 30 < counts.accepted < 60


def test_another_question_about_the_picture_may_use_it(spec: LoadSpec, nano_spec: LoadSpec) -> None:
    other = prompt("Given h(x) = f(x) * g(x), find h'(1).")
    say(spec, prompt())
    words, counts = say(spec, other)
    assert words == say(nano_spec._replace(drafts=False), other)[0]
    assert counts.accepted > 0


def test_another_picture_has_another_past(spec: LoadSpec) -> None:
    say(spec, prompt())
    _, counts = say(spec, prompt(picture=DATA / "two-pictures-1.png"))
    assert counts == (0, 0)


def test_rewinding_and_appending_change_nothing(spec: LoadSpec, nano_spec: LoadSpec) -> None:
    def session(spec: LoadSpec) -> list[object]:
        engine = LlamaEngine()
        with closing(engine):
            engine.load(spec, no_progress)
            engine.prefill(prompt(), ROOM, WARM, no_progress, keep_pictures=True)
            with closing(engine.decode(100)) as pieces:
                first = [next(pieces).token for _ in range(40)]
            engine.rewind(10)
            n_look = engine.look_again("\n\n", "\n\n")
            with closing(engine.decode(30)) as pieces:
                second = [next(pieces).token for _ in range(20)]
            n = engine.append("\n\n**Final Answer**\n\n")
            return [first, n_look, second, n, [piece.token for piece in engine.decode(40)]]

    expected = session(nano_spec._replace(drafts=False))
    assert session(spec) == expected
    assert session(spec) == expected
    assert spec.cache is not None
    with closing(LlamaEngine()) as engine:
        engine.load(spec, no_progress)
        engine.prefill(prompt(), ROOM, WARM, no_progress)
        assert engine._drafter._past is not None
        n_breaks = engine._drafter._past.tokens.count(BREAK)
    assert n_breaks == 2, "the text's beginning and the picture that was looked at again"


def test_without_drafts_it_is_kept_for_those_with(spec: LoadSpec) -> None:
    first, counts = say(spec._replace(drafts=False), prompt())
    again, drafted = say(spec, prompt())
    assert first == again
    assert counts.drafted == 0 < drafted.accepted


def test_the_next_prompt_of_the_same_engine_finds_the_last_one(spec: LoadSpec) -> None:
    engine = LlamaEngine()
    with closing(engine):
        engine.load(spec, no_progress)
        said = []
        for _ in range(2):
            engine.prefill(prompt(), ROOM, GREEDY, no_progress)
            said.append([piece.token for piece in engine.decode(900)])
        assert said[0] == said[1]
        assert engine.draft_counts().accepted > 100


def test_votes_keep_nothing(spec: LoadSpec, cache: CacheSpec) -> None:
    engine = LlamaEngine()
    with closing(engine):
        engine.load(spec, no_progress)
        engine.prefill(prompt(), ROOM._replace(n_chains=2), WARM, no_progress)
        list(engine.decode_chains([0, 1], 40))
    assert kept(cache, prompt()) == []


def test_what_a_killed_worker_said_is_kept(spec: LoadSpec, cache: CacheSpec) -> None:
    """All but its last KEEP_S."""
    engine = worker_that_keeps_all_the_time()
    with closing(engine):
        engine.load(spec, no_progress)
        engine.prefill(prompt(), ROOM, GREEDY, no_progress)
        pieces = engine.decode(900)
        said = [next(pieces).token for _ in range(100)]
        deadline = time.monotonic() + 20
        while not kept(cache, prompt()) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(engine.pid, signal.SIGKILL)
    (text,) = kept(cache, prompt())
    n = min(len(said), len(text) - N_BEFORE)
    assert n >= N_SAID_MIN
    assert text[N_BEFORE:][:n] == said[:n]


def worker_that_keeps_all_the_time() -> WorkerEngine:
    code = "from qvq_cli.engine import worker; worker.KEEP_S = 0.0; worker.main()"
    command, pipe = [sys.executable, "-c", code, str(os.getpid())], subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
    return WorkerEngine(verbose=False, process=process)


# the texts


def test_what_is_kept() -> None:
    first, second = Said(1, TEXT), Said(2, TEXT)
    assert remember([], first) == [first]
    assert remember([first], second) == [first, second]
    assert remember([first, second], first) == [second, first]
    longer = Said(1, (*TEXT, 7))
    assert remember([first], longer) == [longer]
    assert remember([longer, second], first) == [second, longer], "it says as much and more"
    otherwise = Said(1, TEXT[::-1])
    assert remember([longer], otherwise) == [otherwise]


def test_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "N_TOKENS_MAX", 3 * len(TEXT))
    texts: list[Said] = []
    for i in range(5):
        texts = remember(texts, Said(i, TEXT))
    assert [text.prompt for text in texts] == [2, 3, 4]


def test_the_text_of_the_same_prompt_comes_last(cache: CacheSpec) -> None:
    parts, other = prompt(), prompt("Which column is x?")
    Past(cache, parts).keep(TEXT)
    Past(cache, other).keep(TEXT[::-1])
    assert kept(cache, parts) == [list(TEXT[::-1]), list(TEXT)]
    assert kept(cache, other) == [list(TEXT), list(TEXT[::-1])]


def test_a_short_text_is_not_kept_and_a_very_long_one_in_part(
    cache: CacheSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "N_TOKENS_MAX", 25)
    Past(cache, prompt()).keep(TEXT[: N_BEFORE + N_SAID_MIN - 1])
    assert kept(cache, prompt()) == []
    Past(cache, prompt()).keep(TEXT)
    assert kept(cache, prompt()) == [list(TEXT[:25])]


def test_tokens_that_the_model_lacks_are_never_run(cache: CacheSpec) -> None:
    Past(cache, prompt()).keep(TEXT)
    assert Past(cache, prompt()).index(max(TEXT)).tokens == []
    assert len(Past(cache, prompt()).index(max(TEXT) + 1).tokens) == 1 + len(TEXT)


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (TextPart("a", False),),
        (TextPart("a", False), Bitmap(28, 28, bytes(3 * 28 * 28)), TextPart("\ud800", False)),
    ],
)
def test_any_prompt_has_a_past(cache: CacheSpec, parts: tuple[PromptPart, ...]) -> None:
    Past(cache, parts).keep(TEXT)
    assert kept(cache, parts) == [list(TEXT)]
    other = cache._replace(model_id="other weights")
    assert kept(other, parts) == []


def test_a_damaged_entry_is_no_past(cache: CacheSpec) -> None:
    Past(cache, prompt()).keep(TEXT)
    (entry,) = CacheStore(Path(cache.folder), cache.max_bytes).entries()
    assert (entry.kind, entry.model, entry.text_tokens) == ("reasoning", "nano Q8_0", (len(TEXT),))
    entry.path.write_bytes(entry.path.read_bytes()[:-1])
    assert kept(cache, prompt()) == []
    Past(cache, prompt()).keep(TEXT)
    assert kept(cache, prompt()) == [list(TEXT)]


def test_nothing_new_is_not_written_again(cache: CacheSpec) -> None:
    Past(cache, prompt()).keep(TEXT)
    (path,) = Path(cache.folder).iterdir()
    before = path.stat().st_ino
    Past(cache, prompt()).keep(TEXT[:-3])
    assert path.stat().st_ino == before
