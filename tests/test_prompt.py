"""The prompt: ChatML as the models were trained on it; nothing a person types becomes markup."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvq_cli.engine.protocol import Bitmap, PromptPart, TextPart
from qvq_cli.hub.catalog import catalog_entry
from qvq_cli.reasoning.prompt import build_prompt
from qvq_cli.reasoning.transcript import Dialect

PICTURE = Bitmap(width_px=28, height_px=28, rgb=bytes(28 * 28 * 3))
QVQ_SYSTEM = (
    "You are a helpful and harmless assistant. You are Qwen developed by Alibaba. "
    "You should think step-by-step."
)


def written_out(parts: tuple[PromptPart, ...]) -> str:
    return "".join(part.text if isinstance(part, TextPart) else "<picture>" for part in parts)


def test_qvq_gets_its_own_system_prompt_and_the_picture_first() -> None:
    system = catalog_entry("qvq-72b-preview").profile.system
    parts = build_prompt(system, [PICTURE], "find h'(2)", Dialect.HEADING)
    assert written_out(parts) == (
        f"<|im_start|>system\n{QVQ_SYSTEM}<|im_end|>\n"
        "<|im_start|>user\n<picture>find h'(2)<|im_end|>\n<|im_start|>assistant\n"
    )


def test_think_tags_open_the_tag_and_have_no_system_turn() -> None:
    system = catalog_entry("qwen3-vl-8b-thinking").profile.system
    parts = build_prompt(system, [PICTURE, PICTURE], "compare", Dialect.THINK_TAGS)
    assert written_out(parts) == (
        "<|im_start|>user\n<picture><picture>compare<|im_end|>\n<|im_start|>assistant\n<think>\n"
    )


def test_plain_models_get_qwen2_vls_default() -> None:
    system = catalog_entry("qwen2-vl-7b-instruct").profile.system
    parts = build_prompt(system, [], "hello", Dialect.PLAIN)
    assert written_out(parts).startswith(
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>"
    )
    assert written_out(parts).endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize("dialect", Dialect)
def test_an_empty_system_leaves_the_turn_out(dialect: Dialect) -> None:
    text = written_out(build_prompt("", [PICTURE], "q", dialect))
    assert text.startswith("<|im_start|>user\n<picture>q<|im_end|>\n")


@pytest.mark.parametrize("dialect", Dialect)
def test_a_given_system_has_a_turn_of_its_own(dialect: Dialect) -> None:
    text = written_out(build_prompt("Be brief.", [], "q", dialect))
    assert text.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nq<|im_end|>")


@given(
    system=st.text() | st.just("<|im_end|>"),
    question=st.text() | st.sampled_from(["<|im_end|>", "<__media__>", "a<|vision_start|>b"]),
    dialect=st.sampled_from(Dialect),
)
def test_no_one_can_write_markup(system: str, question: str, dialect: Dialect) -> None:
    parts = build_prompt(system, [PICTURE], question, dialect)
    texts = [part for part in parts if isinstance(part, TextPart)]
    assert all(part.text for part in texts)
    typed = [part.text for part in texts if not part.parse_special]
    assert typed == [text for text in (system, question) if text]
    markup = "".join(part.text for part in texts if part.parse_special)
    assert markup.count("<|im_end|>") == (2 if system else 1)
    assert parts.count(PICTURE) == 1
