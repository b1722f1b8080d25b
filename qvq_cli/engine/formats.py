"""Which picture format some bytes are, told from the bytes alone.

Only the format found here is opened, by its own decoder: Pillow's readers that run other programs
(EPS through Ghostscript) or that nobody sends are never reached. File names are not looked at,
because they lie: a download called .png is often a JPEG, or a web page that says "not found".
"""

import re
from typing import NamedTuple

from qvq_cli.errors import ImageError

SNIFF_BYTES = 1024
"""PDF readers accept a header anywhere in the first KiB; every other format starts at byte 0."""


class PictureFormat(NamedTuple):
    """pillow_name: what Pillow calls it; plugin: the module that teaches Pillow to read it.

    has_frames: several frames or pages in one file are meant to be seen. In a JPEG or HEIC they are
    what phones add to a photo: a depth map, a thumbnail.
    """

    pillow_name: str
    mime: str
    plugin: str
    is_web: bool = True
    has_frames: bool = False


PDF_MIME = "application/pdf"

PNG = PictureFormat("PNG", "image/png", "PIL.PngImagePlugin", has_frames=True)
JPEG = PictureFormat("JPEG", "image/jpeg", "PIL.JpegImagePlugin")
GIF = PictureFormat("GIF", "image/gif", "PIL.GifImagePlugin", has_frames=True)
WEBP = PictureFormat("WEBP", "image/webp", "PIL.WebPImagePlugin", has_frames=True)
AVIF = PictureFormat("AVIF", "image/avif", "PIL.AvifImagePlugin", has_frames=True)
BMP = PictureFormat("BMP", "image/bmp", "PIL.BmpImagePlugin")
TIFF = PictureFormat("TIFF", "image/tiff", "PIL.TiffImagePlugin", is_web=False, has_frames=True)
PPM = PictureFormat("PPM", "image/x-portable-anymap", "PIL.PpmImagePlugin", is_web=False)
HEIC = PictureFormat("HEIF", "image/heic", "pillow_heif", is_web=False)

_BY_START: tuple[tuple[bytes, PictureFormat], ...] = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"BM", BMP),
    (b"II*\x00", TIFF),
    (b"MM\x00*", TIFF),
    (b"II+\x00", TIFF),
    (b"MM\x00+", TIFF),
    *((b"P%d" % kind, PPM) for kind in range(1, 7)),
    (b"Pf", PPM),
)

_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})

# What people hand over by mistake: (how it starts, what it is, what to do).
_MISTAKES: tuple[tuple[re.Pattern[bytes], str, str], ...] = (
    (
        re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!(--.*?--|DOCTYPE svg[^>]*)>\s*)*<svg\b", re.S | re.I),
        "an SVG drawing, which has no pixels yet",
        "export it to PNG first, for instance with Inkscape: inkscape drawing.svg -o drawing.png",
    ),
    (
        re.compile(rb"\s*<(!DOCTYPE html|html|head|body)\b", re.I),
        "a web page (HTML)",
        "the download probably failed: open the address in a browser and save the picture itself",
    ),
    (
        re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"),
        "PostScript",
        "convert it to PDF first: ps2pdf drawing.ps drawing.pdf",
    ),
    (
        re.compile(rb"PK\x03\x04"),
        "a ZIP archive or an Office document",
        "export the page as PDF, or take the picture out of it",
    ),
    (
        re.compile(rb"8BPS"),
        "a Photoshop document",
        "export it to PNG first",
    ),
    (
        re.compile(rb"....ftyp(isom|iso\d|mp4\d|M4V |qt  )|\x1aE\xdf\xa3", re.S),
        "a video",
        "save one frame as PNG: ffmpeg -i video.mp4 -frames:v 1 frame.png",
    ),
)


def is_pdf(data: bytes) -> bool:
    return b"%PDF-" in data[:SNIFF_BYTES] and _known_format(data) is None


def sniff_format(data: bytes, source: str) -> PictureFormat:
    """Tell the format of a picture. Call `is_pdf` first: a PDF is not a picture here.

    Raises: ImageError: nothing that is read here; the message says what it seems to be.
    """
    picture_format = _known_format(data)
    if picture_format is None:
        raise _not_a_picture(data, source)
    return picture_format


def _known_format(data: bytes) -> PictureFormat | None:
    for start, picture_format in _BY_START:
        if data.startswith(start):
            return picture_format
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WEBP
    brands = _isobmff_brands(data)
    if brands & _AVIF_BRANDS:
        return AVIF
    return HEIC if brands & _HEIC_BRANDS else None


def _isobmff_brands(data: bytes) -> frozenset[bytes]:
    """The four-letter brands in an ISO media file's first box; none where it is no such file.

    Source: ISO/IEC 14496-12, FileTypeBox: size, "ftyp", major brand, version, compatible brands.
    """
    if data[4:8] != b"ftyp":
        return frozenset()
    box = data[8 : min(int.from_bytes(data[:4]), SNIFF_BYTES)]
    return frozenset(box[i : i + 4] for i in range(0, len(box), 4) if i != 4)


def _not_a_picture(data: bytes, source: str) -> ImageError:
    head = data[:SNIFF_BYTES]
    for start, what, hint in _MISTAKES:
        if start.match(head):
            return ImageError(f"{source} is {what}", hint=hint, reference="not-a-picture")
    what = "text" if _is_text(head) else "no picture in a format that qvq reads"
    return ImageError(
        f"{source} is {what}",
        hint="qvq reads PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, HEIC, PPM and pages of a PDF",
        reference="not-a-picture",
    )


def _is_text(head: bytes) -> bool:
    """Whether the bytes are UTF-8 without control characters; the last one may be cut."""
    text = head.decode("utf-8", errors="replace").rstrip("�")
    return "�" not in text and all(c.isprintable() or c in "\t\r\n" for c in text)
