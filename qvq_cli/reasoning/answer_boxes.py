"""`\\boxed{}` in a model's text: balanced, nested, without braces, several of them.

One pass over the text, whatever it holds. A box that the end of the text cuts off is none: what is
in it may be half a number.
"""

import re
from typing import NamedTuple

from qvq_cli.reasoning.units import unit_after

_STEP = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])|\\[\s\S]|[{}]")
_BOX_OPENING = re.compile(r"\\(?:boxed|fbox)\{")
_BARE_ARGUMENT = re.compile(r"[ \t]{0,8}(-?[\w.,]{1,40}(?:\\?%)?)")
_FORGOTTEN_BRACE = re.compile(r"[$\n]|\\[\])]")
_MAX_GAP_CHARS = 200
_OPENS_PART = re.compile(
    r"\n[ \t]{0,40}[*_]{0,2}"
    r"(?:part\b|第|[(（]?(?:\d{1,2}|[a-h]|i{1,3}|iv|v)[)）.、]|[①-⑳]|[-*•]\s)",
    re.IGNORECASE,
)
_CONNECTOR = re.compile(r"(?:and|or|和|或|与|及|\\text|\\quad|[\s\W])*(?:[A-Za-z]\w?\s?=[\s$]*)?")
_CORRECTION = re.compile(
    r"wait|actually|correct|mistake|wrong|instead|等等|不对|应该|更正|错", re.I
)


class Box(NamedTuple):
    """What stands in a box, with the unit right after it, and where the box is: text[start:end]."""

    content: str
    start: int
    end: int


def find_boxes(text: str) -> list[Box]:
    """Every outermost box that holds something, in order."""
    closing = _closing_braces(text)
    boxes: list[Box] = []
    for match in _STEP.finditer(text):
        if match.group() not in ("\\boxed", "\\fbox"):
            continue
        if boxes and match.start() < boxes[-1].end:
            continue
        box = _box_at(text, match.start(), match.end(), closing)
        if box is not None:
            boxes.append(box)
    return boxes


def group_boxes(text: str, boxes: list[Box]) -> list[Box]:
    """The last box, with those before it that answer other parts of the same question.

    Boxes belong together when nothing but a connector is between them ("and", ", y ="), or when
    each opens a line or a numbered part of its own. A correction between two ends the group; a box
    that only says the same again counts once.
    """
    group = boxes[-1:]
    for box in reversed(boxes[:-1]):
        if not _is_joining(text[box.end : group[-1].start]):
            break
        group.append(box)
    distinct: dict[str, Box] = {}
    for box in reversed(group):
        distinct.setdefault(box.content, box)
    return list(distinct.values())


def _is_joining(gap: str) -> bool:
    if len(gap) > _MAX_GAP_CHARS or _CORRECTION.search(gap):
        return False
    return _OPENS_PART.search(gap) is not None or _CONNECTOR.fullmatch(gap) is not None


def _closing_braces(text: str) -> dict[int, int]:
    """For each `{` that is closed the place of its `}`; escaped braces don't count."""
    closing: dict[int, int] = {}
    open_braces: list[int] = []
    for match in _STEP.finditer(text):
        if match.group() == "{":
            open_braces.append(match.start())
        elif match.group() == "}" and open_braces:
            closing[open_braces.pop()] = match.start()
    return closing


def _box_at(text: str, start: int, after: int, closing: dict[int, int]) -> Box | None:
    brace = after
    while brace < len(text) and brace < after + 8 and text[brace] in " \t":
        brace += 1
    if text[brace : brace + 1] != "{":
        bare = _BARE_ARGUMENT.match(text, after)
        return Box(bare[1].rstrip(".,"), start, bare.end()) if bare else None
    if brace in closing:
        inner_end, end = closing[brace], closing[brace] + 1
        inner = _BOX_OPENING.match(text, brace + 1)
        if inner and closing.get(inner.end() - 1) == inner_end - 1:
            brace, inner_end = inner.end() - 1, inner_end - 1
    else:
        # `$\boxed{5$`: a brace forgotten, not a text cut off, as something closes the formula.
        stop = _FORGOTTEN_BRACE.search(text, brace, brace + _MAX_GAP_CHARS)
        if stop is None:
            return None
        inner_end = end = stop.start()
    content = text[brace + 1 : inner_end].strip()
    return Box(content + unit_after(text, end), start, end) if content else None
