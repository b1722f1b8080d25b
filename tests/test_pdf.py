"""Pages of a PDF: which one, how large, and what is wrong with it."""

import io

import pytest
from PIL import Image

from qvq_cli.engine.grid import ImageLimits
from qvq_cli.engine.pdf import MAX_PAGE_PX, page_scale, render_page
from qvq_cli.engine.sources import SourceBytes
from qvq_cli.errors import ExitCode, ImageError

LIMITS = ImageLimits(4, 16384)
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))

# The smallest document with an /Encrypt dictionary: PDFium asks for a password before all else.
LOCKED_PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\n"
    b"4 0 obj<</Filter/Standard/V 1/R 2/P -44/O<"
    + b"00" * 32
    + b">/U<"
    + b"11" * 32
    + b">>>endobj\n"
    b"trailer<</Root 1 0 R/Encrypt 4 0 R/ID[<00><00>]/Size 5>>\n%%EOF"
)


def pdf(*colours: tuple[int, int, int], size_pt: tuple[int, int] = (360, 180)) -> bytes:
    """One plain page for each colour."""
    pages = [Image.new("RGB", size_pt, colour) for colour in colours]
    stream = io.BytesIO()
    pages[0].save(stream, "PDF", save_all=True, append_images=pages[1:], resolution=72)
    return stream.getvalue()


def refusal(data: bytes, page: int | None = None) -> ImageError:
    typed = "exam.pdf" if page is None else f"exam.pdf#{page}"
    with pytest.raises(ImageError) as caught:
        render_page(SourceBytes(typed, data, page), LIMITS)
    assert caught.value.exit_code is ExitCode.BAD_DATA
    return caught.value


@pytest.mark.parametrize("page", [1, 2, 3])
def test_the_page_that_was_asked_for_is_drawn(page: int) -> None:
    raster = render_page(SourceBytes(f"exam.pdf#{page}", pdf(*COLOURS), page), LIMITS)
    middle = raster.height_px // 2 * raster.stride_bytes + raster.width_px // 2 * 3
    drawn = tuple(raster.rgb[middle : middle + 3])
    # Pillow stores the page as JPEG, which is off by a shade.
    assert all(abs(a - b) <= 2 for a, b in zip(drawn, COLOURS[page - 1], strict=True))


def test_the_only_page_needs_no_number() -> None:
    raster = render_page(SourceBytes("exam.pdf", pdf(COLOURS[0]), None), LIMITS)
    assert (raster.width_px, raster.height_px) == (1000, 500)  # 5 x 2.5 inches at 200 dpi
    assert raster.stride_bytes * raster.height_px == len(raster.rgb)


def test_several_pages_and_none_chosen() -> None:
    error = refusal(pdf(*COLOURS))
    assert error.reference == "page-not-chosen"
    assert "3 pages" in error.message
    assert error.hint == "choose one: exam.pdf#1"


def test_a_page_after_the_last() -> None:
    error = refusal(pdf(*COLOURS), 4)
    assert error.reference == "no-such-page"
    assert error.message == "exam.pdf has no page 4, its last is 3"


def test_a_pdf_with_a_password() -> None:
    error = refusal(LOCKED_PDF)
    assert error.reference == "pdf-locked"
    assert "qpdf" in (error.hint or "")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6])
def test_a_pdf_that_is_cut_short(share: float) -> None:
    whole = pdf(*COLOURS)
    assert refusal(whole[: int(len(whole) * share)], 1).reference == "damaged-picture"


def test_a_page_that_is_a_strip() -> None:
    assert refusal(pdf(COLOURS[0], size_pt=(2500, 10))).reference == "picture-too-narrow"


def area_px(width_pt: float, height_pt: float, limits: ImageLimits) -> float:
    return width_pt * height_pt * page_scale(width_pt, height_pt, limits) ** 2


def test_a_page_is_drawn_as_a_scanner_would() -> None:
    assert page_scale(595, 842, LIMITS) == pytest.approx(200 / 72)


def test_a_poster_is_drawn_within_the_limits() -> None:
    limits = ImageLimits(4, 1280)
    assert area_px(2384, 3370, limits) == pytest.approx(limits.area_max_px)


def test_a_stamp_is_drawn_large_enough() -> None:
    limits = ImageLimits(1280, 16384)
    assert area_px(50, 50, limits) == pytest.approx(limits.area_min_px)


def test_no_limits_make_a_page_larger_than_memory() -> None:
    assert area_px(10_000, 10_000, ImageLimits(4, 10**9)) == pytest.approx(MAX_PAGE_PX)
    assert area_px(10, 10, ImageLimits(10**8, 10**9)) == pytest.approx(MAX_PAGE_PX)
