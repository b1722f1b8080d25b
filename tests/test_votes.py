"""Chains that vote: who wins, who is cut, and what each one needs while the others go on."""

import json
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import QUESTION
from qvq_cli.engine.llama import LlamaEngine
from qvq_cli.engine.process import WorkerEngine
from qvq_cli.engine.protocol import Bitmap, Engine, LoadSpec, PromptPart, Round, Sampling
from qvq_cli.errors import EngineDiedError
from qvq_cli.reasoning.answer_key import answer_key
from qvq_cli.reasoning.ballot import Ballot
from qvq_cli.reasoning.budget import ThinkingBudget
from qvq_cli.reasoning.control import Control
from qvq_cli.reasoning.events import (
    Answer,
    CutOff,
    Event,
    Finish,
    Forced,
    InChain,
    ModelUsed,
    ReasoningDelta,
    Record,
    Solved,
    Voted,
    Votes,
)
from qvq_cli.reasoning.policy import Policy
from qvq_cli.reasoning.solver import About, Problem, Solver
from qvq_cli.reasoning.transcript import Dialect
from qvq_cli.ui.json import result_object
from scripted import ScriptedChains

NO_SPEC = LoadSpec("model.gguf", "mmproj.gguf", n_threads=1)
WARM = Sampling(temperature=0.9, top_p=0.95, top_k=40, seed=7)
# Text without a sentence end or a cycle in it.
UNREPEATED = " ".join(f"{i * i % 997:x}{i:b}" for i in range(3000))
CIRCLE = "Wait, let me check the table again, because I may have misread a value. "


def answering(answer: str, thoughts: str = "Let me count.") -> tuple[str, ...]:
    return (f"{thoughts}\n\n**Final Answer**\n\n$$ \\boxed{{{answer}}} $$",)


def run(
    engine: Engine,
    n_chains: int,
    *,
    question: str = "How many?",
    bitmaps: tuple[Bitmap, ...] = (),
    budget: ThinkingBudget | None = None,
    spec: LoadSpec = NO_SPEC,
    control: Control | None = None,
    sampling: Sampling = WARM,
) -> tuple[Record, Votes, list[Event]]:
    events: list[Event] = []
    policy = Policy(budget or ThinkingBudget(4000), 200, sampling, n_chains=n_chains)
    solver = Solver(engine, policy, control or Control(), events.append)
    about = About(ModelUsed("scripted", "", ()), (), time.perf_counter())
    record = solver.solve(spec, Problem(question, "Think.", bitmaps, Dialect.HEADING), about)
    assert events[-1] == Solved(record)
    assert record.votes is not None
    return record, record.votes, events


def finishes(votes: Votes) -> list[str]:
    return [chain.finish.value for chain in votes.chains]


# the vote


def test_the_majority_wins_and_its_first_chain_is_the_record() -> None:
    longer = "Let me count them once more, and slowly this time."
    engine = ScriptedChains(
        answering("41"), answering("42", longer), answering("$42.0$", longer + " So."),
    )  # fmt: skip
    record, votes, events = run(engine, 3)
    assert record.answer is not None and record.answer.text == "42"
    assert record.reasoning == longer
    assert (votes.winner, votes.agreed, votes.n_finished) == (1, 2, 3)
    assert [(count.answer, count.n) for count in votes.counts] == [("42", 2), ("41", 1)]
    assert [chain.answer and chain.answer.text for chain in votes.chains] == ["41", "42", "42.0"]
    assert votes.chains[2].reasoning == longer + " So."
    told = [event for event in events if isinstance(event, Voted)]
    assert [event.chain for event in told] == [0, 1, 2]
    assert [event.is_decided for event in told] == [False, False, True]


def test_a_decided_vote_cuts_the_rest() -> None:
    engine = ScriptedChains(
        *[answering("42")] * 2, answering("42", "Hm. Let me count."), (UNREPEATED,), (UNREPEATED,)
    )
    record, votes, _ = run(engine, 5)
    assert record.answer is not None and record.answer.text == "42"
    assert finishes(votes) == ["concluded"] * 3 + ["cut"] * 2
    assert (votes.agreed, votes.n_finished, votes.agreement) == (3, 3, 1.0)
    assert votes.chains[3].answer is None
    assert UNREPEATED.startswith(votes.chains[3].reasoning) and votes.chains[3].reasoning
    assert len(engine.chains[3].context) < 120
    assert [notice.reference for notice in record.notices] == ["votes-decided"]


def test_a_vote_that_is_cut_off_keeps_what_was_said() -> None:
    events: list[Event] = []

    def tell(event: Event) -> None:
        events.append(event)
        if isinstance(event, Voted):
            raise EngineDiedError("llama.cpp's process was ended by SIGSEGV")

    engine = ScriptedChains((UNREPEATED,), answering("42"), (UNREPEATED,), (UNREPEATED,))
    solver = Solver(engine, Policy(ThinkingBudget(4000), 200, WARM, n_chains=4), Control(), tell)
    about = About(ModelUsed("scripted", "", ()), (), time.perf_counter())
    with pytest.raises(EngineDiedError):
        solver.solve(NO_SPEC, Problem("How many?", "Think.", (), Dialect.HEADING), about)
    assert isinstance(events[-1], CutOff)
    record = events[-1].record
    assert (record.answer, record.finish) == (None, Finish.ABORTED)
    assert record.votes is not None
    assert finishes(record.votes) == ["aborted", "concluded", "aborted", "aborted"]
    assert [(count.answer, count.n) for count in record.votes.counts] == [("42", 1)]
    assert all(chain.reasoning for chain in record.votes.chains)
    assert record.notices[-1].reference == "engine-died"


def test_of_two_with_as_many_votes_the_first_to_have_them_wins() -> None:
    a, b = answering("1", "Hm. Let me count them all."), answering("2", "Let me count them.")
    record, votes, _ = run(ScriptedChains(a, b, answering("1", UNREPEATED[:90]), b), 4)
    assert record.answer is not None and record.answer.text == "2"
    assert votes.winner == 1
    assert votes.n_finished == 2, "the others could only have made it a tie"


def test_a_chain_without_an_answer_has_no_vote() -> None:
    mute = ("I can't find a table in this picture.",)
    record, votes, _ = run(ScriptedChains(mute, mute, answering("7", UNREPEATED[:200]), mute), 4)
    assert record.answer is not None and record.answer.text == "7"
    assert (votes.winner, votes.agreed, votes.n_finished) == (2, 1, 4)
    assert votes.agreement == 0.25


def test_nobody_answers() -> None:
    mute = ("I can't find a table in this picture.",)
    record, votes, _ = run(ScriptedChains(*[mute] * 3), 3)
    assert record.answer is None
    assert (votes.winner, votes.agreed, votes.counts) == (None, 0, ())
    assert record.reasoning == mute[0]


@given(st.lists(st.sampled_from("AAABBC-"), min_size=1, max_size=12))
def test_an_early_decision_is_the_final_one(votes: list[str]) -> None:
    """Stopping when decided gives the winner that all votes would have given."""
    early, full = Ballot(len(votes)), Ballot(len(votes))
    for i, vote in enumerate(votes):
        answer = None if vote == "-" else Answer(vote, (vote,), "boxed")
        full.cast(i, answer)
        if not early.is_decided:
            early.cast(i, answer)
    assert early.is_decided and full.is_decided
    assert early.winner == full.winner
    if full.winner is not None:
        most = max(votes.count(vote) for vote in "ABC")
        assert votes.count(votes[full.winner]) == most == full.agreed


# when two answers are one


@pytest.mark.parametrize(
    "texts",
    [
        ("29", "29.0", "29/1", r"\frac{58}{2}", "h'(2) = 29", "+29", "29 cm", r"29\text{ cm}"),
        ("-29", "−29", r"$-29$", r"x = -29"),
        ("0.5", r"\frac12", r"\dfrac{1}{2}", r"50\%", "½"),
        ("1000", "1,000", r"1{,}000"),
        ("B", "b"),
        ("Ferrous sulfate.", "the ferrous sulfate", "ferrous  sulfate"),
        (r"\dfrac{a}{b}", r"\frac ab", r"\frac{a}{b}", r"\left.\frac{a}{b}\right."),
        ("y = x+1", "x + 1", r"f(x) = x+1"),
        ("滤液E是硫酸亚铁溶液。", "滤液E是硫酸亚铁溶液"),
    ],
)
def test_the_same_answer_in_other_words(texts: tuple[str, ...]) -> None:
    keys = {answer_key(Answer(text, (text,), "boxed")) for text in texts}
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [("29", "-29"), ("A", "B"), ("1/3", "0.333"), ("x + 1", "x - 1"), ("(0, 1)", "[0, 1]")],
)
def test_different_answers(left: str, right: str) -> None:
    one, other = (answer_key(Answer(text, (text,), "boxed")) for text in (left, right))
    assert one != other


def test_parts_count() -> None:
    assert answer_key(Answer("1\n2", ("1", "2"), "boxed")) == ("1", "2")


@given(st.text(max_size=60))
def test_any_answer_has_a_key(text: str) -> None:
    assert answer_key(Answer(text, (text,), "plain")) == answer_key(Answer(text, (text,), "boxed"))


# what chains need


def test_a_chain_that_ends_by_itself_stops_no_other() -> None:
    engine = ScriptedChains(*(answering(str(i), UNREPEATED[: 40 * i + 4]) for i in range(4)))
    run(engine, 4)
    assert len(engine.asked) == 1


def test_a_budget_concludes_all_at_once() -> None:
    hmm = f"Hmm, still thinking. {UNREPEATED}"
    thinking = (hmm, "$$ \\boxed{42} $$")
    engine = ScriptedChains(thinking, answering("7"), thinking, (hmm, "$$ \\boxed{43} $$"))
    record, votes, events = run(engine, 4, budget=ThinkingBudget(32))
    assert record.answer is not None and record.answer.text == "42"
    assert finishes(votes) == ["budget", "concluded", "budget", "budget"]
    assert engine.appended == ["\n\n**Final Answer**\n\n"] * 3
    assert all(32 <= votes.chains[i].reasoning_tokens <= 32 + 4 + 3 for i in (0, 2, 3))
    forced = [e.chain for e in events if isinstance(e, InChain) and isinstance(e.event, Forced)]
    assert forced == [0, 2, 3]
    assert engine.asked[0] == ([0, 1, 2, 3], 32), "never past a budget"


def test_no_thinking_at_all() -> None:
    never = ("never said", "$$ \\boxed{42} $$")
    record, votes, _ = run(ScriptedChains(*[never] * 3), 3, budget=ThinkingBudget(0))
    assert record.answer is not None and record.answer.text == "42"
    assert [chain.reasoning for chain in votes.chains] == [""] * 3


def test_a_loop_concludes_one_chain_while_others_go_on() -> None:
    looping = ("First, the table. " + CIRCLE * 200, "$$ \\boxed{1} $$")
    other = answering("2", UNREPEATED[:4000])
    engine = ScriptedChains(other, looping, answering("2", UNREPEATED[:4400]))
    record, votes, _ = run(engine, 3)
    assert record.answer is not None and record.answer.text == "2"
    assert finishes(votes) == ["concluded", "loop", "concluded"]
    assert [chain.answer and chain.answer.text for chain in votes.chains] == ["2", "1", "2"]
    assert votes.chains[0].reasoning == UNREPEATED[:4000].strip()
    assert len(engine.appended) == 1
    assert sum(n < asked for n, (_, asked) in zip(engine.taken, engine.asked, strict=True)) == 2, (
        "nobody was stopped but by the conclusion and at the end"
    )


def test_an_answer_that_loops_is_cut_alone() -> None:
    babble = ("So.\n\n**Final Answer**\n\n" + "The answer is 42. " * 300,)
    engine = ScriptedChains(
        babble, answering("42", UNREPEATED[:3000]), answering("41", UNREPEATED[:30])
    )
    record, votes, _ = run(engine, 3)
    assert record.answer is not None and record.answer.text == "42"
    assert votes.chains[0].answer is not None and votes.chains[0].answer.text == "42"
    assert votes.n_finished == 3


def test_cells_that_run_out() -> None:
    thinking = (UNREPEATED, "$$ \\boxed{42} $$")
    engine = ScriptedChains(thinking, thinking, answering("7", "abc"), n_cells=30)
    record, votes, _ = run(engine, 3)
    assert finishes(votes)[:2] == ["length", "length"]
    assert record.answer is None or record.answer.text == "7", "no cells, no answer, no crash"


def test_ctrl_c_concludes_all_chains_once() -> None:
    control = Control()
    thinking = (UNREPEATED, "$$ \\boxed{42} $$")
    engine = ScriptedChains(thinking, answering("7", "Let me see."), thinking)
    original = engine.decode_chains

    def decode_chains(chains: list[int], n_rounds: int) -> Iterator[Round]:
        for i, said in enumerate(original(chains, n_rounds)):
            if i == 30 and not control.conclude_requested:
                assert control.can_conclude, "though one chain is past its reasoning"
                control.conclude_requested = True
            elif control.conclude_requested:
                assert not control.can_conclude
            yield said

    engine.decode_chains = decode_chains  # type: ignore[method-assign,assignment]
    record, votes, _ = run(engine, 3, control=control)
    assert finishes(votes) == ["interrupted", "concluded", "interrupted"]
    assert record.answer is not None and record.answer.text == "42"
    assert not control.can_conclude


# the embedded model


@pytest.fixture(scope="module")
def nano() -> Iterator[LlamaEngine]:
    engine = LlamaEngine()
    yield engine
    engine.close()


def stripped(record: Record) -> dict[str, object]:
    """Everything but what depends on the clock."""
    return json.loads(json.dumps({**result_object(record), "timings": None}))  # type: ignore[no-any-return]


@pytest.mark.parametrize("budget", [ThinkingBudget(1024), ThinkingBudget(90)])
def test_timing_never_shows(
    nano: LlamaEngine,
    nano_spec: LoadSpec,
    table_prompt: tuple[PromptPart, ...],
    budget: ThinkingBudget,
) -> None:
    """A worker that runs ahead, with many conclusions to go back for, and an engine that waits."""
    bitmaps = tuple(part for part in table_prompt if isinstance(part, Bitmap))
    hot = WARM._replace(temperature=1.2)
    wanted = {"question": QUESTION, "bitmaps": bitmaps, "budget": budget, "spec": nano_spec}
    record, votes, _ = run(nano, 6, sampling=hot, **wanted)  # type: ignore[arg-type]
    with closing(WorkerEngine(verbose=False)) as worker:
        again, _, events = run(worker, 6, sampling=hot, **wanted)  # type: ignore[arg-type]
    assert stripped(again) == stripped(record)
    assert len({chain.reasoning for chain in votes.chains}) > 1
    for i, chain in enumerate(votes.chains):
        told = [e.event for e in events if isinstance(e, InChain) and e.chain == i]
        text = "".join(event.text for event in told if isinstance(event, ReasoningDelta))
        assert text.strip() == chain.reasoning


def test_each_chain_is_a_run_of_its_own(
    nano: LlamaEngine, nano_spec: LoadSpec, table_prompt: tuple[PromptPart, ...]
) -> None:
    """A chain's seed with --votes 1 gives the same text, conclusion and answer included."""
    bitmaps = tuple(part for part in table_prompt if isinstance(part, Bitmap))
    budget = ThinkingBudget(60)
    _, votes, _ = run(
        nano, 3, question=QUESTION, bitmaps=bitmaps, budget=budget, spec=nano_spec
    )  # fmt: skip
    assert votes.n_finished >= 2
    for chain in votes.chains:
        policy = Policy(budget, 200, WARM._replace(seed=chain.seed))
        about = About(ModelUsed("nano", "", ()), (), 0.0)
        alone = Solver(nano, policy, Control(), lambda _: None).solve(
            nano_spec, Problem(QUESTION, "Think.", bitmaps, Dialect.HEADING), about
        )
        assert alone.reasoning == chain.reasoning
        if chain.finish is not Finish.CUT:
            assert (alone.answer, alone.answer_text) == (chain.answer, chain.answer_text)
