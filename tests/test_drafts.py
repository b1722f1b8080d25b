"""Drafts: what followed the last time, as long as that pays."""

import random

import pytest

from qvq_cli.engine.drafts import (
    LOOK_SHARE,
    LOSS_SHARE,
    N_SINGLE_MIN,
    N_STALE,
    N_TRIALS,
    ON_CPU,
    ON_GPU,
    PRIOR,
    UNTILED,
    Acceptance,
    Batches,
    Drafter,
)
from qvq_cli.engine.ngrams import BREAK, PastIndex
from qvq_cli.engine.tiles import N_UNTILED


def test_a_picture_ends_a_draft() -> None:
    drafter = ready(Drafter())
    drafter.index.tokens += [1, 2, 3, BREAK, 9, 1, 2]
    assert drafter.propose(8) == [3]


def test_a_draft_goes_round_where_the_text_ends() -> None:
    drafter = ready(Drafter())
    drafter.index.tokens += [7, 8, 7, 8]
    for n in (1, 3, 5):  # batches of 2, 4 and 6: each is tried before one so much larger
        for _ in range(N_TRIALS):
            assert drafter.propose(6) == [7, 8, 7, 8, 7, 8][:n]
            drafter.passed(n, n, 1.0)


def ready(drafter: Drafter) -> Drafter:
    """A drafter that knows what a single pass costs and has room to try."""
    drafter.prefilled(1e6)
    for _ in range(4):
        drafter.passed(0, 0, 1.0)
    return drafter


def play(
    text: list[int],
    cost: list[float],
    look_s: float = 0.0,
    past: PastIndex | None = None,
    batches: Batches = ON_CPU,
) -> tuple[float, float, Drafter]:
    """Say `text`, a pass of n tokens taking cost[n]. Returns: seconds with and without drafts."""
    drafter = Drafter(past=past, batches=batches)
    drafter.index.tokens.append(text[0])
    spent, at = 0.0, 1
    while at < len(text):
        draft: list[int] = []
        n = 0
        if drafter.take_rest(1):
            spent += cost[1]
        else:
            draft = drafter.propose(len(text) - at - 1)
            while n < len(draft) and draft[n] == text[at + n]:
                n += 1
            spent += look_s + cost[len(draft) + 1]
            drafter.passed(len(draft), n, cost[len(draft) + 1], look_s)
        drafter.index.tokens += text[at : at + n + 1]
        at += n + 1
    return spent, (len(text) - 1) * cost[1], drafter


def noise(n: int, n_vocab: int, seed: int) -> list[int]:
    generator = random.Random(seed)
    return [generator.randrange(n_vocab) for _ in range(n)]


FREE = [1.0] * 65
LINEAR = [float(n) for n in range(65)]
CLIFF = [1.0, 1.0, 1.1, 1.2] + [40.0] * 61
"""A machine whose larger batches fall off its fast path."""


@pytest.mark.parametrize("cost", [FREE, LINEAR, CLIFF])
@pytest.mark.parametrize("n_vocab", [2, 10, 500])
@pytest.mark.parametrize("n", [60, 400, 3000])
def test_drafts_never_cost_much(cost: list[float], n_vocab: int, n: int) -> None:
    """Noise has short repeats that mean nothing. A cliff nobody can know of before falling down."""
    spent, plain, _ = play(noise(n, n_vocab, seed=n), cost)
    n_falls = 1 + n // N_STALE if cost is CLIFF else 0
    assert spent <= plain * (1 + 2 * LOSS_SHARE) + n_falls * max(cost) + 1.0


def test_a_rest_taken_in_small_parts_is_as_long() -> None:
    drafter = ready(Drafter())
    drafter.passed(0, 0, 1.0, 0.05)
    assert [drafter.take_rest(8) for _ in range(4)] == [8, 8, 4, 0]


@pytest.mark.parametrize("look_s", [1e-4, 0.01, 0.05])
@pytest.mark.parametrize("n", [400, 3000])
def test_looks_are_few_where_they_count_and_find_nothing(look_s: float, n: int) -> None:
    spent, plain, _ = play(noise(n, 10, seed=n), LINEAR, look_s)
    assert spent <= plain * (1 + 2 * LOSS_SHARE + LOOK_SHARE) + N_SINGLE_MIN * look_s + 1.0


@pytest.mark.parametrize("look_s", [0.0, 0.01, 0.05])
@pytest.mark.parametrize(("cost", "at_least"), [(FREE, 5.0), (CLIFF, 1.3), (LINEAR, 0.98)])
def test_repetition_pays_as_far_as_the_machine_allows(
    cost: list[float], at_least: float, look_s: float
) -> None:
    spent, plain, drafter = play(noise(40, 400, seed=1) * 40, cost, look_s)
    assert plain / spent >= at_least
    assert 0 <= drafter.accepted <= drafter.drafted


@pytest.mark.parametrize(("cost", "at_least"), [(FREE, 8.0), (CLIFF, 1.5), (LINEAR, 0.98)])
def test_what_was_said_before_pays_as_far_as_the_machine_allows(
    cost: list[float], at_least: float
) -> None:
    """A text without any repetition, said again."""
    text = list(range(600))
    spent, plain, drafter = play(text, cost, past=PastIndex([text]))
    assert plain / spent >= at_least
    assert drafter.accepted == drafter.drafted


@pytest.mark.parametrize("cost", [FREE, LINEAR, CLIFF])
@pytest.mark.parametrize("n", [60, 400, 3000])
def test_a_past_that_misleads_never_costs_much(cost: list[float], n: int) -> None:
    """Every three tokens of the text stood there, and something else came next."""
    text = list(range(n))
    past = PastIndex([[*text[i : i + 3], -2] for i in range(n - 3)])
    spent, plain, drafter = play(text, cost, past=past)
    n_falls = 1 + n // N_STALE if cost is CLIFF else 0
    assert drafter.accepted == 0
    assert spent <= plain * (1 + 2 * LOSS_SHARE) + n_falls * max(cost) + 1.0


def test_a_loop_in_what_was_said_is_followed_through() -> None:
    text = [1, 2, 3, *[7] * 200]
    _, _, drafter = play(text, FREE, past=PastIndex([text]))
    assert drafter.accepted == drafter.drafted > 150


def test_a_first_pass_that_takes_long_is_tried_when_it_can_be_afforded() -> None:
    """As on a GPU, which loads its kernels then: here as long as fifty tokens."""
    text = list(range(10_000))
    for first_s, at_least, at_most in ((0.0, 24, 40), (50.0, 7000, 9700)):
        batches = ON_CPU._replace(first_s=first_s)
        drafter = Drafter(past=PastIndex([text]), batches=batches)
        drafter.index.tokens += text[:20]
        at = 20
        while not (draft := drafter.propose(40)):
            drafter.passed(0, 0, 1.0)
            drafter.index.tokens.append(text[at])
            at += 1
        assert draft == text[at : at + len(draft)]
        assert at_least <= at <= at_most


def test_on_a_gpu_a_long_draft_is_tried_at_once() -> None:
    """For a large model, where CUDA's first pass counts for little."""
    text = list(range(100))
    drafter = Drafter(past=PastIndex([text]), batches=ON_GPU)
    drafter.index.tokens += text[:20]
    drafter.prefilled(1.0)
    for _ in range(4):
        drafter.passed(0, 0, 0.023)
    assert drafter.propose(40) == text[20:27]


def test_no_draft_is_longer_than_a_pass_may_be() -> None:
    """Longer ones have no cost here: they would raise."""
    text, untiled = list(range(600)), FREE[: N_UNTILED + 1]
    spent, plain, _ = play(text, untiled, past=PastIndex([text]), batches=UNTILED)
    assert plain / spent > 5.0


def test_a_draft_from_the_past_ends_where_that_did() -> None:
    drafter = ready(Drafter(past=PastIndex([[1, 2, 3, 4], [5, 6, 7, 8]])))
    drafter.index.tokens += [9, 1, 2, 3]
    assert drafter.propose(8) == [4]


def test_it_notices_that_the_machine_has_changed() -> None:
    """Batches that were dear when the machine was busy are tried again later."""
    drafter = Drafter()
    text = noise(30, 400, seed=2) * 100
    dear_passes = 0
    drafter.index.tokens.append(text[0])
    spent, at, n_pass = 0.0, 1, 0
    while at < len(text):
        draft = drafter.propose(len(text) - at - 1)
        n = 0
        while n < len(draft) and draft[n] == text[at + n]:
            n += 1
        is_busy = n_pass < 600
        took = 1.0 + len(draft) * (1.2 if is_busy else 0.02)
        dear_passes += is_busy and bool(draft)
        drafter.passed(len(draft), n, took)
        spent += took
        drafter.index.tokens += text[at : at + n + 1]
        at += n + 1
        n_pass += 1
    assert dear_passes < 60
    assert spent < 0.7 * len(text)


def test_acceptance_learns_from_what_came() -> None:
    acceptance = Acceptance(PRIOR)
    before = acceptance.chance(3)
    assert acceptance.chance(1) < before < acceptance.chance(40)
    for _ in range(50):
        acceptance.learn(3, n_draft=4, n_accepted=0)
    assert acceptance.chance(3) < before / 2
    for _ in range(200):
        acceptance.learn(1, n_draft=2, n_accepted=2)
    assert acceptance.chance(1) > 0.9 and acceptance.chance(2) > 0.9
