"""What `qvq doctor` looks at, one small function for each thing.

A check never raises for what it finds: it says it. FAIL means that a solve would not work; a
WARNING costs something (speed, a download), a NOTE nothing.
"""

import platform
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum

from qvq_cli.cli import caching
from qvq_cli.cli.machine import Resources
from qvq_cli.cli.rebuild import rebuild_command
from qvq_cli.cli.session import Session
from qvq_cli.cli.smoke import solve_example
from qvq_cli.engine.build import Build, find_build
from qvq_cli.engine.process import WorkerEngine
from qvq_cli.engine.protocol import Device
from qvq_cli.errors import ConfigError, QvqError
from qvq_cli.hub.advice import require_fit
from qvq_cli.hub.choose import best_reasoner
from qvq_cli.hub.config import Config, config_path
from qvq_cli.hub.disk import free_bytes, write_problem
from qvq_cli.hub.gguf import read_gguf
from qvq_cli.hub.gpus import Maker, gpu_makers
from qvq_cli.hub.hf_cache import cache_dir
from qvq_cli.hub.installed import list_installed
from qvq_cli.hub.manifest import Installed, data_dir
from qvq_cli.hub.memory import cpu_has_amx
from qvq_cli.hub.pair import check_pair
from qvq_cli.hub.plan import sizes_of
from qvq_cli.hub.remedy import remedy
from qvq_cli.hub.run_plan import plan_run, typical_demand
from qvq_cli.hub.store import resolve_model
from qvq_cli.sizes import size
from qvq_cli.ui.wording import duration

_BACKENDS: Mapping[Maker, tuple[str, str]] = {
    "NVIDIA": ("CUDA", "-DGGML_CUDA=on"),
    "AMD": ("ROCm", "-DGGML_HIP=on"),
    "Apple": ("Metal", "-DGGML_METAL=on"),
}
"""The backend of llama.cpp for each maker's GPUs, and what to compile it with."""

_HUB_TIMEOUT_S = 3.0
_LITTLE_DISK_BYTES = 2_000_000_000


class State(StrEnum):
    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. name: kebab-case, for scripts. hint: what to type or change."""

    name: str
    state: State
    message: str
    hint: str | None = None


def check_python() -> Check:
    what = f"{platform.python_implementation()} {platform.python_version()}"
    where = f"{platform.system()} {platform.machine()}"
    return Check("python", State.OK, f"{what} on {where}")


def check_engine() -> Iterator[Check]:
    """llama-cpp-python, the processor and the GPUs it was built for."""
    build = find_build()
    if build is None:
        yield Check(
            "llama-cpp-python",
            State.FAIL,
            "llama-cpp-python, which runs the model, is not installed",
            "pip install llama-cpp-python",
        )
        return
    try:
        with closing(WorkerEngine(verbose=False)) as engine:
            devices, info = engine.devices(), engine.system_info()
    except QvqError as error:
        yield _failure("llama-cpp-python", error)
        return
    yield Check("llama-cpp-python", State.OK, f"llama-cpp-python {build.version} loads")
    yield check_cpu(info)
    yield from check_gpus(build, devices, gpu_makers())


def check_cpu(system_info: str) -> Check:
    """Args: system_info: llama.cpp's, such as "CPU : AVX2 = 1 | REPACK = 1 | "."""
    features = [
        name.rpartition(":")[2].strip()
        for name, _, value in (part.partition("=") for part in system_info.split("|"))
        if value.strip() == "1"
    ]
    message = f"processor: llama.cpp uses {', '.join(features) or 'no extensions'}"
    message += (
        "; it has AMX, where repacked weights crash llama.cpp built by some compilers, so they "
        "stay unpacked"
        if cpu_has_amx()
        else "; it has no AMX"
    )
    return Check("cpu", State.OK, message)


def check_gpus(
    build: Build, devices: tuple[Device, ...], makers: tuple[Maker, ...]
) -> Iterator[Check]:
    """What llama.cpp can use of the GPUs there are, and how to change that."""
    for gpu in (device for device in devices if device.is_gpu):
        name = f"{gpu.name} ({gpu.description})" if gpu.description else gpu.name
        yield Check("gpu", State.OK, f"GPU: {name}, {size(gpu.free_bytes)} free")
    wanted: tuple[Maker, ...] = makers or ("NVIDIA",)
    for maker in wanted:
        backend, flag = _BACKENDS[maker]
        name = backend.lower()
        if backend in build.backends:
            if not any(device.is_gpu for device in devices):
                yield Check(
                    name,
                    State.WARNING,
                    f"{backend} is compiled in, but finds no GPU here",
                    "check the GPU's driver",
                )
            continue
        there = f"there is a GPU of {maker}'s here" if maker in makers else "no GPU was found here"
        yield Check(
            name,
            State.WARNING if maker in makers else State.NOTE,
            f"{backend} is not compiled in; {there}",
            f"to compile it in: {rebuild_command(flag, build.version)}",
        )


def check_memory(resources: Resources) -> Check:
    free = f"memory: {size(resources.free_bytes)} free"
    best = best_reasoner(resources.free_bytes)
    if best is None:
        return Check("memory", State.WARNING, f"{free}, too little for any model but nano")
    model = f"{best.entry.name}:{best.quant}"
    return Check("memory", State.OK, f"{free}; the best reasoner that fits is {model}")


def check_disk(environ: Mapping[str, str]) -> Iterator[Check]:
    """The folders that a pull and a solve write to."""
    places = (
        ("model-cache", cache_dir(environ), "HF_HOME"),
        ("data-folder", data_dir(environ), "QVQ_DATA"),
        ("picture-cache", caching.cache_dir(environ), "QVQ_CACHE"),
    )
    for name, folder, variable in places:
        what = name.replace("-", " ")
        problem = write_problem(folder)
        if problem is not None:
            hint = f"set {variable} to a folder of yours"
            yield Check(name, State.WARNING, f"{what}: {problem}", hint)
            continue
        n_bytes = free_bytes(folder)
        state = State.OK if n_bytes > _LITTLE_DISK_BYTES else State.WARNING
        yield Check(name, state, f"{what}: {size(n_bytes)} free in {folder}")


def check_hub(*, is_offline: bool) -> Check:
    """Only a pull needs the Hub, so that it can't be reached is never a failure."""
    if is_offline:
        return Check("hub", State.NOTE, "Hugging Face Hub: not tried, offline is wanted")
    try:
        from qvq_cli.hub.remote import hub_status
    except ConfigError as error:
        return Check("hub", State.WARNING, f"Hugging Face Hub: {error.message}", error.hint)
    status = hub_status(_HUB_TIMEOUT_S)
    if status.is_offline:
        return Check("hub", State.NOTE, "Hugging Face Hub: not tried, HF_HUB_OFFLINE is set")
    if status.problem is not None:
        return Check(
            "hub",
            State.WARNING,
            f"Hugging Face Hub: {status.problem}",
            "only qvq pull needs it; models that are here work without",
        )
    return Check("hub", State.OK, f"Hugging Face Hub: {status.endpoint} answers")


def check_installed(environ: Mapping[str, str]) -> Iterator[Check]:
    """Every installed model: sizes, times of change and headers, not every byte."""
    try:
        found = list_installed(environ)
    except QvqError as error:
        yield _failure("installed", error)
        return
    if not found:
        yield Check("installed", State.NOTE, "no model is installed yet", "qvq pull")
    for installed in found:
        yield _check_files(installed)


def _check_files(installed: Installed) -> Check:
    name = installed.model_id
    repair = remedy(installed)
    if installed.problem is not None:
        return Check("installed", State.WARNING, f"{name}: {installed.problem}", repair)
    try:
        check_pair(read_gguf(installed.model_path), read_gguf(installed.mmproj_path))
    except QvqError as error:
        return Check("installed", State.WARNING, f"{name}: {error.message}", repair)
    return Check("installed", State.OK, f"{name}: {size(installed.n_bytes)}, its files are sound")


def check_settings(session: Session) -> Check:
    """The config file and the variables that set options of solve."""
    from qvq_cli.cli.commands import check_settings  # which imports this module's own command

    try:
        check_settings(session)
    except ConfigError as error:
        return _failure("settings", error)
    config = session.config
    if config.path is None:
        return Check("settings", State.NOTE, f"no config file {config_path(session.env.variables)}")
    return Check(
        "settings", State.OK, f"{config.path} sets {', '.join(config.values) or 'nothing'}"
    )


def check_choice(environ: Mapping[str, str], config: Config, resources: Resources) -> Check:
    """The model that solve takes when none is named, and whether it fits."""
    try:
        choice = resolve_model(None, None, environ=environ, config=config)
        demand = typical_demand(choice.profile)
        plan = plan_run(sizes_of(choice.pair), demand, resources.for_plan())
        require_fit(plan, choice.name, choice.entry, is_solve=False)
    except QvqError as error:
        return _failure("solve-model", error)
    why = {
        "environment": "QVQ_MODEL says so",
        "config": "the config file says so",
        "embedded": "no other is installed",
    }.get(choice.origin, "it is the best installed")
    message = f"solve uses {choice.name} {choice.quant}: {why}, and it fits"
    return Check("solve-model", State.OK, message)


def check_example(environ: Mapping[str, str], resources: Resources) -> Check:
    """A real run from picture to answer."""
    try:
        record = solve_example(environ, resources)
    except QvqError as error:
        return _failure("example", error)
    assert record.answer is not None
    took = duration(record.timings.total_s)
    return Check(
        "example", State.OK, f"nano solved the example picture: {record.answer.text}, in {took}"
    )


def _failure(name: str, error: QvqError) -> Check:
    return Check(name, State.FAIL, error.message, error.hint)
