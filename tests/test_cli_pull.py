"""`qvq pull` through main(argv): what it says before, meanwhile and after, and how it ends."""

import io
import json
import os
import sys
from pathlib import Path

import pytest

from fake_hub import Cut, FakeHub, Status, Wrong
from model_shop import FILES, MMPROJ_FILE, MODEL, MODEL_FILE, N_BYTES, REPO, hub, machine
from qvq_cli.cli.app import main
from qvq_cli.errors import ExitCode
from screens import FakeTerminal

__all__ = ["hub", "machine"]
pytestmark = pytest.mark.usefixtures("machine")


class Person(io.StringIO):
    """Somebody at the keyboard."""

    def isatty(self) -> bool:
        return True


def sit_down(monkeypatch: pytest.MonkeyPatch, typed: str) -> FakeTerminal:
    """Make stdin and stderr terminals with a person who types this."""
    terminal = FakeTerminal()
    monkeypatch.setattr(sys, "stdin", Person(typed))
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    return terminal


def test_it_prints_the_path_and_nothing_else_on_stdout(
    hub: FakeHub, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["pull", MODEL]) == 0
    out, err = capfd.readouterr()
    path = Path(out.removesuffix("\n"))
    assert path.read_bytes() == FILES[MODEL_FILE].read_bytes()
    assert os.environ["HF_HOME"] in out, "in the cache that other tools share"
    for words in (REPO, hub.revision(REPO)[:7], "13.5 MB", "64.0 GB free", f"{MODEL_FILE}: 7.2 MB"):
        assert words in err


def test_what_it_costs_is_told_before_a_byte_moves(
    hub: FakeHub, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["pull", MODEL, "--dry-run"]) == 0
    out, err = capfd.readouterr()
    for label in ("from", "files", "download", "disk", "memory", "speed", "licence"):
        assert any(line.startswith(label) for line in out.splitlines()), label
    assert err == ""
    assert hub.n_sent(MODEL_FILE) < FILES[MODEL_FILE].stat().st_size
    assert main(["models", "--json"]) == 0
    assert MODEL not in capfd.readouterr().out


def test_dry_run_as_json(hub: FakeHub, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", MODEL, "--dry-run", "--json"]) == 0
    plan = json.loads(capfd.readouterr().out)
    assert set(plan) == {
        *("schema", "version", "model", "name", "title", "quant", "licence", "is_installed"),
        *("bytes", "missing_bytes", "folder", "disk_free_bytes", "memory_bytes"),
        *("memory_free_bytes", "fits", "tokens_per_s", "files"),
    }
    assert (plan["model"], plan["bytes"]) == (f"{MODEL}:Q8_0", N_BYTES)
    assert [file["role"] for file in plan["files"]] == ["model", "mmproj"]
    assert {file["revision"] for file in plan["files"]} == {hub.revision(REPO)}
    assert all(len(file["sha256"]) == 64 for file in plan["files"])


def test_print_urls_is_for_other_programs(hub: FakeHub, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", MODEL, "--print-urls"]) == 0
    base = f"{hub.endpoint}/{REPO}/resolve/{hub.revision(REPO)}"
    assert capfd.readouterr().out.split() == [f"{base}/{MODEL_FILE}", f"{base}/{MMPROJ_FILE}"]


@pytest.mark.usefixtures("hub")
def test_json_is_one_object_at_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", MODEL, "--json"]) == 0
    result = json.loads(capfd.readouterr().out)
    assert result["is_installed"] is True
    assert result["missing_bytes"] == 0
    assert all(Path(file["path"]).is_file() for file in result["files"])


def test_a_second_pull_fetches_nothing(hub: FakeHub, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", MODEL]) == 0
    before, first = hub.n_sent(MODEL_FILE), capfd.readouterr().out
    assert main(["pull", MODEL]) == 0
    out, err = capfd.readouterr()
    assert out == first
    assert "installed already" in err
    assert hub.n_sent(MODEL_FILE) == before


@pytest.mark.usefixtures("hub")
def test_plain_files_in_a_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stick = tmp_path / "a stick"
    assert main(["pull", MODEL, "--to", str(stick)]) == 0
    assert capfd.readouterr().out == f"{stick / MODEL_FILE}\n"
    assert (stick / MMPROJ_FILE).stat().st_size == FILES[MMPROJ_FILE].stat().st_size


# questions


@pytest.mark.usefixtures("hub")
def test_a_person_is_asked_and_enter_is_yes(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    terminal = sit_down(monkeypatch, "\n")
    assert main(["pull", MODEL]) == 0
    assert "Download 13.5 MB? [Y/n]" in terminal.getvalue()
    assert MODEL_FILE in capfd.readouterr().out


@pytest.mark.parametrize("typed", ["n\n", "NO\n", "what?\nn\n", ""])
def test_no_downloads_nothing(hub: FakeHub, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    terminal = sit_down(monkeypatch, typed)
    assert main(["pull", MODEL]) == ExitCode.INTERRUPTED
    assert "qvq: nothing was downloaded" in terminal.text(120)
    assert "error" not in terminal.text(120), "a no is none"
    assert hub.n_sent(MMPROJ_FILE) < FILES[MMPROJ_FILE].stat().st_size


@pytest.mark.usefixtures("hub")
def test_yes_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = sit_down(monkeypatch, "")
    assert main(["pull", MODEL, "--yes"]) == 0
    assert "[Y/n]" not in terminal.getvalue()
    assert f"{MODEL_FILE}: 7.2 MB, checked" in terminal.text(120)


# what goes wrong


def test_no_quant_fits_names_what_does(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("qvq_cli.cli.machine.free_memory", lambda: 16 * 10**9)
    assert main(["pull"]) == ExitCode.DOES_NOT_FIT
    out, err = capfd.readouterr()
    assert out == ""
    for words in ("QVQ-72B-Preview", "16.0 GB", "qvq pull qwen3-vl-8b-thinking"):
        assert words in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["no-such-model"], 69, "no-such-model"),
        (["hf:some/nothing"], 77, "some/nothing"),
        (["hf:some/gated"], 77, "some/gated"),
        ([MODEL, "--quant", "Q2_K"], 69, "Q2_K"),
        (["hf:"], 2, "hf:"),
    ],
)
def test_errors(
    hub: FakeHub, capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    assert hub.endpoint
    assert main(["pull", *arguments]) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert words in err
    assert "\nhint: " in err
    assert "Traceback" not in err


def test_no_hub_at_all(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert main(["pull", MODEL]) == ExitCode.TRY_LATER
    assert "127.0.0.1:9" in capfd.readouterr().err


def test_an_error_as_json(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert main(["pull", MODEL, "--json"]) == ExitCode.TRY_LATER
    assert json.loads(capfd.readouterr().out)["error"]["exit_code"] == 75


def test_wrong_bytes_never_count(hub: FakeHub, capfd: pytest.CaptureFixture[str]) -> None:
    hub.fail(Wrong(at=5000), where="cdn", file=MMPROJ_FILE)
    assert main(["pull", MODEL]) == ExitCode.BAD_DATA
    out, err = capfd.readouterr()
    assert out == ""
    assert MMPROJ_FILE in err
    assert main(["models"]) == 0
    assert MODEL not in capfd.readouterr().out
    hub.heal()
    assert main(["pull", MODEL]) == 0


@pytest.mark.usefixtures("hub")
def test_a_file_where_the_folder_should_be(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(["pull", MODEL, "--to", str(tmp_path / "file")]) == ExitCode.CANNOT_WRITE
    err = capfd.readouterr().err
    assert f"{tmp_path / 'file'} is not a folder" in err
    assert "--to DIR" in err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["foo", "foo:Q8_0"])
def test_a_name_that_nobody_has(capfd: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["pull", name]) == ExitCode.UNAVAILABLE
    hint = capfd.readouterr().err.split("hint: ")[1]
    assert "qvq-72b-preview" in hint
    assert "nano" not in hint and "GGUF file" not in hint


def test_no_name_is_not_the_largest_model(capfd: pytest.CaptureFixture[str]) -> None:
    for command in ("pull", "rm", "verify", "show"):
        assert main([command, ""]) == ExitCode.USAGE
        assert "the name of the model is empty" in capfd.readouterr().err


def test_a_404_shows_no_signature(hub: FakeHub, capfd: pytest.CaptureFixture[str]) -> None:
    hub.fail(Status(404), where="cdn")
    assert main(["pull", MODEL]) == ExitCode.UNAVAILABLE
    err = capfd.readouterr().err
    assert "answers 404" in err and "hint: " in err
    assert "?" not in err.split("error: ")[1]


def test_a_disk_that_is_too_small_is_foreseen(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Usage:
        free, total = 1_000_000, 2_000_000

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    assert main(["pull", MODEL]) == ExitCode.CANNOT_WRITE
    assert "--to DIR" in capfd.readouterr().err
    assert hub.n_sent(MMPROJ_FILE) < FILES[MMPROJ_FILE].stat().st_size


def test_a_hub_that_stumbles_is_told_as_such(
    hub: FakeHub, capfd: pytest.CaptureFixture[str]
) -> None:
    hub.fail(Status(429, message="slow down"), where="info")
    assert main(["pull", MODEL]) in (ExitCode.TRY_LATER, ExitCode.TRANSFER_BROKEN)
    assert "hint: " in capfd.readouterr().err


def test_a_cut_connection_is_survived(hub: FakeHub, capfd: pytest.CaptureFixture[str]) -> None:
    hub.fail(Cut(after_bytes=1_000_000), where="cdn", times=1)
    assert main(["pull", MODEL]) == 0
    assert MODEL_FILE in capfd.readouterr().out
