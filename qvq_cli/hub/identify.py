"""Which model a GGUF pair is, and so how it wants to be run.

A model of the catalog is known by its name in the metadata or in the file's name. Any other gets a
generic profile: its dialect from its chat template, its sampling from `general.sampling.*`.
"""

import math
import re
from collections import Counter
from typing import NamedTuple

from qvq_cli.engine.grid import ImageLimits
from qvq_cli.engine.protocol import Sampling
from qvq_cli.hub.catalog import (
    EMBEDDED,
    CatalogEntry,
    Dialect,
    Profile,
    catalog_entry,
    load_catalog,
)
from qvq_cli.hub.gguf import GgufFile
from qvq_cli.hub.gguf_checks import damaged
from qvq_cli.hub.pair import Pair

_QVQ = "qvq-72b-preview"
_GENERIC_LIMITS = ImageLimits(image_tokens_min=1024, image_tokens_max=4096)
"""Qwen-VL models read small pictures badly below 1,024 tokens (llama.cpp issue 16842); 4,096 is
llama.cpp's own upper limit for them."""

_THINKING_SAMPLING = Sampling(temperature=0.6, top_p=0.95, top_k=20)  # Qwen3-VL's README
_GENERIC_MAX_THINKING = 4096

_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
    11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S",
    17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS",
    23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M",
    30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip
"""`general.file_type`. Source: enum llama_ftype, include/llama.h."""


class Identity(NamedTuple):
    """What a pair is: its name for people, its quant, its profile, its catalog entry if known."""

    name: str
    quant: str
    profile: Profile
    entry: CatalogEntry | None


def identify(pair: Pair) -> Identity:
    """Find out which model a pair is. The patches always are those of the mmproj at hand.

    Raises: GgufError: `general.sampling.*` holds nonsense.
    """
    entry = known_entry(pair.model)
    profile = entry.profile if entry else _generic_profile(pair)
    vision = pair.vision
    limits = profile.limits._replace(patch_px=vision.patch_px, merge=vision.merge)
    return Identity(
        name=name_of(pair.model, entry),
        quant=quant_of(pair.model),
        profile=profile._replace(limits=limits),
        entry=entry,
    )


def name_of(gguf: GgufFile, entry: CatalogEntry | None) -> str:
    """What to call a model: as its entry does, else as the file calls itself or is called."""
    said = gguf.text("general.name") or gguf.path.stem
    return entry.name if entry else "".join(filter(str.isprintable, said))[:80]


def quant_of(gguf: GgufFile) -> str:
    """The quantization: what the file says, else the type that most of its bytes are in."""
    file_type = gguf.metadata.get("general.file_type")
    if isinstance(file_type, int) and file_type in _FILE_TYPES:
        return _FILE_TYPES[file_type]
    n_bytes: Counter[str] = Counter()
    for tensor in gguf.tensors.values():
        n_bytes[tensor.type] += tensor.n_bytes
    return n_bytes.most_common(1)[0][0]


def known_entry(gguf: GgufFile) -> CatalogEntry | None:
    """The catalog's entry of a model, by what it and its file call it."""
    if gguf.text("general.name") == EMBEDDED:
        return catalog_entry(EMBEDDED)
    names = _names(gguf)
    for entry in load_catalog():
        if entry.repo and any(_squash(entry.title) in name for name in names):
            return entry
    # Finetunes and requantizations of QVQ keep its name and its way of answering.
    return catalog_entry(_QVQ) if any("qvq" in name for name in names) else None


def _names(gguf: GgufFile) -> list[str]:
    said = [gguf.text("general.name"), gguf.text("general.basename"), gguf.path.stem]
    return [_squash(name) for name in said]


def _squash(name: str) -> str:
    """Only its letters and digits: repositories spell `Qwen3-VL` and `Qwen3VL`."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _generic_profile(pair: Pair) -> Profile:
    dialect = _dialect(pair.model)
    base = _THINKING_SAMPLING if dialect == "think-tags" else Sampling()
    has_default_system = pair.text.architecture == "qwen2vl"
    return Profile(
        dialect=dialect,
        system="You are a helpful assistant." if has_default_system else "",
        max_thinking=_GENERIC_MAX_THINKING,
        sampling=_sampling(pair.model, base),
        limits=_GENERIC_LIMITS,
    )


def _dialect(gguf: GgufFile) -> Dialect:
    names = _names(gguf)
    if any("instruct" in name for name in names):
        return "plain"
    opens_think = "<think>" in gguf.text("tokenizer.chat_template")
    if opens_think or any("thinking" in name for name in names):
        return "think-tags"
    return "plain"


def _sampling(gguf: GgufFile, base: Sampling) -> Sampling:
    """The sampling its makers wrote into the file, over `base`."""

    def number(key: str, default: float) -> float:
        value = gguf.metadata.get(f"general.sampling.{key}", default)
        if not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise damaged(gguf, f"general.sampling.{key} is {value}")
        return value

    return Sampling(
        temperature=number("temp", base.temperature),
        top_p=number("top_p", base.top_p),
        top_k=int(number("top_k", base.top_k)),
        min_p=number("min_p", base.min_p),
        repeat_penalty=number("penalty_repeat", base.repeat_penalty) or 1.0,
    )
