"""Which makers' GPUs are in this machine, whether or not llama.cpp can use them.

Only for advice: it looks where their drivers leave something, and loads none of them.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import which
from typing import Literal

Maker = Literal["NVIDIA", "AMD", "Apple"]


def gpu_makers(
    platform: str = sys.platform,
    exists: Callable[[Path], bool] = Path.exists,
    find_program: Callable[[str], str | None] = which,
    machine: str | None = None,
) -> tuple[Maker, ...]:
    """The makers whose GPUs a compute backend of llama.cpp would find here.

    Args: all four are for tests; `machine` is the processor's name, as os.uname gives it.
    """
    makers: list[Maker] = []
    if exists(Path("/proc/driver/nvidia/version")) or find_program("nvidia-smi"):
        makers.append("NVIDIA")
    if exists(Path("/dev/kfd")):
        makers.append("AMD")
    if platform == "darwin" and (machine or os.uname().machine) == "arm64":
        makers.append("Apple")
    return tuple(makers)
