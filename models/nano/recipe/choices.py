"""Turns an exchange into multiple choice: options in the question, a letter in the box."""

import random
from dataclasses import replace

from recipe.problem import Exchange
from recipe.wording import pick

_LAYOUTS = ("({letter}) {option}", "{letter}. {option}", "{letter}) {option}", "{letter}: {option}")


def offer_choices(exchange: Exchange, rng: random.Random) -> Exchange | None:
    """The same question with options; None where there are no wrong answers to offer."""
    if exchange.answer is None or not exchange.distractors:
        return None
    right = _plain(exchange.answer)
    wrong = [w for w in dict.fromkeys(map(_plain, exchange.distractors)) if w != right]
    if not wrong:
        return None
    options = [right, *rng.sample(wrong, min(len(wrong), rng.choice([2, 3, 3, 3, 4])))]
    rng.shuffle(options)
    letters = "ABCDE"
    layout = rng.choice(_LAYOUTS)
    listed = [layout.format(letter=a, option=o) for a, o in zip(letters, options, strict=False)]
    between = rng.choice(("\n", "\n", " ", "  "))
    lead = pick(
        rng,
        exchange.language,
        ("", "Options: ", "Choices: ", "Choose one: "),
        ("", "选项：", "请选择："),
    )
    question = f"{exchange.question}{rng.choice((chr(10), ' '))}{lead}{between.join(listed)}"
    letter = letters[options.index(right)]
    tail = _compare(exchange, right, options)
    return replace(
        exchange,
        question=question,
        reasoning=exchange.reasoning + tail,
        answer=letter,
        family="choice",
        distractors=(),
        caption="",
    )


def _compare(exchange: Exchange, right: str, options: list[str]) -> str:
    """Option by option up to the one that is the result: steps that a small model can take."""
    en = exchange.language == "en"
    letters = "ABCDE"[: options.index(right) + 1]
    yes, no = ("yes", "no") if en else ("对", "不对")
    steps = [
        f"{a}: {o}, {yes if o == right else no}" for a, o in zip(letters, options, strict=False)
    ]
    if en:
        return f"\n\nThe result is {right}. Comparing the options:\n" + "\n".join(steps)
    return f"\n\n结果是 {right}。逐个比较选项：\n" + "\n".join(steps)


def _plain(latex: str) -> str:
    """An answer as a person would write it in an option."""
    text = (
        latex.replace("^\\circ", "°")
        .replace("\\text{ ", " ")
        .replace("\\text{", "")
        .replace("^2", "²")
    )
    text = text.replace("\\sqrt{", "√").replace("\\frac{", "").replace("}{", "/").replace("}", "")
    return text.strip()
