"""When a run looks at its pictures again: the rule itself, and whole runs with it."""

import json
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import QUESTION
from qvq_cli.engine.llama import LlamaEngine
from qvq_cli.engine.protocol import Bitmap, Engine, LoadSpec, Piece, PromptPart, Sampling
from qvq_cli.reasoning.budget import ThinkingBudget
from qvq_cli.reasoning.control import Control
from qvq_cli.reasoning.events import (
    Event,
    Finish,
    LookedAgain,
    ModelUsed,
    Notice,
    ReasoningDelta,
    Record,
)
from qvq_cli.reasoning.language import Language
from qvq_cli.reasoning.look_again import LookAgain, Looking
from qvq_cli.reasoning.policy import Policy
from qvq_cli.reasoning.sentences import is_inside_math
from qvq_cli.reasoning.solver import About, Problem, Solver
from qvq_cli.reasoning.transcript import Dialect
from scripted import ScriptedEngine

REAL = Path(__file__).parents[2] / "shared" / "real"
NO_SPEC = LoadSpec("model.gguf", "mmproj.gguf", n_threads=1)
PICTURE = Bitmap(280, 280, bytes(280 * 280 * 3))
N_PICTURE = 100
BOX = "$$ \\boxed{42} $$"
CUE = "Let me look at the image again."
# Sentences of 5 scripted tokens, none like another.
SENTENCES = "".join(f"Then {i * i % 999983:06} is low.\n" for i in range(2000))


def run(
    engine: Engine,
    every: int,
    *,
    question: str = "How many?",
    bitmaps: tuple[Bitmap, ...] = (PICTURE,),
    budget: ThinkingBudget | None = None,
    dialect: Dialect = Dialect.HEADING,
    spec: LoadSpec = NO_SPEC,
    control: Control | None = None,
    image_tokens: tuple[int, ...] = (N_PICTURE,),
) -> tuple[Record, list[Event]]:
    """Solve one problem, looking again every so many tokens."""
    events: list[Event] = []
    looks = LookAgain(every, image_tokens)
    policy = Policy(budget or ThinkingBudget(1000), 200, Sampling(), looks)
    solver = Solver(engine, policy, control or Control(), events.append)
    about = About(ModelUsed("scripted", "", ()), (), time.perf_counter())
    return solver.solve(spec, Problem(question, "Think.", bitmaps, dialect), about), events


def looks_in(events: list[Event]) -> list[int]:
    """The tokens of reasoning after which each look came."""
    return [event.reasoning_tokens for event in events if isinstance(event, LookedAgain)]


def references(events: list[Event]) -> list[str]:
    return [event.reference for event in events if isinstance(event, Notice)]


# the rule


@given(
    every=st.integers(1, 300),
    image_tokens=st.lists(st.integers(1, 3000), min_size=1, max_size=3),
    n_thinking=st.integers(0, 9000),
    room=st.integers(0, 20_000),
)
def test_looks_never_take_more_than_the_room(
    every: int, image_tokens: list[int], n_thinking: int, room: int
) -> None:
    looks = LookAgain(every, tuple(image_tokens))
    n_wanted = looks.n_looks(n_thinking)
    fitted = looks.within(room, n_thinking, n_wanted)
    assert 0 <= fitted.n_max <= n_wanted
    if n_thinking + n_wanted * looks.n_cells <= room:
        assert fitted.n_max == n_wanted
    elif fitted.n_max:
        assert fitted.n_max * (every + looks.n_cells) + every <= room


@given(every=st.integers(1, 200), ends=st.lists(st.booleans(), min_size=400, max_size=400))
def test_a_look_is_never_early_and_never_much_too_late(every: int, ends: list[bool]) -> None:
    looks = LookAgain(every, (1,), n_max=5)
    looking = Looking(looks)
    last = 0
    for n, is_end in enumerate(ends, 1):
        most = looking.most_tokens(n - 1)
        assert (most is None) == (looking.n_looks == 5)
        assert most is None or most >= 1
        if looking.is_fair(n, "So it is." if is_end else "So it", is_whole=True):
            assert every <= n - last <= every + looks.allowance_tokens
            assert is_end or n - last == every + looks.allowance_tokens
            looking.looked(n)
            last = n
    assert looking.n_looks <= 5


@pytest.mark.parametrize(
    ("language", "n_pictures", "tail", "before"),
    [
        (Language.EN, 1, "So it is.", f"\n\n{CUE}"),
        (Language.EN, 2, "So it is.\n", "\nLet me look at the images again."),
        (Language.ZH, 1, "所以如此。\n\n", "我再看一下图。"),
        (Language.ZH, 3, "所以如此。", "\n\n我再看一下这些图。"),
    ],
)
def test_the_cue(language: Language, n_pictures: int, tail: str, before: str) -> None:
    look = LookAgain(100, (5,) * n_pictures).look(language, tail)
    assert (look.before, look.after) == (before, "\n\n")


# whole runs, on scripted text


def test_pictures_come_back_at_the_ends_of_sentences() -> None:
    engine = ScriptedEngine(SENTENCES[:1100] + f"\n**Final Answer**\n\n{BOX}")
    record, events = run(engine, 100)
    assert looks_in(events) == [100, 200]
    assert record.usage.looks == 2
    said = engine.context.decode()
    assert said.count(f"is low.\n\n{CUE}<image>\n\nThen ") == 2
    assert record.finish is Finish.CONCLUDED and not record.notices
    assert record.answer is not None and record.answer.text == "42"


def test_the_cue_is_part_of_the_reasoning_and_costs_no_budget() -> None:
    engine = ScriptedEngine(SENTENCES, [BOX])
    record, events = run(engine, 100, budget=ThinkingBudget(400))
    assert 400 <= record.usage.reasoning_tokens <= 453
    assert record.finish is Finish.BUDGET
    assert record.reasoning.count(CUE) == record.usage.looks == 3
    streamed = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    assert streamed.strip() == record.reasoning
    assert record.reasoning.replace(f"\n{CUE}\n\n", "") in SENTENCES
    assert record.usage.image_tokens == N_PICTURE


def test_the_context_holds_every_look_and_the_answer() -> None:
    engine = ScriptedEngine(SENTENCES, [SENTENCES])
    record, _ = run(engine, 50, budget=ThinkingBudget(600))
    assert record.usage.looks == 11  # the last would come due at the budget's end
    assert record.usage.answer_tokens == 200
    assert engine.n_free >= 0


@pytest.mark.parametrize(("budget", "n_looks"), [(99, 0), (124, 0), (125, 1), (224, 1), (225, 2)])
def test_no_look_that_nothing_follows(budget: int, n_looks: int) -> None:
    record, events = run(ScriptedEngine(SENTENCES, [BOX]), 100, budget=ThinkingBudget(budget))
    assert len(looks_in(events)) == n_looks
    assert record.answer is not None and not references(events)[:-1]


@pytest.mark.parametrize("dialect", [Dialect.HEADING, Dialect.THINK_TAGS, Dialect.PLAIN])
def test_no_look_in_the_answer(dialect: Dialect) -> None:
    boundary = {Dialect.HEADING: "**Final Answer**\n\n", Dialect.THINK_TAGS: "</think>\n\n"}
    engine = ScriptedEngine(f"It is so.\n\n{boundary.get(dialect, '')}{SENTENCES[:700]}")
    record, events = run(engine, 20, dialect=dialect)
    assert not looks_in(events) and record.usage.looks == 0


def test_no_thinking_no_look() -> None:
    record, events = run(ScriptedEngine("", [BOX]), 20, budget=ThinkingBudget(0))
    assert not looks_in(events) and record.answer is not None


def test_think_tags() -> None:
    engine = ScriptedEngine(SENTENCES[:800] + f"</think>\n\n{BOX}")
    record, events = run(engine, 60, dialect=Dialect.THINK_TAGS)
    assert len(looks_in(events)) == 3
    assert record.reasoning.count(CUE) == 3
    assert record.answer is not None and record.answer.text == "42"


@pytest.mark.parametrize("boundary", ["**Final Answer**", "**Answer**", "### Final Answer"])
@pytest.mark.parametrize("n_before", range(16))
def test_a_heading_is_never_torn(boundary: str, n_before: int) -> None:
    """Whatever token the heading begins with, also past the allowance."""
    thoughts = "x" * (4 * 10 + n_before) + f"\n\n{boundary}\n\n{BOX}"
    record, _ = run(ScriptedEngine(thoughts), 10)
    assert record.finish is Finish.CONCLUDED
    assert record.answer is not None and record.answer.text == "42"


def test_a_character_is_never_torn() -> None:
    record, _ = run(ScriptedEngine("圆" * 300, [BOX]), 7, question="图中有多少个圆？")
    assert "�" not in record.reasoning
    assert "我再看一下图。" in record.reasoning


def test_the_cue_is_neither_a_loop_nor_another_language() -> None:
    """An English question, Chinese reasoning: the cue must not tip the scales either way."""
    engine = ScriptedEngine(SENTENCES[:3500] + f"\n\n**Final Answer**\n\n{BOX}")
    record, events = run(engine, 10)
    assert len(looks_in(events)) > 30
    assert record.finish is Finish.CONCLUDED and not references(events)


def test_a_loop_is_still_found() -> None:
    circle = "Wait, let me check the table again, because I may have misread a value. "
    record, events = run(ScriptedEngine("First, the table. " + circle * 200, [BOX]), 40)
    assert record.finish is Finish.LOOP
    assert looks_in(events)
    assert record.answer is not None and record.answer.text == "42"


@pytest.mark.parametrize("case", ["1_1", "1_2", "1_4", "1_6"])
def test_real_reasoning_is_interrupted_fairly(case: str) -> None:
    """In what QVQ really wrote, a look never stands inside a formula or sets off an alarm."""
    path = REAL / f"qvq-{case}.json"
    if not path.exists():
        pytest.skip("the published transcripts are not here")
    question, reply = (m["content"] for m in json.loads(path.read_text("utf-8"))["messages"])
    engine = ScriptedEngine(reply)
    question, budget = question.partition("![image]")[0], ThinkingBudget(4000)
    record, events = run(engine, 120, question=question, budget=budget)
    assert len(looks_in(events)) >= 3
    assert record.finish is Finish.CONCLUDED and not references(events)
    before_looks = engine.context.decode().split("<image>")[:-1]
    assert not any(is_inside_math(text.rpartition("\n\n")[0]) for text in before_looks)
    plain, _ = run(ScriptedEngine(reply), 1_000_000, question=question, budget=budget)
    assert record.answer == plain.answer and record.answer_text == plain.answer_text


def with_look(engine: ScriptedEngine, then: Callable[[], None]) -> ScriptedEngine:
    """The engine, doing something else while it looks."""
    original = engine.look_again

    def look_again(before: str, after: str) -> int:
        then()
        return original(before, after)

    engine.look_again = look_again  # type: ignore[method-assign]
    return engine


def test_interrupted_while_looking() -> None:
    """The answer is asked for as soon as the look is over, not a token later."""
    control = Control()

    def interrupt() -> None:
        assert control.can_conclude
        control.conclude_requested = True

    engine = with_look(ScriptedEngine(SENTENCES, [BOX]), interrupt)
    record, events = run(engine, 40, control=control)
    assert record.finish is Finish.INTERRUPTED
    assert looks_in(events) == [record.usage.reasoning_tokens]
    assert engine.context.decode().endswith(f"{CUE}<image>\n\n**Final Answer**\n\n{BOX}")
    assert record.answer is not None and record.answer.text == "42"


def test_a_deadline_leaves_no_time_to_look() -> None:
    """The first look was so slow that another one would not be over in time."""
    engine = with_look(ScriptedEngine(SENTENCES, [BOX]), lambda: time.sleep(0.3))
    record, events = run(engine, 10, budget=ThinkingBudget(max_s=0.5))
    assert len(looks_in(events)) == 1
    assert record.answer is not None


def test_the_first_look_is_expected_to_take_what_the_prompt_took() -> None:
    class Slow(ScriptedEngine):
        def prefill(self, *args, **kwargs):  # type: ignore[no-untyped-def]
            return super().prefill(*args, **kwargs)._replace(prefill_s=60.0)

    _, events = run(Slow(SENTENCES, [BOX]), 10, budget=ThinkingBudget(max_s=20.0))
    assert not looks_in(events)


def test_a_small_context_bounds_the_looks_and_says_so() -> None:
    engine = ScriptedEngine(SENTENCES, [BOX], n_ctx_train=1500)
    record, events = run(engine, 50, budget=ThinkingBudget(600))
    assert references(events)[0] == "looks-limited"
    assert 1 < len(looks_in(events)) < 10
    assert record.answer is not None and record.answer.text == "42"
    assert engine.n_free >= 0


def test_a_context_without_room_for_any_look() -> None:
    engine = ScriptedEngine(SENTENCES, [BOX], n_ctx_train=500)
    record, events = run(engine, 50, budget=ThinkingBudget(150))
    assert references(events)[0] == "looks-limited"
    assert "0 looks" in record.notices[0].message
    assert not looks_in(events)
    assert record.usage.reasoning_tokens >= 140


def test_unlimited_thinking_looks_on_and_on() -> None:
    engine = ScriptedEngine(SENTENCES, [BOX], n_ctx_train=4000)
    record, events = run(engine, 100, budget=ThinkingBudget())
    assert len(looks_in(events)) > 8
    assert record.finish is Finish.LENGTH
    assert record.answer is not None and engine.n_free >= 0


def test_without_the_option_no_pictures_are_kept() -> None:
    engine = ScriptedEngine(SENTENCES, [BOX])
    solver = Solver(engine, Policy(ThinkingBudget(100), 200, Sampling()), Control(), lambda _: None)
    about = About(ModelUsed("scripted", "", ()), (), time.perf_counter())
    solver.solve(NO_SPEC, Problem("How many?", "Think.", (PICTURE,), Dialect.HEADING), about)
    with pytest.raises(AssertionError, match="no pictures"):
        engine.look_again("", "")


def test_an_engine_is_not_told_to_run_past_a_look() -> None:
    engine = ScriptedEngine(SENTENCES, [BOX])
    asked: list[int] = []
    original = engine.decode

    def decode(n_max: int) -> Generator[Piece]:
        asked.append(n_max)
        return original(n_max)

    engine.decode = decode  # type: ignore[method-assign]
    run(engine, 83, budget=ThinkingBudget(400))
    assert asked[:4] == [83, 41, 83, 41]  # half of it more to finish a sentence


# the embedded model


@pytest.fixture(scope="module")
def nano() -> Iterator[LlamaEngine]:
    engine = LlamaEngine()
    yield engine
    engine.close()


@pytest.mark.parametrize("question", [QUESTION, "求 h'(2)，其中 h(x) = f(x) * g(x)。"])
def test_nano_looks_again_and_concludes(
    nano: LlamaEngine, nano_spec: LoadSpec, table_prompt: tuple[PromptPart, ...], question: str
) -> None:
    """It never learnt to, and what it makes of it is not asked here; cells and budget are."""
    bitmaps = tuple(part for part in table_prompt if isinstance(part, Bitmap))
    record, events = run(
        nano,
        25,
        question=question,
        bitmaps=bitmaps,
        image_tokens=(150,),
        budget=ThinkingBudget(80),
        spec=nano_spec,
    )
    looked = [event for event in events if isinstance(event, LookedAgain)]
    assert len(looked) == record.usage.looks >= 1
    assert all(150 < event.n_cells <= LookAgain(25, (150,)).n_cells for event in looked)
    assert record.usage.reasoning_tokens <= 93
    assert nano._n_tokens <= nano._lib.llama_n_ctx(nano._ctx)
