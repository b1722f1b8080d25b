"""What follows a forced heading: the rest of the work in short, then the box.

qvq cuts reasoning off with the model's own heading. A model of this size can't do the remaining
arithmetic in its
head, so it learns to finish the work below the heading when the result wasn't reached above it.
"""

from recipe.problem import Exchange

_SHORT_REFUSAL = {"en": "I can't answer this from the picture.", "zh": "我无法根据这张图片回答。"}


def conclude(exchange: Exchange, kept: str) -> str:
    """The text below the heading after reasoning that was cut off at the end of kept."""
    if exchange.answer is None:
        return _SHORT_REFUSAL[exchange.language]
    paragraphs = exchange.reasoning.split("\n\n")
    settled = (
        len(exchange.reasoning)
        if exchange.family == "choice"
        else len("\n\n".join(paragraphs[:-1]))
    )
    if len(kept) >= settled:
        return exchange.payload()
    return f"{_work(exchange, paragraphs)}\n\n{exchange.payload()}"


def _work(exchange: Exchange, paragraphs: list[str]) -> str:
    """The reasoning without the task, the doubt, and what explains it."""
    if exchange.family == "choice":
        return "\n\n".join([*paragraphs[:-2], paragraphs[-1]])
    if exchange.family == "table" and len(paragraphs) > 3:
        return "\n\n".join(paragraphs[2:-1])
    if exchange.family == "table" or (exchange.family == "chart" and len(paragraphs) > 3):
        return "\n\n".join(paragraphs[1:-1])
    if exchange.family == "shapes":
        return "\n\n".join(paragraphs[:-1])
    opening = paragraphs[0].split("。" if exchange.language == "zh" else ". ", 1)
    return "\n\n".join([opening[-1].strip(), *paragraphs[1:-1]])
