"""LaTeX in a model's text, made readable on a terminal: `$\\frac{1}{5}$` becomes `1/5`.

Knows where mathematics starts and ends in prose: `$ $`, `$$ $$`, `\\( \\)`, `\\[ \\]`, a line that
is nothing but a formula, and single words such as `x^{10}` or `\\boxed{7\\pi}`. Everything else
comes through unchanged, `$5 and $7` included. How a formula looks is formula's business; that
module, and the library behind it, are loaded only for a text that has something to convert.
"""

import re
from collections.abc import Iterator

_SIGNS = re.compile(r"[\\$^_]")
_DELIMITER = re.compile(r"\\[\s\S]|\$\$?")
_CLOSING = {"$$": "$$", "$": "$", "\\[": "\\]", "\\(": "\\)"}

_COMMAND = re.compile(r"\\([A-Za-z]+)")
_ESCAPED = re.compile(r"\\[%$#&_{}|,;:! ]")
_BARE_DOLLAR = re.compile(r"(?<!\\)\$")
_TEXT_GROUP = re.compile(
    r"\\(?:text|mathrm|operatorname|mbox|begin|end|textbf|textit)\s*\{[^{}]*\}"
)
_PROSE = re.compile(r"[A-Za-z]{2,}[a-z]|[\u3000-\u9fff\uff01-\uff60]|\*\*")
_WORD_STEP = re.compile(r"\\begin\b|\\end\b|\\[\s\S]|[{}]|\n[ \t]*\n|\s+|[^\\{}\s]+|\\")

# x^2, (a+b)^{n}, H_2SO_4, a_n: a base, the sign and what is raised or lowered. A subscript needs a
# base of one or two letters, or file_2 and snake_case would be formulas.
_SCRIPT = re.compile(
    r"[\w)\]}]\^(?:-?\d|\{|-?[A-Za-z](?![A-Za-z]))"
    r"|(?<![A-Za-z])[A-Za-z]{1,2}_(?:\d|\{|[A-Za-z](?![A-Za-z]))"
)


def latex_to_unicode(text: str) -> str:
    """Show the mathematics in a text as Unicode; prose, newlines and money stay as they are.

    Never raises: what can't be read as LaTeX comes back as it was.
    """
    if not _SIGNS.search(text):
        return text
    return "".join(_render(part) if is_math else _prose(part) for part, is_math in _spans(text))


def _render(formula: str) -> str:
    from qvq_cli.latex.formula import math_to_unicode

    return math_to_unicode(formula)


def _spans(text: str) -> Iterator[tuple[str, bool]]:
    """Cut a text into (stretch, whether it is mathematics), without the delimiters of the latter.

    A delimiter that nothing closes, and a `$` that is money, stay in the prose.
    """
    tokens = [(m.group(), m.start(), m.end()) for m in _DELIMITER.finditer(text)]
    closing_after = _next_of_kind(tokens)
    done = 0
    index = 0
    while index < len(tokens):
        opener, start, inner = tokens[index]
        close = closing_after[index] if opener in _CLOSING else None
        if close is not None:
            _, inner_end, end = tokens[close]
            body = text[inner:inner_end]
            if opener != "$" or _is_inline_math(body, text[end : end + 1]):
                yield text[done:start], False
                yield body, True
                done = end
                index = close
        index += 1
    yield text[done:], False


def _next_of_kind(tokens: list[tuple[str, int, int]]) -> list[int | None]:
    """For each opening delimiter the index of the token that closes it, None without one."""
    nearest: dict[str, int] = {}
    closing: list[int | None] = []
    for index in range(len(tokens) - 1, -1, -1):
        kind = tokens[index][0]
        closing.append(nearest.get(_CLOSING.get(kind, "")))
        nearest[kind] = index
    return closing[::-1]


def _is_inline_math(body: str, following: str) -> bool:
    """Is what stands between two single `$` a formula, or the words between two prices?

    Pandoc's rule (tight on both sides, no digit after), widened to QVQ's own `$ x = 1 $`.
    """
    if not body.strip() or "\n\n" in body or following.isdigit():
        return False
    if body[0].isspace() != body[-1].isspace():
        return False
    if body[0].isspace() and not re.search(r"[\\^_=]", body):
        return re.search(r"[A-Za-z]{2}", body) is None
    return True


def _prose(text: str) -> str:
    """Convert the formulas that stand in prose without delimiters."""
    if not (_COMMAND.search(text) or "\\" in text or _SCRIPT.search(text)):
        return text
    return "".join(_word(word) for word in _words(text))


def _words(text: str) -> Iterator[str]:
    """Cut at white space outside braces and environments; white space comes as words of its own.

    A line that is nothing but a formula is one word: its spaces are the formula's. An empty line
    ends every word, so that a brace never closed costs one paragraph.
    """
    for line in _lines(text):
        if _is_formula(line):
            body = line.strip()
            lead = line[: len(line) - len(line.lstrip())]
            yield from (lead, body, line[len(lead) + len(body) :])
            continue
        word = ""
        depth = 0
        for step in _WORD_STEP.findall(line):
            if step.isspace() and (depth <= 0 or step.count("\n") > 1):
                yield word
                yield step
                word, depth = "", 0
                continue
            depth += {"{": 1, "\\begin": 1, "}": -1, "\\end": -1}.get(step, 0)
            word += step
        yield word


def _lines(text: str) -> Iterator[str]:
    """Lines with their ends; one that opens a brace or an environment goes on until it closes."""
    held: list[str] = []
    depth = 0
    for line in text.splitlines(keepends=True):
        held.append(line)
        depth += line.count("{") + line.count("\\begin") - line.count("}") - line.count("\\end")
        if depth <= 0 or not line.strip():
            yield "".join(held)
            held, depth = [], 0
    yield "".join(held)


def _is_formula(line: str) -> bool:
    """Is a line mathematics from end to end: commands, and no words beside them?"""
    if not _COMMAND.search(line) or "$" in line or line.count("{") != line.count("}"):
        return False
    return _PROSE.search(_COMMAND.sub("", _TEXT_GROUP.sub("", line))) is None


def _word(word: str) -> str:
    return _render(_BARE_DOLLAR.sub(r"\\$", word)) if _is_latex(word) else word


def _is_latex(word: str) -> bool:
    if "\\" not in word:
        return _SCRIPT.search(word) is not None
    from qvq_cli.latex.formula import is_known

    has_command = any(is_known(name) for name in _COMMAND.findall(word))
    return has_command or _ESCAPED.search(word) is not None
