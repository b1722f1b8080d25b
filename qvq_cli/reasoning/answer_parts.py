"""The parts of a multi-part answer: `1. …`, `(a) …`, `（1）…`, `①…`, `Part B: …`, 第一问：…, `- …`.

A list counts as parts when its marks follow one another (1 2 3, a b c); that is what tells it from
a name, a decimal or the statements "① and ③".
"""

import re
from collections.abc import Callable
from typing import NamedTuple

_CHINESE = "一二三四五六七八九十"
_ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii")
_CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩"
_AFTER = r"(?=[\s$\\*]|[\u2e80-\u9fff]|$)"


def _letter(mark: str) -> int:
    return ord(mark.lower()) - ord("a") + 1


_STYLES: tuple[tuple[re.Pattern[str], Callable[[str], int]], ...] = (
    (re.compile(rf"(\d{{1,2}})[.．]{_AFTER}"), int),
    (re.compile(r"(\d{1,2})[)）、]"), int),
    (re.compile(r"[(（](\d{1,2})[)）]"), int),
    (re.compile(rf"([{_CIRCLED}])"), lambda mark: _CIRCLED.index(mark) + 1),
    (
        re.compile(r"[(（]?(i{1,3}|iv|v|vi{1,3})[)）.]" + _AFTER),
        lambda mark: _ROMAN.index(mark) + 1,
    ),
    (re.compile(r"[(（]([a-hA-H])[)）]"), _letter),
    (re.compile(rf"([a-hA-H])[)）.．、]{_AFTER}"), _letter),
    (re.compile(r"(?:part|question)\s?\(?([a-h])\)?\s?[:.)：]", re.IGNORECASE), _letter),
    (re.compile(r"(?:part|question)\s?\(?(\d)\)?\s?[:.)：]", re.IGNORECASE), int),
    (re.compile(rf"第([{_CHINESE}])(?:问|小?题|空)[:：]?"), lambda mark: _CHINESE.index(mark) + 1),
)
_BULLET = re.compile(r"[-*•]\s{1,8}(?=\S)")
_BULLET_STYLE = -1
_INLINE = re.compile(rf"(?:^|(?<=[\s;；,，。.、:：]))(?:[(（](\d)[)）]|([{_CIRCLED}]))")
_LEAD_END = re.compile(r"[:：]\W{0,4}$")
_ONLY_CONNECTOR = re.compile(r"(?:and|or|和|或|与|及|[\s\W])*", re.IGNORECASE)


class Part(NamedTuple):
    """label as the model wrote it ("(a)"), empty for a bullet; body without it."""

    label: str
    body: str


class _Mark(NamedTuple):
    label: str
    style: int
    ordinal: int
    rest: str


def split_parts(text: str) -> list[Part]:
    """Two parts or more, or an empty list when the text is one answer.

    A sentence before the first mark is dropped when it ends in a colon, and makes the text one
    answer otherwise.
    """
    for parts in (_line_parts(text), _inline_parts(text)):
        if len(parts) > 1 and not any(_ONLY_CONNECTOR.fullmatch(part.body) for part in parts):
            return parts
    return []


def _line_parts(text: str) -> list[Part]:
    lead: list[str] = []
    labels: list[str] = []
    bodies: list[list[str]] = []
    style, expected = 0, 0
    for line in text.splitlines():
        mark = _read_mark(line)
        if mark is not None and not labels:
            style, expected = mark.style, mark.ordinal
        if mark is not None and mark.style == style and mark.ordinal == expected:
            labels.append(mark.label)
            bodies.append([mark.rest])
            expected += 0 if style == _BULLET_STYLE else 1
        else:
            (bodies[-1] if bodies else lead).append(line)
    if not _is_droppable("\n".join(lead)):
        return []
    texts = ("\n".join(body).strip() for body in bodies)
    return [Part(label, body) for label, body in zip(labels, texts, strict=True)]


def _is_droppable(lead: str) -> bool:
    return not lead.strip() or _LEAD_END.search(lead.strip()) is not None


def _read_mark(line: str) -> _Mark | None:
    stripped = line.strip()
    bold = stripped.startswith("**")
    text = stripped.removeprefix("**")
    for style, (pattern, ordinal) in enumerate(_STYLES):
        match = pattern.match(text)
        if match:
            rest = text[match.end() :].strip()
            # **(a)** 5 and **Part A:** 5, but (a) **5** and **1. x = 5**
            if bold:
                rest = rest.removeprefix("**") if rest.startswith("**") else rest.removesuffix("**")
            return _Mark(match.group().strip(), style, ordinal(match[1]), rest.strip())
    match = _BULLET.match(stripped)
    return _Mark("", _BULLET_STYLE, 0, stripped[match.end() :]) if match else None


def _inline_parts(text: str) -> list[Part]:
    """Parts within one line, as Chinese answers have them: （1）2 m；（2）3 s."""
    marks = list(_INLINE.finditer(text))
    ordinals = [int(m[1]) if m[1] else _CIRCLED.index(m[2]) + 1 for m in marks]
    if len(marks) < 2 or ordinals != list(range(1, len(marks) + 1)):
        return []
    if not _is_droppable(text[: marks[0].start()]):
        return []
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return [
        Part(mark.group(), text[mark.end() : end].strip(" \t\n;；,，、"))
        for mark, end in zip(marks, ends, strict=True)
    ]
