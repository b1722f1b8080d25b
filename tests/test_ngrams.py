"""Where a text's last tokens stood before."""

from hypothesis import given
from hypothesis import strategies as st

from qvq_cli.engine.ngrams import (
    BREAK,
    MATCH_MAX,
    N_GRAMS,
    PAST_N_GRAM,
    NgramIndex,
    PastIndex,
)

TOKENS = st.lists(st.integers(0, 3), max_size=60)


def find_slowly(tokens: list[int]) -> tuple[int, int]:
    """The latest place of the longest n-gram of N_GRAMS, and how far it agrees backwards."""
    end = len(tokens)
    for n in N_GRAMS:
        for at in range(end - 1, n - 1, -1):
            if end >= n and tokens[at - n : at] == tokens[end - n :]:
                while n < MATCH_MAX and at > n and tokens[at - n - 1] == tokens[end - n - 1]:
                    n += 1
                return at, n
    return 0, 0


@given(TOKENS)
def test_the_index_finds_what_a_search_finds(tokens: list[int]) -> None:
    index = NgramIndex()
    for token in tokens:
        index.tokens.append(token)
        assert index.find() == find_slowly(index.tokens)


@given(st.lists(st.tuples(TOKENS, st.integers(0, 20)), max_size=6))
def test_a_find_is_true_after_any_truncation(steps: list[tuple[list[int], int]]) -> None:
    """Which of several places is found may differ then, but what it says of it holds."""
    index = NgramIndex()
    for tokens, n_drop in steps:
        index.tokens += tokens
        index.find()
        index.truncate(min(n_drop, len(index.tokens)))
        at, match = index.find()
        text = index.tokens
        if match:
            assert 0 < at < len(text)
            assert text[at - match : at] == text[len(text) - match :]


def n_agreeing(tokens: list[int], at: int, text: list[int]) -> int:
    n = 0
    while n < min(MATCH_MAX, at, len(text)) and tokens[at - n - 1] == text[len(text) - n - 1]:
        n += 1
    return n


@given(st.lists(TOKENS, max_size=4), TOKENS, st.integers(1, 5))
def test_a_find_in_the_past_is_true(texts: list[list[int]], text: list[int], step: int) -> None:
    """It says rightly how much agrees, and finds something wherever there is something."""
    past = PastIndex(texts)
    for end in range(1, len(text) + 1, step):
        at, match = past.find(text[:end])
        known = {
            i: n_agreeing(past.tokens, i, text[:end])
            for i in range(1, len(past.tokens))
            if past.tokens[i] != BREAK
        }
        if match:
            assert match == known[at] >= PAST_N_GRAM
        else:
            assert max(known.values(), default=0) < PAST_N_GRAM


def test_of_places_that_agree_the_first_one_in_the_last_text_counts() -> None:
    past = PastIndex([[1, 2, 3, 4], [1, 2, 3, 5, 1, 2, 3, 6]])
    at, match = past.find([1, 2, 3])
    assert (past.tokens[at], match) == (5, 3)


def test_what_is_left_ends_with_the_text() -> None:
    past = PastIndex([[1, 2, BREAK, 3, 4], [5]])
    assert [past.n_left(at) for at in range(1, 8)] == [2, 1, 0, 2, 1, 0, 1]


def test_a_place_is_followed_past_what_stands_elsewhere_too() -> None:
    """A phrase that comes thrice goes on each time as it did there."""
    phrase = list(range(20, 26))
    text = [1, *phrase, 2, *phrase, 3, *phrase, 4]
    past = PastIndex([text])
    for end in range(PAST_N_GRAM, len(text)):
        at, _ = past.find(text[:end])
        if end > 7:
            assert past.tokens[at] == text[end]


def test_a_text_that_was_cut_short_is_looked_up_anew() -> None:
    past = PastIndex([list(range(40))])
    assert past.find(list(range(30))) == (31, MATCH_MAX)
    assert past.find([7, 8, 9]) == (11, 3)
    assert past.find([9, 8, 7]) == (0, 0)


def test_texts_are_told_apart() -> None:
    past = PastIndex([[1, 2, 3], [4, 5, 6]])
    assert past.tokens == [BREAK, 1, 2, 3, BREAK, 4, 5, 6]
    assert past.find([1, 2, 3]) == (0, 0), "nothing came behind them"
    assert past.find([0, 1, 2]) == (0, 0)
    assert past.find([3, 4, 5]) == (0, 0)
    assert PastIndex().find([1, 2, 3]) == (0, 0)
