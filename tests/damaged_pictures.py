"""Pictures of every format that is read, and ways to damage them, all from a seed.

Used by tests/test_images.py: whatever comes out of here, loading it must end in a picture or in an
error of ours.
"""

import io
import random
from collections.abc import Iterator

import pillow_heif
from PIL import Image

from picture_samples import ORIENTATION_TAG, draw_picture

_SIZE_PX = (48, 37)


def healthy_pictures() -> dict[str, bytes]:
    """One small file for each format and each of its ways to store pixels."""
    pillow_heif.register_heif_opener()
    rgb, grey, rgba = (draw_picture(mode, *_SIZE_PX) for mode in ("RGB", "L", "RGBA"))
    palette, cmyk = draw_picture("P", *_SIZE_PX), draw_picture("CMYK", *_SIZE_PX)
    deep = grey.convert("I").point(lambda value: value * 257).convert("I;16")
    tags = Image.Exif()
    tags[ORIENTATION_TAG] = 6
    exif = tags.tobytes()
    return {
        "png": _encoded(rgb, "PNG", exif=exif),
        "png-alpha": _encoded(rgba, "PNG"),
        "png-palette": _encoded(palette, "PNG", transparency=3),
        "png-16-bit": _encoded(deep, "PNG"),
        "png-1-bit": _encoded(grey.convert("1"), "PNG"),
        "jpeg": _encoded(rgb, "JPEG", exif=exif),
        "jpeg-progressive": _encoded(rgb, "JPEG", progressive=True),
        "jpeg-cmyk": _encoded(cmyk, "JPEG"),
        "webp": _encoded(rgb, "WEBP", exif=exif),
        "webp-lossless": _encoded(rgba, "WEBP", lossless=True),
        "webp-animated": _encoded(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(90)]),
        "gif": _encoded(palette, "GIF"),
        "gif-animated": _encoded(palette, "GIF", save_all=True, append_images=[palette.rotate(9)]),
        "bmp": _encoded(rgb, "BMP"),
        "tiff": _encoded(rgb, "TIFF"),
        "tiff-lzw": _encoded(rgb, "TIFF", compression="tiff_lzw"),
        "tiff-deflate": _encoded(deep, "TIFF", compression="tiff_adobe_deflate"),
        "tiff-jpeg": _encoded(rgb, "TIFF", compression="jpeg"),
        "tiff-fax": _encoded(grey.convert("1"), "TIFF", compression="group4"),
        "tiff-float": _encoded(grey.convert("F"), "TIFF"),
        "avif": _encoded(rgb, "AVIF", exif=exif),
        "avif-alpha": _encoded(rgba, "AVIF"),
        "heic": _encoded(rgb, "HEIF", exif=exif),
        "heic-alpha": _encoded(rgba, "HEIF"),
        "ppm": _encoded(rgb, "PPM"),
        "pgm-16-bit": _encoded(deep, "PPM"),
        "pdf": _encoded(rgb, "PDF"),
    }


def _encoded(picture: Image.Image, pillow_name: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, pillow_name, **options)
    return stream.getvalue()


def damaged_pictures(n: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """n damaged files in turn over all formats: (what was done, bytes)."""
    rng = random.Random(seed)
    healthy = healthy_pictures()
    damages = (_cut, _flip_bits, _overwrite, _break_header, _drop, _repeat, _splice, _prefix)
    for i in range(n):
        name = list(healthy)[i % len(healthy)]
        damage = rng.choice(damages)
        other = rng.choice(list(healthy.values()))
        yield f"{i} {name} {damage.__name__[1:]}", damage(bytearray(healthy[name]), other, rng)


def _cut(data: bytearray, _other: bytes, rng: random.Random) -> bytes:
    return bytes(data[: rng.randrange(len(data))])


def _flip_bits(data: bytearray, _other: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 3, 20, 200))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _overwrite(data: bytearray, _other: bytes, rng: random.Random) -> bytes:
    """Numbers that decoders stumble over, where lengths and sizes may be."""
    for _ in range(rng.choice((1, 2, 8))):
        at = rng.randrange(len(data))
        value = rng.choice(
            (b"\x00", b"\xff", b"\x7f\xff", b"\xff\xff\xff\xff", b"\x00\x00\x00\x00")
        )
        data[at : at + len(value)] = value
    return bytes(data)


def _break_header(data: bytearray, _other: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.choice((1, 2, 4))):
        data[rng.randrange(min(64, len(data)))] = rng.randrange(256)
    return bytes(data)


def _drop(data: bytearray, _other: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return bytes(data[:at] + data[at + rng.choice((1, 2, 4, 50)) :])


def _repeat(data: bytearray, _other: bytes, rng: random.Random) -> bytes:
    at, end = sorted(rng.randrange(len(data)) for _ in range(2))
    return bytes(data[:end] + data[at:end] * rng.choice((1, 3)) + data[end:])


def _splice(data: bytearray, other: bytes, rng: random.Random) -> bytes:
    """The head of one file on the body of another."""
    at = rng.randrange(min(len(data), len(other)))
    return bytes(data[:at]) + other[at:]


def _prefix(data: bytearray, _other: bytes, rng: random.Random) -> bytes:
    """A download with something in front, such as a byte order mark or an HTTP header."""
    return rng.choice((b"\xef\xbb\xbf", b"HTTP/1.1 200 OK\r\n\r\n", b"\n", b"\x00" * 8)) + bytes(
        data
    )
