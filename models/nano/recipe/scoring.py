"""Whether a reply is right: the last box is the answer; a refusal has neither box nor heading."""

from recipe.problem import HEADING, Exchange


def last_box(text: str) -> str | None:
    """The content of the last balanced \\boxed{}."""
    at = text.rfind("\\boxed{")
    if at < 0:
        return None
    depth, start = 0, at + len("\\boxed{")
    for i in range(start, len(text)):
        if text[i] == "{":
            depth += 1
        elif text[i] == "}":
            if depth == 0:
                return text[start:i]
            depth -= 1
    return None


def is_refusal(text: str) -> bool:
    return "\\boxed" not in text and not any(h in text for h in HEADING.values())


def is_right(exchange: Exchange, text: str) -> bool:
    """text: the whole reply, or only what follows a forced heading."""
    if exchange.answer is None:
        return is_refusal(text)
    box = last_box(text)
    return box is not None and box.replace(" ", "") == exchange.answer.replace(" ", "")
