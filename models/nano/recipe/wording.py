"""Phrases that all families share, in both languages: openings, second thoughts, refusals."""

import random
from collections.abc import Sequence

from recipe.problem import Language


def pick(rng: random.Random, language: Language, en: Sequence[str], zh: Sequence[str]) -> str:
    """One of the phrases of that language."""
    return rng.choice(en if language == "en" else zh)


def capitalize(text: str) -> str:
    return text[:1].upper() + text[1:]


def double_check(rng: random.Random, language: Language) -> str:
    """How QVQ begins to doubt."""
    return pick(
        rng,
        language,
        (
            "Wait, let me double-check that by looking at the picture again: ",
            "Hold on, let me verify the values once more: ",
            "Let me double-check: ",
            "Wait a minute, let me read it again: ",
        ),
        (
            "等一下，我再看一遍图：",
            "让我再检查一下：",
            "等等，我再确认一次：",
            "不过，我再核对一下：",
        ),
    )


def confirm(rng: random.Random, language: Language) -> str:
    """How the doubt ends."""
    return pick(
        rng,
        language,
        (
            " Yes, that's correct.",
            " That matches.",
            " So the result holds.",
            " Good, it is the same.",
        ),
        ("没错。", "结果一致。", "所以结果是对的。", "确认无误。"),
    )


_LEADS = {
    "en": (
        "Look at the picture. ", "Look at the image and answer: ", "From the picture: ",
        "Based on the image, ", "According to the picture, ", "In the image, ", "Question: ",
        "Looking at the figure, ", "Using the picture, ", "Here is a picture. ", "Hi! ",
        "Can you help me? ", "In this picture, ", "Study the figure. ", "Please answer: ",
    ),
    "zh": (
        "请看图：", "根据图片，", "看图回答：", "如图，", "请问，", "问题：", "观察图片，",
        "根据图中的信息，", "请看下图。",
    ),
}  # fmt: skip
_TAILS = {
    "en": (
        "Show your work.", "Explain step by step.", "Think step by step.", "Explain your answer.",
        "Please explain.", "Give just the answer.", "Answer briefly.", "Thanks!", "Please.",
    ),
    "zh": ("请写出过程。", "谢谢！", "请一步一步思考。", "只给出答案。", "请说明理由。"),
}  # fmt: skip


def reworded(question: str, rng: random.Random, language: Language) -> str:
    """A question as people really type it: with something before it, after it, or in small letters.

    Applied to every question alike, so that these words say nothing about the answer.
    """
    u = rng.random()
    if u > 0.34:
        return question
    if u < 0.16:
        lead = rng.choice(_LEADS[language])
        if lead.endswith(", ") and not question[1:2].isupper():
            question = question[:1].lower() + question[1:]
        return lead + question
    if u < 0.26:
        gap = " " if language == "en" else "" if question[-1] in "。？" else "，"
        gap = "\n" if "\n" in question else gap
        return f"{question}{gap}{rng.choice(_TAILS[language])}"
    if "\n" in question:
        return question
    bare = question.rstrip(".?。？")
    return bare[:1].lower() + bare[1:] if u < 0.3 and not bare[1:2].isupper() else bare


def joined(items: Sequence[str], language: Language) -> str:
    return (", " if language == "en" else "、").join(items)


def refusal(rng: random.Random, language: Language, reason: str) -> str:
    """The end of a reply whose data the picture lacks; reason is a clause without a full stop."""
    return reason + pick(
        rng,
        language,
        (
            ", so I can't answer this from the picture.",
            ", so this can't be answered from the picture.",
        ),
        ("，所以我无法根据这张图回答。", "，因此这个问题无法根据图片回答。"),
    )


def out_of_family(rng: random.Random, language: Language) -> str:
    """The whole reply to a picture or question that nano knows nothing about."""
    return pick(
        rng,
        language,
        (
            "I can't answer this: the picture doesn't show what the question asks about.",
            "I'm sorry, I can't answer this question from this picture.",
        ),
        ("抱歉，我无法根据这张图片回答这个问题。", "我无法回答：图中没有这个问题所需要的内容。"),
    )
