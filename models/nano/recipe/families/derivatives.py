"""Definitions of a function by others, the rules that apply, and the arithmetic in steps."""

from dataclasses import dataclass
from math import gcd

from recipe.problem import Language


@dataclass(frozen=True, slots=True)
class Definition:
    """h = rule(f, g) at x. m, n: the factors of a linear combination."""

    rule: str
    result: str
    first: str
    second: str
    x: int
    m: int = 1
    n: int = 1

    @property
    def is_value(self) -> bool:
        """h itself is asked for, not its derivative."""
        return self.rule.startswith("value")

    def target(self) -> str:
        return f"{self.result}{'' if self.is_value else chr(39)}({self.x})"

    def right_side(self, times: str = " * ") -> str:
        f, g = f"{self.first}(x)", f"{self.second}(x)"
        ms = {1: "", -1: "-"}.get(self.m, str(self.m))
        ns = "" if abs(self.n) == 1 else str(abs(self.n))
        return {
            "product": f"{f}{times}{g}",
            "quotient": f"{f} / {g}",
            "sum": f"{f} + {g}",
            "difference": f"{f} - {g}",
            "linear": f"{ms}{f} {'+' if self.n > 0 else '-'} {ns}{g}",
            "multiple": f"{ms}{f}",
            "chain": f"{self.first}({self.second}(x))",
            "square": f"({f})^2",
            "times x": f"x{times}{f}",
            "value product": f"{f}{times}{g}",
            "value sum": f"{f} + {g}",
            "value difference": f"{f} - {g}",
            "value chain": f"{self.first}({self.second}(x))",
        }[self.rule]

    def equation(self, times: str = " * ") -> str:
        return f"{self.result}(x) = {self.right_side(times)}"


def signed(value: int) -> str:
    """A second operand: negative numbers in brackets."""
    return f"({value})" if value < 0 else str(value)


def fraction(top: int, bottom: int) -> tuple[str, str]:
    """A reduced quotient as plain text and as LaTeX."""
    if bottom < 0:
        top, bottom = -top, -bottom
    shared = gcd(top, bottom) or 1
    top, bottom = top // shared, bottom // shared
    if bottom == 1:
        return str(top), str(top)
    sign = "-" if top < 0 else ""
    return f"{top}/{bottom}", f"{sign}\\frac{{{abs(top)}}}{{{bottom}}}"


def _primes(n: int) -> list[int]:
    """Prime factors in order, repeated ones too."""
    found, p = [], 2
    while n > 1:
        while n % p == 0:
            found.append(p)
            n //= p
        p += 1
    return found


def reduced(top: int, root: int, language: Language) -> str:
    """How top over the square of root is reduced.

    Only primes of the root can divide both: each is tried until it doesn't, so that no step has to
    be guessed.
    """
    bottom, primes = root * root, _primes(abs(root))
    start, result = f"{top} / {bottom}", fraction(top, bottom)[0]
    if not top or not primes:
        return f"{start} = {result}"
    en = language == "en"
    by, no, so = ("By", "no", "So it is") if en else ("除以", "不行", "所以是")
    colon, stop = (": ", ". ") if en else ("：", "。")
    said = [start, f"{abs(root)} = {' * '.join(map(str, primes))}"]
    for prime in dict.fromkeys(primes):
        while top % prime == 0 and bottom % prime == 0:
            top, bottom = top // prime, bottom // prime
            said.append(f"{by} {prime}{colon}{top} / {bottom}")
        said.append(f"{by} {prime}{colon}{no}")
    return stop.join((*said, f"{so} {result}"))


@dataclass(frozen=True, slots=True)
class Work:
    """A formula: with names, in numbers up to the result, as a shorter check.

    Then the result, and wrong ones.
    """

    formula: str
    steps: str
    short: str
    result: tuple[str, str]
    wrong: tuple[str, ...]


def work_out(d: Definition, names: list[str], v: list[int], language: Language) -> Work:
    """The arithmetic of one definition; names and v are the entries of `TableScene.needs`."""
    if d.rule in ("product", "quotient"):
        f, df, g, dg = v
        nf, ndf, ng, ndg = names
        p, q = df * g, f * dg
        if d.rule == "product":
            return Work(
                f"{ndf} * {ng} + {nf} * {ndg}",
                f"({df})({g}) + ({f})({dg}) = {p} + {signed(q)} = {p + q}",
                f"({df})({g}) = {p} and ({f})({dg}) = {q}, and {p} + {signed(q)} = {p + q}",
                (str(p + q), str(p + q)),
                (str(p - q), str(df * dg), str(q - p), str(-p - q), str(p + q + 2), str(f * g)),
            )
        top, bottom = p - q, g * g
        plain, latex = fraction(top, bottom)
        work, whole = reduced(top, g, language), f"{top} / {bottom} = {plain}"
        return Work(
            f"({ndf} * {ng} - {nf} * {ndg}) / ({ng})^2",
            f"(({df})({g}) - ({f})({dg})) / ({g})^2 = ({p} - {signed(q)}) / {bottom} = {work}",
            f"({df})({g}) = {p}, ({f})({dg}) = {q}, {p} - {signed(q)} = {top}, and {whole}",
            (plain, latex),
            tuple(
                fraction(t, b)[1]
                for t, b in ((p + q, bottom), (-top, bottom), (top, abs(g)), (df, dg or 1))
            ),
        )
    if d.rule in ("chain", "value chain"):
        prime = "'" if d.rule == "chain" else ""
        inner, outer = v[0], v[-1]
        if d.rule == "value chain":
            formula = f"{d.first}({names[0]})"
            return _single(
                formula,
                f"{d.first}({inner}) = {outer}",
                outer,
                (inner, -outer, outer + 1, outer - 2),
            )
        total = outer * v[1]
        return _single(
            f"{d.first}{prime}({names[0]}) * {names[1]}",
            f"{d.first}'({inner}) * {names[1]} = ({outer})({v[1]}) = {total}",
            total,
            (outer, -total, outer + v[1], total + 1, inner * v[1]),
        )
    if d.rule == "multiple":
        total = d.m * v[0]
        return _single(
            f"{d.m} * {names[0]}", f"({d.m})({v[0]}) = {total}", total, (v[0], -total, d.m + v[0])
        )
    if d.rule == "square":
        total = 2 * v[0] * v[1]
        steps = f"2({v[0]})({v[1]}) = ({2 * v[0]})({v[1]}) = {total}"
        return _single(
            f"2 * {names[0]} * {names[1]}", steps, total, (v[0] ** 2, -total, v[0] * v[1], 2 * v[0])
        )
    if d.rule == "times x":
        p = d.x * v[1]
        steps = f"{v[0]} + ({d.x})({v[1]}) = {v[0]} + {signed(p)} = {v[0] + p}"
        return _single(
            f"{names[0]} + {d.x} * {names[1]}", steps, v[0] + p, (p, v[0] - p, v[1], v[0] + v[1])
        )
    return _two(d, names, v)


def _two(d: Definition, names: list[str], v: list[int]) -> Work:
    """Sums, differences, products of two entries, and linear combinations."""
    a, b = v
    if d.rule == "linear":
        p, q, sign = d.m * a, abs(d.n) * b, "+" if d.n > 0 else "-"
        total = p + q if d.n > 0 else p - q
        ms = {1: "", -1: "-"}.get(d.m, f"{d.m} * ")
        ns = "" if abs(d.n) == 1 else f"{abs(d.n)} * "
        steps = f"({d.m})({a}) {sign} ({abs(d.n)})({b}) = {p} {sign} {signed(q)} = {total}"
        wrong = (p - q if d.n > 0 else p + q, a + b, -total, total + abs(d.n))
        return _single(f"{ms}{names[0]} {sign} {ns}{names[1]}", steps, total, wrong)
    if d.rule == "value product":
        return _single(
            f"{names[0]} * {names[1]}", f"({a})({b}) = {a * b}", a * b, (-a * b, a + b, a - b)
        )
    sign = "-" if d.rule.endswith("difference") else "+"
    total = a - b if sign == "-" else a + b
    wrong = (a + b if sign == "-" else a - b, -total, b - a, total + 1)
    return _single(
        f"{names[0]} {sign} {names[1]}", f"{a} {sign} {signed(b)} = {total}", total, wrong
    )


def _single(formula: str, steps: str, total: int, wrong: tuple[int, ...]) -> Work:
    return Work(formula, steps, steps, (str(total), str(total)), tuple(map(str, wrong)))


def rule_of(d: Definition, language: Language) -> str:
    """The rule that applies, as a sentence."""
    h, f, g = d.result, d.first, d.second
    ms = {1: "", -1: "-"}.get(d.m, str(d.m))
    ns = "" if abs(d.n) == 1 else str(abs(d.n))
    name, zh_name, formula = {
        "product": ("product rule", "乘积法则", f"{h}'(x) = {f}'(x) * {g}(x) + {f}(x) * {g}'(x)"),
        "quotient": (
            "quotient rule",
            "商的求导法则",
            f"{h}'(x) = ({f}'(x) * {g}(x) - {f}(x) * {g}'(x)) / ({g}(x))^2",
        ),
        "chain": ("chain rule", "链式法则", f"{h}'(x) = {f}'({g}(x)) * {g}'(x)"),
        "sum": ("sum rule", "和的求导法则", f"{h}'(x) = {f}'(x) + {g}'(x)"),
        "difference": ("difference rule", "差的求导法则", f"{h}'(x) = {f}'(x) - {g}'(x)"),
        "linear": (
            "linearity of the derivative",
            "导数的线性性质",
            f"{h}'(x) = {ms}{f}'(x) {'+' if d.n > 0 else '-'} {ns}{g}'(x)",
        ),
        "multiple": ("constant factor rule", "常数倍法则", f"{h}'(x) = {ms}{f}'(x)"),
        "square": ("chain rule", "链式法则", f"{h}'(x) = 2 * {f}(x) * {f}'(x)"),
        "times x": ("product rule", "乘积法则", f"{h}'(x) = {f}(x) + x * {f}'(x)"),
    }.get(d.rule, ("", "", ""))
    if not name:
        return "There is no derivative here." if language == "en" else "这里不需要求导。"
    if language == "en":
        return f"By the {name}, {formula}."
    return f"根据{zh_name}，{formula}。"
