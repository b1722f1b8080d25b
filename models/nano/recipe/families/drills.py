"""Arithmetic without the picture: small sums and products, so that a reply's steps are right."""

import random

from recipe.families.derivatives import reduced, signed
from recipe.problem import Exchange, Language
from recipe.wording import joined


def make_drill(rng: random.Random, language: Language) -> Exchange:
    """Four to six unrelated calculations."""
    asked, done = [], []
    for _ in range(rng.randint(4, 6)):
        left, right = _calculation(rng, language)
        asked.append(left)
        done.append(f"- {right}" if right.startswith(left) else f"- {left} = {right}")
    lead = rng.choice(("Compute: ", "Calculate: ")) if language == "en" else "计算："
    return Exchange(lead + joined(asked, language), "\n".join(done), None, language, "drill")


def _calculation(rng: random.Random, language: Language) -> tuple[str, str]:
    reach = rng.choice([9, 12, 15, 20])
    a, b, c, d = (rng.randint(-reach, reach) for _ in range(4))
    p, q = a * b, c * d
    kind = min(rng.randrange(12), 10)
    if kind == 0:
        return f"({a})({b}) + ({c})({d})", f"{p} + {signed(q)} = {p + q}"
    if kind == 1:
        return f"({a})({b}) - ({c})({d})", f"{p} - {signed(q)} = {p - q}"
    if kind == 2:
        return f"{p} + {signed(q)}", str(p + q)
    if kind == 3:
        return f"{p} - {signed(q)}", str(p - q)
    if kind == 4:
        return f"({a})({b})", str(p)
    if kind in (5, 10):
        root = rng.randint(1, 20)
        tops = (rng.randint(-400, 400), root * rng.randint(-40, 40), root**2 * rng.randint(-20, 20))
        top = rng.choice(tops)
        return f"{top} / {root**2}", reduced(top, root, language)
    if kind == 6:
        x, y = rng.randint(0, 200), rng.randint(0, 200)
        return f"{x} + {y}", str(x + y)
    if kind == 7:
        x, y = sorted((rng.randint(0, 360), rng.randint(0, 360)))
        return f"{y} - {x}", str(y - x)
    if kind == 8:
        n = rng.randint(3, 8)
        hundredths = rng.randint(1, 120 * n) * (
            100 // n if 100 % n == 0 and rng.random() < 0.3 else 100
        )
        if hundredths % n:
            hundredths -= hundredths % (100 * n)
        return f"{hundredths // 100} / {n}" if hundredths % 100 == 0 else f"{n} / {n}", (
            f"{hundredths // 100 / n:.2f}".rstrip("0").rstrip(".") if hundredths % 100 == 0 else "1"
        )
    x, y = rng.randint(1, 40), rng.randint(1, 40)
    return f"{x}^2 + {y}^2", f"{x * x} + {y * y} = {x * x + y * y}"
