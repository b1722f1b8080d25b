"""A model and its mmproj: whether they belong together, and which mmproj lies beside a model."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from qvq_cli.errors import GgufError, InputNotFoundError, QvqError
from qvq_cli.hub.gguf import GgufFile, read_gguf
from qvq_cli.hub.text_model import PROJECTORS, TextShape, text_shape
from qvq_cli.hub.vision_model import VisionShape, is_mmproj, vision_shape

_SAME_PLACE = "take model and mmproj from one repository, made from one model"
_PRECISIONS = ("f16", "bf16", "q8", "f32")
"""Best first: the encoder computes in f16, and f32 takes twice the memory for the same numbers."""


class Pair(NamedTuple):
    """A model and an mmproj that fit each other, with their checked shapes."""

    model: GgufFile
    mmproj: GgufFile
    text: TextShape
    vision: VisionShape


def check_pair(model: GgufFile, mmproj: GgufFile) -> Pair:
    """Check that both files are sound and made for each other, as far as their headers can tell.

    Raises: GgufError: one is damaged or unsupported, they are swapped, or of different models.
    """
    if is_mmproj(model) and not is_mmproj(mmproj):
        raise GgufError(
            f"model and mmproj are swapped: {model.path.name} is the mmproj",
            hint=f'type --model "{mmproj.path}" --mmproj "{model.path}"',
            reference="swapped-pair",
        )
    return _pair(model, text_shape(model), mmproj)


def pair_with_sibling(model: GgufFile) -> Pair:
    """Pair a model with the mmproj in its folder that fits it best.

    Raises: InputNotFoundError: no mmproj is there. GgufError: none that fits, or a damaged model.
    """
    try:
        siblings = sorted(model.path.parent.iterdir())
    except OSError:
        siblings = []
    return pair_with_best(model, [path for path in siblings if is_named_mmproj(path)])


def pair_with_best(
    model: GgufFile, paths: Sequence[Path], read: Callable[[Path], GgufFile] = read_gguf
) -> Pair:
    """Pair a model with one of these mmproj files.

    Of several that fit, the one named most like the model, then the one of the best precision.
    Raises: InputNotFoundError: there are none. GgufError: none fits, or the model is damaged.
    """
    text = text_shape(model)
    if not paths:
        raise InputNotFoundError(
            f"{model.path.name} needs its vision projector, and no *mmproj*.gguf lies beside it",
            hint="give it with --mmproj PATH; it is in the repository that the model came from",
            reference="no-mmproj",
        )
    pairs: list[Pair] = []
    refusals: list[QvqError] = []
    for path in paths:
        try:
            pairs.append(_pair(model, text, read(path)))
        except (GgufError, InputNotFoundError) as error:
            refusals.append(error)
    if not pairs:
        raise refusals[0]
    return min(pairs, key=lambda pair: _rank(pair.model.path, pair.mmproj.path))


def is_named_mmproj(path: Path) -> bool:
    """Whether a file is an mmproj by its name, as repositories call them."""
    name = path.name.lower()
    return "mmproj" in name and name.endswith(".gguf")


def _pair(model: GgufFile, text: TextShape, mmproj: GgufFile) -> Pair:
    vision = vision_shape(mmproj)
    names = f"{mmproj.path.name} is the mmproj of another model than {model.path.name}"
    if vision.projector not in PROJECTORS[text.architecture]:
        raise GgufError(
            f"{names}: its projector is {vision.projector}, the model's architecture "
            f"{text.architecture}",
            hint=_SAME_PLACE,
            reference="foreign-mmproj",
        )
    # mtmd.cpp compares these: one embedding a token and, for Qwen3-VL, its deepstack ones.
    wanted = text.n_embd * (1 + text.n_deepstack)
    given = vision.projection_dim * (1 + vision.n_deepstack)
    if wanted != given:
        raise GgufError(
            f"{names}: its embeddings have {given:,} numbers, the model's {wanted:,}",
            hint=_SAME_PLACE,
            reference="foreign-mmproj",
        )
    return Pair(model, mmproj, text, vision)


def _rank(model: Path, mmproj: Path) -> tuple[int, int, str]:
    words = _words(mmproj)
    shared = len(words & _words(model))
    precision = next((i for i, name in enumerate(_PRECISIONS) if name in words), len(_PRECISIONS))
    return -shared, precision, mmproj.name


def _words(path: Path) -> frozenset[str]:
    # A dot between digits is part of a version: Qwen2.5 is not Qwen2.
    return frozenset(re.split(r"[-_ ]+|(?<!\d)\.|\.(?!\d)", path.stem.lower()))
