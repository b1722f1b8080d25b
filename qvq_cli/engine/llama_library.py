"""Getting at llama.cpp's shared libraries: a lean import, and the devices they were built for."""

import ctypes
import importlib.machinery
import importlib.util
import os
import sys
import types
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from qvq_cli.engine.build import no_such_device
from qvq_cli.engine.protocol import Device
from qvq_cli.errors import DoesNotFitError, GgufError, UnavailableError

# enum ggml_backend_dev_type, ggml-backend.h: a GPU of its own, or one that shares the RAM.
GPU_TYPES = (1, 2)
# enum ggml_log_level, ggml.h.
_GGML_LOG_WARN, _GGML_LOG_CONT = 3, 5


def import_llama_cpp() -> tuple[Any, Any]:
    """Import llama_cpp.llama_cpp and llama_cpp.mtmd_cpp without the package's `__init__`.

    That `__init__` pulls in numpy, jinja2 and 4,000 lines of chat formats: 0.15 s of every start
    for code this program never calls. An empty package of the same name stands in for it.

    Raises: UnavailableError: llama-cpp-python is missing or its libraries don't load here.
    """
    if "llama_cpp" not in sys.modules:
        spec = importlib.util.find_spec("llama_cpp")
        if spec is None or spec.submodule_search_locations is None:
            raise UnavailableError(
                "llama-cpp-python, which runs the model, is not installed",
                hint="pip install llama-cpp-python",
                reference="llama-cpp-missing",
            )
        package = types.ModuleType("llama_cpp")
        package.__path__ = list(spec.submodule_search_locations)
        package.__spec__ = importlib.machinery.ModuleSpec("llama_cpp", None, is_package=True)
        package.__spec__.submodule_search_locations = package.__path__  # build.py asks for it
        sys.modules["llama_cpp"] = package
    try:
        from llama_cpp import llama_cpp, mtmd_cpp
    except (OSError, RuntimeError, FileNotFoundError) as error:
        raise UnavailableError(
            f"llama.cpp's libraries can't be loaded: {error}",
            hint="pip install --force-reinstall --no-cache-dir llama-cpp-python",
            reference="llama-cpp-broken",
        ) from error
    return llama_cpp, mtmd_cpp


def build_stamp(folder: Path, system_info: str) -> str:
    """What names this very llama.cpp: its libraries' sizes and times, and what it uses here.

    A version number would not do: the same version compiled for another processor rounds its sums
    otherwise.
    """
    stamps = []
    for path in sorted(folder.iterdir()):
        found = path.stat()
        stamps.append(f"{path.name} {found.st_size} {found.st_mtime_ns}")
    return "\n".join([system_info, *stamps])


def progress_callback(prototype: Any, report: Callable[[float], None]) -> Any:
    """A C callback for loading that reports each hundredth. Keep it as long as C may call it."""
    last = -1.0

    def on_progress(share: float, _: object) -> bool:
        nonlocal last
        if share - last >= 0.01 or share >= 1.0:
            last = share
            report(share)
        return True

    return prototype(on_progress)


def load_error(path: str, reason: str, *, is_draft: bool = False) -> GgufError | DoesNotFitError:
    """Why a file could not be loaded. Args: reason: llama.cpp's last words."""
    if any(word in reason.lower() for word in ("allocate", "out of memory", "bad_alloc")):
        return DoesNotFitError(
            f"there is not enough memory to load {path}: {reason}",
            hint="leave --draft out, or give it a smaller model"
            if is_draft
            else "try a smaller quant, or fewer --n-gpu-layers",
            reference="load-out-of-memory",
        )
    return GgufError(
        f"llama.cpp can't load {path}: {reason}",
        hint="leave --draft out or give it another model; --verbose shows the whole log"
        if is_draft
        else "run again with --verbose to see its whole log; download the file again if it may "
        "be damaged",
        reference="model-refused",
    )


class LlamaLog:
    """What llama.cpp and mtmd say: its last warnings kept, or all of it passed on to stderr.

    There is one log in a process: the last that was made gets everything.
    """

    _in_use: ClassVar[Any] = None  # C goes on calling it when the engine it was made for is gone

    def __init__(self, lib: Any, mtmd: Any, *, verbose: bool) -> None:
        self._tail: deque[str] = deque(maxlen=20)
        level_now = 0

        def on_log(level: int, text: bytes, _: object) -> None:
            nonlocal level_now
            if level != _GGML_LOG_CONT:
                level_now = level
            if verbose:
                os.write(2, text)
            if level_now >= _GGML_LOG_WARN:
                self._tail.append(text.decode("utf-8", "replace"))

        callback = lib.llama_log_callback(on_log)
        lib.llama_log_set(callback, None)
        mtmd.mtmd_helper_log_set(callback, None)
        LlamaLog._in_use = callback

    def last_words(self) -> str:
        """The last errors in one line, the oldest first: the first is usually the cause."""
        lines = "".join(self._tail).splitlines()
        return " / ".join(line.strip() for line in lines[-4:] if line.strip()) or "no reason given"


def load_ggml(folder: Path) -> Any:
    """ggml's own library, which llama-cpp-python has no bindings for.

    Args:
        folder: where llama-cpp-python keeps its libraries.
    """
    from llama_cpp._ctypes_extensions import load_shared_library

    return load_shared_library("ggml-base", folder)


class Backends:
    """The devices of ggml's registry, which llama-cpp-python has no bindings for.

    Args:
        folder: where llama-cpp-python keeps its libraries.
    """

    def __init__(self, folder: Path) -> None:
        from llama_cpp._ctypes_extensions import load_shared_library

        self._registry = load_shared_library("ggml", folder)
        self._registry.ggml_backend_dev_count.restype = ctypes.c_size_t
        self._registry.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
        self._registry.ggml_backend_dev_get.restype = ctypes.c_void_p
        self._base = load_ggml(folder)
        self._base.ggml_backend_dev_name.argtypes = [ctypes.c_void_p]
        self._base.ggml_backend_dev_name.restype = ctypes.c_char_p
        self._base.ggml_backend_dev_description.argtypes = [ctypes.c_void_p]
        self._base.ggml_backend_dev_description.restype = ctypes.c_char_p
        self._base.ggml_backend_dev_type.argtypes = [ctypes.c_void_p]
        self._base.ggml_backend_dev_memory.argtypes = [
            ctypes.c_void_p,
            ctypes.POINTER(ctypes.c_size_t),
            ctypes.POINTER(ctypes.c_size_t),
        ]

    def devices(self) -> tuple[Device, ...]:
        """All devices, in llama.cpp's order."""
        return tuple(self._describe(handle) for handle in self._handles())

    def handle(self, name: str) -> int:
        """The pointer to a device.

        Raises: UnavailableError: there is none of that name.
        """
        names = []
        for handle in self._handles():
            names.append(self._describe(handle).name)
            if names[-1].lower() == name.lower():
                return handle
        raise no_such_device(name, names)

    def _handles(self) -> list[int]:
        count = self._registry.ggml_backend_dev_count()
        return [self._registry.ggml_backend_dev_get(i) for i in range(count)]

    def _describe(self, handle: int) -> Device:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._base.ggml_backend_dev_memory(handle, ctypes.byref(free), ctypes.byref(total))
        return Device(
            name=self._base.ggml_backend_dev_name(handle).decode(),
            is_gpu=self._base.ggml_backend_dev_type(handle) in GPU_TYPES,
            free_bytes=free.value,
            description=self._base.ggml_backend_dev_description(handle).decode("utf-8", "replace"),
        )
