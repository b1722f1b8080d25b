"""A drawing surface that remembers where everything was drawn.

Families draw in canvas pixels. `finish` resamples to the encoder's grid and returns, beside the
pixels, five
labels for each 14 px patch: the integer written or marked there, the first and last character in
it, and two
attributes (what it belongs to, what it is). They teach the vision tower to read within seconds of
training.
Refuses to know: what the drawing means.
"""

import io
import random
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from recipe.look import Look, Rgb

PATCH_PX = 14
IGNORE = -100
N_VALUE, N_CHAR, N_KEY, N_ROLE = 322, 98, 128, 300
VALUE_MIN, VALUE_MAX = -60, 259
_KEY_MIN, _KEY_MAX = -30, 60
_ASCII = {"−": "-", "–": "-", "′": "'", "’": "'", "·": "*", "×": "*", "∠": "<"}


class Box(NamedTuple):
    """A rectangle in canvas pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


@dataclass(frozen=True, slots=True)
class Label:
    """Where something is, and its value, characters, key and role.

    The last are class numbers; IGNORE makes no claim.
    """

    box: Box
    value: int = IGNORE
    char: int = IGNORE
    key: int = IGNORE
    role: int = IGNORE


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels (height, width, 3) uint8 and labels (height/14, width/14, 5) int16."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int16]


def value_class(value: int | None) -> int:
    """The class of an integer; IGNORE when it is outside of the labelled range."""
    if value is None or not VALUE_MIN <= value <= VALUE_MAX:
        return IGNORE
    return value - VALUE_MIN + 1


def key_class(key: int | str | None) -> int:
    """The class of a small integer or of a capital letter."""
    if isinstance(key, str):
        return _KEY_MAX - _KEY_MIN + 1 + ord(key.upper()) - 65
    if key is None or not _KEY_MIN <= key <= _KEY_MAX:
        return IGNORE
    return key - _KEY_MIN


def char_class(char: str) -> int:
    code = ord(_ASCII.get(char, char))
    if char == "°":
        return 96
    return code - 32 if 32 < code < 127 else 97


class Canvas:
    """Lines and shapes are drawn at twice the size when the look is smooth, text at its own.

    area: where a family may draw; the caption takes its strip from it first.
    """

    def __init__(self, width: int, height: int, look: Look) -> None:
        self.width, self.height, self.look = width, height, look
        self._zoom = 2 if look.smooth else 1
        size = (width * self._zoom, height * self._zoom)
        self._image = Image.new("RGB", size, look.paper)
        self._pen = ImageDraw.Draw(self._image)
        self.area = Box(0, 0, width, height)
        self._texts: list[tuple[float, float, str, str, int, Rgb, str, bool]] = []
        self._labels: list[Label] = []

    def paste(self, image: Image.Image) -> None:
        """Cover the whole surface with a picture; `finish` undoes the doubling exactly."""
        image = image.convert("RGB").resize((self.width, self.height))
        self._image.paste(image.resize(self._image.size, Image.Resampling.NEAREST))

    def line(self, points: list[tuple[float, float]], color: Rgb, width: float) -> None:
        zoom = self._zoom
        scaled = [(x * zoom, y * zoom) for x, y in points]
        self._pen.line(scaled, fill=color, width=max(1, round(width * zoom)), joint="curve")

    def dashed(
        self, start: tuple[float, float], end: tuple[float, float], color: Rgb, width: float
    ) -> None:
        length = max(1.0, ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5)
        n_dashes = max(1, int(length / 8))
        for i in range(n_dashes):
            a, b = i / n_dashes, (i + 0.55) / n_dashes
            p = [
                (start[0] + (end[0] - start[0]) * t, start[1] + (end[1] - start[1]) * t)
                for t in (a, b)
            ]
            self.line(p, color, width)

    def _scaled(self, box: Box) -> list[float]:
        """In pen pixels, with edges in order: a thin shape may be narrower than its outline."""
        zoom = self._zoom
        left, right = sorted((box.left * zoom, box.right * zoom))
        top, bottom = sorted((box.top * zoom, box.bottom * zoom))
        return [left, top, right, bottom]

    def polygon(
        self,
        points: list[tuple[float, float]],
        fill: Rgb | None,
        outline: Rgb | None,
        width: float = 1,
    ) -> None:
        zoom = self._zoom
        if fill is not None:
            self._pen.polygon([(x * zoom, y * zoom) for x, y in points], fill=fill)
        if outline is not None:
            self.line([*points, points[0], points[1]], outline, width)

    def rectangle(
        self, box: Box, fill: Rgb | None, outline: Rgb | None = None, width: float = 1
    ) -> None:
        self._pen.rectangle(self._scaled(box), fill, outline, max(1, round(width * self._zoom)))

    def ellipse(
        self, box: Box, fill: Rgb | None, outline: Rgb | None = None, width: float = 1
    ) -> None:
        self._pen.ellipse(self._scaled(box), fill, outline, max(1, round(width * self._zoom)))

    def arc(self, box: Box, start: float, end: float, color: Rgb, width: float) -> None:
        self._pen.arc(self._scaled(box), start, end, color, max(1, round(width * self._zoom)))

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        *,
        font: str | None = None,
        color: Rgb | None = None,
        anchor: str = "mm",
        value: int | None = None,
        key: int | str | None = None,
        role: int = IGNORE,
        vertical: bool = False,
    ) -> Box:
        """Write text with PIL's anchor at (x, y) and label its patches. Returns: where it is."""
        look = self.look
        font = font or look.font
        size_px = max(7, round(size))
        shown = look.glyphs(text, font)
        width = look.length(shown, font, size_px)
        left = x - {"l": 0.0, "m": width / 2, "r": width}[anchor[0]]
        middle = {"m": y, "b": y - size * 0.4, "s": y - size * 0.35, "t": y + size * 0.5}[anchor[1]]
        self._texts.append((left, middle, shown, font, size_px, color or look.ink, "lm", vertical))
        box = Box(left, middle - size * 0.5, left + width, middle + size * 0.5)
        if vertical:
            return box
        pen = left
        for char in text:
            advance = look.length(look.glyphs(char, font), font, size_px)
            if char != " ":
                middle_box = Box(pen, middle, pen + advance, middle)
                self._labels.append(Label(middle_box, char=char_class(char)))
            pen += advance
        flat = Box(left, middle, left + width, middle)
        self._labels.append(Label(flat, value_class(value), IGNORE, key_class(key), role))
        return box

    def mark(
        self,
        box: Box,
        *,
        value: int | None = None,
        key: int | str | None = None,
        role: int = IGNORE,
    ) -> None:
        """Label an area without drawing anything."""
        self._labels.append(Label(box, value_class(value), IGNORE, key_class(key), role))

    def finish(self, width: int, height: int, rng: random.Random) -> Picture:
        """Resample to (width, height), multiples of 28, and lay the labels on the patch grid."""
        image = self._image
        if self._zoom > 1:
            image = image.reduce(self._zoom)
        pen = ImageDraw.Draw(image)
        for left, middle, shown, font, size, color, anchor, vertical in self._texts:
            face = self.look.face(font, size)
            if vertical:
                _write_vertical(image, left, middle, shown, face, color)
            else:
                pen.text((left, middle), shown, font=face, fill=color, anchor=anchor)
        if image.size != (width, height):
            kernel = rng.choice([Image.Resampling.BICUBIC] * 3 + [Image.Resampling.BILINEAR])
            image = image.resize((width, height), kernel)
        if rng.random() < self.look.jpeg:
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=rng.randint(40, 92))
            image = Image.open(buffer).convert("RGB")
        scale = (width / self.width, height / self.height)
        labels = _rasterize(self._labels, width, height, scale)
        return Picture(np.asarray(image), labels)


def _write_vertical(
    image: Image.Image, left: float, middle: float, text: str, face: object, color: Rgb
) -> None:
    """Text turned to read upwards, centred where it would have stood."""
    length = int(face.getlength(text)) + 4  # type: ignore[attr-defined]
    height = int(face.size * 1.4)  # type: ignore[attr-defined]
    mask = Image.new("L", (length, height), 0)
    ImageDraw.Draw(mask).text((2, height / 2), text, font=face, fill=255, anchor="lm")  # type: ignore[arg-type]
    mask = mask.rotate(90, expand=True)
    centre = left + length / 2
    image.paste(color, (int(centre - height / 2), int(middle - length / 2)), mask)


def _rasterize(
    labels: list[Label], width: int, height: int, scale: tuple[float, float]
) -> NDArray[np.int16]:
    """Labels in canvas pixels to (height/14, width/14, 5).

    The five: value, first char, last char, key, role.
    """
    rows, columns = height // PATCH_PX, width // PATCH_PX
    grid = np.zeros((rows, columns, 5), np.int16)
    grid[:, :, 3:] = IGNORE
    sx, sy = scale[0] / PATCH_PX, scale[1] / PATCH_PX
    for label in labels:
        box = label.box
        left, right = box.left * sx, box.right * sx
        if label.char != IGNORE:
            column, row = int((left + right) / 2), int(box.top * sy)
            if 0 <= row < rows and 0 <= column < columns:
                if grid[row, column, 1] == 0:
                    grid[row, column, 1] = label.char
                grid[row, column, 2] = label.char
            continue
        first, last = max(0, int(left)), min(columns - 1, int(right))
        top, bottom = max(0, int(box.top * sy)), min(rows - 1, int(box.bottom * sy))
        for column in range(first, last + 1):
            # A patch counts when its middle is inside, or when the whole thing is smaller than it.
            if abs(column + 0.5 - (left + right) / 2) > max((right - left) / 2, 0.51):
                continue
            cell = grid[top : bottom + 1, column]
            for channel, wanted in ((0, label.value), (3, label.key), (4, label.role)):
                if wanted != IGNORE:
                    cell[:, channel] = wanted
    return grid
