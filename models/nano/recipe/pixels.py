"""Pixels on their way into the encoder: CLIP's normalisation, and the noise of training."""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

MEAN = (
    0.48145466,
    0.4578275,
    0.40821073,
)  # Source: OpenAI CLIP, as Qwen2-VL's preprocessor has them
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


def normalize(pixels: Tensor) -> Tensor:
    """(n, height, width, 3) bytes to (n, 3, height, width) floats."""
    return _standardize(pixels.permute(0, 3, 1, 2).float() / 255)


@functools.cache
def _constants(device: torch.device) -> tuple[Tensor, Tensor]:
    mean = torch.tensor(MEAN, device=device).view(1, 3, 1, 1)
    return mean, torch.tensor(DEVIATION, device=device).view(1, 3, 1, 1)


def _standardize(x: Tensor) -> Tensor:
    mean, deviation = _constants(x.device)
    return (x - mean) / deviation


def augment(pixels: Tensor) -> Tensor:
    """Like `normalize`, some blurred, faded, tinted, grayed or noisy; colours keep their names."""
    x = pixels.permute(0, 3, 1, 2).float() / 255
    n, device = x.shape[0], x.device

    def draw(chance: float) -> Tensor:
        """A strength for each picture, mostly 0."""
        strength = torch.rand(n, 1, 1, 1, device=device)
        return strength * (torch.rand(n, 1, 1, 1, device=device) < chance)

    blurred = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    x = x + draw(0.18) * (blurred - x)
    x = (x - 0.5) * (1 - 0.35 * draw(0.3)) + 0.5
    x = x + (torch.rand(n, 1, 1, 1, device=device) - 0.5) * 0.2 * (draw(0.3) > 0)
    x = x * (1 - 0.1 * torch.rand(n, 3, 1, 1, device=device) * (draw(0.25) > 0))
    x = x + torch.randn_like(x) * 0.06 * draw(0.25)
    return _standardize(x.clamp(0, 1))
