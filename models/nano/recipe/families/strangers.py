"""What nano must decline: photographs, pages of text, noise, other figures, unrelated questions."""

import io
import math
import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from recipe.canvas import Box, Canvas
from recipe.problem import Exchange, Language
from recipe.wording import capitalize, out_of_family
from recipe.words import DISTANT_NOUNS

_EN_QUESTIONS = (
    "What is the capital of {place}?", "Who wrote {thing}?", "Describe the image.",
    "Describe this picture in detail.",
    "What is in this picture?", "What is shown in the image?", "What color is the {noun}?",
    "What animal is this?",
    "What breed is this {noun}?", "Who is the person in the photo?", "Where was this photo taken?",
    "What does the sign say?", "Translate the text.", "Translate this text into {language}.",
    "Summarize the page.",
    "What is the title of this document?", "Write a poem about {noun}s.", "Tell me a joke.",
    "How old is this {noun}?",
    "What time is it?", "What time does the clock show?", "What brand is the {noun}?",
    "Is there a {noun} in the picture?",
    "Is the {noun} on the left of the {noun2}?", "How many people are in the picture?",
    "How many {noun}s are in the photo?",
    "What is the weather like?", "What is the man holding?", "What is the woman wearing?",
    "What happens next?",
    "What is the meaning of {noun}?", "How do I cook {noun}?",
    "What is the recipe for {noun} soup?",
    "When did {place} win the world cup?", "What is the population of {place}?",
    "How far is it from {place} to the moon?",
    "Solve the crossword.", "Who painted this?", "What is the next move in this chess game?",
    "Which gear turns clockwise?",
    "What is the chemical formula of {noun}?", "What is the resistance of the circuit?",
    "How fast is the {noun} moving?",
    "What is the name of this {noun}?", "Can you identify this {noun}?", "Which {noun} is best?",
    "Why is the {noun} {adj}?",
    "Is this {noun} {adj}?", "Explain the {noun}.", "What is the {noun} of the {noun2}?",
    "Find the {noun}.",
    "Which country has the largest {noun}?", "How much does the {noun} cost?",
    "What year was the {noun} built?",
    "Please fix the bug in this code.", "What language is this code written in?",
    "What is the total of the receipt?",
    "Hello", "Hi, how are you?", "What can you do?", "Thanks!",
    "What is the phone number on the card?",
    "Integrate x^2 from 0 to {n}.", "Solve x^2 + {n}x = 0.", "What is the limit of sin(x)/x at 0?",
    "Is {n} a prime number?",
    "What is the volume of the {noun}?", "Balance the equation.", "What is the mass of the {noun}?",
    "Who won the game?",
    "What percentage of the pie is {noun}?", "Which slice is the largest?",
    "What does the arrow point at?",
    "{word} {noun} {noun2}?", "What {noun} {word} {noun2}?", "Is the {noun} {word}?",
    "How {adj} is the {noun}?",
)  # fmt: skip
_EN_NEAR = (
    "What is {n} * {n2}?", "What is {n} times {n2}?", "Compute {n} * {n2}.", "{n} + {n2} = ?",
    "What is the square root of {n}?", "What is {n} percent of {n2}?",
    "What is {n} divided by {n2}?", "How much is {n} plus {n2}?",
    "Convert {n} miles to kilometers.", "Factor {n}.", "What is {n}!?",
    "Which {far} is the {most}?", "What is the {most} {far} in the world?",
    "What is the {most} {far} in {place}?", "Which {far} is the {most} in {place}?",
    "How many {fars} are there in {place}?", "How many {fars} are there in the world?",
    "How many people live in {place}?", "How many {noun}s are there in a {noun2}?",
    "How many {noun}s do you see?", "How many {noun}s are there?", "Count the {noun}s.",
    "How many days are there in a year?", "How many legs does a spider have?",
    "How many minutes are in an hour?", "How many letters are in the word {noun}?",
    "How many sides does a cube have?", "How many players are in a {noun} team?",
    "What is the area of {place}?", "What is the perimeter of the {noun}?",
    "What is the length of the {far}?", "What is the height of the {far}?",
    "How high is the {most} {far}?", "How tall is the {noun}?", "How long is the {noun}?",
    "What is the angle of the {noun}?", "What is the slope of the {far}?",
    "What is the volume of a sphere?", "What is the circumference of the circle?",
    "What is the derivative of x^{n}?", "What is the derivative of sin(x)?",
    "Find the integral of x^2.", "What is the inverse of the matrix?", "Who invented calculus?",
    "Simplify {n}x + {n2}x.", "Solve {n}x = {n2}.", "Expand (x + {n})^2.",
    "What is the value of pi?", "What is the value of gold?", "What is the speed of light?",
    "What is the average age of the {noun}s?", "What is the total weight of the {noun}s?",
    "What is the sum of the angles of the {noun}?",
    "What is the difference between a {noun} and a {noun2}?",
    "What is the mean temperature in {place}?", "What is the probability of {noun}?",
    "What is the next number: {n}, {n2}?", "Find the {most} {far}.",
    "Find the mistake in the {noun}.", "What color is the sky?",
    "Is the {noun} {most} than the {noun2}?", "What is the name of the {most} {far}?",
    "When was the {far} discovered?", "Where is the {far}?", "Which of these is a {noun}?",
    "Which {noun} has the most {noun2}s?", "What is the boiling point of {noun}?",
    "Is it going to rain?", "Read the text aloud.", "What is the first word?",
    "What does {noun} mean?", "Who is the president of {place}?",
)  # fmt: skip
"""Questions that begin like those of a family, or calculate without it."""
_ZH_QUESTIONS = (
    "{place_zh}的首都是哪里？", "描述这张图片。", "图片里有什么？", "这是什么动物？",
    "照片是在哪里拍的？", "翻译图中的文字。", "写一首诗。", "讲个笑话。", "现在几点？",
    "图中的人是谁？", "你好", "天气怎么样？", "这幅画是谁画的？", "总结这一页的内容。",
    "车是什么颜色的？", "图中有几个人？", "这道菜怎么做？", "你是谁？", "这个电路的电阻是多少？",
    "请解释这段代码。", "这座建筑是哪一年建的？", "哪个国家的人口最多？", "这本书的作者是谁？",
    "接下来会发生什么？", "哪个更好？", "图里的狗是什么品种？", "配平这个化学方程式。",
    "这个物体的质量是多少？", "谁赢了比赛？", "钟表显示的时间是几点？", "{n} 乘以 {n2} 等于多少？",
    "计算 {n} × {n2}。", "{n} 加 {n2} 是多少？", "{n} 的平方根是多少？", "{far}最大？",
    "世界上{far}最高？", "{place_zh}有多少人？", "{place_zh}的面积是多少？", "一年有多少天？",
    "蜘蛛有几条腿？", "一共有几辆车？", "有几个人？", "图中有几只猫？",
    "x 的 {n} 次方的导数是什么？", "求圆的周长。", "球的体积是多少？", "解方程 {n}x = {n2}。",
    "圆周率的值是多少？", "光速是多少？", "世界上最高的山是哪座？", "这座山有多高？",
    "这条河有多长？", "今天的平均气温是多少？", "谁发明了微积分？", "这本书有多少页？",
    "这个词是什么意思？",
)  # fmt: skip
_MOST = ("largest", "biggest", "highest", "tallest", "longest", "smallest", "oldest", "fastest",
"shortest", "lowest", "most famous", "heaviest")  # fmt: skip
_PLACES = ("France", "Spain", "China", "Japan", "Brazil", "Kenya", "Norway", "Peru", "India",
"Canada", "Egypt", "Italy",
           "Texas", "Australia", "Germany", "Mexico", "Turkey", "Poland", "Chile",
           "Greece")  # fmt: skip
_PLACES_ZH = ("法国", "中国", "日本", "德国", "英国", "美国", "巴西", "印度", "埃及", "意大利")
_KINDS = (
    "photo",
    "page",
    "noise",
    "blank",
    "pie",
    "clock",
    "board",
    "words",
    "boxes",
    "scribble",
    "collage",
)


@dataclass(frozen=True, slots=True)
class Supplies:
    """What pictures are made of beside lines: words, and photographs as JPEG bytes."""

    words: tuple[str, ...]
    photos: tuple[bytes, ...]


def unrelated_question(supplies: Supplies, rng: random.Random, language: Language) -> str:
    """A question of no family."""
    n, n2 = rng.choice([rng.randint(2, 99), rng.randint(10, 999)]), rng.randint(11, 99)
    far = rng.choice(DISTANT_NOUNS)
    if language == "zh":
        place = rng.choice(_PLACES_ZH)
        return rng.choice(_ZH_QUESTIONS).format(place_zh=place, far=far[2], n=n, n2=n2)
    if rng.random() < 0.12:
        words = rng.sample(supplies.words, rng.randint(3, 9))
        return capitalize(" ".join(words)) + rng.choice(("?", ".", "?", ""))
    template = rng.choice(_EN_QUESTIONS if rng.random() < 0.5 else _EN_NEAR)
    noun, noun2, adj, word = rng.sample(supplies.words, 4)
    text = template.format(
        place=rng.choice(_PLACES), thing=" ".join(map(capitalize, rng.sample(supplies.words, 2))),
        noun=noun, noun2=noun2,
        adj=adj, word=word, language=rng.choice(("French", "German", "Spanish", "Chinese",
        "English")), n=n, n2=n2, far=far[0], fars=far[1], most=rng.choice(_MOST),
    )  # fmt: skip
    return text if rng.random() < 0.8 else text[:1].lower() + text[1:].rstrip(".?")


def decline(question: str, rng: random.Random, language: Language) -> Exchange:
    """The exchange for a question or picture of no family."""
    return Exchange(question, out_of_family(rng, language), None, language, "stranger")


@dataclass(frozen=True, slots=True)
class StrangerScene:
    """A picture of no family; seed decides its details."""

    kind: str
    supplies: Supplies
    family: str = "stranger"

    def draw(self, canvas: Canvas, rng: random.Random) -> None:
        getattr(self, f"_draw_{self.kind}")(canvas, rng)

    def ask(self, rng: random.Random, language: Language) -> Exchange:
        return decline(unrelated_question(self.supplies, rng, language), rng, language)

    def ask_absent(self, rng: random.Random, language: Language) -> Exchange:
        return self.ask(rng, language)

    def read(self, rng: random.Random, language: Language) -> Exchange:
        return self.ask(rng, language)

    # ------------------------------------------------------------------ pictures
    def _photo(self, size: tuple[int, int], rng: random.Random) -> Image.Image:
        """A random part of a random photograph."""
        image = Image.open(io.BytesIO(rng.choice(self.supplies.photos))).convert("RGB")
        w, h = image.size
        share = rng.uniform(0.45, 1)
        left, top = rng.uniform(0, 1 - share) * w, rng.uniform(0, 1 - share) * h
        image = image.crop((int(left), int(top), int(left + share * w), int(top + share * h)))
        if rng.random() < 0.5:
            image = ImageOps.mirror(image)
        if rng.random() < 0.12:
            image = ImageOps.grayscale(image).convert("RGB")
        return image.resize(size)

    def _draw_photo(self, canvas: Canvas, rng: random.Random) -> None:
        canvas.paste(self._photo((canvas.width, canvas.height), rng))
        if rng.random() < 0.1:
            canvas.text(
                canvas.width / 2,
                canvas.height - 20,
                rng.choice(self.supplies.words),
                rng.uniform(14, 30),
            )

    def _draw_collage(self, canvas: Canvas, rng: random.Random) -> None:
        sheet = Image.new("RGB", (canvas.width, canvas.height), canvas.look.paper)
        for _ in range(rng.randint(1, 4)):
            w, h = (
                int(canvas.width * rng.uniform(0.2, 0.6)),
                int(canvas.height * rng.uniform(0.2, 0.7)),
            )
            at = (int(rng.uniform(0, canvas.width - w)), int(rng.uniform(0, canvas.height - h)))
            sheet.paste(self._photo((w, h), rng), at)
        canvas.paste(sheet)

    def _draw_page(self, canvas: Canvas, rng: random.Random) -> None:
        size = rng.uniform(10, 20)
        y, margin = rng.uniform(10, 40), rng.uniform(8, 40)
        look = canvas.look
        while y < canvas.height - size:
            line = ""
            while (
                look.length(line, look.font, max(7, round(size))) < canvas.width - 2 * margin - 60
            ):
                line += (" " if line else "") + (
                    rng.choice(self.supplies.words)
                    if rng.random() < 0.93
                    else str(rng.randint(1, 2000))
                )
            canvas.text(
                margin,
                y,
                line if rng.random() < 0.85 else line[: rng.randint(5, 25)],
                size,
                anchor="lm",
            )
            y += size * rng.choice([1.35, 1.35, 1.35, 2.2])

    def _draw_noise(self, canvas: Canvas, rng: random.Random) -> None:
        noise = np.random.default_rng(rng.getrandbits(32))
        coarse = rng.choice([1, 2, 4, 12, 40])
        shape = (max(2, canvas.height // coarse), max(2, canvas.width // coarse), 3)
        pixels = noise.integers(0, 256, shape, dtype=np.uint8)
        canvas.paste(
            Image.fromarray(pixels).resize((canvas.width, canvas.height), rng.choice([0, 2, 3]))
        )

    def _draw_blank(self, canvas: Canvas, rng: random.Random) -> None:
        if rng.random() < 0.4:
            canvas.text(
                canvas.width / 2,
                canvas.height / 2,
                rng.choice(self.supplies.words),
                rng.uniform(12, 40),
            )

    def _draw_pie(self, canvas: Canvas, rng: random.Random) -> None:
        radius = min(canvas.width, canvas.height) * rng.uniform(0.3, 0.44)
        x, y = canvas.width / 2, canvas.height / 2
        cuts = sorted(rng.uniform(0, 2 * math.pi) for _ in range(rng.randint(2, 6)))
        for i, start in enumerate(cuts):
            end = cuts[(i + 1) % len(cuts)] + (2 * math.pi if i + 1 == len(cuts) else 0)
            n = max(2, int((end - start) * 8))
            ring = [
                (
                    x + radius * math.cos(start + (end - start) * j / n),
                    y + radius * math.sin(start + (end - start) * j / n),
                )
                for j in range(n + 1)
            ]
            canvas.polygon([(x, y), *ring], canvas.look.palette[i % 6], canvas.look.paper, 1)
            if rng.random() < 0.6:
                middle = (start + end) / 2
                said = rng.choice((f"{rng.randint(3, 60)}%", rng.choice(self.supplies.words)))
                away = radius * 0.65
                canvas.text(x + away * math.cos(middle), y + away * math.sin(middle), said, 13)

    def _draw_clock(self, canvas: Canvas, rng: random.Random) -> None:
        radius = min(canvas.width, canvas.height) * rng.uniform(0.3, 0.44)
        x, y = canvas.width / 2, canvas.height / 2
        canvas.ellipse(
            Box(x - radius, y - radius, x + radius, y + radius), None, canvas.look.ink, 2
        )
        for hour in range(1, 13):
            angle = math.pi * (hour / 6 - 0.5)
            canvas.text(
                x + radius * 0.83 * math.cos(angle),
                y + radius * 0.83 * math.sin(angle),
                str(hour),
                radius * 0.16,
            )
        for length, width in ((0.45, 3), (0.7, 2)):
            angle = rng.uniform(0, 2 * math.pi)
            canvas.line([(x, y), (x + radius * length * math.cos(angle),
            y + radius * length * math.sin(angle))],
                        canvas.look.ink, width)  # fmt: skip

    def _draw_board(self, canvas: Canvas, rng: random.Random) -> None:
        n = rng.choice([3, 4, 6, 8, 9])
        side = min(canvas.width, canvas.height) * 0.9 / n
        for i in range(n):
            for j in range(n):
                box = Box(8 + j * side, 8 + i * side, 8 + (j + 1) * side, 8 + (i + 1) * side)
                fill = canvas.look.palette[0] if n in (4, 6, 8) and (i + j) % 2 else None
                canvas.rectangle(box, fill, canvas.look.ink, 1)
                if n in (3, 9) and rng.random() < 0.5:
                    mark = rng.choice("XO") if n == 3 else str(rng.randint(1, 9))
                    canvas.text(box.left + side / 2, box.top + side / 2, mark, side * 0.6)

    def _draw_words(self, canvas: Canvas, rng: random.Random) -> None:
        """A table of words and numbers that is no table of functions."""
        n_rows, n_columns = rng.randint(3, 7), rng.randint(2, 4)
        wide, tall = (canvas.width - 16) / n_columns, (canvas.height - 16) / n_rows
        for i in range(n_rows):
            for j in range(n_columns):
                box = Box(8 + j * wide, 8 + i * tall, 8 + (j + 1) * wide, 8 + (i + 1) * tall)
                canvas.rectangle(box, None, canvas.look.soft, 1)
                text = (
                    rng.choice(self.supplies.words)
                    if j == 0 or rng.random() < 0.5
                    else str(rng.randint(0, 999))
                )
                canvas.text(
                    box.left + wide / 2, box.top + tall / 2, text, min(16, tall * 0.5, wide * 0.14)
                )

    def _draw_boxes(self, canvas: Canvas, rng: random.Random) -> None:
        """A flow chart."""
        n = rng.randint(2, 5)
        tall = canvas.height / n
        for i in range(n):
            x = canvas.width * rng.uniform(0.35, 0.65)
            half = canvas.width * rng.uniform(0.12, 0.28)
            box = Box(x - half, i * tall + tall * 0.2, x + half, i * tall + tall * 0.75)
            canvas.rectangle(
                box, rng.choice((None, canvas.look.palette[i % 6])), canvas.look.ink, 1.5
            )
            canvas.text(x, (box.top + box.bottom) / 2, rng.choice(self.supplies.words), 14)
            if i + 1 < n:
                canvas.line([(x, box.bottom), (x, box.bottom + tall * 0.4)], canvas.look.ink, 1.5)

    def _draw_scribble(self, canvas: Canvas, rng: random.Random) -> None:
        for _ in range(rng.randint(2, 9)):
            x, y = rng.uniform(0, canvas.width), rng.uniform(0, canvas.height)
            points = [(x, y)]
            for _ in range(rng.randint(3, 30)):
                x, y = x + rng.gauss(0, 25), y + rng.gauss(0, 25)
                points.append((x, y))
            canvas.line(points, rng.choice(canvas.look.palette), rng.uniform(1, 5))


def make_stranger(supplies: Supplies, rng: random.Random) -> StrangerScene:
    """A picture of no family, half of the time a photograph."""
    kind = "photo" if rng.random() < 0.5 else rng.choice(_KINDS)
    return StrangerScene(kind, supplies)


def pick_language(rng: random.Random) -> Language:
    """Three questions in four are English."""
    return "zh" if rng.random() < 0.25 else "en"
