"""What this machine can give a model, as far as a command that loads none needs to know."""

import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qvq_cli.engine.build import has_gpu_backend
from qvq_cli.engine.protocol import Device
from qvq_cli.hub.bandwidth import known_bandwidth
from qvq_cli.hub.memory import free_memory

if TYPE_CHECKING:
    from qvq_cli.hub.run_plan import Machine


@dataclass(frozen=True, slots=True)
class Resources:
    """ram_bytes: free memory of the computer; gpus: those that llama.cpp can use.

    is_unified: the GPU's memory is the computer's own. bandwidth: of the computer's memory in
    bytes/s, which is what limits tokens per second; None where GPUs do the work, whose bandwidth
    nobody tells.
    """

    ram_bytes: int
    gpus: tuple[Device, ...]
    is_unified: bool
    bandwidth: float | None

    @property
    def free_bytes(self) -> int:
        """All memory that a model can be spread over."""
        if self.is_unified:
            return self.ram_bytes
        return self.ram_bytes + sum(gpu.free_bytes for gpu in self.gpus)

    def for_plan(self) -> "Machine":
        """The same machine as plan_run wants it."""
        from qvq_cli.hub.run_plan import Machine

        return Machine(self.ram_bytes, self.gpus, self.is_unified)


def look_at_machine(environ: Mapping[str, str], *, is_fresh: bool = False) -> Resources:
    """Ask the system, and llama.cpp's devices where there can be a GPU among them.

    Args: is_fresh: measure the bandwidth again instead of taking what is remembered.
    """
    gpus = _gpus() if has_gpu_backend() else ()
    is_unified = sys.platform == "darwin"
    knows = is_unified or not gpus
    bandwidth = known_bandwidth(environ, is_fresh=is_fresh) if knows else None
    return Resources(free_memory(), gpus, is_unified, bandwidth)


def _gpus() -> tuple[Device, ...]:
    from qvq_cli.engine.process import WorkerEngine

    with closing(WorkerEngine(verbose=False)) as engine:
        return tuple(device for device in engine.devices() if device.is_gpu)
