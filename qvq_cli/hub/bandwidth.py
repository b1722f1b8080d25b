"""How fast this machine's memory is, measured in a blink: what bounds the tokens a second."""

import ctypes
import json
import platform
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

from qvq_cli.hub.manifest import data_dir
from qvq_cli.hub.memory import physical_cores

_BUFFER_BYTES = 48 << 20  # larger than the caches of a laptop
_MEASURE_S = 0.05
_MAX_THREADS = 8  # more hardly read faster, and each takes memory of its own to read
_FILE_NAME = "bandwidth.json"


def known_bandwidth(environ: Mapping[str, str], *, is_fresh: bool = False) -> float:
    """The bandwidth of this machine: measured once and remembered in the data folder.

    A busy machine measures too little, so of two measurements the larger is kept.

    Args: is_fresh: measure again.
    """
    path, node = data_dir(environ) / _FILE_NAME, platform.node()
    known: dict[str, float] = {}
    # Damaged or unwritable: then it is measured again, which is all there is to lose.
    with suppress(OSError, ValueError, AttributeError):
        found = json.loads(path.read_text("utf-8")).items()
        known = {name: float(rate) for name, rate in found if isinstance(rate, int | float)}
    if is_fresh or known.get(node, 0.0) <= 0.0:
        measured = memory_bandwidth(min(physical_cores(), _MAX_THREADS))
        known[node] = max(measured, known.get(node, 0.0))
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(known) + "\n", "utf-8")
    return known[node]


def memory_bandwidth(n_threads: int) -> float:
    """Bytes a second that n_threads together read and write; takes about 0.1 s.

    An estimate: other programs take their share, and a GPU has a memory of its own.
    """
    rates: list[float] = []
    barrier = threading.Barrier(n_threads)
    threads = [
        threading.Thread(target=_copy, args=(barrier, rates), daemon=True) for _ in range(n_threads)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(rates)


def _copy(barrier: threading.Barrier, rates: list[float]) -> None:
    source = ctypes.create_string_buffer(_BUFFER_BYTES)
    target = ctypes.create_string_buffer(_BUFFER_BYTES)
    barrier.wait()
    started_s = time.perf_counter()
    n_bytes = 0
    while (elapsed_s := time.perf_counter() - started_s) < _MEASURE_S or not n_bytes:
        ctypes.memmove(target, source, _BUFFER_BYTES)  # ctypes lets other threads run meanwhile
        n_bytes += 2 * _BUFFER_BYTES  # read and written
    rates.append(n_bytes / elapsed_s)
