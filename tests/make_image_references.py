"""Write tests/data/image_references.json: what transformers makes of the sample pictures.

Run by hand when the samples change, in an environment of its own, because the tests need neither
torch nor transformers (made with transformers 5.23.0, torch 2.13.0, Pillow 13.0.0, numpy 2.4.6):

    python -m venv /tmp/reference
    /tmp/reference/bin/pip install transformers torch numpy pillow==13.0.0
    /tmp/reference/bin/python tests/make_image_references.py

The reference is `Qwen2VLImageProcessorPil`, Qwen2-VL's first processor, which resizes with Pillow;
the later one resizes with torchvision and rounds differently.
"""

import hashlib
import io
import json
import random
from pathlib import Path

import numpy as np
import PIL
import transformers
from PIL import Image
from transformers.image_utils import load_image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import (
    Qwen2VLImageProcessorPil,
    smart_resize,
)

from picture_samples import SAMPLES, Sample, encode_sample

TARGET = Path(__file__).parent / "data" / "image_references.json"
MERGE = 2
N_RANDOM_GRIDS = 500


def to_rgb(pil_image: Image.Image) -> Image.Image:
    """Source: qwen-vl-utils 0.0.14, vision_process.py, copied as its import needs torchvision."""
    if pil_image.mode == "RGBA":
        white_background = Image.new("RGB", pil_image.size, (255, 255, 255))
        white_background.paste(pil_image, mask=pil_image.split()[3])
        return white_background
    return pil_image.convert("RGB")


def reference_rgb(sample: Sample) -> np.ndarray:
    """The uint8 pixels that the reference resized to, of shape (height_px, width_px, 3)."""
    picture = Image.open(io.BytesIO(encode_sample(sample)))
    if picture.has_transparency_data:
        picture = to_rgb(picture.convert("RGBA"))
    token_area = (sample.patch_px * MERGE) ** 2
    processor = Qwen2VLImageProcessorPil(
        min_pixels=sample.image_tokens_min * token_area,
        max_pixels=sample.image_tokens_max * token_area,
        patch_size=sample.patch_px,
        merge_size=MERGE,
    )
    made = processor(load_image(picture), return_tensors="np")
    _, n_rows, n_columns = made["image_grid_thw"][0]
    # (gh, gw, mh, mw, C, T, ph, pw), as Qwen2VLImageProcessorPil.patchify lays them out.
    patches = made["pixel_values"].reshape(
        n_rows // MERGE, n_columns // MERGE, MERGE, MERGE, 3, 2, sample.patch_px, sample.patch_px
    )[:, :, :, :, :, 0]
    planes = patches.transpose(4, 0, 2, 5, 1, 3, 6).reshape(
        3, n_rows * sample.patch_px, n_columns * sample.patch_px
    )
    mean, std = np.array(processor.image_mean), np.array(processor.image_std)
    exact = (planes.transpose(1, 2, 0).astype(np.float64) * std + mean) * 255
    rgb = np.rint(exact)
    assert np.abs(exact - rgb).max() < 1e-3, "the normalization was not undone exactly"
    return rgb.astype(np.uint8)


def grid_rows() -> list[list[int]]:
    """Rows of width_px, height_px, token_px, image_tokens_min, image_tokens_max, h, w."""
    rng = random.Random(0)
    sizes = [
        (side * 14 * a, side * 14 * b) for side in (1, 3, 5) for a in (1, 2, 3) for b in (1, 5)
    ]
    sizes += [(1, 1), (1, 200), (200, 1), (27, 5400), (16383, 16383), (100, 19999), (13, 13)]
    sizes += [(rng.randint(1, 60), rng.randint(1, 60)) for _ in range(N_RANDOM_GRIDS // 4)]
    sizes += [(rng.randint(20, 3000), rng.randint(20, 3000)) for _ in range(N_RANDOM_GRIDS)]
    limits = [(4, 16384), (4, 1280), (256, 1280), (1280, 16384), (1, 1), (64, 64), (8, 4096)]
    rows = []
    for i, (width_px, height_px) in enumerate(sizes):
        if max(width_px, height_px) > 200 * min(width_px, height_px):
            continue
        token_px = (28, 32)[i % 5 == 4]
        low, high = limits[i % len(limits)]
        height_to_px, width_to_px = smart_resize(
            height_px, width_px, token_px, low * token_px**2, high * token_px**2
        )
        grid = [height_to_px // token_px, width_to_px // token_px]
        rows.append([width_px, height_px, token_px, low, high, *grid])
    return rows


def main() -> None:
    pixels = {}
    for sample in SAMPLES:
        rgb = reference_rgb(sample)
        sha256 = hashlib.sha256(rgb.tobytes()).hexdigest()
        pixels[sample.name] = [rgb.shape[1], rgb.shape[0], sha256]
    made_with = {"transformers": transformers.__version__, "pillow": PIL.__version__}
    sections = {"made_with": made_with, "pixels": pixels, "grids": grid_rows()}
    TARGET.parent.mkdir(exist_ok=True)
    # One line an entry keeps the diff readable.
    text = json.dumps(sections, separators=(",", ":"))
    TARGET.write_text(text.replace('],"', '],\n"').replace("],[", "],\n[") + "\n")
    print(f"{TARGET}: {len(pixels)} pictures, {len(sections['grids'])} grids")


if __name__ == "__main__":
    main()
