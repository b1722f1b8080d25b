"""Pictures drawn from a seed, the same bytes on every machine and in every Pillow.

Hard edges and single-pixel noise, because a resampling filter that is off by one tap shows there.
Only lossless formats, nearest-neighbour scaling and raw bytes are used: nothing that a newer Pillow
may do differently. Used by test_images.py and, to make its references, by make_image_references.py.
"""

import io
import random
from dataclasses import dataclass

from PIL import Image, ImageChops

ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class Sample:
    """One picture and the limits it is prepared under.

    kind: a Pillow mode, or "P+A" for a palette with alpha; orientation: EXIF's, 1 to 8.
    """

    kind: str
    width_px: int
    height_px: int
    image_tokens_min: int
    image_tokens_max: int
    patch_px: int = 14
    orientation: int = 1

    @property
    def name(self) -> str:
        return (
            f"{self.kind} {self.width_px}x{self.height_px} turned {self.orientation} "
            f"{self.image_tokens_min}-{self.image_tokens_max} tokens of {2 * self.patch_px} px"
        )


SAMPLES: tuple[Sample, ...] = (
    *(
        Sample("RGB", width_px, height_px, low, high)
        for width_px, height_px in (
            (1, 1),
            (28, 28),
            (42, 70),
            (199, 1),
            (3, 500),
            (100, 75),
            (333, 517),
            (640, 480),
            (1000, 800),
        )
        for low, high in ((4, 16384), (4, 96), (1280, 16384), (256, 256))
    ),
    *(
        Sample(kind, width_px, height_px, 4, 256)
        for kind in ("L", "LA", "RGBA", "P", "P+A", "1", "CMYK", "YCbCr")
        for width_px, height_px in ((61, 143), (280, 280), (700, 411))
    ),
    *(Sample("RGB", 90, 211, 4, 64, orientation=turn) for turn in range(2, 9)),
    *(Sample("RGB", w, h, 4, 400, patch_px=16) for w, h in ((48, 80), (333, 517), (1000, 800))),
)


def draw_picture(kind: str, width_px: int, height_px: int) -> Image.Image:
    """Blocks with hard edges under noise, in any of the kinds that a Sample names."""
    rng = random.Random(f"{kind} {width_px} {height_px}")
    mode = {"P": "RGB", "P+A": "RGB", "1": "L", "YCbCr": "RGB"}.get(kind, kind)
    size_px = (width_px, height_px)
    n_bands = len(Image.new(mode, (1, 1)).getbands())
    blocks = Image.frombytes(mode, (7, 5), rng.randbytes(7 * 5 * n_bands))
    noise = Image.frombytes(mode, size_px, rng.randbytes(width_px * height_px * n_bands))
    quiet = noise.point([value // 8 for value in range(256)] * n_bands)
    picture = ImageChops.add(blocks.resize(size_px, Image.Resampling.NEAREST), quiet)
    if kind.startswith("P"):
        # The palette is the seed's, not Pillow's quantizer's.
        indices = picture.getchannel("R")
        indices.putpalette(rng.randbytes(768))
        picture = indices
    if kind == "1":
        return picture.point(lambda value: 255 if value > 127 else 0, "1")
    return picture.convert("YCbCr") if kind == "YCbCr" else picture


def encode_sample(sample: Sample) -> bytes:
    """The sample as a file: PNG, or TIFF for the modes that PNG has not."""
    picture = draw_picture(sample.kind, sample.width_px, sample.height_px)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = sample.orientation
    stream = io.BytesIO()
    if picture.mode in ("CMYK", "YCbCr"):
        picture.save(stream, "TIFF")
    elif sample.kind == "P+A":
        picture.save(stream, "PNG", transparency=bytes(range(256)), exif=exif)
    else:
        picture.save(stream, "PNG", exif=exif)
    return stream.getvalue()
