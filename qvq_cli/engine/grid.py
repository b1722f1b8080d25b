"""The arithmetic that snaps a picture to the vision encoder's patches.

Pure numbers, no pixels: what a picture costs is known from its size alone, before anything is
decoded or loaded.

Source: Qwen2-VL `smart_resize`, transformers 5.23
`models/qwen2_vl/image_processing_pil_qwen2_vl.py`, with Python's own rounding (half to even), which
decides the grid at every second multiple.
"""

import math
from typing import NamedTuple

from qvq_cli.errors import ImageError

MAX_ASPECT_RATIO = 200
"""Longer side over shorter side. Source: Qwen2-VL, `smart_resize`."""


class ImageLimits(NamedTuple):
    """How many image tokens a picture may cost, and the patches they are counted in.

    patch_px * merge pixels a side become one token: 28 for Qwen2-VL and Qwen2.5-VL (14 * 2), 32 for
    Qwen3-VL (16 * 2). The limits bound the area; a strip so thin that one row of tokens is already
    more than image_tokens_max still gets that row.
    """

    image_tokens_min: int
    image_tokens_max: int
    patch_px: int = 14
    merge: int = 2

    @property
    def token_px(self) -> int:
        """Side of the square that becomes one token."""
        return self.patch_px * self.merge

    @property
    def area_min_px(self) -> int:
        return self.image_tokens_min * self.token_px**2

    @property
    def area_max_px(self) -> int:
        return self.image_tokens_max * self.token_px**2


class PatchGrid(NamedTuple):
    """A picture's size in merged patches."""

    h: int
    w: int

    @property
    def image_tokens(self) -> int:
        """KV cells the picture takes."""
        return self.h * self.w


def image_grid(width_px: int, height_px: int, limits: ImageLimits) -> PatchGrid:
    """Snap a picture to the encoder's patch grid.

    Returns: (h, w) in merged patches; h*w is the picture's cost in KV cells, max(h, w) its n_pos.
    Raises: ImageError: no area, or an aspect ratio above 200.
    Source: Qwen2-VL smart_resize, transformers `image_processing_qwen2_vl.py`.
    """
    check_shape(width_px, height_px)
    side = limits.token_px
    h, w = round(height_px / side), round(width_px / side)
    area = width_px * height_px
    if h * w * side**2 > limits.area_max_px:
        shrink = math.sqrt(area / limits.area_max_px)
        h = max(1, math.floor(height_px / shrink / side))
        w = max(1, math.floor(width_px / shrink / side))
    elif h * w * side**2 < limits.area_min_px:
        grow = math.sqrt(limits.area_min_px / area)
        h = math.ceil(height_px * grow / side)
        w = math.ceil(width_px * grow / side)
    return PatchGrid(h, w)


def check_shape(width_px: float, height_px: float, name: str = "the picture") -> None:
    """Refuse what the encoder can't look at.

    Raises: ImageError: no area, or an aspect ratio above 200.
    """
    short, long = sorted((width_px, height_px))
    if short <= 0:
        raise ImageError(
            f"{name} is empty: {width_px:g} x {height_px:g} pixels",
            hint="export the picture again and check that it opens in an image viewer",
            reference="empty-picture",
        )
    if long / short > MAX_ASPECT_RATIO:
        raise ImageError(
            f"{name} is too narrow: {width_px:g} x {height_px:g} pixels, and the model can't see "
            f"anything more than {MAX_ASPECT_RATIO} times as long as it is wide",
            hint="crop it, or cut it into pieces and give them as several pictures",
            reference="picture-too-narrow",
        )
