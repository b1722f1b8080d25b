"""A prompt up to its last picture, laid out as stretches of text tokens and pictures.

Whether a picture's embeddings come from the cache or from the mmproj is decided here, and nobody
else notices: both are the same floats.
"""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from qvq_cli.engine.prefill_cache import PrefillCache, SavedPicture
from qvq_cli.engine.protocol import Bitmap, PromptPart
from qvq_cli.engine.vision import PictureFrame, PreparedPicture, Vision


class TextStretch(NamedTuple):
    """Text tokens that go through the model in one go."""

    tokens: list[int]

    @property
    def n_tokens(self) -> int:
        return len(self.tokens)


class PictureStretch(NamedTuple):
    """A picture, either saved or prepared to be encoded."""

    bitmap: Bitmap
    frame: PictureFrame
    saved: SavedPicture | None = None
    prepared: PreparedPicture | None = None

    @property
    def n_tokens(self) -> int:
        return self.frame.grid.image_tokens


class Layout(NamedTuple):
    """after: the tokens behind the last picture, which go with the text that follows."""

    stretches: tuple[TextStretch | PictureStretch, ...]
    after: tuple[int, ...]

    @property
    def pictures(self) -> list[PictureStretch]:
        return [each for each in self.stretches if isinstance(each, PictureStretch)]

    @property
    def n_tokens(self) -> int:
        return sum(each.n_tokens for each in self.stretches) + len(self.after)


def split_behind_pictures(
    parts: Sequence[PromptPart],
) -> tuple[Sequence[PromptPart], Sequence[PromptPart]]:
    """The parts up to and with the last picture, and those behind it."""
    n_head = max((i + 1 for i, part in enumerate(parts) if isinstance(part, Bitmap)), default=0)
    return parts[:n_head], parts[n_head:]


class Pictures:
    """Gets pictures' tokens and embeddings: from the cache, else from the mmproj.

    Args:
        tokenize: text and parse_special to tokens.
    """

    def __init__(
        self, vision: Vision, cache: PrefillCache, tokenize: Callable[[str, bool], list[int]]
    ) -> None:
        self._vision = vision
        self._cache = cache
        self._tokenize = tokenize

    def lay_out(self, head: Sequence[PromptPart], report_load: Callable[[float], None]) -> Layout:
        """Find out what the head of a prompt becomes; to be released.

        Each part is tokenized by itself and the tokens between two pictures are one stretch, as
        mtmd_tokenize_from_parts does it.
        """
        stretches: list[TextStretch | PictureStretch] = []
        tokens: list[int] = []
        for part in head:
            if not isinstance(part, Bitmap):
                tokens += self._tokenize(part.text, part.parse_special)
                continue
            picture = self._picture(part, report_load)
            tokens += picture.frame.before
            if tokens:
                stretches.append(TextStretch(tokens))
            stretches.append(picture)
            tokens = list(picture.frame.after)
        return Layout(tuple(stretches), tuple(tokens))

    def embeddings(self, picture: PictureStretch) -> Any:
        """A ctypes array of float32, (image_tokens, n_embd_inp); good until the next call.

        What had to be computed is kept for the next time.
        """
        if picture.saved is not None:
            embd = picture.saved.embd
            return (ctypes.c_float * (embd.nbytes // 4)).from_buffer(embd)
        assert picture.prepared is not None
        computed = self._vision.encode(picture.prepared)
        if self._cache.keeps(ctypes.sizeof(computed)):
            copy = memoryview(bytes(computed))
            self._cache.keep_picture(picture.bitmap, SavedPicture(picture.frame, copy))
        return computed

    def release(self, layout: Layout) -> None:
        """Let go what mtmd holds for a layout's pictures."""
        for picture in layout.pictures:
            if picture.prepared is not None:
                self._vision.release(picture.prepared)

    def _picture(self, bitmap: Bitmap, report_load: Callable[[float], None]) -> PictureStretch:
        saved = self._cache.find_picture(bitmap)
        if saved is not None:
            return PictureStretch(bitmap, saved.frame, saved=saved)
        self._vision.load(report_load)
        prepared = self._vision.prepare(bitmap)
        return PictureStretch(bitmap, prepared.frame, prepared=prepared)
