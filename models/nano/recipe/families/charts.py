"""Bar charts and line charts: read a value, extremes, differences, sums, means."""

import random
from dataclasses import dataclass

from recipe.canvas import Canvas
from recipe.families import chart_drawing
from recipe.families.chart_questions import (
    ask_difference,
    ask_extreme,
    ask_how_many_lie,
    ask_larger_of_two,
    ask_mean,
    ask_mean_of_two,
    ask_number_of_names,
    ask_sum,
    ask_sum_of_three,
    ask_total,
    ask_value,
    ask_whether_larger,
    ask_whether_rises,
    noun_of,
)
from recipe.problem import Exchange, Language
from recipe.wording import confirm, double_check, joined, pick, refusal
from recipe.words import CATEGORIES, CHINESE_CATEGORIES, DISTANT_NOUNS

_STRANGE = tuple(noun[0] for noun in DISTANT_NOUNS)


@dataclass(frozen=True, slots=True)
class ChartScene:
    """names and values of one series.

    kind: bars, lying bars or a line; step: between the ticks of its axis. others: names that would
    fit, but aren't there.
    """

    names: tuple[str, ...]
    values: tuple[int, ...]
    kind: str
    step: int
    top: int
    is_labelled: bool
    family: str = "chart"
    others: tuple[str, ...] = ()

    def draw(self, canvas: Canvas, rng: random.Random) -> None:
        chart_drawing.draw_chart(
            canvas, self.names, self.values, self.kind, self.step, self.top, self.is_labelled, rng
        )

    # ------------------------------------------------------------------ exchanges
    def _opening(self, rng: random.Random, language: Language, task: str) -> str:
        """The task, and what the chart has, in order."""
        chart = {"line": ("line chart", "折线图")}.get(self.kind, ("bar chart", "柱状图"))
        names = joined(self.names, language)
        return pick(
            rng,
            language,
            (
                f"So I need to find {task}. The {chart[0]} shows {names}.",
                f"Okay, the question is about {task}. The {chart[0]} shows {names}.",
            ),
            (
                f"我需要求{task}。{chart[1]}中有{names}。",
                f"题目要求{task}。{chart[1]}中有{names}。",
            ),
        )

    def _listing(self, language: Language, notes: list[str], what: tuple[str, str]) -> str:
        """Every value in order, each with a running note: a small model can't search afterwards."""
        lines = [
            f"{i + 1}. {name}: {value} ({note})"
            for i, (name, value, note) in enumerate(
                zip(self.names, self.values, notes, strict=True)
            )
        ]
        lead = (
            f"Going through the values, with {what[0]} in brackets:"
            if language == "en"
            else f"逐个读出，括号里是{what[1]}："
        )
        return "\n".join([lead, *lines])

    def _search(self, wanted: tuple[str, ...], language: Language) -> str:
        """Every value, with those found so far: each name is compared where it is read."""
        notes: list[str] = []
        found: list[str] = []
        for name, value in zip(self.names, self.values, strict=True):
            if name in wanted:
                found.append(f"{name} {value}")
            notes.append(joined(found, language) or ("none" if language == "en" else "无"))
        what = ("what is asked for", "要找的")
        return self._listing(language, notes, what)

    def _at(self, i: int, language: Language) -> str:
        name, value = self.names[i], self.values[i]
        return f"{name} is at {value}" if language == "en" else f"{name}是 {value}"

    def ask(self, rng: random.Random, language: Language) -> Exchange:
        asks = (
            self._value, self._value, self._value, self._extreme, self._extreme, self._extreme,
            self._difference, self._difference, self._sum, self._total, self._mean,
            self._range, self._above, self._less_often, self._two_compared,
        )  # fmt: skip
        for _ in range(12):
            exchange = rng.choice(asks)(rng, language)
            if exchange is not None:
                return exchange
        return self._value(rng, language)

    def _exchange(
        self,
        rng: random.Random,
        language: Language,
        question: str,
        task: str,
        work: tuple[str, str],
        answer: str,
        wrong: tuple[str, ...],
    ) -> Exchange:
        """Put a reply together.

        work: what leads to the answer, and the part of it that is checked again.
        """
        parts = (
            self._opening(rng, language, task),
            work[0],
            double_check(rng, language) + work[1] + confirm(rng, language),
        )
        latex = answer if answer.lstrip("-").replace(".", "").isdigit() else f"\\text{{{answer}}}"
        others = tuple(dict.fromkeys(w for w in wrong if w != answer))
        return Exchange(
            question, "\n\n".join(parts), latex, language, self.family, others, question
        )

    def _value(self, rng: random.Random, language: Language) -> Exchange:
        i = rng.randrange(len(self.names))
        name, value = self.names[i], self.values[i]
        question = ask_value(name, rng, language)
        task = f"the value for {name}" if language == "en" else f"{name}的值"
        end = self._at(i, language) + (
            f", so the value is {value}." if language == "en" else f"，所以值是 {value}。"
        )
        wrong = tuple(str(v) for v in self.values if v != value)
        work = (f"{self._search((name,), language)}\n\n{end}", end)
        return self._exchange(rng, language, question, task, work, str(value), wrong)

    def _best_so_far(self, largest: bool) -> list[str]:
        """After each value, the best one up to there and its name."""
        notes, best = [], 0
        for i, value in enumerate(self.values):
            if i == 0 or (value > self.values[best] if largest else value < self.values[best]):
                best = i
            notes.append(f"{self.values[best]} {self.names[best]}")
        return notes

    def _extreme(self, rng: random.Random, language: Language) -> Exchange | None:
        """The largest or smallest: its name or its value."""
        largest = rng.random() < 0.6
        best = max(self.values) if largest else min(self.values)
        name = self.names[self.values.index(best)]
        asks_name = rng.random() < 0.6
        if asks_name and self.values.count(best) != 1:
            return None
        en, zh = ("largest", "最大") if largest else ("smallest", "最小")
        question = ask_extreme(largest, asks_name, noun_of(self.names), rng, language)
        task = f"the {en} value" if language == "en" else f"{zh}的值"
        end = (
            f"The {en} value is {best}, and it belongs to {name}."
            if language == "en"
            else f"{zh}的值是 {best}，对应的是{name}。"
        )
        what = (f"the {en} so far", f"到此为止{zh}的")
        work = f"{self._listing(language, self._best_so_far(largest), what)}\n\n{end}"
        answer = name if asks_name else str(best)
        wrong = (
            tuple(n for n in self.names if n != name) if asks_name else tuple(map(str, self.values))
        )
        return self._exchange(rng, language, question, task, (work, end), answer, wrong)

    def _difference(self, rng: random.Random, language: Language) -> Exchange:
        """Larger minus smaller, read in the order of the question and then compared."""
        i, j = rng.sample(range(len(self.names)), 2)
        first, second, x, y = self.names[i], self.names[j], self.values[i], self.values[j]
        question = ask_difference(first, second, x >= y, rng, language)
        task = (
            f"the difference between {first} and {second}"
            if language == "en"
            else f"{first}与{second}的差"
        )
        high, low = max(x, y), min(x, y)
        if x == y:
            verdict = f"both are {x}, " if language == "en" else f"都是 {x}，"
        else:
            verdict = f"{high} is the larger, " if language == "en" else f"{high} 较大，"
        end = self._two((i, j), f"{verdict}{high} - {low} = {high - low}", language)
        wrong = (str(x + y), str(x), str(y), str(high - low + self.step), str(abs(high - low - 1)))
        work = (f"{self._search((first, second), language)}\n\n{end}", end)
        return self._exchange(rng, language, question, task, work, str(high - low), wrong)

    def _two(self, places: tuple[int, int], steps: str, language: Language) -> str:
        """Two readings and what is made of them."""
        i, j = places
        if language == "en":
            return f"{self._at(i, language)} and {self._at(j, language)}: {steps}."
        return f"{self._at(i, language)}，{self._at(j, language)}：{steps}。"

    def _sum(self, rng: random.Random, language: Language) -> Exchange:
        i, j = rng.sample(range(len(self.names)), 2)
        a, b, x, y = self.names[i], self.names[j], self.values[i], self.values[j]
        question = ask_sum(a, b, rng, language)
        task = f"the sum of {a} and {b}" if language == "en" else f"{a}与{b}的和"
        end = self._two((i, j), f"{x} + {y} = {x + y}", language)
        wrong = (
            str(abs(x - y)),
            str(x + y + self.step),
            str(x),
            str(x + y - 1),
            str(sum(self.values)),
        )
        work = (f"{self._search((a, b), language)}\n\n{end}", end)
        return self._exchange(rng, language, question, task, work, str(x + y), wrong)

    def _running_sums(self, language: Language) -> str:
        sums = [str(sum(self.values[: i + 1])) for i in range(len(self.values))]
        return self._listing(language, sums, ("the sum so far", "到此为止的和"))

    def _total(self, rng: random.Random, language: Language) -> Exchange:
        total = sum(self.values)
        question = ask_total(rng, language)
        task = "the sum of all values" if language == "en" else "所有值的总和"
        end = f"The total is {total}." if language == "en" else f"总和是 {total}。"
        work = f"{self._running_sums(language)}\n\n{end}"
        wrong = (
            str(total + self.step),
            str(total - 1),
            str(total - self.values[-1]),
            str(total + 10),
        )
        return self._exchange(rng, language, question, task, (work, end), str(total), wrong)

    def _mean(self, rng: random.Random, language: Language) -> Exchange | None:
        total, n = sum(self.values), len(self.values)
        if 100 * total % n:
            return None
        mean = f"{total / n:.2f}".rstrip("0").rstrip(".")
        question = ask_mean(noun_of(self.names), rng, language)
        task = "the mean" if language == "en" else "平均值"
        end = (
            f"There are {n} values, so the mean is {total} / {n} = {mean}."
            if language == "en"
            else f"共有 {n} 个数据，平均值是 {total} / {n} = {mean}。"
        )
        work = f"{self._running_sums(language)}\n\n{end}"
        wrong = (str(total), str(total // n + 1), str(total // n + 2), str(max(self.values)))
        return self._exchange(rng, language, question, task, (work, end), mean, wrong)

    def _range(self, rng: random.Random, language: Language) -> Exchange:
        high, low = max(self.values), min(self.values)
        question = pick(
            rng,
            language,
            (
                "What is the difference between the largest and the smallest value?",
                "What is the difference between the highest and lowest values?",
                "What is the range of the values?", "What is the range?", "Find the range.",
                "How much larger is the largest value than the smallest?",
                "What is the difference between the maximum and the minimum?",
                "By how much do the highest and the lowest bar differ?",
            ),
            ("最大值和最小值相差多少？", "最大值与最小值的差是多少？", "求极差。", "极差是多少？",
            "最高的比最低的多多少？"),
        )  # fmt: skip
        task = "the range" if language == "en" else "最大值与最小值的差"
        seen = [self.values[: i + 1] for i in range(len(self.values))]
        notes = [
            f"{min(v)} to {max(v)}" if language == "en" else f"{min(v)} 到 {max(v)}" for v in seen
        ]
        end = (
            f"The largest value is {high} and the smallest is {low}: {high} - {low} = {high - low}."
            if language == "en"
            else f"最大值是 {high}，最小值是 {low}：{high} - {low} = {high - low}。"
        )
        work = f"{self._listing(language, notes, ('the range so far', '到此为止的范围'))}\n\n{end}"
        wrong = (str(high), str(low), str(high + low), str(high - low + self.step))
        return self._exchange(rng, language, question, task, (work, end), str(high - low), wrong)

    def _above(self, rng: random.Random, language: Language) -> Exchange:
        limit = rng.randrange(0, self.top, self.step)
        question = ask_how_many_lie(limit, True, noun_of(self.names), rng, language)
        return self._tally(rng, language, question, limit, True)

    def _tally(
        self, rng: random.Random, language: Language, question: str, limit: int, above: bool
    ) -> Exchange:
        """How many values lie above or below a limit."""
        where, wo = ("above", "大于") if above else ("below", "小于")
        task = (
            f"how many values are {where} {limit}" if language == "en" else f"{wo} {limit} 的个数"
        )
        found = [v > limit if above else v < limit for v in self.values]
        notes = [str(sum(found[: i + 1])) for i in range(len(found))]
        n = sum(found)
        end = (
            f"{where.capitalize()} {limit} there are {n}."
            if language == "en"
            else f"{wo} {limit} 的共 {n} 个。"
        )
        what = (f"the number {where} {limit} so far", f"到此为止{wo} {limit} 的个数")
        work = f"{self._listing(language, notes, what)}\n\n{end}"
        wrong = tuple(str(v) for v in range(len(self.names) + 1))
        return self._exchange(rng, language, question, task, (work, end), str(n), wrong)

    def _less_often(self, rng: random.Random, language: Language) -> Exchange:
        """What is asked less often: how many lie below, how many there are, three together."""
        u = rng.random()
        if u < 0.4 or len(self.names) < 4:
            return self._below(rng, language)
        return (self._number if u < 0.65 else self._sum_of_three)(rng, language)

    def _below(self, rng: random.Random, language: Language) -> Exchange:
        limit = rng.randrange(self.step, self.top + 1, self.step)
        question = ask_how_many_lie(limit, False, noun_of(self.names), rng, language)
        return self._tally(rng, language, question, limit, False)

    def _number(self, rng: random.Random, language: Language) -> Exchange:
        """How many values there are."""
        n = len(self.names)
        question = ask_number_of_names(rng, language)
        task = "how many values there are" if language == "en" else "数据的个数"
        end = f"That makes {n}." if language == "en" else f"一共 {n} 个。"
        counts = [str(i + 1) for i in range(n)]
        work = f"{self._listing(language, counts, ('the count', '个数'))}\n\n{end}"
        wrong = tuple(str(v) for v in (n + 1, n - 1, n + 2))
        return self._exchange(rng, language, question, task, (work, end), str(n), wrong)

    def _sum_of_three(self, rng: random.Random, language: Language) -> Exchange:
        i, j, k = rng.sample(range(len(self.names)), 3)
        names = (self.names[i], self.names[j], self.names[k])
        x, y, z = self.values[i], self.values[j], self.values[k]
        question = ask_sum_of_three(names, rng, language)
        listed = joined(names, language)
        task = f"the sum of {listed}" if language == "en" else f"{listed}的和"
        steps = f"{x} + {y} = {x + y}, {x + y} + {z} = {x + y + z}"
        read = joined([self._at(place, language) for place in (i, j, k)], language)
        end = f"{read}: {steps}." if language == "en" else f"{read}：{steps}。"
        wrong = tuple(map(str, (x + y, y + z, x + y + z + self.step, sum(self.values))))
        work = (f"{self._search(names, language)}\n\n{end}", end)
        return self._exchange(rng, language, question, task, work, str(x + y + z), wrong)

    def _two_compared(self, rng: random.Random, language: Language) -> Exchange | None:
        """The mean of two, which of two is larger, or whether one is."""
        i, j = rng.sample(range(len(self.names)), 2)
        a, b, x, y = self.names[i], self.names[j], self.values[i], self.values[j]
        en, u = language == "en", rng.random()
        if u < 0.3:
            question = ask_mean_of_two(a, b, rng, language)
            task = f"the mean of {a} and {b}" if en else f"{a}与{b}的平均值"
            answer = f"{(x + y) / 2:.1f}".removesuffix(".0")
            steps = f"{x} + {y} = {x + y}, {x + y} / 2 = {answer}"
            wrong: tuple[str, ...] = tuple(map(str, (x + y, x, y, abs(x - y))))
        elif x == y:
            return None
        else:
            task = f"how {a} and {b} compare" if en else f"{a}与{b}的大小"
            steps = f"{x} {'>' if x > y else '<'} {y}"
            if u < 0.75:
                larger = rng.random() < 0.7
                question = ask_larger_of_two(a, b, larger, rng, language)
                answer, other = (a, b) if (x > y) == larger else (b, a)
                which = ("larger", "较大") if larger else ("smaller", "较小")
                steps += f", so {answer} is the {which[0]}" if en else f"，所以{answer}{which[1]}"
                wrong = (other,)
            else:
                rises = rng.random() < 0.4
                ask = ask_whether_rises if rises else ask_whether_larger
                question = ask(a, b, rng, language)
                yes, no = ("Yes", "No") if en else ("是", "否")
                answer, wrong = (yes, (no,)) if (y > x) == rises else (no, (yes,))
        end = self._two((i, j), steps, language)
        work = (f"{self._search((a, b), language)}\n\n{end}", end)
        return self._exchange(rng, language, question, task, work, answer, wrong)

    def ask_absent(self, rng: random.Random, language: Language) -> Exchange:
        """A name that the chart doesn't have, alone or beside another."""
        strange = [n for n in (*rng.choice(CATEGORIES), *_STRANGE) if n not in self.names]
        missing = rng.choice(self.others if self.others and rng.random() < 0.7 else strange)
        elsewhere = [n for n in strange if n != missing]
        pair = [missing, rng.choice(self.names if rng.random() < 0.8 else elsewhere)]
        rng.shuffle(pair)
        a, b = pair
        en, u = language == "en", rng.random()
        if u < 0.5:
            question = ask_value(missing, rng, language)
            task = f"the value for {missing}" if en else f"{missing}的值"
        elif u < 0.8:
            question = ask_difference(a, b, rng.random() < 0.5, rng, language)
            task = f"the difference between {a} and {b}" if en else f"{a}与{b}的差"
        else:
            question = ask_sum(a, b, rng, language)
            task = f"the sum of {a} and {b}" if en else f"{a}与{b}的和"
        reason = f"There is no {missing} in the chart" if en else f"图中没有{missing}"
        search = self._search((missing,) if u < 0.5 else (a, b), language)
        end = refusal(rng, language, reason)
        reasoning = f"{self._opening(rng, language, task)}\n\n{search}\n\n{end}"
        return Exchange(question, reasoning, None, language, self.family)

    def read(self, rng: random.Random, language: Language) -> Exchange:
        question = rng.choice(
            ("List all values of the chart.", "Write down the data of the chart.")
        )
        question = question if language == "en" else "列出图中的所有数据。"
        lines = [
            f"{i + 1}. {n}: {v}"
            for i, (n, v) in enumerate(zip(self.names, self.values, strict=True))
        ]
        return Exchange(question, "\n".join(lines), None, language, self.family)


def make_chart(rng: random.Random, words: tuple[str, ...]) -> ChartScene:
    """A random chart; words: for categories beside the fixed ones."""
    n = rng.choice([3, 4, 4, 5, 5, 5, 6, 6, 7, 8])
    u = rng.random()
    if u < 0.68:
        group = rng.choice(CATEGORIES)
    elif u < 0.84:
        group = tuple(w.capitalize() if rng.random() < 0.6 else w for w in rng.sample(words, 8))
    else:
        group = rng.choice(CHINESE_CATEGORIES)
    n = min(n, len(group))
    start = rng.randrange(len(group) - n + 1)
    names = list(group[start : start + n]) if rng.random() < 0.6 else rng.sample(group, n)
    step, top = rng.choice(
        [(1, 6), (1, 8), (1, 10), (2, 10), (2, 12), (2, 14), (5, 20), (5, 25), (5, 30), (5, 35),
        (10, 40), (10, 50),
         (10, 60), (20, 80), (20, 100), (10, 100), (20, 100), (25, 150), (50, 200), (20, 120)]
    )  # fmt: skip
    is_labelled = rng.random() < 0.5
    grain = 1
    if not is_labelled:
        grain = {
            1: 1,
            2: 1,
            5: rng.choice([1, 5, 5]),
            10: rng.choice([2, 5, 5, 10, 10]),
            20: rng.choice([5, 10, 10, 20]),
            25: rng.choice([5, 25]),
            50: rng.choice([10, 25, 50]),
        }[step]
    values = tuple(
        grain * rng.randint(0 if rng.random() < 0.1 else 1, top // grain) for _ in range(n)
    )
    kind = rng.choices(["bars", "lying bars", "line"], [50, 20, 30])[0]
    others = tuple(name for name in group if name not in names)
    return ChartScene(tuple(names), values, kind, step, top, is_labelled, others=others)
