"""One page of a PDF, drawn to pixels by pypdfium2.

A page has no pixels of its own, so this module chooses: scanner resolution, unless the model's
limits on a picture ask for more or fewer. PDFium is imported only here and only for a PDF; it is
not thread-safe, so pages are drawn one after the other.
"""

import logging
import math
from typing import NamedTuple

from qvq_cli.engine.grid import ImageLimits, check_shape
from qvq_cli.engine.sources import SourceBytes
from qvq_cli.errors import ImageError

POINTS_PER_INCH = 72
PAGE_DPI = 200
"""What office scanners use: 6-point footnotes stay legible."""

MAX_PAGE_PX = 32_000_000
"""Bounds the bitmap to 96 MB whatever the limits say; twice the encoder's 16384 tokens of 32 px."""


class PageRaster(NamedTuple):
    """A drawn page: height_px rows of stride_bytes, each beginning with width_px RGB triples."""

    width_px: int
    height_px: int
    stride_bytes: int
    rgb: bytes


def render_page(read: SourceBytes, limits: ImageLimits) -> PageRaster:
    """Draw the page that was asked for; without a page, the only one of a PDF that has one.

    Raises: ImageError: broken, locked, no such page, or several pages and none chosen.
    """
    import pypdfium2

    logging.getLogger("pypdfium2").addHandler(logging.NullHandler())
    try:
        with pypdfium2.PdfDocument(read.data) as document:
            index = _page_index(read, len(document))
            document.init_forms()
            page = document[index]
            width_pt, height_pt = page.get_size()
            check_shape(width_pt, height_pt, read.name)
            bitmap = page.render(
                scale=page_scale(width_pt, height_pt, limits),
                rev_byteorder=True,
                force_bitmap_format=pypdfium2.raw.FPDFBitmap_BGR,
            )
            return PageRaster(bitmap.width, bitmap.height, bitmap.stride, bytes(bitmap.buffer))
    except pypdfium2.PdfiumError as error:
        is_locked = error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD
        raise (_locked(read) if is_locked else _damaged(read)) from error


def page_scale(width_pt: float, height_pt: float, limits: ImageLimits) -> float:
    """Pixels per point: PAGE_DPI, moved so that the page's area lies within the limits."""
    area_pt = width_pt * height_pt
    area_px = area_pt * (PAGE_DPI / POINTS_PER_INCH) ** 2
    area_px = min(max(area_px, limits.area_min_px), limits.area_max_px, MAX_PAGE_PX)
    return math.sqrt(area_px / area_pt)


def _page_index(read: SourceBytes, n_pages: int) -> int:
    """Which page to draw, counted from 0."""
    if read.page is None:
        if n_pages > 1:
            raise ImageError(
                f"{read.name} has {n_pages} pages, and a picture is one page",
                hint=f"choose one: {read.base}#1",
                reference="page-not-chosen",
            )
        return 0
    if read.page > n_pages:
        raise ImageError(
            f"{read.name} has no page {read.page}, its last is {n_pages}",
            hint=f"choose one: {read.base}#{n_pages}",
            reference="no-such-page",
        )
    return read.page - 1


def _locked(read: SourceBytes) -> ImageError:
    return ImageError(
        f"{read.name} is locked with a password",
        hint="save it without one: qpdf --password=… --decrypt locked.pdf unlocked.pdf",
        reference="pdf-locked",
    )


def _damaged(read: SourceBytes) -> ImageError:
    return ImageError(
        f"{read.name} is a damaged or incomplete PDF",
        hint="download or export it again, or give a screenshot of the page",
        reference="damaged-picture",
    )
