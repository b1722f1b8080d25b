"""The studio: makes scenes, draws them and makes the exchanges about them, from one seed.

The same seed and assets give the same pictures and texts, bit for bit.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from recipe.canvas import Box, Canvas, Picture
from recipe.choices import offer_choices
from recipe.families.chart_questions import ask_other_sort
from recipe.families.charts import ChartScene, make_chart
from recipe.families.derivatives import Definition
from recipe.families.drills import make_drill
from recipe.families.graphs import make_graph
from recipe.families.polygon_making import make_polygon
from recipe.families.shapes import make_shapes
from recipe.families.strangers import Supplies, decline, make_stranger, unrelated_question
from recipe.families.tables import TableScene, make_table
from recipe.look import FontShelf, draw_look, load_fonts
from recipe.problem import Exchange, Language, Scene
from recipe.wording import pick, reworded

FAMILIES = ("table", "chart", "polygon", "graph", "shapes", "stranger")
_SHARES = (25, 29, 15, 12, 11, 8)
_SOLVE = (
    "Solve the problem in the image.", "Answer the question in the image.", "Solve this problem.",
    "Solve this.",
    "What is the answer?", "Please solve the problem shown in the picture.", "solve",
    "Solve the question in the picture.",
    "What is the answer to this question?", "Can you solve this?",
)  # fmt: skip
_SOLVE_ZH = (
    "请解答这道题",
    "解答图中的题目。",
    "求解图中的问题。",
    "答案是什么？",
    "请回答图片中的问题。",
)


@dataclass(frozen=True, slots=True)
class Studio:
    """shelf: None where only texts are wanted. held_out: draw with fonts unseen in training."""

    shelf: FontShelf | None
    supplies: Supplies
    held_out: bool = False

    @classmethod
    def open(cls, assets: Path, *, held_out: bool = False) -> "Studio":
        """Load what `recipe.assets` collected."""
        shelf = "held_out" if held_out else "train"
        photos = tuple(p.read_bytes() for p in sorted((assets / "photos" / shelf).glob("*.jpg")))
        words = tuple((assets / "words.txt").read_text(encoding="utf-8").split())
        return cls(load_fonts(assets / "fonts"), Supplies(words, photos), held_out)

    @classmethod
    def for_texts(cls, words: tuple[str, ...] = ()) -> "Studio":
        """A studio that can't draw, for the tokenizer's corpus and tests."""
        return cls(None, Supplies(words or _FEW_WORDS, ()))

    def make_scene(self, rng: random.Random, family: str | None = None) -> Scene:
        family = family or rng.choices(FAMILIES, _SHARES)[0]
        if family == "chart":
            return make_chart(rng, self.supplies.words)
        if family == "stranger":
            return make_stranger(self.supplies, rng)
        return _MAKERS[family](rng)

    def converse(self, scene: Scene, rng: random.Random, easy: float) -> Exchange:
        """One exchange about a scene: mostly its questions, some to be declined, some exercises.

        easy: the share of reading exercises, which teach fast and are few later on.
        """
        exchange = self._about(scene, rng, easy)
        return replace(exchange, question=reworded(exchange.question, rng, exchange.language))

    def _about(self, scene: Scene, rng: random.Random, easy: float) -> Exchange:
        language: Language = "zh" if rng.random() < 0.25 else "en"
        if scene.family == "stranger":
            return self._about_stranger(scene, rng, language)
        u = rng.random()
        if u < easy:
            return scene.read(rng, language)
        v = rng.random()
        if v < 0.06:
            return make_drill(rng, language)
        if v < 0.115:
            return decline(self._unrelated(scene, rng, language), rng, language)
        if v < 0.14:
            other = self.make_scene(rng)
            if other.family not in (scene.family, "stranger"):
                return decline(other.ask(rng, language).question, rng, language)
        if v < (0.23 if isinstance(scene, ChartScene) else 0.20):  # names are missed most
            return scene.ask_absent(rng, language)
        exchange = scene.ask(rng, language)
        if v < 0.34:
            return offer_choices(exchange, rng) or exchange
        return exchange

    def _unrelated(self, scene: Scene, rng: random.Random, language: Language) -> str:
        """A question that has nothing to do with the picture, though it may sound so."""
        if isinstance(scene, ChartScene) and rng.random() < 0.4:
            return ask_other_sort(scene.names, rng, language)
        return unrelated_question(self.supplies, rng, language)

    def _about_stranger(self, scene: Scene, rng: random.Random, language: Language) -> Exchange:
        u = rng.random()
        if u < 0.45:
            return scene.ask(rng, language)
        if u < 0.55:
            return decline(_solve_it(rng, language), rng, language)
        other = self.make_scene(rng)
        exchange = other.ask(rng, language)
        if rng.random() < 0.15:
            exchange = offer_choices(exchange, rng) or exchange
        return decline(exchange.question, rng, language)

    # ------------------------------------------------------------------ pictures
    def draw(
        self,
        scene: Scene,
        width: int,
        height: int,
        rng: random.Random,
        caption: str = "",
        plain: bool = False,
    ) -> Picture:
        """Draw a scene at (width, height), multiples of 28; often resampled from another size.

        Raises: ValueError: this studio has no fonts.
        """
        if self.shelf is None:
            raise ValueError("a studio made for texts can't draw")
        scale = (1.0, 1.0)
        if not plain and rng.random() < 0.5:
            zoom = rng.choice([rng.uniform(0.75, 1), rng.uniform(1, 1.7)])
            scale = (zoom * rng.uniform(0.93, 1.07), zoom)
        look = draw_look(rng, self.shelf, held_out=self.held_out)
        canvas = Canvas(round(width * scale[0]), round(height * scale[1]), look)
        if caption:
            _write_caption(canvas, caption, rng)
        scene.draw(canvas, rng)
        return canvas.finish(width, height, rng)

    def about_picture(
        self, scene: Scene, rng: random.Random, easy: float, n_asks: int
    ) -> tuple[str, list[Exchange]]:
        """Several exchanges about one picture. Returns: the words that it must show, and them."""
        asked = [self.converse(scene, rng, easy) for _ in range(n_asks)]
        if isinstance(scene, TableScene):
            if rng.random() < 0.5 and (d := scene.define(rng)):
                return self._about_definition(scene, d, asked, rng)
            if rng.random() < 0.1:
                asked[0] = scene.ask_undefined(rng, asked[0].language)
            return "", asked
        first = asked[0]
        if rng.random() < 0.4 and is_printable(first):
            asked[0] = replace(first, question=_solve_it(rng, first.language))
            return first.caption, asked
        return "", asked

    def _about_definition(
        self, scene: TableScene, d: Definition, asked: list[Exchange], rng: random.Random
    ) -> tuple[str, list[Exchange]]:
        """Most exchanges are about the definition that stands in the picture."""
        lead = rng.choice(("", "", "Let ", "Given ", "Given ", "If "))
        caption = lead + d.equation(rng.choice((" * ", " · ", "", " * ", "*")))
        for i, other in enumerate(asked):
            if rng.random() < 0.65:
                asked[i] = scene.exchange_from_picture(d, rng, other.language)
        if rng.random() < 0.3:
            language = asked[0].language
            whole = scene.exchange(d, rng, language)
            asked[0] = replace(whole, question=_solve_it(rng, language), from_picture=True)
            return f"{caption}, find {d.target()}{rng.choice(('', '.'))}", asked
        return caption + rng.choice(("", ".")), asked


def is_printable(exchange: Exchange) -> bool:
    """Its problem can be written into the picture (in Latin letters)."""
    return bool(exchange.caption) and exchange.family != "choice" and exchange.caption.isascii()


def _solve_it(rng: random.Random, language: Language) -> str:
    return pick(rng, language, _SOLVE, _SOLVE_ZH)


def _write_caption(canvas: Canvas, caption: str, rng: random.Random) -> None:
    """Write wrapped lines above or below, and leave the rest of the area to the scene."""
    look, area = canvas.look, canvas.area
    size = rng.uniform(12, 20) * max(1.0, canvas.width / 480)
    lines: list[str] = []
    while True:
        lines, room = [""], canvas.width - 12
        for word in caption.split(" "):
            longer = f"{lines[-1]} {word}".strip()
            if look.length(longer, look.caption_font, max(7, round(size))) > room and lines[-1]:
                lines.append(word)
            else:
                lines[-1] = longer
        widest = max(look.length(line, look.caption_font, max(7, round(size))) for line in lines)
        if (len(lines) * size * 1.4 < canvas.height * 0.25 and widest <= room) or size < 10:
            break
        size *= 0.92
    tall = len(lines) * size * 1.4 + 4
    above = rng.random() < 0.78
    anchor = rng.choice(("lm", "mm"))
    x = area.left + 6 if anchor == "lm" else (area.left + area.right) / 2
    y = area.top + 4 + size * 0.7 if above else area.bottom - tall + size * 0.7
    for line in lines:
        canvas.text(x, y, line, size, font=look.caption_font, anchor=anchor)
        y += size * 1.4
    canvas.area = (
        Box(area.left, area.top + tall, area.right, area.bottom)
        if above
        else Box(area.left, area.top, area.right, area.bottom - tall)
    )


_MAKERS: dict[str, Callable[[random.Random], Scene]] = {
    "table": make_table,
    "polygon": make_polygon,
    "graph": make_graph,
    "shapes": make_shapes,
}
_FEW_WORDS = (
    "house", "river", "window", "garden", "music", "letter", "yellow", "quick", "paper", "mountain",
    "people", "water", "animal", "picture", "number", "word", "sentence", "story", "light", "small",
)  # fmt: skip
