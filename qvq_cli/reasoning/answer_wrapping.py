"""What models put around an answer, and taking it off.

`$ $`, `\\[ \\]`, bold, "The answer is", a full stop; and the words of a choice, of which the letter
is left: `(B)`, `B.`, `B) 12 cm`, `\\text{(C)}`, 选B.
"""

import re

_PAIRS = (("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$"), ("**", "**"), ("`", "`"))
_TEXT_GROUP = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\{([^{}]*)\}")
_MAX_LAYERS = 8

_ANSWER_IS = (
    r"answer[*_]{0,2}\s{0,3}(?:(?:is|should be|would be|must be)\b\s{0,3}[:：]?|[:：])"
    r"(?:[*_]{2}(?=\s))?\s{0,3}(?:that\s)?"
    r"|答案[*_]{0,2}(?:应该是|应为|应是|是|为|选|[:：]){1,2}(?:[*_]{2}(?=\s))?\s{0,3}"
)
_BEFORE_LETTER = r"\s{0,3}[:：]?(?=\s{0,3}[(（]?(?-i:[A-J]{1,6})(?![A-Za-z]))"
CLOSING_WORDS = re.compile(
    rf"\b{_ANSWER_IS}|(?:故|应|因此|所以|综上)[，,]?(?:应|本题)?选(?:择|项)?{_BEFORE_LETTER}",
    re.IGNORECASE,
)
"""The words, anywhere in a text, after which a model says what its answer is."""

_LEAD = re.compile(
    r"[*_]{0,2}(?:(?:so|thus|hence|therefore|finally),?\s{1,3})?(?:(?:the|my|our)\s{1,3})?"
    r"(?:(?:final|correct|right|best)\s{1,3})?"
    r"(?:所以|因此|综上)?[，,]?(?:本题的?)?(?:最终|正确)?"
    rf"(?:{_ANSWER_IS}|(?:option|choice|选项|[故应]?选(?:择|项)?)(?:\sis)?{_BEFORE_LETTER})",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[。！？]|[.!?](?=\s)")
_FINAL_STOP = re.compile(r"(?<![.…])(?<!\.\w)[.。．]$")

# A letter and what may stand after it. Not a choice: "A, C" and "A: 3, B: 4" (several), "A:B" (a
# ratio), "(A) = 5" (a name), "E. coli" (one or two words in lower case after a full stop).
_CHOICE = re.compile(
    r"[(（【]\s?(?P<bracketed>[A-J])\s?[)）】](?!\s{0,3}[=+*/^_<>])"
    r"|(?P<marked>[A-J])(?:[)）：]|、(?![A-J](?![A-Za-z]))|:\s)"
    r"|(?P<dotted>[A-F])[.．](?![A-Za-z]|\s[a-z]{1,20}(?:\s[a-z]{1,20})?\W{0,3}$)"
    r"|(?P<before_chinese>[A-J])[，,](?=[\u4e00-\u9fff])"
    r"|(?P<alone>[A-J])$"
)
_ANOTHER_LETTER = re.compile(
    r"^\s{0,3}(?:(?:and|or|[&,，、/+和或与及])\s{0,3}[(（]?[A-J](?![A-Za-z])|[(（][A-J][)）])"
    r"|[\s,，;；][(（]?[A-J](?:[)）：]|:\s)"
)


def unwrap(text: str) -> str:
    """The answer itself, its LaTeX kept; a choice comes as its letter. May be empty."""
    for _ in range(_MAX_LAYERS):
        bare = _without_layer(text.strip())
        if bare == text:
            break
        text = bare
    return choice_letter(text) or (text if text.strip("*_`$#\\ \n") else "")


def choice_letter(text: str) -> str | None:
    """The letter A to J when the text is one choice, with or without the words of that choice."""
    first, _, rest = text.partition("\n")
    match = _CHOICE.match(first.strip())
    if match is None or _ANOTHER_LETTER.search(first.strip()[match.end() :]):
        return None
    if any(_CHOICE.match(line.strip()) for line in rest.splitlines()):
        return None
    return next(letter for letter in match.groups() if letter)


def sentence_count(text: str) -> int:
    """Sentences and paragraphs in a text that has at least one."""
    return 1 + len(_SENTENCE_END.findall(text.strip()[:-1])) + text.strip().count("\n\n")


def _without_layer(text: str) -> str:
    for opening, closing in _PAIRS:
        if text.startswith(opening) and text.endswith(closing):
            inner = text[len(opening) : -len(closing)]
            if len(text) >= len(opening) + len(closing) and opening not in inner:
                return inner.strip()
    group = _TEXT_GROUP.fullmatch(text)
    if group:
        return group[1].strip()
    lead = _LEAD.match(text)
    if lead:
        return text[lead.end() :].strip()
    return _FINAL_STOP.sub("", text) if sentence_count(text) == 1 else text
