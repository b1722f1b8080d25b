"""The thinking budget: what people may type, and when the model is stopped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvq_cli.errors import ExitCode, UsageError
from qvq_cli.reasoning.budget import Budget, BudgetState, ThinkingBudget, parse_thinking_budget
from qvq_cli.reasoning.sentences import ends_sentence, is_inside_math

COUNTING, FINISHING, FORCE = BudgetState


@pytest.mark.parametrize(
    ("text", "max_tokens", "max_s"),
    [
        ("2048", 2048, None),
        (" 2048 ", 2048, None),
        ("2k", 2048, None),
        ("8K", 8192, None),
        ("0", 0, None),
        ("0s", 0, None),
        ("90s", None, 90.0),
        ("5m", None, 300.0),
        ("1h30m", None, 5400.0),
        ("1h", None, 3600.0),
        ("1.5m", None, 90.0),
        ("2m30s", None, 150.0),
        ("none", None, None),
        ("Unlimited", None, None),
    ],
)
def test_parse(text: str, max_tokens: int | None, max_s: float | None) -> None:
    assert parse_thinking_budget(text) == ThinkingBudget(max_tokens, max_s)


@pytest.mark.parametrize(
    "text",
    ["", " ", "-1", "2048 tokens", "2,048", "1.5", "5 m", "s", "30m1h", "٣", "9" * 30, "inf"],
)
def test_parse_refuses(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_thinking_budget(text)
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.reference == "bad-thinking-budget"
    assert repr(text) in caught.value.message
    assert all(example in str(caught.value.hint) for example in ("2048", "90s", "1h30m", "none"))


@given(st.text(max_size=12) | st.text("0123456789hmsk.", max_size=12))
def test_parse_never_fails_otherwise(text: str) -> None:
    try:
        budget = parse_thinking_budget(text)
    except UsageError:
        return
    assert budget.max_tokens is None or budget.max_s is None


def forced_at(limit: str, texts: list[str], s_per_token: float = 0.0) -> int | None:
    """After how many tokens of these the budget forces; None when never."""
    budget = Budget(parse_thinking_budget(limit))
    said = ""
    for n_tokens, text in enumerate(["", *texts]):
        said += text
        if budget.update(n_tokens, n_tokens * s_per_token, said[-200:], True) is FORCE:
            return n_tokens
    return None


SENTENCE = ["So", " it", " is", " here", ",", " then", ".", " Now"]


def test_no_budget_never_forces() -> None:
    assert forced_at("none", SENTENCE * 1000, s_per_token=100.0) is None


def test_zero_forces_before_the_first_token() -> None:
    assert forced_at("0", SENTENCE) == 0


def test_the_sentence_is_finished() -> None:
    assert forced_at("100", SENTENCE * 40) == 103  # 12 whole sentences are 96 tokens, 7 more end it
    assert forced_at("103", SENTENCE * 40) == 103


def test_the_allowance_is_an_eighth_and_64_at_most() -> None:
    assert forced_at("100", ["word "] * 1000) == 112
    assert forced_at("4096", ["word "] * 5000) == 4096 + 64
    assert forced_at("5", ["word "] * 10) == 5


def test_time_has_an_allowance_too() -> None:
    assert forced_at("90s", ["word "] * 1000, s_per_token=1.0) == 102  # 90 s and 11.25 s
    assert forced_at("1h", ["word "] * 9999, s_per_token=1.0) == 3630
    assert forced_at("90s", ["word "] * 10**4, s_per_token=0.01) == 9000 + 64
    assert forced_at("90s", SENTENCE * 40, s_per_token=1.0) == 95


def test_both_limits_hold() -> None:
    budget = Budget(ThinkingBudget(max_tokens=100, max_s=50.0))
    assert budget.update(99, 49.0, "word", True) is COUNTING
    assert budget.used_up is None
    assert budget.update(99, 50.0, "word", True) is FINISHING
    assert budget.used_up == "time"
    assert budget.update(112, 51.0, "word", True) is FORCE


def test_a_character_is_never_cut() -> None:
    budget = Budget(parse_thinking_budget("16"))
    assert budget.update(16, 0.0, "完了。", False) is FINISHING
    assert budget.update(18, 0.0, "word", False) is FINISHING
    assert budget.update(19, 0.0, "word", True) is FORCE
    assert budget.update(20, 0.0, "more", False) is FORCE


def test_bytes_that_never_end_a_character_are_stopped() -> None:
    budget = Budget(parse_thinking_budget("16"))
    states = [budget.update(n_tokens, 0.0, "word", False) for n_tokens in range(16, 22)]
    assert states == [FINISHING] * 5 + [FORCE]


@given(
    st.builds(
        ThinkingBudget,
        st.none() | st.integers(0, 300),
        st.none() | st.floats(0.0, 300.0),
    ),
    st.lists(
        st.tuples(st.floats(0.0, 9.0), st.sampled_from("a 。.\n$好"), st.booleans()), max_size=500
    ),
)
def test_the_states_go_one_way_and_stay_in_the_reserve(
    limit: ThinkingBudget, tokens: list[tuple[float, str, bool]]
) -> None:
    budget = Budget(limit)
    order = list(BudgetState)
    last, elapsed_s, said = COUNTING, 0.0, ""
    for n_tokens, (took_s, text, is_complete) in enumerate(tokens, 1):
        elapsed_s += took_s
        said += text
        state = budget.update(n_tokens, elapsed_s, said[-50:], is_complete)
        assert order.index(state) >= order.index(last)
        assert (state is COUNTING) == (budget.used_up is None)
        if limit.reserve_tokens is not None and n_tokens >= limit.reserve_tokens:
            assert state is FORCE
        if limit.max_tokens is None or n_tokens < limit.max_tokens:
            is_in_time = limit.max_s is None or elapsed_s < limit.max_s
            assert not is_in_time or state is COUNTING
        last = state


@pytest.mark.parametrize(
    "text",
    [
        "",
        "So it is done.",
        "Is it? ",
        'He said "stop."',
        "**It is so.**",
        "That is $x + 1$.",
        "It is \\(x\\). Now it is $y$ then.",
        "它是对的。",
        "对吗？",
        "他说“对。”",
        "h'(2) = -29\n",
        "- f(2) = -3\n\n",
        "So it is 5.\n",
        "$$ x = 1 $$\n",
        "\\boxed{\\frac{1}{2}} is it.",
        "It costs $5.\n\nAnd it is done.",
    ],
)
def test_sentence_ends(text: str) -> None:
    assert ends_sentence(text)


@pytest.mark.parametrize(
    "text",
    [
        "So it is",
        "It is 3.",
        "It is 3.14",
        "Take e.g.",
        "See Fig.",
        "by Dr.",
        "the choice is A.",
        "Hmm...",
        "First, ",
        "Looking at the table:\n\n",
        "代入得：\n",
        "= (-8)*(1) +\n",
        "That is $x = 1.",
        "That is $f(x)!",
        "That is \\(n!",
        "\\[ x = 1\n",
        "$$\nx = 1\n",
        "\\begin{aligned} x \\\\\n",
        "\\boxed{\\text{It is so.}",
        "所以，",
    ],
)
def test_no_sentence_ends(text: str) -> None:
    assert not ends_sentence(text)


def test_escaped_marks_are_no_math() -> None:
    assert not is_inside_math("It costs \\$5, \\{a\\} \\\\")
    assert not is_inside_math("\\boxed{\\{a\\} \\begin{array}{c} x \\end{array}}")
