"""Free memory and cores, the machine's own and a container's."""

import math
import os
import sys
from pathlib import Path

import psutil
import pytest

from qvq_cli.hub import memory

GIB = 1 << 30


def machine(folder: Path, cgroup: str, files: dict[str, str]) -> tuple[Path, Path]:
    """A /sys/fs/cgroup and a /proc of one's own. Returns: both."""
    root, proc = folder / "cgroup", folder / "proc"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root, proc


def test_free_memory_is_at_most_what_is_available() -> None:
    assert 0 < memory.free_memory() <= psutil.virtual_memory().total


def test_a_containers_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"memory.max": "1000000", "memory.current": "400000"}
    root, proc = machine(tmp_path, "0::/\n", files)
    monkeypatch.setattr(memory, "_CGROUP_ROOT", root)
    monkeypatch.setattr(memory, "_PROC", proc)
    monkeypatch.setattr("sys.platform", "linux")
    assert memory.free_memory() == 600_000


def test_cgroup_v2_takes_every_level_and_gives_page_cache_back(tmp_path: Path) -> None:
    files = {
        "a/memory.max": str(8 * GIB),
        "a/memory.current": str(3 * GIB),
        "a/b/memory.max": str(4 * GIB),
        "a/b/memory.current": str(2 * GIB),
        "a/b/memory.stat": f"anon 5\ninactive_file {GIB}\nactive_file 7\n",
        "memory.max": "max\n",
        "memory.current": "1",
    }
    root, proc = machine(tmp_path, "0::/a/b\n", files)
    assert list(memory._cgroup_free_bytes(root, proc)) == [3 * GIB, 5 * GIB]


def test_cgroup_v1(tmp_path: Path) -> None:
    files = {
        "memory/c/memory.limit_in_bytes": str(2 * GIB),
        "memory/c/memory.usage_in_bytes": str(3 * GIB),
        "memory/c/memory.stat": "total_inactive_file 0\n",
        "cpu/c/cpu.cfs_quota_us": "250000",
        "cpu/c/cpu.cfs_period_us": "100000",
    }
    root, proc = machine(tmp_path, "4:memory:/c\n3:cpu,cpuacct:/c\n1:name=systemd:/\n", files)
    assert list(memory._cgroup_free_bytes(root, proc)) == [0]
    assert list(memory._cgroup_cores(root, proc)) == [3]


def test_the_hosts_path_inside_a_container_falls_back_to_the_root(tmp_path: Path) -> None:
    files = {"memory.max": str(GIB), "memory.current": "0", "cpu.max": "150000 100000"}
    root, proc = machine(tmp_path, "0::/docker/0123\n", files)
    assert list(memory._cgroup_free_bytes(root, proc)) == [GIB]
    assert list(memory._cgroup_cores(root, proc)) == [math.ceil(1.5)]


def test_no_quota_and_no_cgroups_are_no_limit(tmp_path: Path) -> None:
    root, proc = machine(tmp_path, "0::/\n", {"cpu.max": "max 100000"})
    assert list(memory._cgroup_cores(root, proc)) == []
    assert list(memory._cgroup_free_bytes(tmp_path / "none", tmp_path / "none")) == []


def test_two_hyperthreads_are_one_core(tmp_path: Path) -> None:
    for cpu in range(4):
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{cpu % 2},{cpu % 2 + 2}\n")
    assert memory._distinct_cores({0, 1, 2, 3}, tmp_path) == 2
    assert memory._distinct_cores({1, 3}, tmp_path) == 1
    assert memory._distinct_cores({8, 9}, tmp_path) == 2  # no topology told: each its own


def test_cores_are_at_least_one_and_at_most_the_logical_ones() -> None:
    assert 1 <= memory.physical_cores() <= (psutil.cpu_count() or 1)


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("model name : x\nflags\t\t: fpu amx_bf16 amx_tile amx_int8\n", True),
        ("flags\t\t: fpu avx512f\n", False),
        ("Features : fp asimd\n", False),
        (None, False),
    ],
)
def test_amx(
    cpuinfo: str | None, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr(memory, "_PROC", tmp_path)
    assert memory.cpu_has_amx() is expected


@pytest.mark.skipif(sys.platform == "win32", reason="it names its CPUs in a variable")
@pytest.mark.parametrize(
    ("machine", "expected"), [("x86_64", True), ("aarch64", False), ("arm64", False)]
)
def test_x86(machine: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("Linux", "host", "6.1", "#1", machine)
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(names))
    assert memory.cpu_is_x86() is expected
