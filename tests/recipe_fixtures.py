"""A studio for the recipe's tests: one font (Pillow's), a few words, two made-up photographs."""

import io
import json
from pathlib import Path

from PIL import Image, ImageFont
from recipe.drawing import Studio
from recipe.families.strangers import Supplies
from recipe.look import load_fonts


def make_studio(folder: Path) -> Studio:
    """Write a font shelf into folder and open it."""
    face = ImageFont.load_default(20)
    assert isinstance(face, ImageFont.FreeTypeFont)
    (folder / "plain.ttf").write_bytes(face.font_bytes)
    glyphs = "".join(map(chr, range(32, 127))) + "°"
    index = {
        "train": [["plain.ttf"]],
        "held_out": [["plain.ttf"]],
        "chinese": ["plain.ttf"],
        "glyphs": {"plain.ttf": glyphs},
    }
    (folder / "fonts.json").write_text(json.dumps(index), encoding="utf-8")
    photos = []
    for color in ("teal", "salmon"):
        buffer = io.BytesIO()
        Image.new("RGB", (120, 100), color).save(buffer, "JPEG")
        photos.append(buffer.getvalue())
    words = (
        "house", "river", "window", "garden", "music", "letter", "yellow", "quick", "paper",
    )  # fmt: skip
    return Studio(load_fonts(folder), Supplies(words, tuple(photos)))
