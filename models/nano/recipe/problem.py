"""What travels between the parts of the recipe: a scene that can be drawn and asked about.

A family makes scenes; a scene draws itself on a canvas and makes exchanges (a question with its
worked answer).
"""

import random
from dataclasses import dataclass
from typing import Literal, Protocol

from recipe.canvas import Canvas

Language = Literal["en", "zh"]

HEADING: dict[Language, str] = {"en": "**Final Answer**", "zh": "**答案**"}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question about a picture and the reply that nano should give.

    answer is LaTeX for the box. None: the reply has no conclusion, it is only `reasoning` (a
    refusal, or a
    reading exercise). distractors: wrong answers of the same form, for multiple choice. caption:
    the problem in words
    that a picture can show. from_picture: the definition stands in the picture only.
    """

    question: str
    reasoning: str
    answer: str | None
    language: Language
    family: str
    distractors: tuple[str, ...] = ()
    caption: str = ""
    from_picture: bool = False

    def payload(self) -> str:
        """What follows the heading line and its blank line."""
        return f"$$ \\boxed{{{self.answer}}} $$"

    def reply(self) -> str:
        """The whole reply of the assistant."""
        if self.answer is None:
            return self.reasoning
        return f"{self.reasoning}\n\n{HEADING[self.language]}\n\n{self.payload()}"


class Scene(Protocol):
    """One picture's content."""

    @property
    def family(self) -> str:
        """table, chart, polygon, graph, shapes or stranger."""

    def draw(self, canvas: Canvas, rng: random.Random) -> None:
        """Put the content on the canvas, with the labels that say where everything is."""

    def ask(self, rng: random.Random, language: Language) -> Exchange:
        """A question that the picture answers."""

    def ask_absent(self, rng: random.Random, language: Language) -> Exchange:
        """A question of this family whose data the picture lacks; the reply says so."""

    def read(self, rng: random.Random, language: Language) -> Exchange:
        """An exercise: write down what the picture holds."""
