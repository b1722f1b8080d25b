"""Greedy decoding in torch, many sequences at once: where training stands, told on the GPU."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recipe.batches import mrope_positions
from recipe.model import Nano
from recipe.pixels import normalize


@torch.no_grad()
def greedy(
    model: Nano,
    pixels: NDArray[np.uint8],
    prompts: Sequence[Sequence[int]],
    starts: Sequence[int],
    end: int,
    n_max: int,
) -> list[list[int]]:
    """Continue prompts, each about its own picture of one common size, up to n_max tokens.

    pixels (n, height, width, 3); starts: where each prompt's image tokens begin. Prompts are padded
    on the left.
    """
    device = model.embedding.weight.device
    grid = (pixels.shape[1] // 28, pixels.shape[2] // 28)
    area = grid[0] * grid[1]
    n, width = len(prompts), max(map(len, prompts))
    ids = torch.zeros(n, width, dtype=torch.long)
    positions = torch.zeros(n, 3, width, dtype=torch.long)
    slots, pads = [], []
    for i, (prompt, start) in enumerate(zip(prompts, starts, strict=True)):
        pad = width - len(prompt)
        ids[i, pad:] = torch.tensor(prompt)
        positions[i, :, pad:] = torch.from_numpy(mrope_positions(len(prompt), [(start, i)], grid))
        slots.append(torch.arange(i * width + pad + start, i * width + pad + start + area))
        pads.append(pad)
    merged = torch.cat(
        [
            model.encode_images(normalize(torch.from_numpy(chunk).to(device))).merged
            for chunk in _chunks(pixels, 128)
        ]
    )
    x = model.embed(
        ids.to(device), torch.cat(slots).to(device), merged.reshape(-1, merged.shape[-1])
    )
    next_place = positions[:, 0, -1].to(device) + 1
    return _run(
        model, x, positions.to(device), torch.tensor(pads, device=device), next_place, end, n_max
    )


def _chunks(pixels: NDArray[np.uint8], size: int) -> list[NDArray[np.uint8]]:
    return [pixels[i : i + size] for i in range(0, len(pixels), size)]


def _run(
    model: Nano, x: Tensor, positions: Tensor, pads: Tensor, place: Tensor, end: int, n_max: int
) -> list[list[int]]:
    """Prefill, then one token a step with a growing cache."""
    n, width, _ = x.shape
    device = x.device
    columns = torch.arange(width + n_max, device=device)
    seen = columns[None] >= pads[:, None]  # (n, width + n_max): what is not padding
    causal = columns[None, :width] <= columns[:width, None]
    mask = (seen[:, None, None, :width] & causal[None, None]) | torch.eye(
        width, dtype=torch.bool, device=device
    )
    shape = model.shape
    size = (n, shape.n_kv_heads, width + n_max, shape.head_dim)
    caches = [(x.new_zeros(size), x.new_zeros(size)) for _ in model.text_blocks]
    out = torch.full((n, n_max), end, dtype=torch.long, device=device)
    done = torch.zeros(n, dtype=torch.bool, device=device)
    at, n_new = 0, width
    for step in range(n_max):
        cos, sin = model.rotation(positions)
        for block, (keys, values) in zip(model.text_blocks, caches, strict=True):
            q, k, v = block.heads(x, cos, sin)
            keys[:, :, at : at + n_new], values[:, :, at : at + n_new] = k, v
            x = block.mix(x, q, keys[:, :, : at + n_new], values[:, :, : at + n_new], mask)
        token = model.logits(model.norm(x[:, -1])).argmax(-1)
        out[:, step] = torch.where(done, end, token)
        done |= token == end
        if step % 16 == 15 and bool(done.all()):
            break
        at, n_new = at + n_new, 1
        x = model.embedding(token)[:, None].to(x.dtype)
        positions = place[:, None, None].expand(n, 3, 1)
        place = place + 1
        mask = seen[:, None, None, : at + 1]
    rows = out.tolist()
    return [row[: row.index(end)] if end in row else row for row in rows]
