"""What the installed llama-cpp-python was built for, found without loading it.

Its libraries are files of one folder, one for each backend (libggml-cuda.so, ggml-vulkan.dll, ...):
the names tell in a millisecond what asking llama.cpp's devices would take a process for.
"""

import os
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from qvq_cli.errors import UnavailableError

_LIBRARY = re.compile(r"(?:lib)?ggml-(?P<backend>[a-z]+)[\w.-]*?\.(?:so|dylib|dll)(?:\.\d+)*")
_NOT_GPUS = frozenset({"base", "cpu", "blas", "rpc"})
_NAMES = {"cuda": "CUDA", "metal": "Metal", "vulkan": "Vulkan", "hip": "ROCm", "sycl": "SYCL"}


class Build(NamedTuple):
    """version: of llama-cpp-python; backends: of GPUs, by the names people know ("CUDA")."""

    version: str
    folder: Path
    backends: tuple[str, ...]


def find_build() -> Build | None:
    """The installed llama-cpp-python, None where there is none."""
    from importlib.metadata import PackageNotFoundError, version

    folder = _library_folder()
    if folder is None:
        return None
    try:
        said = version("llama-cpp-python")
    except PackageNotFoundError:  # put there without pip
        said = "of unknown version"
    return Build(said, folder, backends_in(folder))


def backends_in(folder: Path) -> tuple[str, ...]:
    """The GPU backends among the libraries of a folder."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return ()
    matches = (_LIBRARY.fullmatch(name) for name in names)
    found = {match["backend"] for match in matches if match} - _NOT_GPUS
    return tuple(sorted(_NAMES.get(backend, backend) for backend in found))


def has_gpu_backend() -> bool:
    """Whether llama.cpp could have a GPU among its devices."""
    folder = _library_folder()
    return folder is not None and bool(backends_in(folder))


def _library_folder() -> Path | None:
    spec = find_spec("llama_cpp")
    if spec is None or not spec.submodule_search_locations:
        return None
    own = Path(next(iter(spec.submodule_search_locations))) / "lib"
    # Source: llama_cpp.py, which lets this variable point at other libraries.
    return Path(os.environ.get("LLAMA_CPP_LIB_PATH") or own)


def no_such_device(name: str, names: Sequence[str]) -> UnavailableError:
    """What to tell of a --device that llama.cpp was not built for. Args: names: what it has."""
    return UnavailableError(
        f"llama.cpp has no device {name!r} here; it has {', '.join(names)}",
        hint="choose one of them with --device, or reinstall llama-cpp-python for your GPU "
        "(README, Install)",
        reference="no-such-device",
    )
