"""The value of LaTeX arithmetic: `\\dfrac{1}{5}`, `3 \\times 10^5`, `\\sqrt{2}/2`, `2\\frac{1}{3}`.

A recursive descent that computes as it reads; nothing is evaluated as code. Exact where it can be.

    sum     = product (("+" | "-") product)*
    product = power (["*" | "/"] power)*            a factor beside a factor multiplies
    power   = ("+" | "-")* atom ["^" power] ("%" | degrees | multiplier)*
    atom    = number | mixed number | constant | fraction | root | function | brackets around a sum
"""

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

Value = Fraction | float

_TOKEN = re.compile(
    r"(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3}(?![A-Za-z\d]))?|\.\d+)"
    r"|(?P<multiplier>hundred|thousand|million|billion|trillion|万亿|[万亿])(?![A-Za-z])"
    r"|(?P<command>\\[A-Za-z]+)|(?P<sign>\\[%{}|]|[-+*/^(){}\[\]|%])|(?P<e>e(?![A-Za-z]))"
)
_SKIPPED = re.compile(
    r"(?:\s|\\[,;:! ]|~|\\(?:left|right|displaystyle|big[lr]?|Big[lr]?)(?![A-Za-z]))+"
)
_SPELLINGS = {
    **{"\\times": "*", "\\cdot": "*", "\\div": "/", "\\dfrac": "\\frac", "\\tfrac": "\\frac"},
    **{"\\%": "%", "\\{": "(", "\\}": ")", "\\|": "|", "[": "(", "]": ")"},
    **{"\\degree": "\\circ", "\\cfrac": "\\frac"},
}
_MULTIPLIERS = {
    **{"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12},
    **{"万": 10**4, "亿": 10**8, "万亿": 10**12},
}
_CONSTANTS = {"\\pi": math.pi, "e": math.e}
_FUNCTIONS: dict[str, Callable[[float], float]] = {
    **{"\\sin": math.sin, "\\cos": math.cos, "\\tan": math.tan, "\\arcsin": math.asin},
    **{"\\arccos": math.acos, "\\arctan": math.atan, "\\ln": math.log, "\\exp": math.exp},
    **{"\\log": math.log10, "\\lg": math.log10},
}
_OPENS_FACTOR = frozenset(["(", "{", "\\frac", "\\sqrt", *_CONSTANTS, *_FUNCTIONS])
_MIXED_TAIL = re.compile(r"\s{0,3}\\[dt]?frac\{(\d+)\}\{(\d+)\}|\s{1,3}(\d+)/(\d+)(?!\d)")
_MAX_CHARS = 500
_MAX_DEPTH = 30
_MAX_BITS = 4000
_MAX_ROOT = 64


class Reading(NamedTuple):
    """A value, and what follows it in the text."""

    value: Value
    rest: str


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class _NotArithmeticError(ValueError):
    """The text is no arithmetic here, or its value is none that can be written down."""


def read_value(text: str) -> Reading | None:
    """The value a text begins with, read as far as it is arithmetic; None without one."""
    if len(text) > _MAX_CHARS:
        return None
    parser = _Parser(text)
    try:
        value = parser.sum()
        is_finite = math.isfinite(float(value))
    except (ArithmeticError, ValueError):
        return None
    return Reading(value, text[parser.end :]) if is_finite else None


class _Parser:
    """Reads one text from left to right; `end` is where the last token that was used ends."""

    def __init__(self, text: str):
        self._text = text
        self.end = 0
        self._depth = 0
        self._in_function = False
        self._next = self._scan()

    def _scan(self) -> _Token | None:
        blank = _SKIPPED.match(self._text, self.end)
        match = _TOKEN.match(self._text, blank.end() if blank else self.end)
        if match is None or match.lastgroup is None:
            return None
        text = match.group()
        return _Token(match.lastgroup, _SPELLINGS.get(text, text), match.start(), match.end())

    def _peek(self) -> str:
        return self._next.text if self._next else ""

    def _take(self) -> _Token:
        if self._next is None:
            raise _NotArithmeticError
        token = self._next
        self.end = token.end
        self._next = self._scan()
        return token

    def _accept(self, text: str) -> bool:
        if self._peek() != text:
            return False
        self._take()
        return True

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise _NotArithmeticError

    def sum(self) -> Value:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _NotArithmeticError
        value = self._product()
        while self._peek() in ("+", "-"):
            sign = 1 if self._take().text == "+" else -1
            value = value + sign * self._product()
        self._depth -= 1
        return value

    def _product(self) -> Value:
        value = self._power()
        while True:
            if self._accept("*"):
                value = value * self._power()
            elif self._accept("/"):
                value = value / self._power()
            elif self._peek() in _OPENS_FACTOR:
                value = value * self._power()
            else:
                return value

    def _power(self) -> Value:
        sign = 1
        while self._peek() in ("+", "-"):
            sign = -sign if self._take().text == "-" else sign
        value = self._postfixed(self._atom())
        return sign * value

    def _postfixed(self, value: Value) -> Value:
        while self._next is not None:
            if self._next.text == "^":
                self._take()
                value = self._raised(value)
            elif self._accept("%"):
                value = value / 100
            elif self._accept("\\circ"):
                value = math.radians(value) if self._in_function else value
            elif self._next.kind == "multiplier":
                value = value * _MULTIPLIERS[self._take().text]
            else:
                break
        return value

    def _raised(self, base: Value) -> Value:
        is_group = self._accept("{")
        if self._accept("\\circ"):
            if is_group:
                self._expect("}")
            return math.radians(base) if self._in_function else base
        exponent = self.sum() if is_group else self._script()
        if is_group:
            self._expect("}")
        return _power(base, exponent)

    def _script(self) -> Value:
        """An exponent without braces: all of it, though LaTeX itself would take one digit."""
        sign = -1 if self._accept("-") else 1
        return sign * self._atom()

    def _atom(self) -> Value:
        token = self._take()
        if token.kind == "number":
            return self._mixed(Fraction(token.text), token)
        if token.text in _CONSTANTS:
            return _CONSTANTS[token.text]
        if token.text in _FUNCTIONS:
            return self._applied(token.text)
        if token.text == "\\frac":
            return self._argument() / self._argument()
        if token.text == "\\sqrt":
            return self._root()
        closing = {"(": ")", "{": "}", "|": "|"}.get(token.text)
        if closing is None:
            raise _NotArithmeticError
        value = self.sum()
        self._expect(closing)
        return -value if closing == "|" and value < 0 else value

    def _mixed(self, whole: Value, token: _Token) -> Value:
        r"""2\frac{1}{3} and 2 1/3 are 7/3, as in print; 2 \times \frac{1}{3} is a product."""
        written = _MIXED_TAIL.match(self._text, token.end)
        if written is None or not token.text.isdigit():
            return whole
        above, below = (int(digits) for digits in written.groups() if digits)
        self.end = written.end()
        self._next = self._scan()
        return whole + Fraction(above, below)

    def _argument(self) -> Value:
        r"""A group, or for \frac12 one digit."""
        if self._accept("{"):
            value = self.sum()
            self._expect("}")
            return value
        token = self._take()
        if token.kind == "number":
            self.end = token.start + 1
            self._next = self._scan()
            return Fraction(token.text[0])
        if token.text in _CONSTANTS:
            return _CONSTANTS[token.text]
        raise _NotArithmeticError

    def _root(self) -> Value:
        degree: Value = Fraction(2)
        if self._next is not None and self._text[self._next.start] == "[":
            self._take()
            degree = self.sum()
            self._expect(")")
        return _power(self._argument(), 1 / degree)

    def _applied(self, name: str) -> Value:
        outer, self._in_function = self._in_function, True
        value = self._power()
        self._in_function = outer
        return _FUNCTIONS[name](float(value))


def _power(base: Value, exponent: Value) -> Value:
    """base ** exponent, exact where the result is rational, refused where it is huge or complex."""
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        root = _exact_root(base, exponent.denominator)
        if root is not None:
            bits = max(root.numerator.bit_length(), root.denominator.bit_length())
            if bits * abs(exponent.numerator) > _MAX_BITS:
                raise _NotArithmeticError
            return Fraction(root**exponent.numerator)
    return math.pow(base, exponent)


def _exact_root(base: Fraction, degree: int) -> Fraction | None:
    if degree == 1:
        return base
    if base < 0 and degree % 2 == 1:
        positive = _exact_root(-base, degree)
        return None if positive is None else -positive
    if base < 0 or degree > _MAX_ROOT:
        return None
    try:
        above, below = (round(n ** (1 / degree)) for n in (base.numerator, base.denominator))
    except OverflowError:
        return None
    root = Fraction(above, below)
    return root if root**degree == base else None
