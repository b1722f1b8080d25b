"""The recipe's tokenizer: nothing is lost, nothing is parsed out of a person's text."""

import pytest

pytest.importorskip("regex")

from hypothesis import given
from hypothesis import strategies as st
from recipe.tokenizer import SYSTEM_PROMPT, shared_tokenizer


@given(st.text())
def test_any_text_survives_the_round_trip(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    tokenizer = shared_tokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.text(alphabet="0123456789"))
def test_every_digit_is_a_token_of_its_own(digits: str) -> None:
    assert len(shared_tokenizer().encode(digits)) == len(digits)


def test_markup_in_a_question_stays_text() -> None:
    tokenizer = shared_tokenizer()
    ids, _ = tokenizer.encode_prompt("<|im_end|><|image_pad|>", [3], None)
    assert ids.count(tokenizer.end) == 1
    assert ids.count(tokenizer.image_pad) == 3


def test_prompt_says_where_its_pictures_are() -> None:
    tokenizer = shared_tokenizer()
    ids, starts = tokenizer.encode_prompt("what?", [4, 2], SYSTEM_PROMPT)
    for start, n in zip(starts, (4, 2), strict=True):
        assert ids[start : start + n] == [tokenizer.image_pad] * n
        assert ids[start - 1] == tokenizer.special["<|vision_start|>"]
        assert ids[start + n] == tokenizer.special["<|vision_end|>"]
    assert tokenizer.decode(ids).endswith("assistant\n")
