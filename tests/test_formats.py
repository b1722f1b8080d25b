"""Formats told from bytes, and the names for what is no picture."""

import pytest

from damaged_pictures import healthy_pictures
from qvq_cli.engine.formats import is_pdf, sniff_format
from qvq_cli.errors import ImageError


@pytest.mark.parametrize(("name", "data"), healthy_pictures().items())
def test_every_format_is_told_from_its_bytes(name: str, data: bytes) -> None:
    family = name.partition("-")[0]
    if family == "pdf":
        assert is_pdf(data)
        return
    mime = {"ppm": "image/x-portable-anymap", "pgm": "image/x-portable-anymap"}.get(family)
    assert sniff_format(data, "it").mime == (mime or f"image/{family}")
    assert not is_pdf(data)


def test_a_pdf_may_start_late() -> None:
    assert is_pdf(b"\n" * 500 + b"%PDF-1.7")
    assert not is_pdf(b"\n" * 2000 + b"%PDF-1.7")
    assert not is_pdf(b"\x89PNG\r\n\x1a\n" + b"made from %PDF-1.7")


@pytest.mark.parametrize(
    ("data", "what", "hint"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG", "PNG"),
        (
            b'<?xml version="1.0"?>\n<!-- by hand -->\n<!DOCTYPE svg PUBLIC "x">\n<svg>',
            "SVG",
            "inkscape",
        ),
        (b"<!DOCTYPE html><html>404", "web page", "download"),
        (b"  <html lang=en>", "web page", "download"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript", "ps2pdf"),
        (b"PK\x03\x04\x14\x00", "ZIP", "PDF"),
        (b"8BPS\x00\x01", "Photoshop", "PNG"),
        (b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2", "video", "ffmpeg"),
        (b'{"error": "not found"}', "text", "PNG, JPEG"),
        ("面积是多少？".encode()[:-1], "text", "PNG, JPEG"),
        (b"\x00\x01\x02\x03", "no picture", "PNG, JPEG"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, what: str, hint: str) -> None:
    with pytest.raises(ImageError) as caught:
        sniff_format(data, "figure.png")
    assert caught.value.reference == "not-a-picture"
    assert caught.value.message.startswith("figure.png is ")
    assert what in caught.value.message
    assert hint in (caught.value.hint or "")


def test_a_heif_container_of_avif_pictures_is_avif() -> None:
    data = b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1miafavif" + bytes(20)
    assert sniff_format(data, "it").mime == "image/avif"


def test_brands_are_read_from_the_first_box_only() -> None:
    data = b"\x00\x00\x00\x10ftypisom\x00\x00\x00\x00" + b"avif" * 4
    with pytest.raises(ImageError, match="video"):
        sniff_format(data, "it")
