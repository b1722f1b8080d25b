"""Which language a question is in, and whether the reasoning leaves it.

Two languages, those QVQ reasons in: its heading is `**Final Answer**` or `**答案**`, after the
question's language, and "language mixing and code-switching" heads its makers' list of limitations.
Japanese or any other language counts by its Han characters and Latin words alone.
"""

import re
from collections import deque
from enum import StrEnum
from typing import NamedTuple

HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_LETTERS = re.compile(r"\\?[A-Za-z]+\d*")
_WORD = re.compile(r"[A-Z]?[a-z]+")

_NOT_PROSE = frozenset(
    re.findall(
        r"\w+",
        """
        sin cos tan cot sec csc arcsin arccos arctan log ln lg exp lim max min sup inf mod gcd lcm
        det dim dx dy dt du dv nm mm cm dm km mg kg ml mol pa kpa hz khz mhz ms ev rad deg
        """,
    )
)
_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        the an is are was be been to of and or so that this these it in on at by as for from with
        we if then but not can let have has which what there its now also since because
        """,
    )
)


class Language(StrEnum):
    """A language that QVQ has a heading for."""

    EN = "en"
    ZH = "zh"


def is_prose_word(word: str) -> bool:
    """Whether a run of letters is a word of English, not a variable, label, function name or unit.

    `word` comes with its backslash if it is a LaTeX command; "XXY", "Xg1", "NaOH", "x" are none.
    """
    return len(word) > 1 and _WORD.fullmatch(word) is not None and word.lower() not in _NOT_PROSE


def prose_words(text: str) -> list[str]:
    """The English words of a text, lower-case, without LaTeX commands, formulas and units."""
    return [word.lower() for word in _LETTERS.findall(text) if is_prose_word(word)]


def question_language(text: str) -> Language:
    """The language to conclude in.

    A Chinese word is about two Han characters; the language with more words wins, Chinese on a tie.
    So a sign quoted in an English question leaves it English, and no letters at all means English.
    """
    n_han = len(HAN.findall(text))
    return Language.ZH if n_han and n_han / 2 >= len(prose_words(text)) else Language.EN


class Drift(NamedTuple):
    """Where the reasoning left the question's language: a sample, and its offset in characters."""

    sample: str
    position: int


class DriftTotals(NamedTuple):
    """Han characters in English or English words in Chinese, and all characters seen."""

    foreign: int
    chars: int


_REACH_CHARS = 400
_SAMPLE_CHARS = 80
_HAN_MIN = 16
_WORDS_MIN = 16
_FUNCTION_WORDS_MIN = 4

# LaTeX command, code fence, code, math delimiters, end of line, letters.
_LEXEME = re.compile(r"\\[A-Za-z]+|\\[()\[\]]|`+|\$+|\n|[A-Za-z]+\d*")
_UNFINISHED = re.compile(r"(?:\\[A-Za-z]*|`+|\$+|[A-Za-z]+\d*)\Z")
_CLOSED_BY = {"$": "$", "$$": "$$", "`": "`", "```": "```", "\\(": "\\)", "\\[": "\\]"}


class DriftDetector:
    """Notices the first stretch of reasoning in the other language.

    English run: 16 Han characters within 400 characters, more than a label read off the picture.
    Chinese run: 16 English words, 4 of them function words ("the", "is"), within 400 characters;
    formulas, code, LaTeX, units and names don't count. A stray word is counted in `totals` and
    otherwise let go.
    """

    def __init__(self, language: Language) -> None:
        self._language = language
        self._n_chars = 0
        self._n_foreign = 0
        self._has_drifted = False
        self._tail = ""
        self._hits: deque[tuple[int, bool]] = deque()
        self._unfinished = ""
        self._inside = ""

    @property
    def totals(self) -> DriftTotals:
        return DriftTotals(self._n_foreign, self._n_chars)

    def feed(self, delta: str) -> Drift | None:
        """Take the next piece of reasoning, however split. Returns: the drift, once."""
        if self._language is Language.EN:
            if delta.isascii():
                self._advance(delta)
                return None
            return self._feed_english(delta)
        return self._feed_chinese(delta)

    def _feed_english(self, delta: str) -> Drift | None:
        start = self._n_chars
        self._advance(delta)
        drift = None
        for match in HAN.finditer(delta):
            at = start + match.start()
            drift = self._hit(at, at + 1, is_telling=True, n_min=_HAN_MIN) or drift
        return drift

    def _feed_chinese(self, delta: str) -> Drift | None:
        start = self._n_chars - len(self._unfinished)
        self._advance(delta)
        text = self._unfinished + delta
        cut = _UNFINISHED.search(text)
        self._unfinished = cut.group() if cut else ""
        drift = None
        for match in _LEXEME.finditer(text, 0, cut.start() if cut else len(text)):
            lexeme = match.group()
            if self._is_prose(lexeme):
                is_telling = lexeme.lower() in _FUNCTION_WORDS
                at, end = start + match.start(), start + match.end()
                drift = self._hit(at, end, is_telling=is_telling, n_min=_WORDS_MIN) or drift
        return drift

    def _is_prose(self, lexeme: str) -> bool:
        """Follow math and code in and out; whether this lexeme is a word outside them."""
        mark = "```" if lexeme.startswith("```") else lexeme
        if self._inside:
            # A forgotten delimiter must not blind the whole run: a newline closes all but fences.
            if mark == _CLOSED_BY[self._inside] or (mark == "\n" and self._inside != "```"):
                self._inside = ""
            return False
        if mark in _CLOSED_BY:
            self._inside = mark
            return False
        return is_prose_word(lexeme)

    def _hit(self, position: int, end: int, *, is_telling: bool, n_min: int) -> Drift | None:
        self._n_foreign += 1
        if self._has_drifted:
            return None
        hits = self._hits
        hits.append((position, is_telling))
        while hits[0][0] <= position - _REACH_CHARS:
            hits.popleft()
        n_telling = sum(telling for _, telling in hits) if len(hits) >= n_min else 0
        if n_telling < _FUNCTION_WORDS_MIN:
            return None
        self._has_drifted = True
        first = hits[0][0]
        tail_start = self._n_chars - len(self._tail)
        sample = self._tail[first - tail_start : end - tail_start]
        return Drift(sample[:_SAMPLE_CHARS].strip(), first)

    def _advance(self, delta: str) -> None:
        self._n_chars += len(delta)
        self._tail = (self._tail + delta)[-(_REACH_CHARS + _SAMPLE_CHARS + len(delta)) :]
