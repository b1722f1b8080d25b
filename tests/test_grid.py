"""The patch grid against the one of transformers, and what holds for every picture."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvq_cli.engine.grid import ImageLimits, image_grid
from qvq_cli.errors import ImageError

REFERENCES = Path(__file__).parent / "data" / "image_references.json"

sides_px = st.integers(1, 20_000)


def test_every_grid_is_the_one_of_transformers() -> None:
    rows = json.loads(REFERENCES.read_text())["grids"]
    assert len(rows) > 500
    for width_px, height_px, token_px, low, high, h, w in rows:
        limits = ImageLimits(low, high, patch_px=token_px // 2)
        assert image_grid(width_px, height_px, limits) == (h, w), (width_px, height_px, limits)


def test_a_grid_costs_its_area_in_tokens() -> None:
    grid = image_grid(280, 560, ImageLimits(4, 16384))
    assert (grid.h, grid.w) == (20, 10)
    assert grid.image_tokens == 200


def test_qwen3_counts_in_squares_of_32_px() -> None:
    assert image_grid(320, 640, ImageLimits(4, 16384, patch_px=16)) == (20, 10)


@given(sides_px, sides_px, st.integers(1, 2000), st.integers(0, 14_384))
def test_a_grid_is_never_below_the_minimum_nor_much_above_the_maximum(
    width_px: int, height_px: int, low: int, spread: int
) -> None:
    limits = ImageLimits(low, low + spread)
    if max(width_px, height_px) > 200 * min(width_px, height_px):
        with pytest.raises(ImageError):
            image_grid(width_px, height_px, limits)
        return
    h, w = image_grid(width_px, height_px, limits)
    # Rounding down after shrinking may go below the minimum by less than one row and one column;
    # a strip keeps one row, and rounding up after growing adds less than one row and one column.
    assert (h + 1) * (w + 1) > limits.image_tokens_min
    assert min(h, w) == 1 or (h - 1) * (w - 1) <= limits.image_tokens_max


@pytest.mark.parametrize(("width_px", "height_px"), [(201, 1), (1, 201), (4021, 20)])
def test_a_strip_is_refused(width_px: int, height_px: int) -> None:
    with pytest.raises(ImageError, match="too narrow") as caught:
        image_grid(width_px, height_px, ImageLimits(4, 16384))
    assert caught.value.reference == "picture-too-narrow"
    assert "crop" in (caught.value.hint or "")


def test_the_longest_strip_that_is_seen() -> None:
    assert image_grid(4000, 20, ImageLimits(4, 16384)) == (1, 143)


@pytest.mark.parametrize(("width_px", "height_px"), [(0, 10), (10, 0), (0, 0)])
def test_a_picture_without_area_is_refused(width_px: int, height_px: int) -> None:
    with pytest.raises(ImageError) as caught:
        image_grid(width_px, height_px, ImageLimits(4, 16384))
    assert caught.value.reference == "empty-picture"
