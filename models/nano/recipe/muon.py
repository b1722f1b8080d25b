"""Muon: momentum whose steps are made orthogonal; for the matrices inside of the blocks.

Fused matrices (q, k, v; gate, up) are orthogonalised piece by piece.
Source: Keller Jordan, https://kellerjordan.github.io/posts/muon/ (coefficients of the iteration
are his).
"""

import torch
from torch import Tensor

_A, _B, _C = 3.4445, -4.7750, 2.0315


def _orthogonalize(stack: Tensor) -> Tensor:
    """Nearly orthogonal matrices near a stack (n, rows, columns): five Newton-Schulz steps."""
    x = stack.bfloat16() if stack.is_cuda else stack.float()  # few CPUs multiply bfloat16 fast
    is_tall = x.shape[-2] > x.shape[-1]
    if is_tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return x.mT if is_tall else x


class Muon:
    """weights: matrices with the row counts of their pieces."""

    def __init__(
        self, weights: list[tuple[Tensor, list[int]]], momentum: float = 0.95, decay: float = 0.01
    ) -> None:
        self._weights = weights
        self._momentum, self._decay = momentum, decay
        self._velocity = [torch.zeros_like(w) for w, _ in weights]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move every matrix by one step of this learning rate."""
        weights = [w for w, _ in self._weights]
        grads = [w.grad for w in weights]
        torch._foreach_lerp_(self._velocity, grads, 1 - self._momentum)
        moves = torch._foreach_lerp(grads, self._velocity, self._momentum)
        torch._foreach_mul_(weights, 1 - rate * self._decay)
        by_shape: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
        for (weight, pieces), move in zip(self._weights, moves, strict=True):
            for rows, part in zip(weight.split(pieces), move.split(pieces), strict=True):
                by_shape.setdefault((rows.shape[0], rows.shape[1]), []).append((rows, part))
        for (n_rows, n_columns), pairs in by_shape.items():
            steps = (
                _orthogonalize(torch.stack([part for _, part in pairs]))
                * max(1, n_rows / n_columns) ** 0.5
            )
            torch._foreach_add_(
                [rows for rows, _ in pairs], list(steps.float().unbind(0)), alpha=-rate
            )
