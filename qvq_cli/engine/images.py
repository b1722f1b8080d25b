"""Pictures as the model's makers prepare them, equal pixel for pixel to Qwen's reference.

In the order of the reference: turn upright as EXIF says, put transparency on white, make it RGB,
snap it to the patch grid (`grid.image_grid`), resize with Pillow's bicubic to exactly that size.
Where the reference would lose the picture (16-bit grey is clipped, a transparent palette turns
black), it is brought to 8-bit RGB properly first.

The only importer of Pillow, and only when a picture is loaded. Decoding happens in this process;
damage ends in ImageError, whatever a decoder raises or warns about.

Source: transformers 5.23 `Qwen2VLImageProcessorPil` and `image_utils.load_image`; for transparency,
qwen-vl-utils 0.0.14 `to_rgb`.
"""

import hashlib
import importlib
import io
import logging
import math
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from qvq_cli.engine.formats import HEIC, PDF_MIME, PNG, TIFF, PictureFormat, is_pdf, sniff_format
from qvq_cli.engine.grid import ImageLimits, PatchGrid, check_shape, image_grid
from qvq_cli.engine.pdf import render_page
from qvq_cli.engine.protocol import Bitmap
from qvq_cli.engine.sources import CLIPBOARD, SourceBytes, read_source
from qvq_cli.errors import ImageError, InputNotFoundError, UnavailableError

if TYPE_CHECKING:
    from PIL import Image

MAX_PICTURE_PX = 300_000_000
"""Room for an A0 sheet scanned at 400 dpi (248 MP) or a 200 MP phone; decoded it takes 1.2 GB."""

_ORIENTATION = 0x0112
"""EXIF and TIFF tag: how the picture must be turned. Source: EXIF 2.32, table 4."""

_BITS_PER_SAMPLE = 258
"""TIFF tag. Source: TIFF 6.0."""

# What decoders raise on damaged data. Pillow promises only OSError; mutated pictures bring out the
# next four, and Pillow's own `open` expects the rest of its plugins.
_DECODER_ERRORS = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    RuntimeError,
    TypeError,
    LookupError,
    ArithmeticError,
    struct.error,
)


class Picture(NamedTuple):
    """A picture, ready for the engine, and what it was made from.

    source: what was typed, or the file that was copied; sha256: of `data`, the bytes as they came;
    width_px, height_px: upright and before resizing (of a PDF: the page as it was drawn); page: of
    a PDF, from 1; n_frames: of an animation or a scan of several pages, whose first is this one.
    """

    source: str
    sha256: str
    mime: str
    data: bytes
    page: int | None
    width_px: int
    height_px: int
    grid: PatchGrid
    bitmap: Bitmap
    n_frames: int = 1

    @property
    def image_tokens(self) -> int:
        """KV cells the picture takes."""
        return self.grid.image_tokens

    @property
    def is_blank(self) -> bool:
        """Whether every pixel that the model sees has the same colour."""
        rgb = self.bitmap.rgb
        return rgb == rgb[:3] * (len(rgb) // 3)


class EmbeddablePicture(NamedTuple):
    """A picture in a format that every browser shows."""

    mime: str
    data: bytes


def load_picture(source: str, limits: ImageLimits, stdin: BinaryIO | None = None) -> Picture:
    """Read, decode and prepare what was typed: a path, `-`, `file.pdf#3` or `@clipboard`.

    Raises:
        InputNotFoundError: not there, not readable, a URL, a clipboard without a picture.
        ImageError: empty, damaged, not a picture, too large, too narrow, no such page.
        UnavailableError: no way to read the clipboard, or no reader for HEIC, on this machine.
    """
    read = _read_clipboard() if source == CLIPBOARD else read_source(source, stdin)
    return _prepare(read, limits)


def embeddable(picture: Picture) -> EmbeddablePicture:
    """The original bytes where browsers show them; else what the model saw, as PNG."""
    if not is_pdf(picture.data) and sniff_format(picture.data, picture.source).is_web:
        return EmbeddablePicture(picture.mime, picture.data)
    from PIL import Image

    bitmap = picture.bitmap
    stream = io.BytesIO()
    seen = Image.frombytes("RGB", (bitmap.width_px, bitmap.height_px), bitmap.rgb)
    seen.save(stream, PNG.pillow_name)
    return EmbeddablePicture(PNG.mime, stream.getvalue())


def _prepare(read: SourceBytes, limits: ImageLimits) -> Picture:
    if is_pdf(read.data):
        mime, page, n_frames = PDF_MIME, read.page or 1, 1
        image = _draw_page(read, limits)
    else:
        picture_format = sniff_format(read.data, read.name)
        if read.page is not None:
            raise ImageError(
                f"{read.name} is not a PDF, so it has no page {read.page}",
                hint=f"leave the page off: {read.base}",
                reference="no-such-page",
            )
        mime, page = picture_format.mime, None
        image = _decode(read, picture_format)
        n_frames = _count_frames(read.data, picture_format) if picture_format.has_frames else 1
    width_px, height_px = image.size
    grid = image_grid(width_px, height_px, limits)
    return Picture(
        source=read.typed,
        sha256=hashlib.sha256(read.data).hexdigest(),
        mime=mime,
        data=read.data,
        page=page,
        width_px=width_px,
        height_px=height_px,
        grid=grid,
        bitmap=_fit(image, grid, limits),
        n_frames=n_frames,
    )


def _fit(image: "Image.Image", grid: PatchGrid, limits: ImageLimits) -> Bitmap:
    """Resize an RGB image to exactly its grid."""
    from PIL import Image

    width_px, height_px = grid.w * limits.token_px, grid.h * limits.token_px
    fitted = image.resize((width_px, height_px), Image.Resampling.BICUBIC)
    return Bitmap(width_px, height_px, fitted.tobytes())


def _draw_page(read: SourceBytes, limits: ImageLimits) -> "Image.Image":
    from PIL import Image

    raster = render_page(read, limits)
    size_px = (raster.width_px, raster.height_px)
    return Image.frombytes("RGB", size_px, raster.rgb, "raw", "RGB", raster.stride_bytes)


def _decode(read: SourceBytes, picture_format: PictureFormat) -> "Image.Image":
    """Decode the first frame, turned upright, as 8-bit RGB."""
    _import_decoder(picture_format, read.name)
    from PIL import Image

    with _within_memory(read.name), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _translated(read.name), _silent_libtiff() if picture_format is TIFF else nullcontext():
            image: Image.Image = Image.open(
                io.BytesIO(read.data), formats=[picture_format.pillow_name]
            )
            _check_size(image.size, read.name)
            image.load()
        image = _turn_upright(image)
        return _to_rgb(image, read.name)


def _count_frames(data: bytes, picture_format: PictureFormat) -> int:
    """How many frames or pages there are; 1 where damage behind the first hides it.

    On a copy of its own: to count, Pillow goes through the file, and the frame that it had decoded
    is gone.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=[picture_format.pillow_name])
            return int(getattr(image, "n_frames", 1))
    except _DECODER_ERRORS:
        return 1


def _import_decoder(picture_format: PictureFormat, source: str) -> None:
    """Teach Pillow one format, and switch off what it decides for a whole process."""
    no_reader = UnavailableError(
        f"{source} is {picture_format.mime}, and this installation has no reader for it",
        hint="save it as PNG, or install the readers: pip install --upgrade pillow pillow-heif",
        reference="no-reader",
    )
    try:
        plugin = importlib.import_module(picture_format.plugin)
    except ImportError as error:
        raise no_reader from error
    if not getattr(plugin, "SUPPORTED", True):  # Pillow built without libavif or libwebp
        raise no_reader
    if picture_format is HEIC:
        plugin.register_heif_opener()
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # `_check_size` refuses, later and with numbers
    logging.getLogger("PIL").addHandler(logging.NullHandler())


@contextmanager
def _within_memory(source: str) -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        raise ImageError(
            f"{source} is too large to decode in the memory that is free",
            hint="save a smaller version of the picture",
            reference="picture-too-large",
        ) from error


@contextmanager
def _translated(source: str) -> Iterator[None]:
    """Turn whatever a decoder does about damaged data into one ImageError."""
    try:
        yield
    except _DECODER_ERRORS as error:
        is_short = isinstance(error, EOFError) or "truncated" in str(error).lower()
        raise ImageError(
            f"{source} is {'cut short' if is_short else 'damaged or incomplete'}",
            hint="copy or download it again, and check that it opens in an image viewer",
            reference="damaged-picture",
        ) from error


@contextmanager
def _silent_libtiff() -> Iterator[None]:
    """Keep libtiff's complaints, which it writes to descriptor 2 past Pillow, off the terminal."""
    try:
        stderr_copy = os.dup(2)
    except OSError:  # stderr is closed: nothing to keep clean
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(stderr_copy, 2)
        os.close(stderr_copy)


def _check_size(size_px: tuple[int, int], source: str) -> None:
    """Refuse a picture by its header, before its pixels take any memory."""
    width_px, height_px = size_px
    check_shape(width_px, height_px, source)
    if width_px * height_px > MAX_PICTURE_PX:
        raise ImageError(
            f"{source} is {width_px} x {height_px} pixels, more than the "
            f"{MAX_PICTURE_PX // 10**6} megapixels that are decoded",
            hint="save a smaller version: the model looks at 13 megapixels at most",
            reference="picture-too-large",
        )


def _turn_upright(image: "Image.Image") -> "Image.Image":
    """Apply the EXIF orientation; a picture whose EXIF block is damaged stays as it is."""
    from PIL.Image import Transpose

    try:
        orientation = image.getexif().get(_ORIENTATION)
    except _DECODER_ERRORS:
        return image
    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    turn = turns.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: "Image.Image", source: str) -> "Image.Image":
    """Bring any mode to 8-bit RGB, transparency on white."""
    from PIL import Image

    if image.mode == "F" or image.mode.startswith("I"):
        image = _to_grey(image, source)
    elif image.mode == "LAB":
        return _lab_to_rgb(image)
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_grey(image: "Image.Image", source: str) -> "Image.Image":
    """Scale 16-bit, 32-bit and float grey to 8 bits; Pillow would clip it to white."""
    lowest, highest = _grey_range(image, source)
    scale = 255 / (highest - lowest)
    offset = 0.5 - lowest * scale  # converting to L cuts the fraction off, so half a step rounds
    return image.convert("F").point(lambda value: value * scale + offset).convert("L")


def _grey_range(image: "Image.Image", source: str) -> tuple[float, float]:
    """The values that black and white have in a deep grey picture.

    16-bit formats say it. 32-bit and float ones don't: the usual ranges are tried from the
    narrowest, and what fits none is stretched from its own darkest to its own brightest value.
    """
    if image.mode.startswith("I;16"):
        bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))[0]
        return 0, 2**bits - 1
    if image.format == "PPM":
        return 0, 65535
    lowest, highest = image.convert("F").getextrema()
    assert isinstance(lowest, float) and isinstance(highest, float)  # one band, so two numbers
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise ImageError(
            f"{source} holds values that are not numbers",
            hint="export the picture as 8-bit or 16-bit PNG",
            reference="damaged-picture",
        )
    for white in (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0):
        if lowest >= 0 and highest <= white:
            return 0, white
    return lowest, highest if highest > lowest else lowest + 1


def _lab_to_rgb(image: "Image.Image") -> "Image.Image":
    from PIL import ImageCms

    to_srgb = ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
    )
    converted = ImageCms.applyTransform(image, to_srgb)
    assert converted is not None  # None only comes back from an in-place transform
    return converted


def _read_clipboard() -> SourceBytes:
    """The copied picture, or the first of the copied files."""
    from PIL import Image, ImageGrab

    try:
        copied = ImageGrab.grabclipboard()
    except NotImplementedError as error:
        raise UnavailableError(
            "the clipboard can't be read here: neither wl-paste nor xclip is installed",
            hint="install one (apt install wl-clipboard, or xclip), or save the picture to a file",
            reference="no-clipboard",
        ) from error
    except ChildProcessError as error:
        raise UnavailableError(
            f"the clipboard can't be read here: {error}",
            hint="save the picture to a file and give its path",
            reference="no-clipboard",
        ) from error
    except _DECODER_ERRORS:
        copied = None  # bytes that Pillow can't open: as good as no picture
    if isinstance(copied, list) and copied:
        return read_source(copied[0])
    if not isinstance(copied, Image.Image):
        raise InputNotFoundError(
            "there is no picture on the clipboard",
            hint="copy a picture (not its link or its text) and run the command again",
            reference="empty-clipboard",
        )
    stream = io.BytesIO()
    copied.save(stream, PNG.pillow_name)
    return SourceBytes(CLIPBOARD, stream.getvalue())
