"""The network: Qwen2-VL's vision tower and text decoder, small.

Layouts and formulas are those of transformers' Qwen2VLForConditionalGeneration, so that the
exported weights run
unchanged in llama.cpp (arch qwen2vl, projector qwen2vl_merger). The extra linear head `labels`
exists for
training only: it reads the label classes of `recipe.canvas` off every patch.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recipe.canvas import N_CHAR, N_KEY, N_ROLE, N_VALUE, PATCH_PX

LABEL_SIZES = (N_VALUE, N_CHAR, N_CHAR, N_KEY, N_ROLE)


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the network. sections: how the rotary pairs are shared among time, height and width.

    vision_ffn must differ from vision_dim: llama.cpp's loader swaps the two ffn tensors where they
    are equal.
    """

    n_vocab: int
    dim: int = 256
    n_layers: int = 8
    n_heads: int = 4
    n_kv_heads: int = 2
    ffn: int = 768
    sections: tuple[int, int, int] = (8, 12, 12)
    rope_base: float = 1000.0
    rms_eps: float = 1e-6
    vision_dim: int = 256
    vision_layers: int = 6
    vision_heads: int = 4
    vision_ffn: int = 768

    @property
    def head_dim(self) -> int:
        return self.dim // self.n_heads


class ImageFeatures(NamedTuple):
    """merged: (n_images, h*w, dim), for the text.

    patches: (n_images, 4*h*w, vision_dim), four of a merge together.
    """

    merged: Tensor
    patches: Tensor


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return (x * cos + torch.cat((-second, first), -1) * sin).to(x.dtype)


class VisionBlock(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        dim = shape.vision_dim
        self.n_heads = shape.vision_heads
        self.norm1, self.norm2 = nn.LayerNorm(dim, 1e-6), nn.LayerNorm(dim, 1e-6)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, shape.vision_ffn), nn.Linear(shape.vision_ffn, dim)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        n_images, n_patches, dim = x.shape
        qkv = self.qkv(self.norm1(x)).view(
            n_images, n_patches, 3, self.n_heads, dim // self.n_heads
        )
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        q, k = _rotate(q, cos, sin), _rotate(k, cos, sin)
        mixed = (
            F.scaled_dot_product_attention(q, k, v)
            .transpose(1, 2)
            .reshape(n_images, n_patches, dim)
        )
        x = x + self.out(mixed)
        y = self.up(self.norm2(x))
        return x + self.down(y * torch.sigmoid(1.702 * y))  # quick_gelu


class RmsNorm(nn.Module):
    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x: Tensor) -> Tensor:
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)
        return y.to(x.dtype) * self.weight.to(x.dtype)


Cache = tuple[Tensor, Tensor]


class TextBlock(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        dim, kv = shape.dim, shape.n_kv_heads * shape.head_dim
        self.norm1, self.norm2 = RmsNorm(dim, shape.rms_eps), RmsNorm(dim, shape.rms_eps)
        self.qkv, self.out = nn.Linear(dim, dim + 2 * kv), nn.Linear(dim, dim, bias=False)
        self.gate_up = nn.Linear(dim, 2 * shape.ffn, bias=False)
        self.down = nn.Linear(shape.ffn, dim, bias=False)

    def heads(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated q, k and v as (batch, heads, tokens, head_dim)."""
        shape = self.shape
        batch, n_tokens, _ = x.shape
        n_all = shape.n_heads + 2 * shape.n_kv_heads
        qkv = self.qkv(self.norm1(x)).view(batch, n_tokens, n_all, shape.head_dim).transpose(1, 2)
        q, k, v = qkv.split([shape.n_heads, shape.n_kv_heads, shape.n_kv_heads], 1)
        return _rotate(q, cos, sin), _rotate(k, cos, sin), v

    def mix(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """Attention (causal where mask is None), then the feed-forward part."""
        groups = self.shape.n_heads // self.shape.n_kv_heads
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        x = x + self.out(mixed.transpose(1, 2).reshape(x.shape))
        gate, up = self.gate_up(self.norm2(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        return self.mix(x, *self.heads(x, cos, sin), None)


class Nano(nn.Module):
    """The whole network. Embeddings are tied to the output."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        vision = shape.vision_dim
        self.patch = nn.Linear(3 * PATCH_PX * PATCH_PX, vision, bias=False)
        self.vision_blocks = nn.ModuleList(VisionBlock(shape) for _ in range(shape.vision_layers))
        self.merge_norm = nn.LayerNorm(vision, 1e-6)
        self.merge1, self.merge2 = (
            nn.Linear(4 * vision, 4 * vision),
            nn.Linear(4 * vision, shape.dim),
        )
        self.embedding = nn.Embedding(shape.n_vocab, shape.dim)
        self.text_blocks = nn.ModuleList(TextBlock(shape) for _ in range(shape.n_layers))
        self.norm = RmsNorm(shape.dim, shape.rms_eps)
        self.labels = nn.Linear(vision, sum(LABEL_SIZES))
        # Buffers, so that no step waits for a copy to the GPU.
        half = torch.arange(0, shape.head_dim, 2).float()
        axes = torch.repeat_interleave(torch.arange(3), torch.tensor(shape.sections))
        self.register_buffer(
            "_rates", shape.rope_base ** (-half / shape.head_dim), persistent=False
        )
        self.register_buffer("_axes", axes, persistent=False)
        self._grids: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self._initialize()

    def _initialize(self) -> None:
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                deviation = 0.02 if name == "embedding.weight" else 0.7 * weight.shape[1] ** -0.5
                if name.endswith(("out.weight", "down.weight")):
                    deviation *= 0.3
                nn.init.normal_(weight, 0, deviation)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def _vision_rotation(
        self, height: int, width: int, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """cos and sin for a grid of (height, width) merged patches, four of a merge together."""
        if (height, width) in self._grids:
            return self._grids[height, width]
        quarter = self.shape.vision_dim // self.shape.vision_heads // 2
        rates = 10000 ** (-torch.arange(0, quarter, 2, device=device).float() / quarter)
        ranges = [torch.arange(n, device=device) for n in (height, width, 2, 2)]
        by, bx, dy, dx = torch.meshgrid(*ranges, indexing="ij")
        y, x = (2 * by + dy).reshape(-1, 1).float(), (2 * bx + dx).reshape(-1, 1).float()
        angles = torch.cat([y * rates, x * rates], -1).repeat(1, 2)
        self._grids[height, width] = angles.cos(), angles.sin()
        return self._grids[height, width]

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """pixels: (n_images, 3, height_px, width_px), normalised, both sides multiples of 28."""
        n, _, height, width = pixels.shape
        h, w = height // 28, width // 28
        patches = pixels.view(n, 3, h, 2, PATCH_PX, w, 2, PATCH_PX).permute(0, 2, 5, 3, 6, 1, 4, 7)
        x = self.patch(patches.reshape(n, 4 * h * w, -1).to(self.patch.weight.dtype))
        cos, sin = self._vision_rotation(h, w, pixels.device)
        for block in self.vision_blocks:
            x = block(x, cos, sin)
        x = self.merge_norm(x)
        merged = self.merge2(F.gelu(self.merge1(x.reshape(n, h * w, -1))))
        return ImageFeatures(merged, x)

    def rotation(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """positions: (batch, 3, tokens) in time, height, width.

        Returns: cos, sin (batch, 1, tokens, head_dim).
        """
        rates, axes = self._rates, self._axes
        assert isinstance(rates, Tensor)
        assert isinstance(axes, Tensor)
        angles = positions.float().index_select(1, axes).transpose(1, 2) * rates.float()
        angles = torch.cat([angles, angles], -1)[:, None]
        return angles.cos(), angles.sin()

    def embed(self, ids: Tensor, image_slots: Tensor, features: Tensor) -> Tensor:
        """Embeddings of ids (batch, tokens), with features at the flat indices image_slots."""
        x = self.embedding(ids).to(features.dtype)
        flat = x.reshape(-1, x.shape[-1]).index_copy(0, image_slots, features)
        return flat.view(x.shape)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """Hidden states (batch, tokens, dim) before the output embedding."""
        cos, sin = self.rotation(positions)
        for block in self.text_blocks:
            x = block(x, cos, sin)
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        return (hidden @ self.embedding.weight.t().to(hidden.dtype)).float()
