"""Pictures: every pixel like transformers, every format and mode, and nothing but our errors."""

import faulthandler
import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageCms, ImageGrab, ImageStat

from damaged_pictures import damaged_pictures, healthy_pictures
from picture_samples import ORIENTATION_TAG, SAMPLES, Sample, draw_picture, encode_sample
from qvq_cli.engine import images
from qvq_cli.engine.grid import ImageLimits
from qvq_cli.engine.images import Picture, embeddable, load_picture
from qvq_cli.errors import ExitCode, QvqError

REFERENCES = json.loads((Path(__file__).parent / "data" / "image_references.json").read_text())
LIMITS = ImageLimits(4, 16384)
HEALTHY = healthy_pictures()


def load(data: bytes, limits: ImageLimits = LIMITS) -> Picture:
    return load_picture("-", limits, io.BytesIO(data))


def refusal(data: bytes) -> QvqError:
    with pytest.raises(QvqError) as caught:
        load(data)
    return caught.value


def encoded(picture: Image.Image, pillow_name: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, pillow_name, **options)
    return stream.getvalue()


def seen(picture: Picture) -> Image.Image:
    """What the model sees."""
    bitmap = picture.bitmap
    return Image.frombytes("RGB", (bitmap.width_px, bitmap.height_px), bitmap.rgb)


def difference(a: Image.Image, b: Image.Image) -> float:
    """The mean difference of two pictures, in levels of 255."""
    return sum(ImageStat.Stat(ImageChops.difference(a, b)).mean) / 3


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_every_pixel_is_the_one_of_transformers(sample: Sample) -> None:
    limits = ImageLimits(sample.image_tokens_min, sample.image_tokens_max, sample.patch_px)
    bitmap = load(encode_sample(sample), limits).bitmap
    sha256 = hashlib.sha256(bitmap.rgb).hexdigest()
    assert [bitmap.width_px, bitmap.height_px, sha256] == REFERENCES["pixels"][sample.name], (
        f"references are of Pillow {REFERENCES['made_with']['pillow']}: "
        "if Pillow resamples differently now, make_image_references.py makes them again"
    )


@pytest.mark.parametrize(("name", "data"), HEALTHY.items())
def test_every_format_is_read(name: str, data: bytes) -> None:
    limits = ImageLimits(4, 16)
    drawn = draw_picture("CMYK" if "cmyk" in name else "RGB", 48, 37).convert("RGB")
    is_turned = name in ("png", "jpeg", "webp", "avif", "heic")
    picture = load(data, limits)
    assert picture.sha256 == hashlib.sha256(data).hexdigest()
    assert picture.data == data
    if name == "pdf":
        return  # drawn at its own size: tests/test_pdf.py
    assert (picture.width_px, picture.height_px) == ((37, 48) if is_turned else (48, 37))
    assert (picture.bitmap.width_px, picture.bitmap.height_px) == (
        picture.grid.w * 28,
        picture.grid.h * 28,
    )
    assert len(picture.bitmap.rgb) == picture.image_tokens * 28 * 28 * 3
    is_colour = name in ("png", "jpeg", "webp", "tiff", "tiff-lzw", "avif", "heic", "ppm", "bmp")
    if is_colour or "cmyk" in name:
        upright = drawn.transpose(Image.Transpose.ROTATE_270) if is_turned else drawn
        expected = seen(load(encoded(upright), limits))
        # Lossy formats spend few bits on noise; upside down the difference would be far larger.
        assert difference(seen(picture), expected) < 16
        assert difference(seen(picture).transpose(Image.Transpose.ROTATE_180), expected) > 40


def test_a_tiff_is_turned_once() -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    drawn = draw_picture("RGB", 48, 37)
    turned = load(encoded(drawn, "TIFF", exif=exif))
    upright = load(encoded(drawn.transpose(Image.Transpose.ROTATE_270)))
    assert (turned.width_px, turned.height_px) == (37, 48)
    assert turned.bitmap == upright.bitmap


def test_a_damaged_exif_block_leaves_the_picture_as_it_is() -> None:
    drawn = draw_picture("RGB", 48, 37)
    damaged = load(encoded(drawn, "PNG", exif=b"Exif\0\0\xde\xad\xbe\xef not a TIFF header"))
    assert damaged.bitmap == load(encoded(drawn)).bitmap


@pytest.mark.parametrize("kind", ["png I;16", "tiff I;16", "tiff I;16B", "tiff I", "pgm"])
def test_sixteen_bits_become_eight_by_scale(kind: str) -> None:
    grey = Image.frombytes("L", (64, 32), bytes(value // 8 for value in range(2048)))
    deep = grey.convert("I").point(lambda value: value * 257)
    data = {
        "png I;16": lambda: encoded(deep.convert("I;16")),
        "tiff I;16": lambda: encoded(deep.convert("I;16"), "TIFF"),
        "tiff I;16B": lambda: encoded(deep.convert("I;16B"), "TIFF"),
        "tiff I": lambda: encoded(deep, "TIFF"),
        "pgm": lambda: encoded(deep.convert("I;16"), "PPM"),
    }[kind]()
    assert load(data).bitmap == load(encoded(grey)).bitmap


@pytest.mark.parametrize(
    ("scale", "offset"), [(1 / 255, 0.0), (1.0, 0.0), (257.0, 0.0), (1e6, -5e7), (1e-3, -1.0)]
)
def test_floats_become_eight_bits_by_their_range(scale: float, offset: float) -> None:
    grey = Image.frombytes("L", (64, 32), bytes(value // 8 for value in range(2048)))
    floats = grey.convert("F").point(lambda value: value * scale + offset)
    assert load(encoded(floats, "TIFF")).bitmap == load(encoded(grey)).bitmap


def test_a_dark_sixteen_bit_picture_stays_dark() -> None:
    assert set(load(encoded(Image.new("I;16", (56, 56), 30 * 257))).bitmap.rgb) == {30}


def test_floats_of_one_value_are_a_picture() -> None:
    assert len(set(load(encoded(Image.new("F", (56, 56), 1e9), "TIFF")).bitmap.rgb)) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_floats_that_are_no_numbers(value: float) -> None:
    error = refusal(encoded(Image.new("F", (56, 56), value), "TIFF"))
    assert "not numbers" in error.message


def test_twelve_bits_reach_white() -> None:
    """Written by hand, as Pillow reads 12-bit TIFF but writes none. Source: TIFF 6.0, section 2."""
    pixels = b"\xff\xff\xff" * (28 * 28 // 2)
    tags = (
        (256, 28), (257, 28), (258, 12), (259, 1), (262, 1), (273, 122), (277, 1), (278, 28),
        (279, len(pixels)),
    )  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    data = b"II*\0" + struct.pack("<I", 8) + directory + pixels
    assert set(load(data).bitmap.rgb) == {255}


def test_lab_becomes_rgb() -> None:
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = ImageCms.applyTransform(Image.new("RGB", (56, 56), (200, 30, 60)), to_lab)
    assert lab is not None
    middle = seen(load(encoded(lab, "TIFF"))).getpixel((28, 28))
    assert isinstance(middle, tuple)
    assert all(abs(a - b) <= 3 for a, b in zip(middle, (200, 30, 60), strict=True))


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("RGBA", (56, 56), (255, 0, 0, 0)),
        Image.new("LA", (56, 56), (0, 0)),
    ],
    ids=["RGBA", "LA"],
)
def test_what_is_transparent_is_white(picture: Image.Image) -> None:
    assert set(load(encoded(picture)).bitmap.rgb) == {255}


def test_a_transparent_colour_is_white() -> None:
    palette = Image.frombytes("P", (56, 56), bytes([7]) * 56 * 56)
    palette.putpalette(bytes(range(256)) * 3)
    grey = Image.new("L", (56, 56), 7)
    for data in (
        encoded(palette, transparency=7, bits=8),
        encoded(palette, "GIF", transparency=7),
        encoded(grey, transparency=7),
    ):
        assert set(load(data).bitmap.rgb) == {255}


def test_a_moving_picture_shows_its_first_frame() -> None:
    first, second = Image.new("RGB", (56, 56), "red"), Image.new("RGB", (56, 56), "blue")
    data = encoded(first, "GIF", save_all=True, append_images=[second])
    assert seen(load(data)).getpixel((0, 0)) == (255, 0, 0)


def test_a_page_of_a_pdf_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "exam.pdf"
    pages = [Image.new("RGB", (72, 144), colour) for colour in ("white", "black")]
    path.write_bytes(encoded(pages[0], "PDF", save_all=True, append_images=pages[1:]))
    picture = load_picture(f"{path}#2", LIMITS)
    assert (picture.page, picture.mime) == (2, "application/pdf")
    assert (picture.width_px, picture.height_px) == (200, 400)  # 1 x 2 inches at 200 dpi
    assert max(picture.bitmap.rgb) < 5


def test_a_page_of_what_is_no_pdf(tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    path.write_bytes(HEALTHY["png"])
    with pytest.raises(QvqError) as caught:
        load_picture(f"{path}#2", LIMITS)
    assert caught.value.reference == "no-such-page"
    assert caught.value.hint == f"leave the page off: {path}"


@pytest.mark.parametrize("pillow_name", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_frames_behind_the_first_are_counted(pillow_name: str) -> None:
    frames = [Image.new("RGB", (60, 60), colour) for colour in ("red", "lime", "blue")]
    data = encoded(frames[0], pillow_name, save_all=True, append_images=frames[1:])
    picture = load(data)
    assert picture.n_frames == 3
    assert difference(seen(picture), Image.new("RGB", seen(picture).size, "red")) < 2
    assert load(encoded(frames[0], pillow_name)).n_frames == 1


def test_what_a_phone_adds_to_a_photo_is_no_frame() -> None:
    photo, depth = Image.new("RGB", (60, 60), "red"), Image.new("RGB", (20, 20), "grey")
    assert load(encoded(photo, "MPO", save_all=True, append_images=[depth])).n_frames == 1


@pytest.mark.parametrize(("colour", "is_blank"), [("white", True), ("black", False)])
def test_a_drawing_that_vanishes_is_noticed(colour: str, is_blank: bool) -> None:
    """White ink on a transparent background is white on white."""
    image = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    image.paste(colour, (10, 10, 20, 20))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    assert load(stream.getvalue(), LIMITS).is_blank == is_blank


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "gif", "bmp", "avif"])
def test_what_browsers_show_is_embedded_as_it_came(name: str) -> None:
    assert embeddable(load(HEALTHY[name])) == (f"image/{name}", HEALTHY[name])


@pytest.mark.parametrize("name", ["tiff", "heic", "ppm", "pdf"])
def test_what_browsers_do_not_show_is_embedded_as_png(name: str) -> None:
    picture = load(HEALTHY[name])
    mime, data = embeddable(picture)
    assert mime == "image/png"
    assert Image.open(io.BytesIO(data)).tobytes() == picture.bitmap.rgb


def png_header(width_px: int, height_px: int) -> bytes:
    """A PNG that says its size and holds one row. Source: PNG specification, section 11.2.1."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width_px, height_px, 1, 0, 0, 0, 0)
    row = zlib.compress(bytes(width_px // 8 + 2))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", row) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    error = refusal(png_header(60_000, 60_000))
    assert (error.exit_code, error.reference) == (ExitCode.BAD_DATA, "picture-too-large")
    assert "60000 x 60000" in error.message


def test_a_picture_larger_than_pillow_likes_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow alone warns from 89 megapixels on and refuses from 179; here, from very few."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert load(HEALTHY["gif"]).width_px == 48


def test_a_picture_without_area() -> None:
    assert refusal(png_header(0, 5)).exit_code is ExitCode.BAD_DATA


def test_a_strip_is_refused_by_name() -> None:
    error = refusal(encoded(Image.new("1", (2010, 10))))
    assert error.reference == "picture-too-narrow"
    assert error.message.startswith("standard input is too narrow: 2010 x 10 pixels")


@pytest.mark.parametrize("name", sorted(set(HEALTHY) - {"gif-animated"}))
def test_half_a_file_is_damaged(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    error = refusal(HEALTHY[name][: len(HEALTHY[name]) // 2])
    assert (error.exit_code, error.reference) == (ExitCode.BAD_DATA, "damaged-picture")
    assert error.message.startswith("standard input is ")
    assert capfd.readouterr() == ("", ""), "a decoder speaks past us"


def test_damage_ends_in_a_picture_or_in_our_error(capfd: pytest.CaptureFixture[str]) -> None:
    """1,000 damaged files; any other exception, warning or word on stderr fails."""
    outcomes: dict[str, int] = {}
    faulthandler.dump_traceback_later(120, exit=True)  # a decoder that hangs can't be interrupted
    try:
        for what, data in damaged_pictures(1000, seed=2025):
            try:
                picture = load(data, ImageLimits(4, 64))
                outcome = "read"
                assert len(picture.bitmap.rgb) == picture.image_tokens * 28 * 28 * 3, what
            except QvqError as error:
                outcome = error.reference
                assert error.exit_code in (ExitCode.BAD_DATA, ExitCode.NO_INPUT), what
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    finally:
        faulthandler.cancel_dump_traceback_later()
    assert outcomes["read"] > 100
    assert outcomes["damaged-picture"] > 300
    assert outcomes["not-a-picture"] > 50
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_damaged_files_stay_small_in_memory() -> None:
    script = (
        "import io\n"
        "from pathlib import Path\n"
        "from damaged_pictures import damaged_pictures\n"
        "from qvq_cli.engine.grid import ImageLimits\n"
        "from qvq_cli.engine.images import load_picture\n"
        "from qvq_cli.errors import QvqError\n"
        "for what, data in damaged_pictures(500, seed=7):\n"
        "    try:\n"
        "        load_picture('-', ImageLimits(4, 64), io.BytesIO(data))\n"
        "    except QvqError:\n"
        "        pass\n"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
    )
    assert int(run_python(script)) * 1024 < 400e6


def test_no_memory_for_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> Image.Image:
        raise MemoryError

    monkeypatch.setattr(images, "_to_rgb", fail)
    error = refusal(HEALTHY["png"])
    assert (error.exit_code, error.reference) == (ExitCode.BAD_DATA, "picture-too-large")


def test_an_installation_without_a_reader_for_heic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    error = refusal(HEALTHY["heic"])
    assert (error.exit_code, error.reference) == (ExitCode.UNAVAILABLE, "no-reader")


def test_a_pillow_without_libavif(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.AvifImagePlugin.SUPPORTED", False)
    error = refusal(HEALTHY["avif"])
    assert (error.exit_code, error.reference) == (ExitCode.UNAVAILABLE, "no-reader")


def test_a_closed_stderr_does_not_matter() -> None:
    script = (
        "import io, os, sys\n"
        "from damaged_pictures import healthy_pictures\n"
        "from qvq_cli.engine.grid import ImageLimits\n"
        "from qvq_cli.engine.images import load_picture\n"
        "os.close(2)\n"
        "data = healthy_pictures()['tiff-lzw']\n"
        "print(load_picture('-', ImageLimits(4, 64), io.BytesIO(data)).width_px)\n"
    )
    assert run_python(script) == "48\n"


def test_only_what_a_picture_needs_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    path.write_bytes(HEALTHY["png"])
    script = (
        "import sys\n"
        "from qvq_cli.engine.grid import ImageLimits\n"
        "from qvq_cli.engine.images import load_picture\n"
        "heavy = {'PIL', 'numpy', 'pillow_heif', 'pypdfium2'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        f"load_picture({str(path)!r}, ImageLimits(4, 64))\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    assert run_python(script) == "[]\n['PIL']\n"


def run_python(script: str) -> str:
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(here), str(here.parent)))},
    )
    return done.stdout


@pytest.fixture
def clipboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `wl-paste` of our own, found before any other: a script that the test writes."""
    if sys.platform != "linux":
        pytest.skip("the clipboard is read by a program on Linux only")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return tmp_path / "wl-paste"


def put(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def clipboard_refusal() -> QvqError:
    with pytest.raises(QvqError) as caught:
        load_picture("@clipboard", LIMITS)
    return caught.value


def test_a_copied_picture(clipboard: Path) -> None:
    drawn = draw_picture("RGB", 60, 40)
    (clipboard.parent / "copied.png").write_bytes(encoded(drawn))
    put(clipboard, f"cat '{clipboard.parent}/copied.png'")
    picture = load_picture("@clipboard", LIMITS)
    assert (picture.source, picture.mime) == ("@clipboard", "image/png")
    assert picture.bitmap == load(encoded(drawn)).bitmap
    assert Image.open(io.BytesIO(picture.data)).tobytes() == drawn.tobytes()


@pytest.mark.parametrize("script", ["echo Nothing is copied >&2; exit 1", "echo some text"])
def test_a_clipboard_without_a_picture(clipboard: Path, script: str) -> None:
    put(clipboard, script)
    error = clipboard_refusal()
    assert (error.exit_code, error.reference) == (ExitCode.NO_INPUT, "empty-clipboard")


def test_a_clipboard_that_can_not_be_reached(clipboard: Path) -> None:
    put(clipboard, "echo Failed to connect to a Wayland server >&2; exit 1")
    error = clipboard_refusal()
    assert (error.exit_code, error.reference) == (ExitCode.UNAVAILABLE, "no-clipboard")
    assert "Wayland server" in error.message


def test_no_program_that_reads_the_clipboard(
    clipboard: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(clipboard.parent))
    error = clipboard_refusal()
    assert (error.exit_code, error.reference) == (ExitCode.UNAVAILABLE, "no-clipboard")
    assert "wl-clipboard" in (error.hint or "")


def test_a_copied_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "figure.png"
    path.write_bytes(HEALTHY["png"])
    monkeypatch.setattr(ImageGrab, "grabclipboard", lambda: [str(path)])  # as Windows gives it
    picture = load_picture("@clipboard", LIMITS)
    assert (picture.source, picture.data) == (str(path), HEALTHY["png"])
