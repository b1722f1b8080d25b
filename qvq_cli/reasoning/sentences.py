"""Where it is fair to stop: at the end of an English or Chinese sentence, outside mathematics."""

import re

from qvq_cli.reasoning.boundary import BLANKS

_CLOSERS = "\"'”’」』）)]*_"
_ABBREVIATION = re.compile(
    r"(?:^|[^a-z])(?:e\.g|i\.e|etc|vs|cf|fig|eq|eqs|no|approx|resp|dr|mr|mrs|ms|prof|st|[a-z])\.$",
    re.IGNORECASE,
)
_LEADS_ON = tuple(",，、:：;=+-*/×÷·<>≤≥≈(（[{&|\\")
_DELIMITER = re.compile(r"\\[\\$(){}\[\]]|\\begin\b|\\end\b|\\boxed\s*\{|\$\$|\$|\{|\}")


def ends_sentence(text: str) -> bool:
    """Whether a text may be left here, judged by its last paragraph alone.

    A full stop after a digit, a letter or an abbreviation may be "3.14", "A. 5" or "e.g."; it
    doesn't count until the line ends. A line that ends in an operator, a comma or a colon leads on.
    """
    stem = text.rstrip(BLANKS)
    if not stem:
        return True
    if is_inside_math(stem):
        return False
    if "\n" in text[len(stem) :]:
        return not stem.endswith(_LEADS_ON)
    core = stem.rstrip(_CLOSERS)
    if core.endswith(("。", "！", "？", "!", "?")):
        return True
    if not core.endswith(".") or core.endswith(".."):
        return False
    return not (core[-2:-1].isdigit() or _ABBREVIATION.search(core[-12:]))


def is_inside_math(text: str) -> bool:
    r"""Whether `$…$`, `$$…$$`, `\(…\)`, `\[…\]`, `\begin{…}` or `\boxed{…}` is open at the end.

    Only the last paragraph counts: a dollar sign that was money must not count for ever.
    """
    paragraph = text[text.rfind("\n\n") + 1 :]
    is_dollar_open = False
    n_open = 0
    box_depth = 0
    for match in _DELIMITER.finditer(paragraph):
        mark = match.group()
        if mark in ("$", "$$"):
            is_dollar_open = not is_dollar_open
        elif mark in ("\\(", "\\[", "\\begin"):
            n_open += 1
        elif mark in ("\\)", "\\]", "\\end"):
            n_open = max(0, n_open - 1)
        elif mark.startswith("\\boxed") or (mark == "{" and box_depth):
            box_depth += 1
        elif mark == "}" and box_depth:
            box_depth -= 1
    return is_dollar_open or n_open > 0 or box_depth > 0
