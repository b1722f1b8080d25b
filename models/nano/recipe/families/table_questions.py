"""The many ways to ask for h'(2)."""

import random
from dataclasses import replace

from recipe.families.derivatives import Definition
from recipe.problem import Language
from recipe.wording import capitalize, pick


def ask_for(target: str, rng: random.Random, language: Language) -> str:
    return pick(
        rng,
        language,
        (
            f"find {target}", f"Find {target}.", f"what is {target}?", f"What is {target}?",
            f"compute {target}",
            f"Compute {target}.", f"evaluate {target}", f"Calculate {target}.",
            f"Determine {target}.",
            f"What is the value of {target}?", f"Find the value of {target}.",
            f"find {target} using the table", f"{target} = ?", f"What's {target}?", f"{target}?",
        ),
        (f"求 {target}", f"求{target}。", f"求 {target} 的值。", f"计算 {target}",
        f"{target} 等于多少？",
        f"{target}是多少？"),
    )  # fmt: skip


def ask_slope(name: str, x: int, rng: random.Random, language: Language) -> str:
    """An entry of f' in words."""
    return pick(
        rng,
        language,
        (
            f"What is the slope of the tangent line to {name} at x = {x}?",
            f"What is the slope of {name} at x = {x}?",
            f"What is the derivative of {name} at x = {x}?",
            f"Find the rate of change of {name} at x = {x}.",
            f"What is the instantaneous rate of change of {name} at x = {x}?",
            f"How steep is {name} at x = {x}?", f"Find the derivative of {name}(x) at x = {x}.",
        ),
        (f"求 {name} 在 x = {x} 处的导数。", f"{name} 在 x = {x} 处的切线斜率是多少？"),
    )  # fmt: skip


def ask_extreme_entry(name: str, largest: bool, rng: random.Random, language: Language) -> str:
    """The largest or smallest entry of a column."""
    en = rng.choice(("largest", "greatest", "maximum") if largest else ("smallest", "minimum"))
    zh = "最大" if largest else "最小"
    return pick(
        rng,
        language,
        (
            f"What is the {en} value of {name}(x) in the table?", f"What is the {en} {name}(x)?",
            f"Find the {en} value of {name}(x).", f"What is the {en} entry for {name}(x)?",
            f"What is the {en} value of {name} in the table?",
        ),
        (f"表中 {name}(x) 的{zh}值是多少？", f"求表中 {name}(x) 的{zh}值。"),
    )  # fmt: skip


def ask_where(name: str, value: int, rng: random.Random, language: Language) -> str:
    """The x of an entry."""
    return pick(
        rng,
        language,
        (
            f"For which x is {name}(x) = {value}?", f"Find x such that {name}(x) = {value}.",
            f"For what value of x is {name}(x) = {value}?", f"Where is {name}(x) equal to {value}?",
            f"Solve {name}(x) = {value}.", f"At which x is {name}(x) = {value}?",
        ),
        (f"x 为何值时 {name}(x) = {value}？", f"求使 {name}(x) = {value} 的 x。"),
    )  # fmt: skip


def nameless(d: Definition) -> Definition:
    """The definition as a reply calls it where the question gives the function no name."""
    return replace(d, result="h" if "h" not in (d.first, d.second) else "k")


_SIGNS = {
    "product": ("", "", "·", " · ", " * ", "*"), "quotient": ("/", " / "), "sum": (" + ", "+"),
    "difference": (" - ", "-"), "chain": (" ∘ ", "∘"),
}  # fmt: skip


def ask_nameless(d: Definition, rng: random.Random, language: Language) -> str:
    """(fg)'(2), f(g(1)), or the derivative of f(x) g(x) at 2."""
    if d.is_value:
        if d.rule == "value chain" and rng.random() < 0.7:
            return ask_for(f"{d.first}({d.second}({d.x}))", rng, language)
        sign = rng.choice(_SIGNS[d.rule.removeprefix("value ")])
        return ask_for(f"({d.first}{sign}{d.second})({d.x})", rng, language)
    right = d.right_side(rng.choice((" * ", " · ", "", " ")))
    target = None
    if d.rule in _SIGNS:
        target = f"({d.first}{rng.choice(_SIGNS[d.rule])}{d.second})'({d.x})"
    elif d.rule in ("linear", "multiple"):
        target = f"({right.replace('(x)', '')})'({d.x})"
    if target is not None and rng.random() < 0.6:
        return ask_for(target, rng, language)
    return pick(
        rng,
        language,
        (
            f"What is the derivative of {right} at x = {d.x}?",
            f"Find the derivative of {right} at x = {d.x}.",
            f"Find the derivative of {right} when x = {d.x}.",
            f"What is d/dx [{right}] at x = {d.x}?", f"Find d/dx({right}) at x = {d.x}.",
            f"Evaluate the derivative of {right} at x = {d.x}.",
        ),
        (f"求 {right} 在 x = {d.x} 处的导数。", f"{right} 在 x = {d.x} 处的导数是多少？"),
    )  # fmt: skip


def _in_words(d: Definition, rng: random.Random, language: Language) -> str | None:
    """ "h is the product of f and g"; None for a rule without such words."""
    h, f, g = d.result, d.first, d.second
    en, zh = {
        "product": (
            (f"{h} is the product of {f} and {g}", f"{h} is {f} times {g}",
             f"{h} is {f} multiplied by {g}", f"{h} equals {f} times {g}"),
            (f"{h} 是 {f} 与 {g} 的乘积", f"{h} 等于 {f} 乘以 {g}", f"{h} 是 {f} 与 {g} 的积"),
        ),
        "quotient": (
            (f"{h} is the quotient of {f} and {g}", f"{h} is {f} divided by {g}",
             f"{h} is {f} over {g}"),
            (f"{h} 是 {f} 除以 {g} 的商", f"{h} 等于 {f} 除以 {g}"),
        ),
        "sum": (
            (f"{h} is the sum of {f} and {g}", f"{h} is {f} plus {g}"),
            (f"{h} 是 {f} 与 {g} 的和", f"{h} 等于 {f} 加 {g}"),
        ),
        "difference": (
            (f"{h} is the difference of {f} and {g}", f"{h} is {f} minus {g}"),
            (f"{h} 是 {f} 减去 {g} 的差", f"{h} 等于 {f} 减 {g}"),
        ),
        "chain": (
            (f"{h} is {f} of {g}", f"{h} is the composition {f} of {g} of x",
             f"{h} is {f} composed with {g}"),
            (f"{h} 是复合函数 {f}({g}(x))",),
        ),
        "square": ((f"{h} is the square of {f}", f"{h} is {f} squared"), (f"{h} 是 {f} 的平方",)),
    }.get(d.rule, ((), ()))  # fmt: skip
    return pick(rng, language, en, zh) if en else None


def question_about(
    d: Definition, names: tuple[str, str], rng: random.Random, language: Language
) -> str:
    """One wording of the question with its definition."""
    target = d.target()
    find = ask_for(target, rng, language)
    if not d.is_value and rng.random() < 0.1:
        find = pick(
            rng,
            language,
            (
                f"find the derivative of {d.result} at x = {d.x}",
                f"What is the derivative of {d.result}(x) at x = {d.x}?",
            ),
            (f"求 {d.result}(x) 在 x = {d.x} 处的导数。",),
        )
    times = rng.choice((" * ", " · ", "", "*", " ", " × ", "·", " * "))
    equation = d.equation(times)
    u = rng.random()
    if d.rule in ("product", "quotient", "sum", "difference") and u < 0.08:
        sign = {
            "product": rng.choice(("", "·", "*")),
            "quotient": "/",
            "sum": "+",
            "difference": "-",
        }[d.rule]
        equation = f"{d.result} = {d.first}{sign}{d.second}"
    elif u < 0.2:
        equation = equation.replace(" ", "")
    elif u < 0.36:
        equation = "$" + d.equation(" \\cdot ").replace("^2", "^{2}") + "$"
        if d.rule == "quotient" and rng.random() < 0.7:
            equation = f"$h(x) = \\frac{{{d.first}(x)}}{{{d.second}(x)}}$".replace(
                "h(", f"{d.result}(", 1
            )
        find = find.replace(target, f"${target}$") if rng.random() < 0.7 else find
    elif u < 0.4 and d.rule == "chain":
        equation = f"{d.result} = {d.first} ∘ {d.second}"
    elif u < 0.48:
        equation = _in_words(d, rng, language) or equation
    if rng.random() < 0.1:
        find = find.replace("'", "′")
    f, g = names
    if language == "zh":
        long = rng.choice(
            (
                "",
                "",
                "",
                f"表格给出了函数 {f} 和 {g} 及其导数的值。",
                "根据表格，",
                "如图所示，",
                f"已知 {f}(x)、{g}(x) 的部分函数值如表所示，",
            )
        )
        return long + rng.choice(
            (
                f"已知 {equation}，{find}",
                f"设 {equation}，{find}",
                f"若 {equation}，{find}",
                f"{equation}，{find}",
            )
        )
    lead = rng.choice(("Given", "Given", "Given that", "given", "If", "Let", "Suppose"))
    find_low = find[:1].lower() + find[1:]
    body = rng.choice(
        (
            f"{lead} {equation}, {find_low}", f"{lead} {equation}, {find_low}",
            f"Let {equation}. {capitalize(find)}",
            f"{equation}. {capitalize(find)}", f"{equation}, {find_low}",
            f"{capitalize(find.rstrip('.?'))} if {equation}.",
            f"{capitalize(find.rstrip('.?'))} where {equation}.",
            f"Define {equation}. {capitalize(find)}",
        )
    )  # fmt: skip
    long = rng.choice(
        (
            "", "", "", "", "Use the table. ", "Using the table below: ", "From the table: ",
            f"The table above gives values of the functions {f} and {g} and their "
            f"derivatives at selected values of x. ",
            f"The table shows selected values of the differentiable functions {f} and {g}. ",
            f"Selected values of {f}, {g} and their derivatives are given in the table. ",
            f"The functions {f} and {g} are differentiable. Some of their values are "
            f"shown in the image. ",
            f"Consider the table of values of {f}(x), {f}'(x), {g}(x) and {g}'(x) in the picture. ",
        )
    )  # fmt: skip
    tail = rng.choice(
        ("", "", "", "", "", " Show your work.", " Explain step by step.", " Think step by step.")
    )
    return long + body + tail
