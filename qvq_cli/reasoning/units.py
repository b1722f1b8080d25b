"""Units as models write them after a number: cm, m/s^2, \\text{cubic cm}, 平方厘米, apples."""

import re

_SYMBOL_NAMES = """
m cm mm km nm dm ft in yd mi g kg mg lb oz t s ms min h hr N kN J kJ eV keV MeV W kW MW V kV mV A mA
K C F Pa kPa MPa atm bar Hz kHz MHz GHz L l mL ml mol mmol T Wb rad deg u cal kcal kWh mph rpm sq cu
Ω kΩ μ μm μF μs ℃ ℉
"""
_SYMBOLS = frozenset(_SYMBOL_NAMES.split())
_NOT_UNITS = frozenset(
    ["and", "but", "for", "from", "if", "or", "than", "the", "when", "where", "to"]
)
_LATEX = {
    **{"\\Omega": "Ω", "\\mu": "μ", "\\cdot": "·", "\\times": "·", "\\circ": "", "\\degree": ""},
    **{"\\%": "%", "\\,": " ", "\\;": " ", "\\:": " ", "\\ ": " ", "\\!": "", "~": " "},
}
_COMMAND = re.compile(r"\\[A-Za-z]+|\\.|~")
_WRAPPER = re.compile(r"\\(?:text|mathrm|textrm|mbox|operatorname|rm)(?![A-Za-z])")
_BRACES = str.maketrans("", "", "{}$°")
_POWER = re.compile(r"\^?-?[1-4]$|[²³]$")
_CJK_UNIT = re.compile(r"[\u4e00-\u9fff]{1,8}(?:[/每][\u4e00-\u9fff]{1,4})?")
_MAX_CHARS = 60

_TRAILING = re.compile(
    r"(?:\\[,;: ]|[ ~]){0,4}(?:"
    r"\\(?:text|mathrm)\s?\{[^{}\n]{1,40}\}(?:\^(?:\{-?\d\}|\d))?"
    r"|\\?%|\^\{?\\circ\}?(?:\s?(?:\\text\{C\}|\\mathrm\{C\}|C\b))?|°C?|℃"
    r"|\$?[ ]?(?P<plain>[A-Za-zΩμ]{1,5}(?:/[A-Za-z]{1,3})?(?:\^[23]|[²³])?)(?![A-Za-z])"
    r")"
)


def is_unit(text: str) -> bool:
    """Is this, which stands after a number, a unit and not a factor of a formula?

    A single letter glued to its number (5m) may be a variable and is none; "5 m" is five metres.
    """
    if len(text) > _MAX_CHARS:
        return False
    is_glued = text[:1].isalpha()
    plain = _COMMAND.sub(lambda m: _LATEX.get(m.group(), m.group()), _WRAPPER.sub(" ", text))
    bare = plain.translate(_BRACES).strip(" ^")
    if _CJK_UNIT.fullmatch(bare) or bare in ("", "%"):
        return True
    if is_glued and re.fullmatch(r"[A-Za-z](?:\^.*)?", bare):
        return False
    pieces = [piece for piece in re.split(r"[\s/·*.]+", bare) if piece]
    return 0 < len(pieces) <= 6 and all(_is_unit_word(piece) for piece in pieces)


def _is_unit_word(piece: str) -> bool:
    word = _POWER.sub("", piece.strip("()"))
    is_plain_word = len(word) > 2 and word.isalpha() and word.lower() not in _NOT_UNITS
    return word in _SYMBOLS or is_plain_word


def unit_after(text: str, start: int) -> str:
    """The unit that follows a box, as it is written there; empty without one."""
    match = _TRAILING.match(text, start)
    if match is None:
        return ""
    if match["plain"] is None:
        return match.group()
    symbols = _POWER.sub("", match["plain"]).split("/")
    return f" {match['plain']}" if all(symbol in _SYMBOLS for symbol in symbols) else ""
