"""What this machine has to give: free memory, cores, and what kind of CPU it has.

A container's limits count: inside one, the machine's own numbers are a promise nobody keeps.
"""

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_PROC = Path("/proc")
_CPUS = Path("/sys/devices/system/cpu")
_X86 = ("x86_64", "amd64", "i386", "i686", "x86")


def free_memory() -> int:
    """Bytes that can be used before the system swaps or the container's limit kills."""
    import psutil

    available = int(psutil.virtual_memory().available)
    if not sys.platform.startswith("linux"):
        return available
    return min([available, *_cgroup_free_bytes(_CGROUP_ROOT, _PROC)])


def physical_cores() -> int:
    """Cores this process may use: threads beyond them make llama.cpp slower, not faster."""
    import psutil

    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if sys.platform.startswith("linux"):
        allowed = _distinct_cores(os.sched_getaffinity(0), _CPUS)
        return max(1, min([cores, allowed, *_cgroup_cores(_CGROUP_ROOT, _PROC)]))
    if sys.platform == "win32":
        return max(1, min(cores, len(psutil.Process().cpu_affinity())))
    return int(cores)


def logical_cpus() -> int:
    """CPUs this process may use; of more threads, some wait while the others wait for them."""
    if sys.platform.startswith("linux"):
        return min([len(os.sched_getaffinity(0)), *_cgroup_cores(_CGROUP_ROOT, _PROC)])
    if sys.platform == "win32":
        import psutil

        return len(psutil.Process().cpu_affinity())
    return os.cpu_count() or 1


def cpu_has_amx() -> bool:
    """Whether llama.cpp would repack weights into AMX tiles; only Linux builds do."""
    try:
        text = (_PROC / "cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return "amx_tile" in flags.split()


def cpu_is_x86() -> bool:
    """Whether this is a CPU of Intel's or AMD's kind. (Importing platform takes 3 ms.)"""
    if sys.platform == "win32":
        return os.environ.get("PROCESSOR_ARCHITECTURE", "").lower() in _X86
    return os.uname().machine in _X86


def _distinct_cores(cpus: set[int], topology: Path) -> int:
    """How many cores the logical CPUs belong to; two hyperthreads share one."""
    cores = set()
    for cpu in cpus:
        siblings = _read(topology / f"cpu{cpu}" / "topology" / "thread_siblings_list")
        cores.add(siblings or str(cpu))
    return len(cores)


def _cgroup_free_bytes(root: Path, proc: Path) -> Iterator[int]:
    """What is left under each limit that applies; page cache is given back when needed."""
    for folder in _cgroup_folders(root, proc, "memory"):
        for limit, used, stat, cache in (
            ("memory.max", "memory.current", "memory.stat", "inactive_file"),
            (
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "memory.stat",
                "total_inactive_file",
            ),
        ):
            limit_bytes, used_bytes = _number(folder / limit), _number(folder / used)
            if limit_bytes is None or used_bytes is None:
                continue
            reclaimable = dict(
                line.split(maxsplit=1) for line in _read(folder / stat).splitlines() if " " in line
            ).get(cache, "0")
            yield max(0, limit_bytes - used_bytes + int(reclaimable))


def _cgroup_cores(root: Path, proc: Path) -> Iterator[int]:
    """CPU quotas in whole cores, rounded up."""
    for folder in _cgroup_folders(root, proc, "cpu"):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if not quota:
            quota = _read(folder / "cpu.cfs_quota_us")
            period = _read(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period) > 0:
            yield max(1, math.ceil(int(quota) / int(period)))


def _cgroup_folders(root: Path, proc: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's groups, version 2 and 1, from its own up to the root's.

    In a container the path in /proc is often the host's and isn't there; then the root's applies.
    """
    for line in _read(proc / "self" / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        top = root / controller if controllers else root
        folder = top / path.lstrip("/")
        yield from (parent for parent in (folder, *folder.parents) if parent.is_relative_to(top))


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _read(path)
    return int(text) if text.isdigit() else None
