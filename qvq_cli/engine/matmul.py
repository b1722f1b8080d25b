"""One product of weights with a batch, timed on a device: what a model that isn't here would cost.

Nearly all that a language model computes is such products, so one of a model's own shape and weight
type, repeated, tells how fast its weights are read in decoding, what a batch costs and how fast a
prompt goes. It calls ggml, llama.cpp's tensor library, directly: no GGUF is needed.

Refuses to know: which shapes are worth timing, and what follows from the times.
"""

import ctypes
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from qvq_cli.engine.llama_library import Backends, import_llama_cpp, load_ggml
from qvq_cli.errors import DoesNotFitError

WeightType = Literal["f16", "q4_K"]
# enum ggml_type, ggml.h, and bytes a weight: Q4_K keeps 256 weights in 144 bytes.
_TYPE_NUMBERS: dict[WeightType, int] = {"f16": 1, "q4_K": 12}
_TYPE_BYTES: dict[WeightType, float] = {"f16": 2, "q4_K": 144 / 256}
_F32 = 0
_META_BYTES = 1 << 20  # of ggml's own for three tensors and a graph; 82 kB are used


class Matmul(NamedTuple):
    """Weights of shape (n_out, n_in) times a batch of shape (n_tokens, n_in) in f32."""

    weight_type: WeightType
    n_in: int
    n_out: int
    n_tokens: int

    @property
    def weight_bytes(self) -> float:
        return self.n_in * self.n_out * _TYPE_BYTES[self.weight_type]

    @property
    def flop(self) -> float:
        """Multiplications and additions."""
        return 2.0 * self.n_in * self.n_out * self.n_tokens


class _InitParams(ctypes.Structure):
    """struct ggml_init_params, ggml.h."""

    _fields_ = (
        ("mem_size", ctypes.c_size_t),
        ("mem_buffer", ctypes.c_void_p),
        ("no_alloc", ctypes.c_bool),
    )


def time_matmul(matmul: Matmul, *, device: str, n_threads: int, n_passes: int) -> tuple[float, ...]:
    """Run a product n_passes times, after one more that isn't counted.

    Args: device: llama.cpp's name of it; n_threads: where it is the CPU.
    Returns: seconds of each pass.
    Raises: UnavailableError: no such device. DoesNotFitError: no room on it.
    """
    llama_cpp, _ = import_llama_cpp()
    folder = Path(llama_cpp._base_path)
    with _graph(_typed_ggml(folder), Backends(folder).handle(device), matmul, n_threads) as compute:
        times = []
        for _ in range(n_passes + 1):
            began_s = time.perf_counter()
            compute()
            times.append(time.perf_counter() - began_s)
    return tuple(times[1:])


def _typed_ggml(folder: Path) -> Any:
    """ggml's library with the types of what is called here."""
    pointer, int64 = ctypes.c_void_p, ctypes.c_int64
    ggml = load_ggml(folder)
    for name, result, *arguments in (
        ("ggml_init", pointer, _InitParams),
        ("ggml_free", None, pointer),
        ("ggml_new_tensor_2d", pointer, pointer, ctypes.c_int, int64, int64),
        ("ggml_mul_mat", pointer, pointer, pointer, pointer),
        ("ggml_new_graph", pointer, pointer),
        ("ggml_build_forward_expand", None, pointer, pointer),
        ("ggml_backend_dev_init", pointer, pointer, ctypes.c_char_p),
        ("ggml_backend_free", None, pointer),
        ("ggml_backend_dev_backend_reg", pointer, pointer),
        ("ggml_backend_reg_get_proc_address", pointer, pointer, ctypes.c_char_p),
        ("ggml_backend_alloc_ctx_tensors", pointer, pointer, pointer),
        ("ggml_backend_buffer_clear", None, pointer, ctypes.c_uint8),
        ("ggml_backend_buffer_free", None, pointer),
        ("ggml_backend_graph_compute", ctypes.c_int, pointer, pointer),
    ):
        function = getattr(ggml, name)
        function.restype, function.argtypes = result, arguments
    return ggml


@contextmanager
def _graph(ggml: Any, device: int, matmul: Matmul, n_threads: int) -> Iterator[Any]:
    """The product on the device, as a function that computes it once."""
    with ExitStack() as stack:
        backend = ggml.ggml_backend_dev_init(device, None)
        if not backend:
            raise _no_room(matmul)
        stack.callback(ggml.ggml_backend_free, backend)
        _set_threads(ggml, device, backend, n_threads)
        meta = ggml.ggml_init(_InitParams(_META_BYTES, None, True))
        stack.callback(ggml.ggml_free, meta)
        kind = _TYPE_NUMBERS[matmul.weight_type]
        weights = ggml.ggml_new_tensor_2d(meta, kind, matmul.n_in, matmul.n_out)
        batch = ggml.ggml_new_tensor_2d(meta, _F32, matmul.n_in, matmul.n_tokens)
        graph = ggml.ggml_new_graph(meta)
        ggml.ggml_build_forward_expand(graph, ggml.ggml_mul_mat(meta, weights, batch))
        buffer = ggml.ggml_backend_alloc_ctx_tensors(meta, backend)
        if not buffer:
            raise _no_room(matmul)
        stack.callback(ggml.ggml_backend_buffer_free, buffer)
        # Zeros take as long as any weights, once their memory has been written to.
        ggml.ggml_backend_buffer_clear(buffer, 0)
        yield lambda: ggml.ggml_backend_graph_compute(backend, graph)


def _set_threads(ggml: Any, device: int, backend: int, n_threads: int) -> None:
    """Only CPUs have threads to be set."""
    registry = ggml.ggml_backend_dev_backend_reg(device)
    address = ggml.ggml_backend_reg_get_proc_address(registry, b"ggml_backend_set_n_threads")
    if address:
        ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int)(address)(backend, n_threads)


def _no_room(matmul: Matmul) -> DoesNotFitError:
    return DoesNotFitError(
        f"there is no room for {matmul.weight_bytes / 1e6:.0f} MB of weights to time",
        hint="close other programs, or measure a device with more memory: --device",
        reference="matmul-out-of-memory",
    )
