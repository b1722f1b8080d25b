"""`--draft` through main(argv): nano guesses for nano, and everything else is refused in words."""

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import NANO, QUESTION, TABLE
from gguf_samples import MODEL, nano_model, text_model
from qvq_cli.cli.app import main
from qvq_cli.errors import ExitCode

MMPROJ = NANO / "mmproj-nano-q8_0.gguf"


def solve(*arguments: str) -> int:
    return main(["solve", str(TABLE), QUESTION, *arguments])


def solved(capfd: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert solve("--json", *arguments) == ExitCode.ANSWER
    return dict(json.loads(capfd.readouterr().out))


def refused(capfd: pytest.CaptureFixture[str], code: ExitCode, *arguments: str) -> dict[str, Any]:
    assert solve("--json", *arguments) == code
    return dict(json.loads(capfd.readouterr().out)["error"])


def test_what_is_said_stays_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    plain = solved(capfd, "--no-drafts")
    drafted = solved(capfd, "--draft", "nano")
    assert drafted["answer"] == plain["answer"] == "-29"
    assert drafted["reasoning"] == plain["reasoning"]
    assert (plain["model"]["draft"], drafted["model"]["draft"]) == (None, "nano Q8_0")
    assert plain["usage"]["drafted"] == 0
    assert drafted["usage"]["drafted"] >= drafted["usage"]["accepted"] >= 0
    assert drafted["notices"][0]["reference"] == "draft-model"


def test_a_text_model_guesses_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    draft = text_model().write_with_nanos_weights(tmp_path / "text.gguf")
    record = tmp_path / "record.md"
    result = solved(capfd, "--draft", str(draft), "--save", str(record))
    assert (result["answer"], result["model"]["draft"]) == ("-29", "Little Text Q8_0")
    assert "Little Text Q8_0" in record.read_text("utf-8")


def test_the_variable_and_the_config_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "config" / "qvq"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('draft = "auto"\ndrafts = true\n')
    assert refused(capfd, ExitCode.UNAVAILABLE)["reference"] == "no-draft-known"
    monkeypatch.setenv("QVQ_DRAFT", "nano")
    assert solved(capfd, "--max-thinking", "0")["model"]["draft"] == "nano Q8_0"
    unwanted = solved(capfd, "--max-thinking", "0", "--no-drafts")
    assert unwanted["model"]["draft"] is None, "what is typed wins"
    assert solved(capfd, "--max-thinking", "0", "--votes", "2")["model"]["draft"] is None
    assert main(["plan", "nano", "--votes", "2", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["draft_bytes"] == 0


def test_a_draft_that_is_not_here(capfd: pytest.CaptureFixture[str]) -> None:
    error = refused(capfd, ExitCode.UNAVAILABLE, "--draft", "qwen2-vl-2b-instruct")
    assert error["hint"] == "qvq pull qwen2-vl-2b-instruct"
    error = refused(capfd, ExitCode.NO_INPUT, "--draft", "./nowhere.gguf")
    assert "nowhere.gguf" in error["message"]


def test_a_folder_is_no_draft(capfd: pytest.CaptureFixture[str]) -> None:
    error = refused(capfd, ExitCode.NO_INPUT, "--draft", str(NANO))
    assert f'--draft "{MODEL}"' in error["hint"]


def test_draft_without_drafts(capfd: pytest.CaptureFixture[str]) -> None:
    error = refused(capfd, ExitCode.USAGE, "--draft", "nano", "--no-drafts")
    assert error["reference"] == "conflicting-drafts"
    error = refused(capfd, ExitCode.USAGE, "--draft", "nano", "--votes", "2")
    assert error["reference"] == "votes-draft"
    assert main(["plan", "nano", "--draft", "nano", "--votes", "2"]) == ExitCode.USAGE


def test_files_that_make_no_drafts(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert refused(capfd, ExitCode.BAD_DATA, "--draft", str(MMPROJ))["reference"] == (
        "mmproj-as-draft"
    )
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(MODEL.read_bytes()[:2000])
    error = refused(capfd, ExitCode.BAD_DATA, "--draft", str(damaged))
    assert "damaged.gguf" in error["message"]
    strange = nano_model()
    _, tokens = strange.values["tokenizer.ggml.tokens"]
    assert isinstance(tokens, list)
    tokens[100] = b"something else"
    error = refused(
        capfd, ExitCode.BAD_DATA, "--draft", str(strange.write(tmp_path / "strange.gguf"))
    )
    assert error["reference"] == "draft-vocabulary"
    assert "--draft" in error["hint"]


def test_what_only_llama_cpp_refuses_is_blamed_on_the_draft(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sample = text_model()
    del sample.tensors["blk.3.ffn_up.weight"]
    path = sample.write(tmp_path / "holed.gguf")
    error = refused(capfd, ExitCode.BAD_DATA, "--draft", str(path))
    assert "holed.gguf" in error["message"]
    assert error["hint"].startswith("leave --draft out")


def test_plan_counts_it(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "nano", "--draft", "nano", "--json"]) == 0
    plan = json.loads(capfd.readouterr().out)
    assert plan["draft_bytes"] > MODEL.stat().st_size
    assert "the draft model takes" in plan["reasons"][-1]
    assert main(["plan", "nano", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["draft_bytes"] == 0


def test_show_names_it(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "qvq-72b-preview"]) == 0
    assert "draft model  qwen2-vl-2b-instruct" in capfd.readouterr().out
    assert main(["show", "nano", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["draft"] is None
