"""Weights on disk: half precision, in parts that stay under 16 MiB each."""

from pathlib import Path

import torch
from torch import Tensor, nn

_N_PARTS = 3


def save_parts(model: nn.Module, folder: Path, name: str = "nano") -> None:
    """Write the weights as name0.pt, name1.pt, ...; vectors stay in single precision."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        k: (v.half() if v.ndim == 2 else v.float()).cpu() for k, v in model.state_dict().items()
    }
    parts: list[dict[str, Tensor]] = [{} for _ in range(_N_PARTS)]
    sizes = [0] * _N_PARTS
    for key in sorted(weights, key=lambda k: -weights[k].numel()):
        smallest = sizes.index(min(sizes))
        parts[smallest][key] = weights[key]
        sizes[smallest] += weights[key].numel() * weights[key].element_size()
    for i, part in enumerate(parts):
        torch.save(part, folder / f"{name}{i}.pt")


def load_parts(folder: Path, name: str = "nano") -> dict[str, Tensor]:
    """All weights in single precision.

    Raises: FileNotFoundError: a part is missing.
    """
    weights: dict[str, Tensor] = {}
    for i in range(_N_PARTS):
        weights |= torch.load(folder / f"{name}{i}.pt", map_location="cpu", weights_only=True)
    return {k: v.float() for k, v in weights.items()}
