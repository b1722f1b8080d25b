"""The processes that train together, one on each GPU: torchrun starts them, NCCL joins them.

Without torchrun it is a crew of one, on a GPU or on the CPU.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True, slots=True)
class Crew:
    """size processes, this one being number rank."""

    rank: int
    size: int
    device: torch.device

    @classmethod
    @contextmanager
    def join(cls) -> Iterator["Crew"]:
        """Meet the other processes; leave them at the end."""
        rank, size = (int(os.environ.get(name, n)) for name, n in (("RANK", 0), ("WORLD_SIZE", 1)))
        device = torch.device("cpu")
        if torch.cuda.is_available():
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
            torch.cuda.set_device(device)
        if size > 1:
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        try:
            yield cls(rank, size, device)
        finally:
            if size > 1:
                dist.destroy_process_group()

    @property
    def name(self) -> str:
        """What the device calls itself."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU"

    def mean(self, value: float) -> float:
        """The mean of what every process says; waits for all of them."""
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.all_reduce(shared)
        return float(shared.item()) / self.size

    @torch.no_grad()
    def share_gradients(self, model: nn.Module) -> None:
        """Replace every gradient by the mean of all processes', in one exchange."""
        if self.size == 1:
            return
        grads = [w.grad for w in model.parameters() if w.grad is not None]
        together = torch.cat([g.reshape(-1) for g in grads])
        dist.all_reduce(together)
        together /= self.size
        pieces = together.split([g.numel() for g in grads])
        torch._foreach_copy_(grads, [p.view_as(g) for p, g in zip(pieces, grads, strict=True)])
