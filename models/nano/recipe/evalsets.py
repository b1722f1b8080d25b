"""Makes the frozen evaluation sets, once, from fixed seeds: a folder of pictures and problems.json.

    python -m recipe.evalsets --assets ASSETS --out SETS

`drawn`, `more`: our own drawing with fonts that training never sees. `matplotlib`, `html`, `tikz`:
other programs' pictures (`recipe.foreign`, `recipe.tikz`), as far as they are installed.
`published`: the example of QVQ's own page in many renderings. `declined`: photographs, pages and
noise with every kind of question, and family pictures with unrelated questions. `by_hand`:
unrelated questions that a person wrote.
"""

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from recipe.choices import offer_choices
from recipe.drawing import FAMILIES, Studio
from recipe.families.strangers import decline, unrelated_question
from recipe.problem import Exchange, Language

_BY_HAND = Path(__file__).with_name("unrelated.txt")
_GROUPS = (*FAMILIES[:-1], "choice", "absent")
_MORE = ("polygon", "chart", "choice")
_SIZES = ((336, 224), (420, 280), (448, 336), (532, 364), (644, 476))


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of a set; group: the row of the table that it counts in."""

    group: str
    picture: Path
    exchange: Exchange


def save_set(folder: Path, problems: Iterator[tuple[str, Exchange, Image.Image]]) -> None:
    """Write pictures as PNG and everything else as problems.json."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for i, (group, exchange, image) in enumerate(problems):
        name = f"{i:04d}.png"
        image.save(folder / name)
        lines.append({"group": group, "picture": name, "exchange": asdict(exchange)})
    (folder / "problems.json").write_text(
        json.dumps(lines, ensure_ascii=False, indent=0), encoding="utf-8"
    )


def load_set(folder: Path) -> list[Problem]:
    """Read what `save_set` wrote."""
    lines = json.loads((folder / "problems.json").read_text(encoding="utf-8"))
    return [Problem(x["group"], folder / x["picture"], Exchange(**x["exchange"])) for x in lines]


def drawn(
    studio: Studio, seed: int, n_each: int, groups: Sequence[str] = _GROUPS
) -> Iterator[tuple[str, Exchange, Image.Image]]:
    """Problems of every family, of multiple choice, and of data that the picture lacks."""
    rng = random.Random(seed)
    for group in groups:
        for i in range(n_each):
            language: Language = "zh" if i % 4 == 0 else "en"
            scene = studio.make_scene(
                rng, group if group in FAMILIES else rng.choice(FAMILIES[:-1])
            )
            exchange = (
                scene.ask_absent(rng, language) if group == "absent" else scene.ask(rng, language)
            )
            if group == "choice":
                exchange = offer_choices(exchange, rng) or exchange
            width, height = rng.choice(_SIZES)
            yield group, exchange, Image.fromarray(studio.draw(scene, width, height, rng).pixels)


def declined(studio: Studio, seed: int, n_each: int) -> Iterator[tuple[str, Exchange, Image.Image]]:
    """What nano must decline, with photographs that training never sees."""
    rng = random.Random(seed)
    for group in (
        "strange picture, family question",
        "strange picture, strange question",
        "family picture, strange question",
    ):
        for i in range(n_each):
            language: Language = "zh" if i % 4 == 0 else "en"
            strange = studio.make_scene(rng, "stranger")
            family = studio.make_scene(rng, rng.choice(FAMILIES[:-1]))
            question = (
                family.ask(rng, language).question
                if group.endswith("family question")
                else unrelated_question(studio.supplies, rng, language)
            )
            width, height = rng.choice(_SIZES)
            picture = studio.draw(
                family if group.startswith("family") else strange, width, height, rng
            )
            yield group, decline(question, rng, language), Image.fromarray(picture.pixels)


def by_hand(studio: Studio, seed: int) -> Iterator[tuple[str, Exchange, Image.Image]]:
    """Family pictures with the questions of unrelated.txt, many of which begin like a family's."""
    rng = random.Random(seed)
    for question in _BY_HAND.read_text(encoding="utf-8").splitlines():
        language: Language = "en" if question.isascii() else "zh"
        scene = studio.make_scene(rng, rng.choice(FAMILIES[:-1]))
        picture = studio.draw(scene, *rng.choice(_SIZES), rng)
        group = "family picture, question by hand"
        yield group, decline(question, rng, language), Image.fromarray(picture.pixels)


def main() -> None:
    from recipe import foreign, tikz

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--n", type=int, default=60, help="problems a group of our own drawing")
    parser.add_argument(
        "--n-more", type=int, default=200, help="problems of each of " + ", ".join(_MORE)
    )
    parser.add_argument(
        "--n-foreign", type=int, default=40, help="problems a group of other programs' pictures"
    )
    args = parser.parse_args()
    studio = Studio.open(args.assets, held_out=True)
    words = studio.supplies.words
    save_set(args.out / "drawn", drawn(studio, 4001, args.n))
    save_set(args.out / "more", drawn(studio, 9001, args.n_more, _MORE))
    save_set(args.out / "declined", declined(studio, 4002, args.n))
    save_set(args.out / "by_hand", by_hand(studio, 4006))
    save_set(args.out / "matplotlib", foreign.matplotlib_set(words, 4003, args.n_foreign))
    save_set(args.out / "published", foreign.published_set(studio, 4004))
    if foreign.find_chromium():
        save_set(args.out / "html", foreign.html_set(4005, args.n_foreign))
    if tikz.find_latex():
        save_set(args.out / "tikz", tikz.tikz_set(words, 4007, args.n_foreign))


if __name__ == "__main__":
    main()
