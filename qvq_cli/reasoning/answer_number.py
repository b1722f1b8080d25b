"""An answer as numbers: `h'(2) = -29` is -29, `3{,}159{,}000 \\text{ cm}^3` 3159000, `50\\%` 0.5.

Knows what stands around a value: the name it is given, units, currency, "about", a list of several.
A formula with variables, an interval, an inequality, a choice have no value.
"""

import re
from decimal import Decimal
from fractions import Fraction
from unicodedata import normalize

from qvq_cli.reasoning.arithmetic import Value, read_value
from qvq_cli.reasoning.units import is_unit

_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True))
_PLAIN = str.maketrans("−×·⋅∙÷∕％（）＝≒\u00a0\u2009\u202f", "-****//%()=≈   ") | str.maketrans(
    {"π": "\\pi ", "√": "\\sqrt ", "°": "^\\circ ", "℃": "^\\circ C", "，": ", "}
)
_THOUSANDS = re.compile(r"(?<=\d)(?:,|\{,\}|\\,|\\ |\\!|~| )(?=\d{3}(?!\d))")
_RAISED_RUN = re.compile(f"[{''.join(_RAISED)}]+")
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_FULL_WIDTH = re.compile("[！-～]+")
_MATH_SIGNS = re.compile(r"(?<!\\)\$|\\[()\[\]]|\*\*")
_BARE_ROOT = re.compile(r"\\sqrt\s?(\d+)")
_EQUALS = re.compile(r"=|\\equiv(?![A-Za-z])")
_ABOUT = re.compile(r"≈|\\approx(?![A-Za-z])|\\simeq(?![A-Za-z])")
_VERB = re.compile(r"\b(?:is|are|equals|was)\b|等于|[是为有共]", re.IGNORECASE)
_LEAD = re.compile(
    r"^(?:about|approximately|around|there are|大?约|[:：]|\\?\$|[¥€£]|\s)*", re.IGNORECASE
)
_BETWEEN = re.compile(
    r"[,;；、]|\b(?:and|or)\b|[或和]|\\(?:text|mathrm)\s?\{\s*(?:and|or|或|和)\s*\}|\\quad"
)
# 5-7 cm is a range and 1/2/2024 a date, before they are sums and quotients.
_RANGE_OR_DATE = re.compile(r"\d[\d.]*\s?-\s?\d[\d.]*(?!\s?[\\^*/(\d.])|\d+/\d+/\d")
_MAX_CHARS = 500
_MAX_DIGITS = 40


def answer_numbers(text: str) -> list[str]:
    """The values in one answer or one part of it, as plain decimals that any program reads.

    Exact when the decimal ends, else the nearest double; never with an exponent. Empty when the
    text isn't a number, or a list of which one entry isn't.
    """
    if len(text) > _MAX_CHARS:
        return []
    plain = _normalise(text)
    entries = [_value(piece) for piece in _BETWEEN.split(plain) if piece.strip(" {}\\")]
    values = [value for value in entries if value is not None]
    if not values or len(values) < len(entries):
        single = _value(plain)
        values = [] if single is None else [single]
    return [_decimal(value) for value in values]


def _normalise(text: str) -> str:
    """One spelling for each sign; thousands without their separators; no `$`."""
    text = _VULGAR.sub(lambda m: " " + normalize("NFKC", m.group()).replace("⁄", "/"), text)
    text = _RAISED_RUN.sub(lambda m: "^{" + "".join(_RAISED[c] for c in m.group()) + "}", text)
    text = _FULL_WIDTH.sub(lambda m: normalize("NFKC", m.group()), text.translate(_PLAIN))
    text = _BARE_ROOT.sub(r"\\sqrt{\1}", _MATH_SIGNS.sub(" ", text))
    return _THOUSANDS.sub("", text).strip().rstrip(".。")


def _value(text: str) -> Value | None:
    """The value of one statement: right of "=", and left of "≈" when that is a number too."""
    exact, *approximations = _ABOUT.split(text)
    for side in (exact, *approximations):
        value = _bare_value(_EQUALS.split(side)[-1])
        if value is not None:
            return value
        if not _EQUALS.search(side):
            value = _bare_value(_VERB.split(side)[-1])
            if value is not None:
                return value
    return None


def _bare_value(text: str) -> Value | None:
    text = _LEAD.sub("", text, count=1)
    reading = read_value(text)
    if reading is None or _RANGE_OR_DATE.match(text):
        return None
    rest = reading.rest.strip(" .")
    return reading.value if not rest or is_unit(reading.rest) else None


def _decimal(value: Value) -> str:
    """All digits of a decimal that ends within _MAX_DIGITS, else those of a double."""
    if isinstance(value, Fraction):
        for digits in range(_MAX_DIGITS):
            scaled = value * 10**digits
            if scaled.denominator == 1:
                return _with_point(scaled.numerator, digits)
    return format(Decimal(repr(float(value))).normalize(), "f")


def _with_point(scaled: int, digits: int) -> str:
    """1234 with 2 digits is 12.34."""
    if digits == 0:
        return str(scaled)
    whole = str(abs(scaled)).zfill(digits + 1)
    return f"{'-' if scaled < 0 else ''}{whole[:-digits]}.{whole[-digits:]}"
