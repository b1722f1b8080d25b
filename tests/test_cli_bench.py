"""`qvq bench` through main(argv) on nano: what is told and how it hangs together, not how fast."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from conftest import NANO
from model_shop import GB, machine
from qvq_cli.cli.app import main
from qvq_cli.errors import ExitCode
from qvq_cli.hub.catalog import catalog_entry

__all__ = ["machine"]
QVQ = "qvq-72b-preview"
SMALL = "qwen2-vl-2b-instruct"
FASTEST = ["bench", "nano", "--seconds", "0"]


@pytest.fixture
def small_shape(monkeypatch: pytest.MonkeyPatch, machine: None) -> None:  # noqa: ARG001
    """Forecast the smallest Qwen2-VL: timing matrices as large as QVQ's takes ten seconds."""
    monkeypatch.setattr("qvq_cli.cli.bench.PREDICTED", SMALL)


def benched(capfd: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*FASTEST, *arguments, "--json"]) == ExitCode.ANSWER
    return dict(json.loads(capfd.readouterr().out))


@pytest.mark.usefixtures("machine")
def test_qvq_is_forecast_from_nano_and_the_numbers_hang_together(
    capfd: pytest.CaptureFixture[str],
) -> None:
    found = benched(capfd)
    assert (found["model"]["name"], found["model"]["is_telling"]) == ("nano", False)
    assert found["machine"]["n_threads"] == 1 and found["machine"]["memory_bytes_per_s"] == 100e9
    assert found["interrupted"] is False
    picture, prefill, decode = found["picture"], found["prefill"], found["decode"]
    assert 0 < picture["image_tokens"] < prefill["prompt_tokens"] < decode["depth"]
    assert prefill["tokens_per_s"] == pytest.approx(prefill["prompt_tokens"] / prefill["seconds"])
    assert found["load"]["seconds"] > 0 and picture["seconds"] > 0 and decode["tokens_per_s"] > 0

    batches = found["batches"]
    assert [batch["tokens"] for batch in batches] == list(range(1, 9))
    assert batches[0]["cost"] == 1.0
    for batch in batches:
        assert batch["seconds"] > 0 and batch["runs"] == 2
        assert batch["cost"] == pytest.approx(batch["seconds"] / batches[0]["seconds"])
        assert batch["tokens_per_s"] == pytest.approx(batch["tokens"] / batch["seconds"])
    assert found["drafts"]["gain"] >= 1.0

    predictions = found["predictions"]
    assert predictions["model"] == QVQ
    assert predictions["rates"]["CPU"]["source"] == "products"
    quants = {each["quant"]: each for each in predictions["quants"]}
    entry = catalog_entry(QVQ)
    assert set(quants) == {name for name in entry.quants if entry.about_bytes(name)}
    for each in quants.values():
        assert each["fits"] == (each["memory_bytes"] <= 64 * GB)
        before_s = each["image_s"] + each["prefill_s"]
        for key, gain in (("minutes", 1.0), ("minutes_with_drafts", each["draft_gain"])):
            decode_s = predictions["answer_tokens"] / (each["tokens_per_s"] * gain)
            assert each[key] == pytest.approx((before_s + decode_s) / 60)
    assert quants["Q2_K"]["minutes"] < quants["Q4_K_M"]["minutes"] < quants["Q8_0"]["minutes"]


@pytest.mark.usefixtures("small_shape")
def test_what_a_person_sees(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(FASTEST) == ExitCode.ANSWER
    out, err = capfd.readouterr()
    for words in (
        "nano Q8_0 on the CPU, 1 thread, measured",
        "its figures say nothing about QVQ",
        *("load ", "picture, ", "prefill, ", "decode, a token at "),
        *("1 token ", "8 tokens ", "1.00x", "drafts ", "votes ", "memory "),
        *("AN ANSWER", "WITH DRAFTS", "Q4_K_M", "single matrices of QVQ's shape"),
    ):
        assert words in out, words
    assert "qvq: batches of 1 to 8 tokens" in err


@pytest.mark.usefixtures("small_shape")
def test_more_time_gives_more_runs(capfd: pytest.CaptureFixture[str]) -> None:
    short, long = benched(capfd), benched(capfd, "--seconds", "30")
    for part in ("picture", "decode"):
        assert short[part]["runs"] < long[part]["runs"]
        assert long[part]["spread"] >= 0.0
    assert short["picture"]["image_tokens"] < long["picture"]["image_tokens"], "a usual picture"
    assert short["batches"][0]["runs"] < long["batches"][0]["runs"]


@pytest.mark.usefixtures("small_shape")
def test_the_plot_is_an_svg_with_every_bar(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bench.svg"
    assert main([*FASTEST, "--plot", str(path)]) == ExitCode.ANSWER
    assert str(path) in capfd.readouterr().err
    root = ElementTree.fromstring(path.read_text("utf-8"))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"1 token", "8 tokens", *catalog_entry(SMALL).quants} <= set(texts)
    assert [entry.name for entry in tmp_path.iterdir() if entry.suffix != ".svg"] == ["data"]


@pytest.mark.usefixtures("small_shape")
@pytest.mark.parametrize(("n_cores", "n_batch"), [(8, 2), (1, 1)])
def test_a_tiny_model_takes_a_second_thread_for_several_tokens(
    n_cores: int,
    n_batch: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("QVQ_THREADS")
    monkeypatch.setattr("qvq_cli.cli.planning.physical_cores", lambda: n_cores)
    machine = benched(capfd, "--device", "none")["machine"]
    assert (machine["n_threads"], machine["n_threads_batch"]) == (1, n_batch)
    assert main([*FASTEST, "--device", "none"]) == ExitCode.ANSWER
    said = "on the CPU, 1 thread (2 for several tokens at once), measured"
    assert (said in capfd.readouterr().out) is (n_batch == 2)
    machine = benched(capfd, "--device", "none", "--threads", "1")["machine"]
    assert (machine["n_threads"], machine["n_threads_batch"]) == (1, 1)


@pytest.mark.usefixtures("small_shape")
def test_the_options_count(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qvq_cli.cli.planning.logical_cpus", lambda: 2)
    found = benched(capfd, "--threads", "2", "--device", "none")
    assert found["machine"]["n_threads"] == 2
    assert found["machine"]["n_gpu_layers"] == 0
    monkeypatch.setattr("qvq_cli.cli.planning.logical_cpus", lambda: 1)
    assert main([*FASTEST, "--threads", "2", "--json"]) == 0
    output = capfd.readouterr()
    assert json.loads(output.out)["machine"]["n_threads"] == 1
    assert "taking 1 thread: more than CPUs" in output.err


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["no-such"], ExitCode.UNAVAILABLE, "no-such"),
        ([QVQ], ExitCode.UNAVAILABLE, "qvq pull"),
        (["no-such.gguf"], ExitCode.NO_INPUT, "no-such.gguf"),
        (["nano", "--quant", "Q9"], ExitCode.UNAVAILABLE, "Q9"),
        (["--quant", "Q9"], ExitCode.USAGE, "--quant Q9 needs the name"),
        (["hf:owner/repo", "--quant", "Q9"], ExitCode.UNAVAILABLE, "Q9 of owner/repo"),
        (["nano", "--seconds", "-1"], ExitCode.USAGE, "--seconds"),
        (["nano", "--n-gpu-layers", "lots"], ExitCode.USAGE, "lots"),
        (["nano", "--plot", "plot.png"], ExitCode.USAGE, "plot.svg"),
        (["nano", "--plot", "no/such/folder/plot.svg"], ExitCode.CANNOT_WRITE, "no folder"),
    ],
)
def test_errors_come_before_anything_is_loaded(
    capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    assert main(["bench", *arguments]) == code
    out, err = capfd.readouterr()
    assert (out, "Traceback" in err, "loading" in err) == ("", False, False)
    assert words in err


@pytest.mark.usefixtures("small_shape")
def test_what_does_not_fit_is_refused_and_force_tries(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("qvq_cli.cli.machine.free_memory", lambda: 10_000_000)
    assert main(FASTEST) == ExitCode.DOES_NOT_FIT
    assert "--force" in capfd.readouterr().err
    assert benched(capfd, "--force")["predictions"]["quants"][0]["fits"] is False


def test_a_damaged_model_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for path in NANO.glob("*.gguf"):
        (tmp_path / path.name).write_bytes(path.read_bytes()[:100_000])
    assert main(["bench", str(tmp_path / "nano-q8_0.gguf")]) == ExitCode.BAD_DATA
    assert capfd.readouterr().out == ""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT is POSIX")
def test_ctrl_c_shows_what_was_measured_until_then() -> None:
    command = [sys.executable, "-P", "-m", "qvq_cli", *FASTEST, "--json"]
    process = subprocess.Popen(
        command, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "matrices as" in line:  # everything of nano's own is measured; this takes seconds
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "interrupted" in err
    found = json.loads(out)
    assert found["interrupted"] is True and len(found["batches"]) == 8
    assert found["predictions"]["rates"] == {}
    assert {each["minutes"] for each in found["predictions"]["quants"]} == {None}
