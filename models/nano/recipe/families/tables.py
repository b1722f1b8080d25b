"""Tables of functions and their derivatives: product, quotient, sum, chain rule and their like."""

import random
from dataclasses import dataclass, replace

from recipe.canvas import Canvas
from recipe.families import table_drawing
from recipe.families.derivatives import Definition, rule_of, signed, work_out
from recipe.families.table_questions import (
    ask_extreme_entry,
    ask_for,
    ask_nameless,
    ask_slope,
    ask_where,
    nameless,
    question_about,
)
from recipe.problem import Exchange, Language
from recipe.wording import confirm, double_check, joined, pick, refusal

_NAMES = "fgpquvrsFGabkmnwyzhH"
_RESULT_NAMES = "hkHjwypqFGrtzPR"
Column = tuple[str, bool]
"""A function's name and whether it is its derivative."""


_READING: dict[Language, str] = {"en": "Reading the entries:", "zh": "读取表中的值："}


def column_name(column: Column) -> str:
    return f"{column[0]}{chr(39) if column[1] else ''}"


_RULES = (
    ("product", 34), ("quotient", 14), ("chain", 12), ("sum", 8), ("difference", 8), ("linear", 10),
    ("multiple", 3), ("square", 3), ("times x", 3), ("value product", 3), ("value sum", 2),
    ("value difference", 2), ("value chain", 3),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TableScene:
    """values[column][x]; transposed: the x run along the top."""

    xs: tuple[int, ...]
    columns: tuple[Column, ...]
    values: dict[Column, dict[int, int]]
    names: tuple[str, str]
    transposed: bool
    family: str = "table"

    def draw(self, canvas: Canvas, rng: random.Random) -> None:
        table_drawing.draw_table(canvas, self.xs, self.columns, self.values, self.transposed, rng)

    # ------------------------------------------------------------------ what can be asked
    def needs(self, d: Definition) -> list[tuple[str, bool, int]]:
        """The entries that a definition reads, in the order of reading.

        Raises: KeyError: an entry that decides on another one is not in the table.
        """
        f, g, x = d.first, d.second, d.x
        if d.rule in ("product", "quotient"):
            return [(f, False, x), (f, True, x), (g, False, x), (g, True, x)]
        if d.rule == "chain":
            return [(g, False, x), (g, True, x), (f, True, self.values[g, False][x])]
        if d.rule == "value chain":
            return [(g, False, x), (f, False, self.values[g, False][x])]
        if d.rule in ("sum", "difference", "linear"):
            return [(f, True, x), (g, True, x)]
        if d.rule == "multiple":
            return [(f, True, x)]
        if d.rule in ("square", "times x"):
            return [(f, False, x), (f, True, x)]
        return [(f, False, x), (g, False, x)]

    def is_answerable(self, d: Definition) -> bool:
        """Every entry is in the table and nothing is divided by zero."""
        try:
            entries = self.needs(d)
        except KeyError:
            return False
        if any((f, prime) not in self.columns or x not in self.xs for f, prime, x in entries):
            return False
        return d.rule != "quotient" or self.values[d.second, False][d.x] != 0

    def define(self, rng: random.Random, result: str | None = None) -> Definition | None:
        """A definition that the table answers, or None."""
        rules, weights = zip(*_RULES, strict=True)
        for _ in range(12):
            first, second = self.names if rng.random() < 0.8 else self.names[::-1]
            name = result or self._result_name(rng)
            factors = (
                rng.choice([2, 3, 4, 5, -1, -2, 6, 2, 3]),
                rng.choice([2, 3, 4, 5, -2, -3, -4, 1, -1]),
            )
            rule = rng.choices(rules, weights)[0]
            if rule == "multiple" and factors[0] == -1:
                continue
            d = Definition(rule, name, first, second, rng.choice(self.xs), *factors)
            if not self.is_answerable(d):
                continue
            if rule == "quotient" and rng.random() < 0.6 and not self._is_whole_quotient(d):
                continue
            return d
        return None

    def _is_whole_quotient(self, d: Definition) -> bool:
        f, df, g, dg = (self.values[name, prime][x] for name, prime, x in self.needs(d))
        return (df * g - f * dg) % (g * g) == 0

    def _result_name(self, rng: random.Random) -> str:
        taken = {name.lower() for name in self.names}
        if rng.random() < 0.65 and "h" not in taken:
            return "h"
        return rng.choice([c for c in _RESULT_NAMES if c.lower() not in taken])

    # ------------------------------------------------------------------ exchanges
    def ask(self, rng: random.Random, language: Language) -> Exchange:
        d = self.define(rng)
        u = rng.random()
        if d is None or u < 0.06:
            return self._lookup(rng, language)
        if u < 0.1:
            return self._ask_two_entries(rng, language)
        if u < 0.13:
            return self._ask_column(rng, language)
        return self.exchange(d, rng, language)

    def exchange(self, d: Definition, rng: random.Random, language: Language) -> Exchange:
        """The exchange about one definition, asked with the definition in the question."""
        if rng.random() < (0.35 if d.is_value else 0.12):
            question, d = ask_nameless(d, rng, language), nameless(d)
        else:
            question = question_about(d, self.names, rng, language)
        result, latex, wrong = self._solve(d, rng, language)
        caption = f"{d.equation(rng.choice((' * ', ' · ', '', ' * ')))}, find {d.target()}"
        return Exchange(question, result, latex, language, self.family, wrong, caption)

    def exchange_from_picture(
        self, d: Definition, rng: random.Random, language: Language
    ) -> Exchange:
        """The exchange about a definition that the picture shows, at any x that it has."""
        places = [e for x in self.xs if self.is_answerable(e := replace(d, x=x))]
        d = rng.choice(places)
        result, latex, wrong = self._solve(d, rng, language)
        find = ask_for(d.target(), rng, language)
        return Exchange(find, result, latex, language, self.family, wrong, from_picture=True)

    def ask_undefined(self, rng: random.Random, language: Language) -> Exchange:
        """A function that neither the question nor the picture defines."""
        name, x = self._result_name(rng), rng.choice(self.xs)
        target = f"{name}'({x})"
        start = f"So I need to find {target}." if language == "en" else f"我需要求 {target}。"
        reason = (
            f"No definition of {name} is given"
            if language == "en"
            else f"题目没有给出 {name} 的定义"
        )
        reasoning = f"{start} {self.survey(language)} {refusal(rng, language, reason)}"
        return Exchange(ask_for(target, rng, language), reasoning, None, language, self.family)

    def opening(self, d: Definition, rng: random.Random, language: Language) -> str:
        """What is asked for, and what the table holds."""
        where, target = d.equation(), d.target()
        start = pick(
            rng,
            language,
            (
                f"So I need to find {target}, where {where}.",
                f"Okay, I have to find {target} with {where}.",
            ),
            (f"我需要求 {target}，其中 {where}。", f"题目要求 {target}，已知 {where}。"),
        )
        return f"{start} {self.survey(language)}"

    def survey(self, language: Language) -> str:
        xs = ", ".join(map(str, self.xs))
        columns = ", ".join(f"{column_name(c)}(x)" for c in self.columns)
        if language == "en":
            return f"The table has x = {xs} and the values of {columns}."
        return f"表格中 x = {xs}，列出了 {columns} 的值。"

    def _solve(
        self, d: Definition, rng: random.Random, language: Language
    ) -> tuple[str, str, tuple[str, ...]]:
        """Returns: the reasoning, the answer in LaTeX, wrong answers."""
        entries = self.needs(d)
        numbers = [self.values[name, prime][x] for name, prime, x in entries]
        names = [f"{name}{chr(39) if prime else ''}({x})" for name, prime, x in entries]
        work = work_out(d, names, numbers, language)
        rule = rule_of(d, language)
        read = [f"{n} = {v}" for n, v in zip(names, numbers, strict=True)]
        en = language == "en"
        row = f"Reading the entries for x = {d.x}:" if en else f"读取 x = {d.x} 对应的值："
        lines = [
            self.opening(d, rng, language),
            f"{rule} {'So' if en else '所以'} {d.target()} = {work.formula}{'.' if en else '。'}",
            "\n".join([row, *(f"- {r}" for r in read)]),
            _plugged_in(d.target(), work.steps, rng, language),
            _read_again(read, work.short, rng, language),
        ]
        plain, latex = work.result
        wrong = tuple(dict.fromkeys(w for w in work.wrong if w not in (plain, latex)))
        return "\n\n".join(lines), latex, wrong

    def _lookup(self, rng: random.Random, language: Language) -> Exchange:
        column, x = rng.choice(self.columns), rng.choice(self.xs)
        value, name = self.values[column][x], f"{column_name(column)}({x})"
        question = ask_for(name, rng, language)
        if column[1] and rng.random() < 0.4:
            question = ask_slope(column[0], x, rng, language)
        start = pick(rng, language, (f"So I need to read {name}.",), (f"我需要读出 {name}。",))
        entry = pick(
            rng,
            language,
            (f"For x = {x}, the entry of {column_name(column)}(x) is {value}.",),
            (f"x = {x} 时，{column_name(column)}(x) 的值是 {value}。",),
        )
        check = f"{double_check(rng, language)}{name} = {value}{'.' if language == 'en' else '。'}"
        reasoning = f"{start} {self.survey(language)}\n\n{entry}\n\n{check}{confirm(rng, language)}"
        wrong = tuple(str(v) for v in self.values[column].values() if v != value)
        return Exchange(question, reasoning, str(value), language, self.family, wrong)

    def _ask_two_entries(self, rng: random.Random, language: Language) -> Exchange:
        """f(1) + g'(0): two entries of any rows, with an operation between them."""
        places = [(column, x) for column in self.columns for x in self.xs]
        read, numbers = [], []
        for column, x in rng.sample(places, 2):
            read.append(f"{column_name(column)}({x})")
            numbers.append(self.values[column][x])
        (first, second), (a, b) = read, numbers
        sign = rng.choice("++-*")
        result = {"+": a + b, "-": a - b, "*": a * b}[sign]
        shown = (
            rng.choice((" * ", " · ", "", "*")) if sign == "*" else rng.choice((f" {sign} ", sign))
        )
        target = f"{first} {sign} {second}"
        steps = f"({a})({b}) = {result}" if sign == "*" else f"{a} {sign} {signed(b)} = {result}"
        entries = [f"{name} = {value}" for name, value in zip(read, numbers, strict=True)]
        start = f"So I need to find {target}." if language == "en" else f"我需要求 {target}。"
        lines = [
            f"{start} {self.survey(language)}",
            "\n".join([_READING[language], *(f"- {entry}" for entry in entries)]),
            _plugged_in(target, steps, rng, language),
            _read_again(entries, steps, rng, language),
        ]
        wrong = {a + b, a - b, b - a, a * b, result + 1, result - 2} - {result}
        return Exchange(
            ask_for(f"{first}{shown}{second}", rng, language), "\n\n".join(lines), str(result),
            language, self.family, tuple(map(str, sorted(wrong))),
        )  # fmt: skip

    def _ask_column(self, rng: random.Random, language: Language) -> Exchange:
        """The largest or smallest entry of a column, or where it has an entry."""
        column, en = rng.choice(self.columns), language == "en"
        name, values = column_name(column), self.values[column]
        x = rng.choice(self.xs)
        read = [f"- {name}({at}) = {value}" for at, value in values.items()]
        if list(values.values()).count(values[x]) == 1 and rng.random() < 0.5:
            question, answer = ask_where(name, values[x], rng, language), f"x = {x}"
            goal = f"where {name}(x) = {values[x]}" if en else f"{name}(x) = {values[x]} 的 x"
            end = f"{name}({x}) = {values[x]}"
            end = f"{end}, so it is at x = {x}." if en else f"{end}，所以 x = {x}。"
            wrong = [f"x = {other}" for other in self.xs if other != x]
        else:
            largest = rng.random() < 0.6
            best = (max if largest else min)(values.values())
            question, answer = ask_extreme_entry(name, largest, rng, language), str(best)
            word, zh = ("largest", "最大") if largest else ("smallest", "最小")
            goal = f"the {word} value of {name}(x)" if en else f"{name}(x) 的{zh}值"
            end = f"The {word} of them is {best}." if en else f"其中{zh}的是 {best}。"
            wrong = [str(v) for v in dict.fromkeys(values.values()) if v != best]
            so_far = [values[self.xs[0]]]
            for at in self.xs[1:]:
                so_far.append((max if largest else min)(so_far[-1], values[at]))
            read = [f"{line} ({note})" for line, note in zip(read, so_far, strict=True)]
        start = f"So I need to find {goal}." if en else f"我需要求 {goal}。"
        lines = [
            f"{start} {self.survey(language)}",
            "\n".join([_READING[language], *read]),
            end,
            double_check(rng, language) + end + confirm(rng, language),
        ]
        reply = "\n\n".join(lines)
        return Exchange(question, reply, answer, language, self.family, tuple(wrong))

    def ask_absent(self, rng: random.Random, language: Language) -> Exchange:
        """An x, a function or a column that the table lacks."""
        for _ in range(8):
            d = self.define(rng)
            if d is not None:
                break
        else:
            d = Definition("multiple", self._result_name(rng), self.names[0], self.names[1], 0, 2)
        if rng.random() < 0.6 or len(self.columns) < 4:
            x = rng.choice([v for v in range(-9, 13) if v not in self.xs])
            d = Definition(d.rule, d.result, d.first, d.second, x, d.m, d.n)
            reason = (f"There is no x = {x} in it", f"其中没有 x = {x}")
        else:
            other = rng.choice(
                [c for c in _NAMES if c.lower() not in {n.lower() for n in (*self.names, d.result)}]
            )
            rule = d.rule if d.rule not in ("multiple", "square", "times x") else "product"
            d = Definition(rule, d.result, d.first, other, d.x, d.m, d.n)
            reason = (f"There are no values of {other} in it", f"其中没有 {other} 的值")
        said = reason[0] if language == "en" else reason[1]
        reasoning = f"{self.opening(d, rng, language)} {refusal(rng, language, said)}"
        return Exchange(
            question_about(d, self.names, rng, language), reasoning, None, language, self.family
        )

    def read(self, rng: random.Random, language: Language) -> Exchange:
        en = language == "en"
        u = rng.random()
        if u < 0.3:
            header = "| x | " + " | ".join(f"{column_name(c)}(x)" for c in self.columns) + " |"
            rows = [
                f"| {x} | " + " | ".join(str(self.values[c][x]) for c in self.columns) + " |"
                for x in self.xs
            ]
            question = (
                rng.choice(("Transcribe the table.", "Write down the table."))
                if en
                else "抄写这张表格。"
            )
            return Exchange(question, "\n".join([header, *rows]), None, language, self.family)
        if u < 0.65:
            column = rng.choice(self.columns)
            lines = [f"- {column_name(column)}({x}) = {self.values[column][x]}" for x in self.xs]
            question = (
                f"List the values of {column_name(column)}(x)."
                if en
                else f"列出 {column_name(column)}(x) 的值。"
            )
        else:
            x = rng.choice(self.xs)
            lines = [f"- {column_name(c)}({x}) = {self.values[c][x]}" for c in self.columns]
            question = f"List the values for x = {x}." if en else f"列出 x = {x} 时的值。"
        return Exchange(
            question, f"{self.survey(language)}\n\n" + "\n".join(lines), None, language, self.family
        )


def _plugged_in(target: str, steps: str, rng: random.Random, language: Language) -> str:
    """The arithmetic with what was read."""
    start = pick(
        rng, language, ("Plugging these in: ", "Substituting: "), ("代入得：", "代入数值：")
    )
    return f"{start}{target} = {steps}{'.' if language == 'en' else '。'}"


def _read_again(read: list[str], short: str, rng: random.Random, language: Language) -> str:
    """The doubt: every entry and the arithmetic once more."""
    short_zh = short.replace(", and ", "，").replace(" and ", "，")
    then = f". Then {short}." if language == "en" else f"，于是 {short_zh}。"
    return double_check(rng, language) + joined(read, language) + then + confirm(rng, language)


def make_table(rng: random.Random) -> TableScene:
    """A random table."""
    first, second = "f", "g"
    if rng.random() > 0.6:
        first, second = (
            rng.choice(
                [("p", "q"), ("u", "v"), ("r", "s"), ("F", "G"), ("g", "h"), ("g", "f"), ("a", "b")]
            )
            if rng.random() < 0.4
            else tuple(rng.sample(_NAMES, 2))
        )
        if first.lower() == second.lower():
            second = "g" if first.lower() != "g" else "f"
    n_rows, start = (
        rng.choice([3, 4, 4, 5, 5, 5, 6, 7]),
        rng.choice([-4, -3, -3, -2, -1, 0, 0, 0, 1, 1, 1, 2]),
    )
    step = 1 if rng.random() < 0.85 else 2
    xs = tuple(start + step * i for i in range(n_rows))
    if rng.random() < 0.45:
        xs = (-2, -1, 0, 1, 2)
    elif rng.random() < 0.1:
        xs = tuple(sorted(rng.sample(range(-6, 11), n_rows)))
    columns: list[Column] = [(first, False), (first, True), (second, False), (second, True)]
    u = rng.random()
    if u > 0.45:
        columns = [columns[0], columns[2], columns[1], columns[3]]
    if u > 0.6:
        rng.shuffle(columns)
    if u > 0.88:
        del columns[rng.choice([2, 3, 3]) :]
    reach = rng.choices([9, 12, 15, 20], [35, 40, 10, 15])[0]
    values = {c: {x: rng.randint(-reach, reach) for x in xs} for c in columns}
    for column in columns:
        if not column[1]:
            for x in xs:
                # Small divisors for quotients, entries that are rows for chains.
                v = rng.random()
                if v < 0.2:
                    values[column][x] = rng.choice([1, -1, 2, -2, 1, -1, 2, -2, 3, -3, 4])
                elif v < 0.4:
                    values[column][x] = rng.choice(xs)
    return TableScene(xs, tuple(columns), values, (first, second), rng.random() < 0.1)
