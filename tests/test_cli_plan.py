"""`qvq plan` through main(argv): numbers, reasons and the exit code."""

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import NANO
from model_shop import GB, machine
from qvq_cli.cli.app import main
from qvq_cli.engine.protocol import Device
from qvq_cli.errors import ExitCode
from qvq_cli.hub.catalog import catalog_entry

__all__ = ["machine"]
pytestmark = pytest.mark.usefixtures("machine")
QVQ = "qvq-72b-preview"


def planned(
    capfd: pytest.CaptureFixture[str], *arguments: str, code: int = ExitCode.ANSWER
) -> dict[str, Any]:
    assert main(["plan", *arguments, "--json"]) == code
    return dict(json.loads(capfd.readouterr().out))


def test_the_table_adds_up(capfd: pytest.CaptureFixture[str]) -> None:
    plan = planned(capfd, QVQ)
    assert (plan["name"], plan["quant"], plan["is_installed"]) == (QVQ, "Q4_K_M", False)
    parts = ("weight_bytes", "mmproj_bytes", "kv_bytes", "compute_bytes")
    assert plan["needed_bytes"] == sum(plan[part] for part in parts)
    assert plan["needed_bytes"] == sum(device["total_bytes"] for device in plan["devices"])
    assert plan["kv_bytes"] == plan["n_ctx"] * 327_680
    assert plan["fits"] and plan["kv_type"] == "f16"
    assert plan["tokens_per_s"] == pytest.approx(100 / 47.4, rel=0.01)


def test_what_a_person_sees(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", QVQ]) == 0
    out = capfd.readouterr().out
    for words in (
        *("qvq-72b-preview Q4_K_M fits", "weights          47.4 GB", "mmproj", "KV cache, f16"),
        *("compute buffers", "needed", "free             64.0 GB", "GPU layers  0"),
        "to get it   qvq pull qvq-72b-preview:Q4_K_M",
    ):
        assert words in out


def test_what_gives_way_is_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("qvq_cli.cli.machine.free_memory", lambda: 51 * GB)
    plan = planned(capfd, f"{QVQ}:Q4_K_M")
    assert plan["kv_type"] == "q8_0"
    assert any("q8_0" in reason for reason in plan["reasons"])


def test_what_does_not_fit_is_shown_and_ends_with_71(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("qvq_cli.cli.machine.free_memory", lambda: 16 * GB)
    assert main(["plan", QVQ]) == ExitCode.DOES_NOT_FIT
    out, err = capfd.readouterr()
    assert "does not fit" in out
    assert "hint: qwen3-vl-8b-thinking:Q8_0 would fit" in err
    assert "--force" not in err, "plan has no such option"
    plan = planned(capfd, QVQ, code=ExitCode.DOES_NOT_FIT)
    assert plan["fits"] is False, "one object, and it is the plan"


def test_gpus_get_a_column_and_their_layers(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    gpu = Device("CUDA0", is_gpu=True, free_bytes=24 * GB)
    monkeypatch.setattr("qvq_cli.cli.machine.has_gpu_backend", lambda: True)
    monkeypatch.setattr("qvq_cli.cli.machine._gpus", lambda: (gpu,))
    monkeypatch.setattr("sys.platform", "linux")
    plan = planned(capfd, QVQ)
    assert [device["name"] for device in plan["devices"]] == ["CPU", "CUDA0"]
    assert 0 < plan["n_gpu_layers"] < 80
    assert plan["tokens_per_s"] is None, "nobody tells a GPU's bandwidth"
    assert main(["plan", QVQ]) == 0
    header = next(line for line in capfd.readouterr().out.splitlines() if "MEMORY" in line)
    assert header.split() == ["MEMORY", "CPU", "CUDA0", "IN", "ALL"]


def test_the_options_of_solve_count(capfd: pytest.CaptureFixture[str]) -> None:
    usual = planned(capfd, QVQ)
    short = planned(capfd, QVQ, "--max-thinking", "1000")
    assert short["n_thinking"] < usual["n_thinking"]
    assert short["kv_bytes"] < usual["kv_bytes"]
    large = planned(capfd, QVQ, "--image-tokens-max", "4096")
    assert large["compute_bytes"] > usual["compute_bytes"]
    assert planned(capfd, QVQ, "--quant", "Q2_K")["quant"] == "Q2_K"
    assert planned(capfd, QVQ, "--kv-type", "q8_0")["kv_type"] == "q8_0"


def test_room_for_the_answer_counts(capfd: pytest.CaptureFixture[str]) -> None:
    usual = planned(capfd, QVQ)
    assert planned(capfd, QVQ, "--max-answer", "512") == usual
    long = planned(capfd, QVQ, "--max-answer", "20480")
    assert long["n_ctx"] - usual["n_ctx"] == 20480 - 512
    assert planned(capfd, QVQ, "--votes", "2", "--max-answer", "20480")["n_ctx"] > 2 * 20480


def test_no_more_thinking_than_the_context_holds(capfd: pytest.CaptureFixture[str]) -> None:
    plan = planned(capfd, "nano", "--max-thinking", "1000000")
    assert plan["n_ctx"] == 4096
    assert 2048 < plan["n_thinking"] < 4096
    assert "the model's context, 4,096 tokens, leaves" in plan["reasons"][-1]


def test_a_repository_of_the_catalog_is_planned_as_its_entry(
    capfd: pytest.CaptureFixture[str],
) -> None:
    repo = catalog_entry(QVQ).repo
    plan = planned(capfd, f"hf:{repo}:Q2_K")
    assert (plan["name"], plan["quant"], plan["is_installed"]) == (QVQ, "Q2_K", False)
    assert planned(capfd, f"hf:{repo}", "--quant", "q2_k") == plan


def test_the_config_file_counts(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    usual = planned(capfd, QVQ)
    folder = tmp_path / "config" / "qvq"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("max-thinking = 500\n")
    assert planned(capfd, QVQ)["n_thinking"] < usual["n_thinking"]


def test_without_a_model_it_is_the_one_that_solve_takes(capfd: pytest.CaptureFixture[str]) -> None:
    plan = planned(capfd)
    assert (plan["name"], plan["is_installed"]) == ("nano", True)


def test_a_file(capfd: pytest.CaptureFixture[str]) -> None:
    plan = planned(capfd, str(NANO / "nano-q8_0.gguf"))
    assert plan["weight_bytes"] < (NANO / "nano-q8_0.gguf").stat().st_size


def test_ctrl_c_is_told_as_whatever_else_ends_a_command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def press_ctrl_c() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("qvq_cli.cli.machine.free_memory", press_ctrl_c)
    assert main(["plan", "nano", "--json"]) == ExitCode.INTERRUPTED
    out, err = capfd.readouterr()
    assert json.loads(out)["error"]["reference"] == "interrupted"
    assert err == "qvq: interrupted\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["no-such"], 69, "no-such"),
        ([f"{QVQ}:Q9"], 69, "Q9"),
        (["no-such.gguf"], 66, "no-such.gguf"),
        ([QVQ, "--max-thinking", "soon"], 2, "soon"),
        ([QVQ, "--n-gpu-layers", "lots"], 2, "lots"),
        ([QVQ, "--kv-type", "f8"], 2, "f8"),
        ([QVQ, "--device", "CUDA0"], 69, "no device 'CUDA0' here; it has CPU"),
        ([""], 2, "the name of the model is empty"),
        (["--quant", "Q2_K"], 2, "--quant Q2_K needs the name of the model"),
        (["hf:owner/repo", "--quant", "Q2_K"], 69, "Q2_K of owner/repo is not on this machine"),
        ([f"{QVQ}:Q2_K", "--quant", "Q4_K_M"], 2, "says Q2_K, --quant says Q4_K_M"),
        (["./some.gguf", "--quant", "Q2_K"], 2, "./some.gguf is a file"),
    ],
)
def test_errors(
    capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    assert main(["plan", *arguments]) == code
    out, err = capfd.readouterr()
    assert (out, "Traceback" in err) == ("", False)
    assert words in err
