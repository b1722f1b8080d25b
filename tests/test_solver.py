"""The solver's policies: on the embedded model where it can show them, else on scripted text."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import QUESTION
from qvq_cli.engine.llama import LlamaEngine
from qvq_cli.engine.protocol import Bitmap, Engine, LoadSpec, PromptPart, Sampling
from qvq_cli.reasoning.budget import ThinkingBudget
from qvq_cli.reasoning.control import Control
from qvq_cli.reasoning.events import (
    AnswerDelta,
    Event,
    Finish,
    Forced,
    ModelUsed,
    Notice,
    ReasoningDelta,
    ReasoningStarted,
    Record,
    Solved,
)
from qvq_cli.reasoning.policy import Policy
from qvq_cli.reasoning.solver import About, Problem, Solver
from qvq_cli.reasoning.transcript import Dialect
from scripted import TOKEN_BYTES, ScriptedEngine

REAL = Path(__file__).parents[2] / "shared" / "real"
NO_SPEC = LoadSpec("model.gguf", "mmproj.gguf", n_threads=1)
BOX = "$$ \\boxed{42} $$"
# Text without a sentence end or a cycle in it.
UNREPEATED = " ".join(f"{i * i % 997:x}{i:b}" for i in range(3000))


def run(
    engine: Engine,
    *,
    question: str = "How many?",
    bitmaps: tuple[Bitmap, ...] = (),
    budget: ThinkingBudget | None = None,
    max_answer_tokens: int = 200,
    dialect: Dialect = Dialect.HEADING,
    spec: LoadSpec = NO_SPEC,
    control: Control | None = None,
) -> tuple[Record, list[Event]]:
    """Solve one problem; returns the record and every event."""
    events: list[Event] = []
    policy = Policy(budget or ThinkingBudget(4000), max_answer_tokens, Sampling())
    solver = Solver(engine, policy, control or Control(), events.append)
    about = About(ModelUsed("scripted", "", ()), (), time.perf_counter())
    record = solver.solve(spec, Problem(question, "Think.", bitmaps, dialect), about)
    assert events[-1] == Solved(record)
    return record, events


def channels(events: list[Event]) -> tuple[str, str]:
    """The reasoning and the answer as the events streamed them."""
    reasoning = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    answer = "".join(event.text for event in events if isinstance(event, AnswerDelta))
    return reasoning, answer


def references(events: list[Event]) -> list[str]:
    return [event.reference for event in events if isinstance(event, Notice)]


def test_the_model_concludes() -> None:
    engine = ScriptedEngine(f"Let me count. Six times seven.\n\n**Final Answer**\n\n{BOX}")
    record, events = run(engine)
    assert record.finish is Finish.CONCLUDED
    assert record.answer is not None and record.answer.text == "42"
    assert record.reasoning == "Let me count. Six times seven."
    assert record.answer_text == BOX
    assert not engine.appended
    reasoning, answer = channels(events)
    assert (reasoning.strip(), answer.strip()) == (record.reasoning, record.answer_text)


@pytest.mark.parametrize("case", ["1_1", "1_2", "1_4", "1_6"])
def test_real_transcripts_pass_through_untouched(case: str) -> None:
    """Nothing may interfere with what QVQ really writes: no loop, no drift, no conclusion."""
    path = REAL / f"qvq-{case}.json"
    if not path.exists():
        pytest.skip("the published transcripts are not here")
    question, reply = (
        message["content"] for message in json.loads(path.read_text("utf-8"))["messages"]
    )
    question = question.partition("![image]")[0]
    record, events = run(ScriptedEngine(reply), question=question)
    assert record.finish is Finish.CONCLUDED
    assert not [event for event in events if isinstance(event, Forced | Notice)]
    assert record.answer is not None
    expected = {"1_1": ["-29"], "1_2": ["7\\pi"], "1_6": ["A"]}
    assert list(record.answer.parts) == expected.get(case, list(record.answer.parts))
    if case == "1_4":
        assert len(record.answer.parts) == 3


@pytest.mark.parametrize(
    ("question", "heading"),
    [("How many?", "**Final Answer**"), ("图中有多少个圆？", "**答案**")],
)
def test_a_budget_ends_in_the_language_of_the_question(question: str, heading: str) -> None:
    engine = ScriptedEngine("Hmm, still thinking. " * 3 + UNREPEATED, [BOX])
    record, events = run(engine, question=question, budget=ThinkingBudget(15))
    forced = [event for event in events if isinstance(event, Forced)]
    assert [event.finish for event in forced] == [Finish.BUDGET]
    assert forced[0].appended == heading
    assert record.finish is Finish.BUDGET
    assert record.answer is not None and record.answer.text == "42"
    assert 15 <= record.usage.reasoning_tokens <= 20
    assert engine.context.decode().endswith(f"\n\n{heading}\n\n{BOX}")
    assert "budget" in [notice.reference for notice in record.notices]


def test_an_engine_is_not_told_to_run_past_a_budget() -> None:
    """What it had decoded behind the budget would be thrown away, and somebody would wait."""
    engine = ScriptedEngine(" ".join(f"{i * i}" for i in range(900)), [BOX])
    asked: list[int] = []
    original = engine.decode

    def decode(n_max: int) -> Iterator[object]:
        asked.append(n_max)
        return original(n_max)

    engine.decode = decode  # type: ignore[method-assign,assignment]
    run(engine, budget=ThinkingBudget(80), max_answer_tokens=64)
    assert asked == [80, 13, 64]  # an eighth more for the sentence and 3 for a character


def test_cells_that_run_out_early_end_in_an_answer() -> None:
    engine = ScriptedEngine(UNREPEATED, [BOX])
    original = engine.decode
    engine.decode = lambda n_max: original(min(n_max, 30))  # type: ignore[method-assign]
    record, _ = run(engine)
    assert record.finish is Finish.LENGTH
    assert record.answer is not None and record.answer.text == "42"


def test_a_budget_never_splits_a_character() -> None:
    engine = ScriptedEngine("圆" * 1000, [BOX])
    record, _ = run(engine, budget=ThinkingBudget(10))
    assert "�" not in record.reasoning
    assert engine.context.decode()


def test_no_thinking_at_all() -> None:
    engine = ScriptedEngine("never said", [BOX])
    record, events = run(engine, budget=ThinkingBudget(0))
    assert record.reasoning == ""
    assert record.usage.reasoning_tokens == 0
    assert record.answer is not None and record.answer.text == "42"
    assert not [event for event in events if isinstance(event, ReasoningStarted)]


def test_a_deadline() -> None:
    class Slow(ScriptedEngine):
        def decode(self, n_max):  # type: ignore[no-untyped-def]
            for piece in super().decode(n_max):
                time.sleep(0.002)
                yield piece

    record, _ = run(Slow("step " * 4000, [BOX]), budget=ThinkingBudget(max_s=0.05))
    assert record.finish is Finish.DEADLINE
    assert record.answer is not None


def test_a_loop_is_concluded() -> None:
    circle = "Wait, let me check the table again, because I may have misread a value. "
    record, events = run(ScriptedEngine("First, the table. " + circle * 200, [BOX]))
    assert record.finish is Finish.LOOP
    assert record.answer is not None and record.answer.text == "42"
    assert record.usage.reasoning_tokens * TOKEN_BYTES < len(circle) * 20
    forced = next(event for event in events if isinstance(event, Forced))
    assert "circles" in forced.message


def test_a_looping_answer_is_cut() -> None:
    record, events = run(ScriptedEngine("So.\n\n**Final Answer**\n\n" + "The answer is 42. " * 300),
                         max_answer_tokens=5000)  # fmt: skip
    assert "answer-loop" in references(events)
    assert record.answer is not None and record.answer.text == "42"


def test_an_endless_answer_is_cut() -> None:
    words = " ".join(f"word{i}" for i in range(5000))
    record, events = run(
        ScriptedEngine(f"So.\n\n**Final Answer**\n\n{words}"), max_answer_tokens=50
    )
    assert references(events) == ["answer-cut"]
    assert record.finish is Finish.LENGTH
    assert record.usage.answer_tokens == 50


def test_interrupted_once() -> None:
    control = Control()
    engine = ScriptedEngine("step by step " * 1000, [BOX])
    original = engine.decode

    def decode(n_max: int) -> Iterator[object]:
        for i, piece in enumerate(original(n_max)):
            if i == 20:
                assert control.can_conclude
                control.conclude_requested = True
            yield piece

    engine.decode = decode  # type: ignore[method-assign,assignment]
    record, _ = run(engine, control=control)
    assert record.finish is Finish.INTERRUPTED
    assert record.usage.reasoning_tokens == 21
    assert record.answer is not None and record.answer.text == "42"


def test_language_drift_is_told_once() -> None:
    engine = ScriptedEngine(
        "The table shows the values. "
        + "我们需要仔细看这个表格，然后计算答案，这样就可以得到结果。" * 2
        + f"\n\n**Final Answer**\n\n{BOX}"
    )  # fmt: skip
    record, events = run(engine)
    assert references(events) == ["language-drift"]
    assert [notice.reference for notice in record.notices] == ["language-drift"]


def test_no_answer_is_no_error() -> None:
    record, _ = run(ScriptedEngine("I can't find a table in this picture."))
    assert record.answer is None
    assert record.finish is Finish.CONCLUDED
    assert record.reasoning == "I can't find a table in this picture."


def test_a_small_context_shortens_the_thinking() -> None:
    engine = ScriptedEngine(UNREPEATED, [BOX], n_ctx_train=600)
    record, events = run(engine, budget=ThinkingBudget(5000))
    assert references(events) == ["thinking-shortened"]
    assert record.finish is Finish.LENGTH
    assert record.answer is not None


def test_think_tags() -> None:
    record, _ = run(
        ScriptedEngine("Six times seven.\n</think>\n\nIt is \\boxed{42}."),
        dialect=Dialect.THINK_TAGS,
    )
    assert record.reasoning == "Six times seven."
    assert record.answer is not None and record.answer.text == "42"
    engine = ScriptedEngine("hmm " * 1000, [BOX])
    record, _ = run(engine, dialect=Dialect.THINK_TAGS, budget=ThinkingBudget(10))
    assert "</think>" in engine.appended[0]
    assert record.finish is Finish.BUDGET
    assert record.answer is not None and record.answer.text == "42"


def test_plain_models_only_answer() -> None:
    record, events = run(ScriptedEngine("There are \\boxed{42} circles."), dialect=Dialect.PLAIN)
    assert record.reasoning == ""
    assert channels(events)[1] == "There are \\boxed{42} circles."
    assert record.answer is not None and record.answer.text == "42"


# the embedded model


@pytest.fixture(scope="module")
def nano() -> Iterator[LlamaEngine]:
    engine = LlamaEngine()
    yield engine
    engine.close()


def solve_table(
    nano: LlamaEngine, spec: LoadSpec, prompt: tuple[PromptPart, ...], budget: ThinkingBudget
) -> Record:
    bitmaps = tuple(part for part in prompt if isinstance(part, Bitmap))
    record, _ = run(nano, question=QUESTION, bitmaps=bitmaps, budget=budget, spec=spec)
    return record


def test_nano_solves_the_published_example(
    nano: LlamaEngine, nano_spec: LoadSpec, table_prompt: tuple[PromptPart, ...]
) -> None:
    record = solve_table(nano, nano_spec, table_prompt, ThinkingBudget(1024))
    assert record.answer is not None and record.answer.text == "-29"
    assert record.finish is Finish.CONCLUDED
    assert record.usage.image_tokens == 150
    assert record.usage.prompt_tokens > 150
    assert record.timings.decode_tps > 0


@pytest.mark.parametrize("budget", [ThinkingBudget(40), ThinkingBudget(120)])
def test_nano_answers_inside_any_budget(
    nano: LlamaEngine,
    nano_spec: LoadSpec,
    table_prompt: tuple[PromptPart, ...],
    budget: ThinkingBudget,
) -> None:
    record = solve_table(nano, nano_spec, table_prompt, budget)
    assert record.finish is Finish.BUDGET
    assert record.answer is not None
    limit = (budget.max_tokens or 0) + budget.allowance_tokens + 3
    assert record.usage.reasoning_tokens <= limit


def test_a_budget_does_not_change_what_was_thought(
    nano: LlamaEngine, nano_spec: LoadSpec, table_prompt: tuple[PromptPart, ...]
) -> None:
    """The reasoning under a budget is the beginning of the reasoning without one."""
    free = solve_table(nano, nano_spec, table_prompt, ThinkingBudget(1024))
    cut = solve_table(nano, nano_spec, table_prompt, ThinkingBudget(60))
    assert free.reasoning.startswith(cut.reasoning)
    assert cut.usage._replace(reasoning_tokens=0).image_tokens == 150
