"""QVQ's own boundary: one line that holds only `**Final Answer**` or `**答案**`.

Seven of seven published transcripts end that way. Taken as the same heading: `### Final Answer`,
`**最终答案**`, `**Answer**`, a colon of either kind inside or outside the bold, and an answer after
that colon on the same line. Not taken: a heading inside a sentence, inside a code fence, or without
bold or `#`; a model that concludes so is asked once more, which costs little and loses nothing.
"""

import re
from enum import Enum, auto
from typing import NamedTuple

from qvq_cli.reasoning.boundary import BLANKS, Conclusion, Cut, hold_blanks
from qvq_cli.reasoning.language import Language

HEADINGS = {Language.EN: "**Final Answer**", Language.ZH: "**答案**"}

_LINE = re.compile(
    r"""
    (?P<hashes> \#{1,6} [ \t\r\u3000]* )?
    (?P<open>   \*\*    [ \t\r\u3000]* )?
    (?P<name>   final[ \t]+answer | answer | 最终答案 | 答案 ) [ \t\r\u3000]*
    (?P<inner>  [:：]   [ \t\r\u3000]* )?
    (?P<close>  \*\*    [ \t\r\u3000]* )?
    (?P<outer>  [:：]   [ \t\r\u3000]* )?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_HEADING_CHARS_MAX = 80
"""Longer than any heading; bounds what an endless run of blanks inside one can hold back."""

_NAMES = ("finalanswer", "answer", "最终答案", "答案")
_BLANK_RUN = re.compile(r"[ \t\r\u3000]+")
_FENCE = re.compile(r"(`{3,}|~{3,})(.*)")


class _Kind(Enum):
    """What a line is; START while nothing or too little of it is known."""

    START = auto()
    PROSE = auto()
    FENCE = auto()
    HEADING = auto()


class _Reading(NamedTuple):
    """end, is_bold_open: where an answer on a HEADING's line starts, and if inside its bold."""

    kind: _Kind
    end: int = 0
    is_bold_open: bool = False


def _read_line(line: str, *, is_whole: bool, in_fence: bool) -> _Reading:
    """What a line without leading blanks is, by its start or, if `is_whole`, all of it."""
    if line[0] in "`~":
        n_marks = len(line) - len(line.lstrip(line[0]))
        if n_marks >= 3:
            return _Reading(_Kind.FENCE)
        return _Reading(_Kind.START if n_marks == len(line) and not is_whole else _Kind.PROSE)
    if in_fence or line[0] not in "#*":
        return _Reading(_Kind.PROSE)
    match = _LINE.match(line)
    if (len(line) if match is None else match.end()) > _HEADING_CHARS_MAX:
        return _Reading(_Kind.PROSE)
    if match is None:
        is_open = not is_whole and _may_become_heading(line)
        return _Reading(_Kind.START if is_open else _Kind.PROSE)
    return _read_match(match, line[match.end() :], is_whole=is_whole)


def _read_match(match: re.Match[str], rest: str, *, is_whole: bool) -> _Reading:
    is_bold_open = match["open"] is not None and match["close"] is None
    if match["open"] is None and match["close"] is not None:
        return _Reading(_Kind.PROSE)
    if not is_whole and (not rest or (rest == "*" and is_bold_open)):
        return _Reading(_Kind.START)
    if not rest:
        return _Reading(_Kind.PROSE if is_bold_open else _Kind.HEADING, match.end())
    has_colon = match["inner"] is not None or match["outer"] is not None
    # `**Answer:** 12` may close a mere step; alone on its line it closes the whole.
    if not has_colon or match["name"].lower() == "answer":
        return _Reading(_Kind.PROSE)
    return _Reading(_Kind.HEADING, match.end(), is_bold_open)


def _may_become_heading(line: str) -> bool:
    """Whether a line that is no heading yet is the start of one."""
    squeezed = _BLANK_RUN.sub("", line).lower()
    bare = squeezed.lstrip("#")
    n_hashes = len(squeezed) - len(bare)
    if n_hashes > 6:
        return False
    return any(
        ("**" + name).startswith(bare) or (n_hashes > 0 and name.startswith(bare))
        for name in _NAMES
    )


def _fence_after(fence: str, line: str) -> str:
    """The marker of the code fence open after a line, "" for none. Source: CommonMark 4.5."""
    match = _FENCE.match(line)
    if match is None:
        return fence
    marker, info = match.groups()
    if not fence:
        return "" if marker[0] == "`" and "`" in info else marker
    is_close = marker[0] == fence[0] and len(marker) >= len(fence) and not info.strip(BLANKS)
    return "" if is_close else fence


class HeadingSplitter:
    """Splits at the first heading line. Holds back blanks, and a line while it may be a heading."""

    def __init__(self) -> None:
        self._held = ""
        self._kind = _Kind.START
        self._fence = ""
        self._fence_line = ""

    def push(self, delta: str) -> Cut:
        is_midline = self._kind is _Kind.PROSE and not self._held
        if is_midline and "\n" not in delta and delta[-1] not in BLANKS:
            return Cut(delta)
        return self._scan(self._held + delta, is_end=False)

    def flush(self) -> Cut:
        return self._scan(self._held, is_end=True)

    @property
    def held(self) -> str:
        return self._held

    def _scan(self, text: str, *, is_end: bool) -> Cut:
        settled: list[str] = []
        self._held = ""
        while text:
            if self._kind is not _Kind.START:
                text = self._go_through_line(text, settled)
                continue
            body = text.lstrip(BLANKS)
            blanks = hold_blanks(text[: len(text) - len(body)])
            settled.append(blanks.let_go)
            reading = self._read(body, is_end=is_end)
            if reading.kind is _Kind.HEADING:
                boundary = blanks.kept + body[: reading.end]
                answer = body[reading.end :]
                return Cut("".join(settled), boundary, answer, reading.is_bold_open)
            if reading.kind is _Kind.START:
                self._held = blanks.kept + body
                break
            settled.append(blanks.kept)
            self._kind, text = reading.kind, body
        if is_end:
            settled.append(self._held)
            self._held = ""
        return Cut("".join(settled))

    def _read(self, body: str, *, is_end: bool) -> _Reading:
        if not body:
            return _Reading(_Kind.START)
        line, newline, _ = body.partition("\n")
        return _read_line(line, is_whole=bool(newline) or is_end, in_fence=bool(self._fence))

    def _go_through_line(self, text: str, settled: list[str]) -> str:
        """Settle the rest of a line that is no heading. Returns: all from its last blanks on."""
        line, newline, _ = text.partition("\n")
        visible = line.rstrip(BLANKS)
        settled.append(visible)
        if self._kind is _Kind.FENCE:
            self._fence_line += visible
        if not newline:
            blanks = hold_blanks(line[len(visible) :])
            settled.append(blanks.let_go)
            self._held = blanks.kept
            return ""
        if self._kind is _Kind.FENCE:
            self._fence = _fence_after(self._fence, self._fence_line)
            self._fence_line = ""
        self._kind = _Kind.START
        return text[len(visible) :]

    def conclusion(self, language: Language, tail: str) -> Conclusion:
        """Finish a heading that has been begun, else close an open code fence and write one."""
        return Conclusion(self._conclusion_text(language, tail), parse_special=False)

    def _conclusion_text(self, language: Language, tail: str) -> str:
        line = self._held.lstrip(BLANKS) if self._kind is _Kind.START else ""
        if line and not self._fence:
            if _read_line(line, is_whole=True, in_fence=False).kind is _Kind.HEADING:
                return "\n\n"
            for heading in (HEADINGS[language], *HEADINGS.values()):
                if heading.startswith(line):
                    return heading[len(line) :] + "\n\n"
        fence = _fence_after(self._fence, self._fence_line)
        stem = tail.rstrip(BLANKS)
        n_newlines = tail.count("\n", len(stem))
        if fence:
            return "\n" * (n_newlines == 0) + fence + "\n\n" + HEADINGS[language] + "\n\n"
        n_missing = max(0, 2 - n_newlines) if stem else 0
        return "\n" * n_missing + HEADINGS[language] + "\n\n"
