"""Models in several files: parts that are GGUFs of their own, and slices that were cut as bytes.

gguf-split makes parts (`x-00001-of-00003.gguf`), which llama.cpp reads as they are; slices
(`x.gguf.part1of3`, `x.gguf.a`) have to be joined first. Source: llama.cpp, LLM_KV_SPLIT_* and
llama_split_path in src/llama.cpp.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from qvq_cli.errors import GgufError
from qvq_cli.hub.disk import is_file
from qvq_cli.hub.foreign import RAW_PART

_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<total>\d{5})\.gguf")


class PartName(NamedTuple):
    """What the name of one file of several says.

    whole: what the model would be called in one file. number: from 1. total: None where the name
    doesn't tell. is_slice: it is no GGUF of its own.
    """

    whole: str
    number: int
    total: int | None
    is_slice: bool


def part_name(name: str) -> PartName | None:
    """Read a file's name; None of a model in one file."""
    part = _PART.fullmatch(name)
    if part is not None:
        return PartName(f"{part['stem']}.gguf", int(part["number"]), int(part["total"]), False)
    cut = RAW_PART.fullmatch(name)
    if cut is None:
        return None
    if cut["letter"]:
        return PartName(cut["whole"], ord(cut["letter"].lower()) - ord("a") + 1, None, True)
    return PartName(cut["whole"], int(cut["number"]), int(cut["total"]), True)


def whole_name(name: str) -> str:
    """A file's name without what tells it from the other files of its model."""
    part = part_name(name)
    return part.whole if part else name


def part_paths(path: Path) -> tuple[Path, ...]:
    """All parts of the model that `path` belongs to, the first one first; (path,) for a whole one.

    Raises: GgufError: parts are missing; the message names them.
    """
    match = _PART.fullmatch(path.name)
    total = int(match["total"]) if match else 0
    if match is None or total == 0 or not is_file(path):
        return (path,)
    names = [f"{match['stem']}-{i:05d}-of-{total:05d}.gguf" for i in range(1, total + 1)]
    missing = [name for name in names if not is_file(path.with_name(name))]
    if missing:
        listed = ", ".join(missing[:4]) + (", …" if len(missing) > 4 else "")
        raise GgufError(
            f"{path.name} is one of {total} parts of a model, and {len(missing)} of them are not "
            f"in its folder: {listed}",
            hint=f"put all {total} parts into {path.parent}",
            reference="missing-part",
        )
    return tuple(path.with_name(name) for name in names)


def check_parts(
    parts: Sequence[Path], metadata: Sequence[Mapping[str, object]], n_tensors: Sequence[int]
) -> None:
    """Check that the parts are those of one model.

    Raises: GgufError: a part is of another model, out of order, or a part was renamed.
    """
    claimed = metadata[0].get("split.count", 1)
    if claimed not in (0, len(parts)):
        raise GgufError(
            f"{parts[0].name} is a part of a model in {claimed} parts, but isn't named as one",
            hint="give it back its name, which ends in -00001-of-0000N.gguf",
            reference="renamed-part",
        )
    if len(parts) == 1:
        return
    for i, (part, values) in enumerate(zip(parts, metadata, strict=True)):
        if (values.get("split.no"), values.get("split.count")) != (i, len(parts)):
            raise GgufError(
                f"{part.name} is not part {i + 1} of {len(parts)} of this model",
                hint="download the parts again, all from one place",
                reference="foreign-part",
            )
    expected = metadata[0].get("split.tensors.count")
    if expected != sum(n_tensors):
        raise GgufError(
            f"the parts of {parts[0].name} hold {sum(n_tensors)} tensors instead of {expected}",
            hint="download the parts again, all from one place",
            reference="foreign-part",
        )
