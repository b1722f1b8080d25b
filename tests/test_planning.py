"""How solve turns what was typed into a plan, and a plan into what the engine is told."""

import pytest

from qvq_cli.cli.inputs import Inputs
from qvq_cli.cli.planning import fitted_policy, make_demand
from qvq_cli.cli.settings import SolveOptions
from qvq_cli.cli.wishes import make_wishes
from qvq_cli.engine.protocol import Sampling
from qvq_cli.errors import UsageError
from qvq_cli.hub.catalog import catalog_entry
from qvq_cli.hub.config import Config
from qvq_cli.hub.plan import catalog_sizes
from qvq_cli.hub.run_plan import Machine, RunPlan, Wishes, plan_run, typical_demand
from qvq_cli.hub.store import resolve_model
from qvq_cli.reasoning.budget import ThinkingBudget
from qvq_cli.reasoning.look_again import LookAgain
from qvq_cli.reasoning.policy import Policy

OPTION_NAMES = list(SolveOptions._fields)


def plan_with(n_thinking: int) -> RunPlan:
    entry = catalog_entry("nano")
    sizes = catalog_sizes(entry, "Q8_0")
    assert sizes is not None
    plan = plan_run(sizes, typical_demand(entry.profile), Machine(10**9))
    return plan._replace(n_thinking=n_thinking)


@pytest.mark.parametrize(
    "budget",
    [
        ThinkingBudget(max_tokens=4096),
        ThinkingBudget(max_s=300.0),
        ThinkingBudget(max_tokens=4096, max_s=300.0),
        ThinkingBudget(),
    ],
)
@pytest.mark.parametrize("n_thinking", [256, 1000, 4000])
def test_a_policy_is_cut_to_the_plans_room(budget: ThinkingBudget, n_thinking: int) -> None:
    policy = Policy(budget, 512, Sampling())
    cut = fitted_policy(policy, plan_with(n_thinking))
    n_room = cut.reserve.n_max - cut.reserve.n_min
    assert n_thinking - 80 <= n_room <= n_thinking
    assert cut.budget.max_s == budget.max_s
    assert cut.max_answer_tokens == policy.max_answer_tokens


def test_a_policy_that_fits_is_left_alone() -> None:
    policy = Policy(ThinkingBudget(max_tokens=100), 512, Sampling())
    assert fitted_policy(policy, plan_with(1000)) is policy


def test_a_policy_looks_no_more_than_the_plan_has_room_for() -> None:
    policy = Policy(ThinkingBudget(max_tokens=1000), 512, Sampling(), LookAgain(100, (150,)))
    assert policy.n_looks == 9
    assert policy.reserve.n_max - policy.reserve.n_min == policy.n_thinking + 9 * 216
    plan = plan_with(policy.n_thinking)._replace(n_looks=4)
    cut = fitted_policy(policy, plan)
    assert (cut.n_looks, cut.n_thinking) == (4, policy.n_thinking)
    assert fitted_policy(policy, plan._replace(n_looks=9)) is policy


@pytest.mark.parametrize(
    ("typed", "wishes"),
    [
        (("auto", "auto", None), Wishes()),
        (("q8_0", "auto", "CUDA0"), Wishes("q8_0", None, "CUDA0")),
        (("F16", "-1", None), Wishes("f16", -1)),
        (("auto", "20", "none"), Wishes(None, 20, "none")),
    ],
)
def test_wishes(typed: tuple[str, str, str | None], wishes: Wishes) -> None:
    assert make_wishes(*typed) == wishes


@pytest.mark.parametrize("typed", [("q4_0", "auto"), ("auto", "all"), ("auto", "1.5"), ("", "")])
def test_wishes_that_are_none(typed: tuple[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        make_wishes(*typed, None)
    assert caught.value.hint


def test_a_long_system_prompt_is_planned_for() -> None:
    choice = resolve_model("nano", None, environ={}, config=Config(None, {}))
    inputs = Inputs((), "why?")
    policy = Policy(ThinkingBudget(100), 512, Sampling())

    def n_prompt(system: str | None) -> int:
        typed = SolveOptions(**{**dict.fromkeys(OPTION_NAMES), "system": system})  # type: ignore[arg-type]
        return make_demand(typed, choice, inputs, (), policy).n_prompt

    assert n_prompt(None) == n_prompt(choice.profile.system)
    assert n_prompt("Think. " * 1000) - n_prompt("") == 3500
