"""The transcript machine: what is reasoning, what is the answer, and how soon that is said."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deltas import cut_up, made_of
from qvq_cli.reasoning.boundary import BLANKS
from qvq_cli.reasoning.language import Language
from qvq_cli.reasoning.transcript import Channelled, Dialect, Transcript

REAL = sorted((Path(__file__).parents[2] / "shared" / "real").glob("qvq-*.json"))

TRICKY = made_of(
    *("**Final Answer**", "**Final", " Answer", "**", "*", "#", "## ", "Answer", "final answer"),
    *("**答案**", "答案", "最终", ":", "：", " ", "\t", "\u3000", "\n", "\n\n", "\r\n", " " * 70),
    *(
        "`",
        "```",
        "~~~~",
        "<",
        "<think>",
        "</think>",
        "</thi",
        "nk>",
        "- ",
        "abc",
        "是 42",
        "\\boxed{7}",
    ),
)


def run(dialect: Dialect, *deltas: str) -> Transcript:
    """A finished transcript, its channels checked against what it passed on."""
    transcript = Transcript(dialect)
    passed_on = [piece for delta in deltas for piece in transcript.feed(delta)]
    passed_on += transcript.finish()
    for channel in ("reasoning", "answer"):
        spoken = "".join(text for name, text in passed_on if name == channel)
        assert spoken == getattr(transcript, channel)
    assert transcript.text == "".join(deltas)
    return transcript


@pytest.mark.parametrize(
    "heading",
    [
        "**Final Answer**",
        "**答案**",
        "**最终答案**",
        "**Answer**",
        "**FINAL ANSWER**",
        "**final answer:**",
        "**Final Answer**:",
        "**Final Answer：**",
        "**答案：**",
        "**答案**：",
        "  **Final Answer**  ",
        "** Final Answer **",
        "### Final Answer",
        "## **Final Answer**",
        "# 答案：",
        "###### **Answer:**",
        "**Final Answer**\r",
    ],
)
@pytest.mark.parametrize("before", ["", "\n\n", "So it is 42.\n\n", "So it is 42.\r\n"])
@pytest.mark.parametrize("after", ["", "\n\n42", "\n42"])
def test_a_heading_on_its_own_line_is_the_boundary(before: str, heading: str, after: str) -> None:
    transcript = run(Dialect.HEADING, before + heading + after)
    assert transcript.reasoning.strip() == before.strip()
    assert transcript.boundary.strip() == heading.strip()
    assert transcript.answer == after.strip()


@pytest.mark.parametrize(
    "text",
    [
        "the **Final Answer** is 42\n",
        "**Final Answer** is 42\n",
        "**Final Answers**\n",
        "**The Final Answer**\n",
        "**Final Answer\n42",
        "Final Answer**\n",
        "# Final Answer**\n",
        "Final Answer\n42",
        "Answer: 42\n",
        "####### Final Answer\n",
        "**Answer:** 42 apples in the first row\n",
        "**答案是** 42\n",
        "- **Final Answer**\n",
        "**Final Answer" + " " * 90 + "**\n",
        "```\n**Final Answer**\n```\n",
        "~~~ text\n**Final Answer**\n```\n**答案**\n",
        "```` md\n```\n**Final Answer**\n",
    ],
)
def test_other_mentions_are_reasoning(text: str) -> None:
    transcript = run(Dialect.HEADING, text)
    assert not transcript.in_answer
    assert transcript.reasoning == text


@pytest.mark.parametrize(
    "text",
    ["```py\nx = 1\n```\n**Final Answer**\n7", "```x = 1``` is code.\n**Final Answer**\n7"],
)
def test_a_heading_after_code_is_the_boundary(text: str) -> None:
    assert run(Dialect.HEADING, text).answer == "7"


@pytest.mark.parametrize(
    ("text", "boundary", "answer"),
    [
        ("**Final Answer:** 42", "**Final Answer:** ", "42"),
        ("**Final Answer**: 42\nmore", "**Final Answer**: ", "42\nmore"),
        ("**答案：**A", "**答案：**", "A"),
        ("### 答案: A", "### 答案: ", "A"),
        ("**Final Answer: 42**", "**Final Answer: ", "42"),
        ("**答案：A**\n因为**B**错", "**答案：", "A\n因为**B**错"),
        ("**Final Answer: *x* + 1** ok", "**Final Answer: ", "*x* + 1 ok"),
        ("**Final Answer: 42\n**bold**", "**Final Answer: ", "42\n**bold**"),
        ("**Final Answer: 42*", "**Final Answer: ", "42*"),
    ],
)
def test_an_answer_may_follow_the_colon(text: str, boundary: str, answer: str) -> None:
    for deltas in ([text], list(text)):
        transcript = run(Dialect.HEADING, *deltas)
        assert (transcript.reasoning, transcript.boundary) == ("", boundary)
        assert transcript.answer == answer


def test_all_after_the_first_heading_is_answer() -> None:
    text = "A.\n\n**Final Answer**\n\n1\n\nWait.\n\n**Final Answer**\n\n2"
    transcript = run(Dialect.HEADING, text)
    assert transcript.reasoning == "A."
    assert transcript.answer == "1\n\nWait.\n\n**Final Answer**\n\n2"


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("So 42.\n</think>\n\n42", "So 42.", "42"),
        ("<think>\nSo 42.\n</think>\n\n42", "So 42.", "42"),
        ("\n\n<think>So</think>42", "So", "42"),
        ("</think>\n\n42", "", "42"),
        ("a < b </think> c </think> d", "a < b", "c </think> d"),
        ("a <think> b</think>c", "a <think> b", "c"),
        ("**Final Answer**\n\n42", "**Final Answer**\n\n42", ""),
        ("So </thin", "So </thin", ""),
    ],
)
def test_think_tags(text: str, reasoning: str, answer: str) -> None:
    for deltas in ([text], list(text)):
        transcript = run(Dialect.THINK_TAGS, *deltas)
        assert (transcript.reasoning, transcript.answer) == (reasoning, answer)


def test_plain_text_is_all_answer() -> None:
    transcript = Transcript(Dialect.PLAIN)
    assert transcript.in_answer
    assert transcript.feed("**Final Answer**\n42") == [Channelled("answer", "**Final Answer**\n42")]
    assert transcript.finish() == []
    assert transcript.conclusion(Language.EN) is None


@given(st.sampled_from(Dialect), cut_up(TRICKY))
def test_the_cuts_change_nothing(dialect: Dialect, deltas: list[str]) -> None:
    cut, whole = run(dialect, *deltas), run(dialect, "".join(deltas))
    for name in ("in_answer", "reasoning", "boundary", "answer", "tail"):
        assert getattr(cut, name) == getattr(whole, name)


@given(cut_up(TRICKY))
def test_nothing_is_lost_at_a_heading(deltas: list[str]) -> None:
    transcript = run(Dialect.HEADING, *deltas)
    head = transcript.reasoning + transcript.boundary
    assert transcript.text.startswith(head)
    rest = transcript.text[len(head) :]
    # Only the `**` that closes the boundary's own may be gone.
    assert rest == transcript.answer or rest.replace("**", "", 1) == transcript.answer
    if not transcript.in_answer:
        assert transcript.reasoning == transcript.text


@given(cut_up(TRICKY))
def test_nothing_is_lost_at_tags(deltas: list[str]) -> None:
    transcript = run(Dialect.THINK_TAGS, *deltas)
    kept = transcript.reasoning + transcript.boundary + transcript.answer
    assert transcript.text.endswith(kept)
    dropped = transcript.text[: len(transcript.text) - len(kept)]
    assert dropped.strip(BLANKS) in ("", "<think>")


@given(TRICKY)
def test_only_what_may_be_a_heading_waits(text: str) -> None:
    transcript = Transcript(Dialect.HEADING)
    for char in text:
        transcript.feed(char)
        if transcript.in_answer:
            break
        waiting = transcript.text[len(transcript.reasoning) :]
        assert len(waiting) < 150
        assert waiting.strip(BLANKS)[:1] in ("", "#", "*", "`", "~")


@given(TRICKY)
def test_only_what_may_be_a_tag_waits(text: str) -> None:
    transcript = Transcript(Dialect.THINK_TAGS)
    transcript.feed("So")
    for char in text:
        transcript.feed(char)
        if transcript.in_answer:
            break
        waiting = transcript.text[len(transcript.reasoning) :]
        assert "</think>".startswith(waiting.strip(BLANKS))


def test_prose_is_passed_on_at_once() -> None:
    transcript = Transcript(Dialect.HEADING)
    assert transcript.feed("abc") == [Channelled("reasoning", "abc")]
    assert transcript.feed(" **Final Answer**") == [Channelled("reasoning", " **Final Answer**")]
    assert transcript.feed("\n\n") == []
    assert transcript.feed("*") == []
    assert transcript.feed(" item") == [Channelled("reasoning", "\n\n* item")]
    assert transcript.feed("\n**Final") == []
    assert transcript.feed("ly") == [Channelled("reasoning", "\n**Finally")]
    assert transcript.feed("\n#######") == [Channelled("reasoning", "\n#######")]
    assert transcript.feed("\n**Final Answer**") == []
    assert transcript.feed("\n\n4") == [Channelled("answer", "4")]
    assert transcript.feed(" 2") == [Channelled("answer", " 2")]


def test_an_endless_run_of_blanks_shows() -> None:
    transcript = Transcript(Dialect.HEADING)
    passed_on = [piece for _ in range(500) for piece in transcript.feed("\n")]
    assert len("".join(text for _, text in passed_on)) > 400


@pytest.mark.parametrize(
    ("dialect", "so_far", "language", "text"),
    [
        (Dialect.HEADING, "", Language.EN, "**Final Answer**\n\n"),
        (Dialect.HEADING, "So it is 42.", Language.EN, "\n\n**Final Answer**\n\n"),
        (Dialect.HEADING, "所以是42。", Language.ZH, "\n\n**答案**\n\n"),
        (Dialect.HEADING, "So\n", Language.EN, "\n**Final Answer**\n\n"),
        (Dialect.HEADING, "So\n\n", Language.EN, "**Final Answer**\n\n"),
        (Dialect.HEADING, "So\n\n**Fin", Language.EN, "al Answer**\n\n"),
        (Dialect.HEADING, "So\n\n**答", Language.EN, "案**\n\n"),
        (Dialect.HEADING, "So\n\n**Final Answer:**", Language.EN, "\n\n"),
        (Dialect.HEADING, "```\nx", Language.EN, "\n```\n\n**Final Answer**\n\n"),
        (Dialect.HEADING, "~~~~py", Language.EN, "\n~~~~\n\n**Final Answer**\n\n"),
        (Dialect.THINK_TAGS, "", Language.EN, "\n</think>\n\n"),
        (Dialect.THINK_TAGS, "So it is 42.", Language.ZH, "\n</think>\n\n"),
        (Dialect.THINK_TAGS, "So\n", Language.EN, "</think>\n\n"),
    ],
)
def test_the_conclusion_fits_what_was_said(
    dialect: Dialect, so_far: str, language: Language, text: str
) -> None:
    transcript = Transcript(dialect)
    transcript.feed(so_far)
    conclusion = transcript.conclusion(language)
    assert conclusion is not None
    assert conclusion.text == text
    assert conclusion.parse_special is (dialect is Dialect.THINK_TAGS)


@given(
    st.sampled_from([Dialect.HEADING, Dialect.THINK_TAGS]),
    st.sampled_from(Language),
    cut_up(TRICKY),
)
@example(Dialect.HEADING, Language.EN, ["```\n**Final Answer**\n``"])
@example(Dialect.HEADING, Language.ZH, ["**Final Answer: *"])
def test_a_conclusion_always_reaches_the_answer(
    dialect: Dialect, language: Language, deltas: list[str]
) -> None:
    transcript = Transcript(dialect)
    for delta in deltas:
        transcript.feed(delta)
    conclusion = transcript.conclusion(language)
    if transcript.in_answer:
        assert conclusion is None
        return
    assert conclusion is not None
    transcript.feed(conclusion.text)
    assert transcript.in_answer
    assert transcript.feed("42")[-1].text.endswith("42")


@pytest.mark.skipif(not REAL, reason="the published transcripts are not here")
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_real_transcripts(path: Path) -> None:
    text = json.loads(path.read_text(encoding="utf-8"))["messages"][1]["content"]
    transcript = run(Dialect.HEADING, *text)
    assert transcript.boundary.strip() in ("**Final Answer**", "**答案**")
    assert len(transcript.reasoning) > 10 * len(transcript.answer) > 0
    assert transcript.reasoning + transcript.boundary + transcript.answer == text
