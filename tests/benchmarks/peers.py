"""llama.cpp's own tools, built from the source of the very llama-cpp-python in use.

Comparing with any other llama.cpp would measure the distance between two versions, not what qvq
adds. The source comes out of the sdist on PyPI; CMake gets the options of the Python package's own
build.

usage: python tests/benchmarks/peers.py        (builds once, about ten minutes on two cores)
"""

import importlib.metadata
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

BENCH_DIR = Path(__file__).resolve().parents[2] / ".bench"
TARGETS = ("llama-bench", "llama-mtmd-cli", "llama-server")
# llama-cpp-python's CMakeLists.txt sets the first two; its pip build is Release and native by
# default. The rest leaves out what these tools don't need, or what would reach for the network.
CMAKE_OPTIONS = (
    "-DBUILD_SHARED_LIBS=ON",
    "-DLLAMA_CURL=OFF",
    "-DCMAKE_BUILD_TYPE=Release",
    "-DGGML_NATIVE=ON",
    "-DGGML_OPENMP=ON",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_SERVER=ON",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
)


class Peers(NamedTuple):
    """Paths of the built tools and of llama.cpp's source; the llama-cpp-python it came with."""

    bench: Path
    mtmd_cli: Path
    server: Path
    source: Path
    version: str


def fetch_source(version: str, into: Path) -> Path:
    """Download the sdist of llama-cpp-python `version` and unpack its llama.cpp.

    Returns: the folder of llama.cpp's source.
    """
    source = into / f"llama_cpp_python-{version}" / "vendor" / "llama.cpp"
    if (source / "CMakeLists.txt").exists():
        return source
    into.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*pip, "--dest", str(into), f"llama-cpp-python=={version}"], check=True)
    with tarfile.open(into / f"llama_cpp_python-{version}.tar.gz") as archive:
        archive.extractall(into, filter="data")
    return source


def build_tools(source: Path, build: Path) -> None:
    """Configure and compile TARGETS; CMAKE_ARGS counts as it does when pip builds the package."""
    cmake = shutil.which("cmake")
    if cmake is None:
        sys.exit("cmake is not installed: pip install cmake ninja")
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    chosen = shlex.split(os.environ.get("CMAKE_ARGS", ""))
    configure = [cmake, "-S", str(source), "-B", str(build), *generator, *CMAKE_OPTIONS, *chosen]
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    jobs = str(os.cpu_count() or 1)
    compile_ = [cmake, "--build", str(build), "--config", "Release", "--parallel", jobs]
    subprocess.run([*compile_, "--target", *TARGETS], check=True, stdout=subprocess.DEVNULL)


def find_tool(build: Path, name: str) -> Path | None:
    """The built program, wherever this generator put it, or None."""
    executable = f"{name}.exe" if sys.platform == "win32" else name
    places = (build / "bin" / executable, build / "bin" / "Release" / executable)
    return next((place for place in places if place.is_file()), None)


def get_peers(bench_dir: Path = BENCH_DIR) -> Peers:
    """The tools for the installed llama-cpp-python, built first where they are missing."""
    version = importlib.metadata.version("llama-cpp-python")
    source = fetch_source(version, bench_dir)
    build = bench_dir / f"build-{version}"
    if any(find_tool(build, target) is None for target in TARGETS):
        print(f"building llama.cpp's tools from llama-cpp-python {version} ...", file=sys.stderr)
        build_tools(source, build)
    tools = [find_tool(build, target) for target in TARGETS]
    bench, mtmd_cli, server = tools
    if bench is None or mtmd_cli is None or server is None:
        sys.exit(f"the build left no {' or '.join(TARGETS)} in {build}; delete it and try again")
    return Peers(bench, mtmd_cli, server, source, version)


if __name__ == "__main__":
    print(*get_peers(), sep="\n")
