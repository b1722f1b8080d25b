"""`qvq solve --look-again` through main(argv), on the embedded model."""

import json
from pathlib import Path

import pytest

from conftest import QUESTION, TABLE
from qvq_cli.cli.app import main
from qvq_cli.errors import ExitCode

CUE = "Let me look at the image again."


def solve(*arguments: str) -> int:
    return main(["solve", str(TABLE), QUESTION, *arguments])


def result_of(capfd: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert solve("--json", *arguments) in (ExitCode.ANSWER, ExitCode.NO_ANSWER)
    result = json.loads(capfd.readouterr().out)
    assert isinstance(result, dict)
    return result


def test_looks_are_shown_and_counted(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    record = tmp_path / "record.md"
    solve("--look-again", "40", "--max-thinking", "100", "--save", str(record))
    err = capfd.readouterr().err
    n_looks = err.count("qvq: looked at the picture again after ")
    assert n_looks == err.count(CUE) >= 1
    saved = record.read_text("utf-8")
    assert CUE in saved
    assert f"{n_looks} time" in saved


def test_looks_in_json(capfd: pytest.CaptureFixture[str]) -> None:
    usage = result_of(capfd, "--look-again", "40", "--max-thinking", "100")["usage"]
    assert isinstance(usage, dict) and usage["looks"] >= 1
    assert usage["image_tokens"] == 150
    usage = result_of(capfd)["usage"]
    assert isinstance(usage, dict) and usage["looks"] == 0


def test_several_pictures_are_all_seen_again(capfd: pytest.CaptureFixture[str]) -> None:
    main(["solve", *[str(TABLE)] * 2, QUESTION, "--jsonl", "--look-again", "20"])
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    looks = [event for event in events if event["event"] == "looked_again"]
    assert looks
    assert all(300 < look["n_cells"] < 400 for look in looks)
    assert "Let me look at the images again." in events[-1]["reasoning"]


@pytest.mark.parametrize("arguments", [["--max-thinking", "0"], ["--dialect", "plain"]])
def test_nothing_to_look_at_is_said(
    capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    result = result_of(capfd, "--look-again", "20", *arguments)
    assert "no-look-again" in json.dumps(result["notices"])
    assert CUE not in str(result["reasoning"]) + str(result["answer_text"])


@pytest.mark.parametrize("typed", ["0", "-5", "often", "2.5", ""])
def test_a_bad_number(capfd: pytest.CaptureFixture[str], typed: str) -> None:
    assert solve("--look-again", typed) == ExitCode.USAGE
    out, err = capfd.readouterr()
    assert out == ""
    assert "--look-again" in err


def test_the_config_file_can_ask_for_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "config" / "qvq"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("look-again = 40\nmax-thinking = 100\n")
    usage = result_of(capfd)["usage"]
    assert isinstance(usage, dict) and usage["looks"] >= 1
