"""When two answers are one: the same numbers, the same choice, or the same words.

29, 29.0, $\\frac{58}{2}$ and "h'(2) = 29" are one answer; so are \\dfrac{a}{b} and \\frac ab, "B"
and "b", "Ferrous sulfate." and "the ferrous sulfate". A number's unit isn't compared: one chain
names it and the next does not.
"""

import re
from unicodedata import normalize

from qvq_cli.latex import latex_to_unicode
from qvq_cli.reasoning.answer_number import answer_numbers
from qvq_cli.reasoning.events import Answer

_ARTICLE = re.compile(r"^(?:the|an|a)\s+(?=\S)")
_SIGNS = str.maketrans({"−": "-", "–": "-", "·": "*", "×": "*", "⋅": "*", "’": "'", "′": "'"})
_NAME = re.compile(r"^[a-z]\w{0,2}'{0,3}(?:\([^()=]{0,20}\))?=(?=[^=]+$)")
_AROUND = ' \t\n.,;:!。，；：！*_`"“”'

AnswerKey = tuple[str, ...]


def answer_key(answer: Answer) -> AnswerKey:
    """What equal answers have in common: an entry for each of their parts."""
    return tuple(_part_key(part) for part in answer.parts)


def _part_key(part: str) -> str:
    numbers = answer_numbers(part)
    if numbers:
        return "; ".join(numbers)
    text = normalize("NFKC", latex_to_unicode(part)).translate(_SIGNS).casefold().strip(_AROUND)
    text = "".join(_ARTICLE.sub("", text).split())
    return _NAME.sub("", text)
