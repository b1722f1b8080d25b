"""`qvq doctor`: what it looks at, what it says to type, and when it ends with 0."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from fake_hub import FakeHub
from model_shop import MODEL, hub, machine
from qvq_cli.cli import checks
from qvq_cli.cli.app import main
from qvq_cli.cli.checks import State
from qvq_cli.cli.rebuild import rebuild_command
from qvq_cli.engine.build import Build, backends_in, find_build
from qvq_cli.engine.protocol import Device
from qvq_cli.errors import EngineDiedError, ExitCode
from qvq_cli.hub.gpus import gpu_makers

__all__ = ["hub", "machine"]
pytestmark = pytest.mark.usefixtures("machine")
BUILD = Build("0.3.36", Path("lib"), ())


def diagnosed(
    capfd: pytest.CaptureFixture[str], *arguments: str, code: int = ExitCode.ANSWER
) -> dict[str, dict[str, Any]]:
    """The checks by name."""
    capfd.readouterr()
    assert main(["doctor", "--json", *arguments]) == code
    found = json.loads(capfd.readouterr().out)
    assert found["ok"] is (code == 0)
    return {check["name"]: check for check in found["checks"]}


def test_all_is_well(hub: FakeHub, capfd: pytest.CaptureFixture[str]) -> None:
    found = diagnosed(capfd)
    assert list(found) == [
        *("python", "llama-cpp-python", "cpu", "cuda", "settings", "model-cache", "data-folder"),
        *("picture-cache", "hub"),
        *("installed", "memory", "solve-model", "example"),
    ]
    assert all(set(check) == {"name", "state", "message", "hint"} for check in found.values())
    assert "-29" in found["example"]["message"], "a real solve"
    assert hub.endpoint in found["hub"]["message"]
    assert "REPACK" in found["cpu"]["message"]


def test_people_see_a_line_for_each_check(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--offline"]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert f"ok       llama-cpp-python {find_build().version} loads" in out  # type: ignore[union-attr]
    assert "nano solved the example picture: -29" in out


@pytest.mark.parametrize("how", ["--offline", "HF_HUB_OFFLINE"])
def test_offline_asks_nothing(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], how: str
) -> None:
    if how == "--offline":
        found = diagnosed(capfd, "--offline")
    else:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        found = diagnosed(capfd)
    assert found["hub"]["state"] == "note"
    assert hub.log == []


@pytest.mark.parametrize("line", ["threads = ", "threads = 0", 'max-thinking = "soon"'])
def test_a_wrong_config_file_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str], line: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(line)
    monkeypatch.setenv("QVQ_CONFIG", str(file))
    monkeypatch.delenv("QVQ_THREADS", raising=False)
    found = diagnosed(capfd, "--offline", code=ExitCode.UNAVAILABLE)
    assert found["settings"]["state"] == "fail"
    assert str(file) in found["settings"]["message"]
    assert found["example"]["state"] == "ok", "the rest is looked at all the same"


def test_no_hub_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert diagnosed(capfd)["hub"]["state"] == "warning"


def test_installed_models_are_looked_at(hub: FakeHub, capfd: pytest.CaptureFixture[str]) -> None:
    assert hub.endpoint
    assert main(["pull", MODEL]) == 0
    path = Path(capfd.readouterr().out.strip())
    found = diagnosed(capfd)
    assert found["installed"]["state"] == "ok"
    assert "it is the best installed" in found["solve-model"]["message"]
    path.resolve().write_bytes(b"cut off")
    found = diagnosed(capfd, code=ExitCode.UNAVAILABLE)
    assert found["installed"]["state"] == "warning"
    assert found["installed"]["hint"].endswith(f": qvq verify {MODEL}:Q8_0 --repair")
    assert found["solve-model"]["state"] == "fail", "solve would take it, and could not"


def test_it_fails_when_solve_would(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QVQ_MODEL", "qvq-72b-preview")
    assert main(["doctor", "--offline"]) == ExitCode.UNAVAILABLE
    out, err = capfd.readouterr()
    assert "FAIL" in out
    assert err.startswith("qvq: error: a solve would not work: ")
    assert "qvq pull qvq-72b-preview" in err


def test_it_fails_when_the_model_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("qvq_cli.cli.machine.free_memory", lambda: 50_000_000)
    found = diagnosed(capfd, "--offline", code=ExitCode.UNAVAILABLE)
    assert found["solve-model"]["state"] == "fail"
    assert found["memory"]["state"] == "warning"


def test_it_fails_when_the_example_does(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def die(*_: object) -> None:
        raise EngineDiedError("llama.cpp gave up: GGML_ASSERT", hint="run again")

    monkeypatch.setattr("qvq_cli.cli.checks.solve_example", die)
    found = diagnosed(capfd, "--offline", code=ExitCode.UNAVAILABLE)
    assert "GGML_ASSERT" in found["example"]["message"]


def test_a_wrong_answer_fails(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("qvq_cli.cli.smoke.ANSWER", "29")
    found = diagnosed(capfd, "--offline", code=ExitCode.UNAVAILABLE)
    assert "nano answers '-29' instead of '29'" in found["example"]["message"]


def test_without_llama_cpp_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("qvq_cli.cli.checks.find_build", lambda: None)
    found = diagnosed(capfd, "--offline", code=ExitCode.UNAVAILABLE)
    assert found["llama-cpp-python"]["hint"] == "pip install llama-cpp-python"
    assert "example" not in found


# GPUs


def test_a_gpu_without_its_backend_is_a_warning_with_the_command() -> None:
    (check,) = checks.check_gpus(BUILD, (), ("NVIDIA",))
    assert (check.name, check.state) == ("cuda", State.WARNING)
    assert 'CMAKE_ARGS="-DGGML_CUDA=on"' in str(check.hint)


def test_no_gpu_is_worth_a_note() -> None:
    (check,) = checks.check_gpus(BUILD, (), ())
    assert (check.name, check.state) == ("cuda", State.NOTE)


def test_a_gpu_that_works_is_named() -> None:
    build = Build("0.3.36", Path("lib"), ("CUDA",))
    gpu = Device("CUDA0", is_gpu=True, free_bytes=24 * 10**9, description="NVIDIA RTX 4090")
    (check,) = checks.check_gpus(build, (gpu,), ("NVIDIA",))
    assert (check.state, check.message) == (
        State.OK,
        "GPU: CUDA0 (NVIDIA RTX 4090), 24.0 GB free",
    )


def test_a_backend_that_finds_nothing_is_a_warning() -> None:
    (check,) = checks.check_gpus(Build("0.3.36", Path("lib"), ("CUDA",)), (), ("NVIDIA",))
    assert (check.name, check.state) == ("cuda", State.WARNING)
    assert "driver" in str(check.hint)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"python": "/opt/qvq/bin/python", "is_windows": False, "has_pip": True},
            'CMAKE_ARGS="-DGGML_CUDA=on" /opt/qvq/bin/python -m pip install --force-reinstall '
            "--no-deps --no-cache-dir --no-binary llama-cpp-python llama-cpp-python==0.3.36",
        ),
        (
            {"python": "C:\\My Tools\\python.exe", "is_windows": True, "has_pip": True},
            '$env:CMAKE_ARGS="-DGGML_CUDA=on"; & "C:\\My Tools\\python.exe" -m pip install '
            "--force-reinstall --no-deps --no-cache-dir --no-binary llama-cpp-python "
            "llama-cpp-python==0.3.36",
        ),
        (
            {"python": "/opt/qvq/bin/python", "is_windows": False, "has_pip": False},
            'CMAKE_ARGS="-DGGML_CUDA=on" uv pip install --python /opt/qvq/bin/python --reinstall '
            "--no-deps --no-cache --no-binary llama-cpp-python llama-cpp-python==0.3.36",
        ),
    ],
)
def test_the_command_to_rebuild(options: dict[str, Any], expected: str) -> None:
    assert rebuild_command("-DGGML_CUDA=on", "0.3.36", **options) == expected


@pytest.mark.parametrize(
    ("names", "backends"),
    [
        (["libggml.so", "libggml-base.so.0", "libggml-cpu.so.0.25.3", "libllama.so"], ()),
        (["libggml-cuda.so", "libggml-cpu-haswell.so"], ("CUDA",)),
        (["libggml-metal.dylib", "libggml-blas.dylib"], ("Metal",)),
        (["ggml-vulkan.dll", "ggml-rpc.dll", "ggml-base.dll"], ("Vulkan",)),
        (["libggml-hip.so", "libggml-cuda.so.0"], ("CUDA", "ROCm")),
    ],
)
def test_backends_by_their_files(tmp_path: Path, names: list[str], backends: tuple[str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert backends_in(tmp_path) == backends
    assert backends_in(tmp_path / "nowhere") == ()


def test_which_gpus_are_here() -> None:
    def makers(*there: str, platform: str = "linux", machine: str = "x86_64") -> tuple[str, ...]:
        return gpu_makers(
            platform,
            exists=lambda path: path.as_posix() in there,
            find_program=lambda name: name if name in there else None,
            machine=machine,
        )

    assert makers() == ()
    assert makers("/proc/driver/nvidia/version") == ("NVIDIA",)
    assert makers("nvidia-smi", "/dev/kfd") == ("NVIDIA", "AMD")
    assert makers(platform="darwin", machine="arm64") == ("Apple",)
    assert makers(platform="darwin") == ()


@pytest.mark.skipif(sys.platform == "win32", reason="root and modes are POSIX")
def test_a_folder_that_cannot_be_written_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    found = list(checks.check_disk({"QVQ_DATA": "/", "HF_HOME": "/", "QVQ_CACHE": "/"}))
    assert [check.state for check in found] == [State.WARNING] * 3
    assert "HF_HOME" in str(found[0].hint) and "QVQ_DATA" in str(found[1].hint)
    assert "QVQ_CACHE" in str(found[2].hint)
