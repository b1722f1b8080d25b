"""The many ways to ask about a chart, in its own words where its names are of one sort."""

import random

from recipe.problem import Language
from recipe.wording import pick
from recipe.words import (
    CATEGORIES,
    CHINESE_CATEGORIES,
    CHINESE_NOUNS,
    DISTANT_NOUNS,
    LOOSE_NOUNS,
    NOUNS,
)

Noun = tuple[str, str, str]
"""One, several, and "which one" in Chinese."""

_NOUNS: dict[str, Noun] = {
    name: noun
    for groups, nouns in ((CATEGORIES, NOUNS), (CHINESE_CATEGORIES, CHINESE_NOUNS))
    for group, noun in zip(groups, nouns, strict=True)
    for name in group
}
_STRICT = ("fruit", "animal", "color", "subject", "sport", "country", "city", "drink", "season",
"month", "day")  # fmt: skip
"""Sorts that names of another sort can't be taken for."""
_THINGS = (
    ("votes", "票"), ("points", "分"), ("visitors", "位游客"), ("units", "件"), ("books", "本书"),
    ("goals", "个球"), ("students", "名学生"), ("people", "人"), ("items", "件商品"),
    ("cups", "杯"), ("cars", "辆车"), ("tickets", "张票"), ("dollars", "美元"), ("hours", "小时"),
    ("calls", "个电话"), ("orders", "份订单"), ("cookies", "块饼干"), ("children", "个孩子"),
    ("sales", "笔"), ("cups of coffee", "杯咖啡"), ("bottles", "瓶"), ("cases", "例"),
)  # fmt: skip


def noun_of(names: tuple[str, ...]) -> Noun | None:
    """What the names of a chart are, where they are of one known sort."""
    found = {_NOUNS.get(name) for name in names}
    return found.pop() if len(found) == 1 else None


def other_noun(names: tuple[str, ...], rng: random.Random) -> Noun:
    """What the names of a chart are certainly not."""
    here = noun_of(names)
    if here is None or rng.random() < 0.5:
        return rng.choice(DISTANT_NOUNS)
    return rng.choice([n for n in NOUNS if n[0] in _STRICT and n[0] != here[0]])


def ask_difference(
    first: str, second: str, first_is_larger: bool, rng: random.Random, language: Language
) -> str:
    """How much two values differ; first is named first, and may be the smaller."""
    things, measure = rng.choice(_THINGS)
    en = [
        f"What is the difference between {first} and {second}?",
        f"Find the difference between the values of {first} and {second}.",
        f"By how much do {first} and {second} differ?",
        f"What is the difference of {first} and {second}?",
        f"How far apart are {first} and {second}?",
    ]
    zh = [
        f"{first}和{second}相差多少？",
        f"求{first}与{second}的差。",
        f"{first}与{second}的差是多少？",
    ]
    if first_is_larger:
        a, b = first, second
        en += [
            f"How much larger is {a} than {b}?", f"How many more does {a} have than {b}?",
            f"By how much does {a} exceed {b}?", f"How much more is {a} than {b}?",
            f"How much higher is {a} than {b}?", f"What is {a} minus {b}?",
            f"How many more {a} than {b}?", f"How much greater is {a} than {b}?",
            f"How many more are there in {a} than in {b}?",
            f"How many more {things} on {a} than on {b}?", f"How many more on {a} than on {b}?",
            f"How many more {things} does {a} have than {b}?",
            f"By how much did it fall from {a} to {b}?",
            f"How much did the value drop from {a} to {b}?",
            f"By how much did it decrease from {a} to {b}?",
        ]  # fmt: skip
        zh += [
            f"{a}比{b}多多少？",
            f"{a}比{b}高多少？",
            f"{a}减去{b}等于多少？",
            f"{a}比{b}大多少？",
            f"{a}比{b}多多少{measure}？",
            f"从{a}到{b}减少了多少？",
        ]
    else:
        en += [
            f"How many fewer does {first} have than {second}?",
            f"How much lower is {first} than {second}?", f"How much less is {first} than {second}?",
            f"How much smaller is {first} than {second}?",
            f"How many fewer are there in {first} than in {second}?",
            f"How many fewer {things} on {first} than on {second}?",
            f"By how much did it increase from {first} to {second}?",
            f"How much did the value grow from {first} to {second}?",
            f"By how much did it rise from {first} to {second}?",
            f"What is the increase from {first} to {second}?",
        ]  # fmt: skip
        zh += [
            f"{first}比{second}少多少？",
            f"{first}比{second}低多少？",
            f"{first}比{second}小多少？",
            f"从{first}到{second}增加了多少？",
        ]
    return rng.choice(en if language == "en" else zh)


def _which(noun: Noun, word: str, largest: bool, rng: random.Random, language: Language) -> str:
    """Which of several has the largest or smallest value, by what they are."""
    one, many, which = noun
    most = rng.choice(("most", "most") if largest else ("least", "fewest"))
    things = rng.choice(_THINGS)[0]
    if language == "en" and one in ("person", "student") and rng.random() < 0.4:
        return rng.choice((f"Who has the {word} value?", f"Who has the {most}?",
                           f"Who got the {most}?", f"Who has the {word} number?"))  # fmt: skip
    return pick(
        rng,
        language,
        (
            f"Which {one} has the {word} value?", f"Which {one} is the {word}?",
            f"What {one} has the {word} value?", f"Which {one} had the {word} number?",
            f"Which of the {many} has the {word} value?", f"Which {one} has the {most}?",
            f"In the chart, which {one} is {word}?", f"Name the {one} with the {word} value.",
            f"Which {one} has the {word} bar?", f"What is the {one} with the {word} value?",
            f"Which {one} shows the {word} number?", f"Which {one} had the {most}?",
            f"Which {one} had the {most} {things}?", f"Which {one} saw the {most} {things}?",
            f"In which {one} was the value {word}?", f"On which {one} was the value {word}?",
            f"On which {one} were there the {most} {things}?", f"In which {one} is it {word}?",
        ),
        (f"{which}的值{word}？", f"{which}{word}？", f"图中{which}的数值{word}？",
         f"{which}的数{word}？", f"请问{which}{word}？"),
    )  # fmt: skip


def ask_other_sort(names: tuple[str, ...], rng: random.Random, language: Language) -> str:
    """A question in a chart's words about something that this chart doesn't compare."""
    noun, largest = other_noun(names, rng), rng.random() < 0.6
    if rng.random() < 0.7:
        return _which(noun, _superlative(largest, rng, language), largest, rng, language)
    return pick(
        rng,
        language,
        (
            f"How many {noun[1]} are there in the world?", f"What is the name of this {noun[0]}?",
            f"What is the best {noun[0]} in the world?", f"What is your favorite {noun[0]}?",
            f"Which {noun[0]} comes next?", f"How many {noun[1]} do you know?",
        ),
        (f"世界上{noun[2]}最大？", f"你最喜欢{noun[2]}？", f"历史上{noun[2]}最有名？"),
    )  # fmt: skip


def _superlative(largest: bool, rng: random.Random, language: Language) -> str:
    if language == "zh":
        return rng.choice(("最大", "最高", "最多") if largest else ("最小", "最低", "最少"))
    return rng.choice(
        ("highest", "largest", "greatest", "tallest", "biggest")
        if largest
        else ("lowest", "smallest", "least")
    )


def ask_extreme(
    largest: bool, asks_name: bool, noun: Noun | None, rng: random.Random, language: Language
) -> str:
    """The largest or the smallest: which it is, or its value."""
    en = zh = _superlative(largest, rng, language)
    if asks_name and rng.random() < 0.45:
        return _which(noun or rng.choice(LOOSE_NOUNS), en, largest, rng, language)
    if asks_name:
        return pick(
            rng,
            language,
            (
                f"Which category has the {en} value?", f"Which has the {en} value?",
                f"Which bar is the {en}?",
                f"What category is the {en}?", f"Which one has the {en} value in the chart?",
                f"Which is the {en}?", f"Which category is {en}?", f"What has the {en} value?",
                f"Name the category with the {en} value.", f"Which one is {en}?",
                f"Which item has the {en} number?", f"Where is the value {en}?",
                f"For which category is the value {en}?", f"Find the category with the {en} bar.",
            f"When was the value {en}?", f"Which has the {'most' if largest else 'least'}?",
            ),
            (f"哪一项的值{zh}？", f"图中{zh}的是哪一项？", f"哪个类别的数值{zh}？", f"哪一个{zh}？",
             f"哪一项{zh}？", f"数值{zh}的是哪一个？", f"谁的值{zh}？"),
        )  # fmt: skip
    if en in ("tallest", "greatest", "least", "biggest"):
        en = "maximum" if largest else "minimum"
    return pick(
        rng,
        language,
        (
            f"What is the {en} value in the chart?",
            f"Find the {en} value.",
            f"What is the {en} value shown?",
            f"What is the {en} value?",
            f"What is the {en} number in the chart?",
            f"How much is the {en} value?",
            f"Give the {en} value of the chart.",
            f"What is the value of the {en} bar?",
        ),
        (
            f"图中{zh}的值是多少？",
            f"{zh}的值是多少？",
            f"求图中{zh}的值。",
            f"{zh}的数值是多少？",
            f"图里{zh}的数是几？",
        ),
    )


def ask_value(name: str, rng: random.Random, language: Language) -> str:
    """The value of one name."""
    things, measure = rng.choice(_THINGS)
    return pick(
        rng,
        language,
        (
            f"What is the value of {name}?", f"What is the value for {name}?",
            f"What value does {name} have?",
            f"How many for {name}?", f"Read the value of {name} from the chart.",
            f"what is the value of {name}",
            f"According to the chart, what is the value for {name}?",
            f"What is the height of the {name} bar?",
            f"How much is {name}?", f"What is {name}'s value?", f"How many {name}?",
            f"Give the value of {name}.", f"What number does {name} have?",
            f"What does the chart show for {name}?", f"How high is {name}?",
            f"Find the value of {name}.", f"How many are there for {name}?",
            f"value of {name}?", f"What was the value in {name}?", f"How many does {name} have?",
            f"What value is shown for {name}?", f"How tall is the bar for {name}?",
            f"What is the reading at {name}?", f"What is the number for {name}?",
            f"How many {things} does {name} have?", f"How many {things} did {name} get?",
            f"How many {things} are there for {name}?", f"How many {things} on {name}?",
            f"How many {things} in {name}?", f"How many {things} were there on {name}?",
            f"How many {things} were there in {name}?", f"How much was it in {name}?",
            f"What was it on {name}?", f"What is the height of the bar for {name}?",
            f"How many {things} were sold on {name}?", f"How many {things} were counted in {name}?",
        ),
        (f"{name}的值是多少？", f"{name}是多少？", f"图中{name}对应的数值是多少？",
        f"读出{name}的值。", f"{name}有多少？", f"请读出{name}的数值。", f"{name}的数值是多少？",
        f"{name}对应的值是什么？", f"{name}为多少？", f"{name}有多少{measure}？"),
    )  # fmt: skip


def ask_sum(a: str, b: str, rng: random.Random, language: Language) -> str:
    """Two values together."""
    things = rng.choice(_THINGS)[0]
    return pick(
        rng,
        language,
        (
            f"What is the sum of {a} and {b}?", f"What is the total of {a} and {b}?",
            f"How many do {a} and {b} have together?", f"Add the values of {a} and {b}.",
            f"What is the combined value of {a} and {b}?", f"What is {a} plus {b}?",
            f"How many {a} and {b} are there in total?", f"What do {a} and {b} add up to?",
            f"Find the sum of {a} and {b}.", f"What is the combined total of {a} and {b}?",
            f"How many are there in {a} and {b} combined?", f"{a} and {b} together?",
            f"How many {things} on {a} and {b} together?", f"{a} plus {b}?",
            f"How many {things} do {a} and {b} have in total?",
        ),
        (f"{a}和{b}一共是多少？", f"{a}与{b}的和是多少？", f"求{a}和{b}的总和。",
        f"{a}加{b}等于多少？", f"{a}和{b}合计多少？", f"{a}和{b}加起来是多少？"),
    )  # fmt: skip


def ask_sum_of_three(names: tuple[str, str, str], rng: random.Random, language: Language) -> str:
    """Three values together."""
    a, b, c = names
    return pick(
        rng,
        language,
        (
            f"What is the sum of {a}, {b} and {c}?", f"What is the total of {a}, {b} and {c}?",
            f"How many do {a}, {b} and {c} have together?", f"Add {a}, {b}, and {c}.",
            f"What is the combined value of {a}, {b} and {c}?", f"What is {a} plus {b} plus {c}?",
        ),
        (f"{a}、{b}和{c}一共是多少？", f"{a}、{b}、{c}的和是多少？",
         f"{a}、{b}和{c}加起来是多少？"),
    )  # fmt: skip


def ask_mean_of_two(a: str, b: str, rng: random.Random, language: Language) -> str:
    """The mean of two values."""
    return pick(
        rng,
        language,
        (
            f"What is the average of {a} and {b}?", f"What is the mean of {a} and {b}?",
            f"Find the average of {a} and {b}.", f"What is the mean value of {a} and {b}?",
            f"Calculate the mean of {a} and {b}.",
        ),
        (f"{a}和{b}的平均值是多少？", f"求{a}与{b}的平均数。", f"{a}和{b}平均是多少？"),
    )  # fmt: skip


def ask_larger_of_two(a: str, b: str, larger: bool, rng: random.Random, language: Language) -> str:
    """Which of two has the larger or the smaller value."""
    en = rng.choice(("larger", "greater", "higher", "bigger") if larger else ("smaller", "lower"))
    zh = rng.choice(("大", "多", "高") if larger else ("小", "少", "低"))
    more = "more" if larger else rng.choice(("less", "fewer"))
    return pick(
        rng,
        language,
        (
            f"Which is {en}, {a} or {b}?", f"Which has the {en} value, {a} or {b}?",
            f"Which of {a} and {b} has the {en} value?", f"Is {a} or {b} {en}?",
            f"Which has {more}, {a} or {b}?", f"Who has {more}, {a} or {b}?",
            f"Compare {a} and {b}: which is {en}?",
        ),
        (f"{a}和{b}哪个{zh}？", f"{a}与{b}哪一个的值更{zh}？", f"{a}和{b}相比，哪个更{zh}？"),
    )  # fmt: skip


def ask_whether_larger(a: str, b: str, rng: random.Random, language: Language) -> str:
    """Whether one value is larger than another: yes or no."""
    return pick(
        rng,
        language,
        (
            f"Is {a} larger than {b}?", f"Is {a} greater than {b}?", f"Is {a} higher than {b}?",
            f"Is the value of {a} greater than that of {b}?", f"Does {a} have more than {b}?",
            f"Is the bar for {a} taller than the bar for {b}?", f"Is {a} more than {b}?",
            f"Was it higher in {a} than in {b}?", f"Were there more on {a} than on {b}?",
            f"Did it fall from {a} to {b}?", f"Did the value decrease from {a} to {b}?",
        ),
        (f"{a}比{b}大吗？", f"{a}比{b}多吗？", f"{a}的值大于{b}吗？", f"{a}是不是比{b}高？",
         f"从{a}到{b}下降了吗？"),
    )  # fmt: skip


def ask_whether_rises(a: str, b: str, rng: random.Random, language: Language) -> str:
    """Whether the second value is larger than the first: yes or no."""
    return pick(
        rng,
        language,
        (
            f"Did the value rise from {a} to {b}?", f"Did it increase from {a} to {b}?",
            f"Did it go up from {a} to {b}?", f"Is there an increase from {a} to {b}?",
            f"Is {a} smaller than {b}?", f"Is {a} lower than {b}?",
        ),
        (f"从{a}到{b}上升了吗？", f"从{a}到{b}增加了吗？", f"{a}比{b}小吗？"),
    )  # fmt: skip


def ask_total(rng: random.Random, language: Language) -> str:
    """All values together."""
    things, measure = rng.choice(_THINGS)
    return pick(
        rng,
        language,
        (
            "What is the sum of all values?", "What is the total of all the bars?",
            "Find the total.",
            "What is the total of all values in the chart?", "How many are there altogether?",
            "Add up all the values.", "What is the total?", "What is the sum of all the bars?",
            "How many are there in total?", "What do all the values add up to?",
            "Find the sum of all values.", "Calculate the total of all categories.",
            "What is the total across all categories?", "How many are there in all?",
            f"How many {things} are there in total?", f"What is the total number of {things}?",
            f"How many {things} were there altogether?",
        ),
        ("所有值的总和是多少？", "图中数据的总和是多少？", "一共有多少？", "总数是多少？",
         "求所有数据的和。", "全部加起来是多少？", "总和是多少？", f"一共有多少{measure}？"),
    )  # fmt: skip


def ask_mean(noun: Noun | None, rng: random.Random, language: Language) -> str:
    """The mean of all values."""
    things, one = rng.choice(_THINGS)[0], noun[0] if noun else "category"
    return pick(
        rng,
        language,
        (
            "What is the mean of the values?", "What is the average value?", "Find the mean.",
            "What is the average of all values in the chart?", "Calculate the average.",
            "What is the mean?", "What is the average?", "Find the average of the values.",
            "Calculate the mean value.", "What is the arithmetic mean of the data?",
            "What is the mean of all the bars?", "On average, how many are there?",
            f"What is the average number of {things}?", f"What is the average per {one}?",
        ),
        ("平均值是多少？", "求这些数据的平均数。", "图中数据的平均值是多少？", "求平均值。",
         "平均数是多少？", "这些值的平均是多少？"),
    )  # fmt: skip


def ask_how_many_lie(
    limit: int, above: bool, noun: Noun | None, rng: random.Random, language: Language
) -> str:
    """How many values are above or below a limit."""
    many, things = noun[1] if noun else "categories", rng.choice(_THINGS)[0]
    if above:
        return pick(
            rng,
            language,
            (
                f"How many categories have a value greater than {limit}?",
                f"How many values are above {limit}?", f"How many bars are higher than {limit}?",
                f"How many categories are above {limit}?", f"How many are greater than {limit}?",
                f"How many values exceed {limit}?", f"Count the values that are over {limit}.",
                f"How many categories have more than {limit}?",
                f"How many {many} had more than {limit} {things}?",
                f"How many {many} have more than {limit}?", f"How many {many} are above {limit}?",
            ),
            (f"有几项的值大于 {limit}？", f"超过 {limit} 的有几个？", f"大于 {limit} 的有几项？",
             f"有多少项高于 {limit}？"),
        )  # fmt: skip
    return pick(
        rng,
        language,
        (
            f"How many categories have a value less than {limit}?",
            f"How many values are below {limit}?", f"How many bars are lower than {limit}?",
            f"How many categories are below {limit}?", f"How many values are under {limit}?",
            f"How many are smaller than {limit}?", f"How many {many} have less than {limit}?",
            f"How many {many} had fewer than {limit} {things}?",
            f"How many {many} are below {limit}?",
        ),
        (f"有几项的值小于 {limit}？", f"低于 {limit} 的有几个？", f"不到 {limit} 的有几项？"),
    )  # fmt: skip


def ask_number_of_names(rng: random.Random, language: Language) -> str:
    """How many values a chart has."""
    return pick(
        rng,
        language,
        (
            "How many bars are there?", "How many categories are there in the chart?",
            "How many bars does the chart have?", "How many values are shown?",
            "How many categories are shown?", "How many data points are there?",
        ),
        ("图中有几项？", "一共有几个类别？", "图中有多少个数据？"),
    )  # fmt: skip
