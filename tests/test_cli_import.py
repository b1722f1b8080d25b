"""`qvq import` through main(argv): a stick's files become an installed model."""

import json
from pathlib import Path

import pytest

from conftest import QUESTION, TABLE
from model_shop import FILES, MMPROJ_FILE, MODEL_FILE, machine
from qvq_cli.cli.app import main
from qvq_cli.errors import ExitCode

__all__ = ["machine"]
pytestmark = pytest.mark.usefixtures("machine")


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A folder with a model that nothing here knows."""
    folder = tmp_path / "stick"
    folder.mkdir()
    for name, path in FILES.items():
        (folder / name).write_bytes(path.read_bytes())
    return folder


def installed_path(capfd: pytest.CaptureFixture[str]) -> Path:
    return Path(capfd.readouterr().out.removesuffix("\n"))


@pytest.mark.parametrize("what", ["folder", "files", "model"])
def test_the_files_are_copied(stick: Path, capfd: pytest.CaptureFixture[str], what: str) -> None:
    given = {
        "folder": [stick],
        "files": [stick / MMPROJ_FILE, stick / MODEL_FILE],
        "model": [stick / MODEL_FILE],
    }[what]
    assert main(["import", *map(str, given)]) == 0
    path = installed_path(capfd)
    assert stick not in path.parents
    for each in stick.iterdir():
        each.unlink()
    assert main(["verify"]) == 0
    assert capfd.readouterr().out.count(": OK") == 2


def test_the_folder_one_is_in(
    stick: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(stick)
    assert main(["import", "."]) == 0
    assert installed_path(capfd).name == MODEL_FILE
    assert main(["import", stick.anchor]) == ExitCode.NO_INPUT
    assert f"there is no GGUF model in {stick.anchor}" in capfd.readouterr().err


@pytest.mark.parametrize("named", ["eye.gguf", MMPROJ_FILE])
def test_an_mmproj_by_any_name(stick: Path, tmp_path: Path, named: str) -> None:
    (stick / MMPROJ_FILE).rename(tmp_path / named)
    assert main(["import", str(stick), "--mmproj", str(tmp_path / named)]) == 0
    assert main(["verify"]) == 0


def test_linked_files_stay_where_they_are(stick: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(stick), "--link"]) == 0
    out, err = capfd.readouterr()
    assert out == f"{stick / MODEL_FILE}\n"
    assert "must stay" in err
    model = next(line for line in err.splitlines() if "is installed" in line).split()[1]
    assert main(["rm", model, "--yes"]) == 0
    assert f"kept: {MODEL_FILE}, {MMPROJ_FILE}" in capfd.readouterr().out
    assert (stick / MODEL_FILE).is_file(), "they are not ours to delete"


def test_an_imported_model_solves(stick: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(stick)]) == 0
    capfd.readouterr()
    assert main(["solve", str(TABLE), QUESTION]) == 0
    out, err = capfd.readouterr()
    assert out == "-29\n"
    assert "nano answers" not in err, "it is the installed one that was taken"


@pytest.mark.parametrize(
    ("names", "code", "words"),
    [
        (["no-such.gguf"], 66, "no-such.gguf"),
        ([MMPROJ_FILE], 2, "0 models and 1 mmproj"),
        ([MODEL_FILE, "other.gguf"], 2, "2 models"),
        ([MODEL_FILE, MMPROJ_FILE, "mmproj-2.gguf"], 2, "2 mmproj"),
        (["notes.txt"], 65, "GGUF"),
        ([MODEL_FILE, MMPROJ_FILE, "--mmproj", "eye.gguf"], 2, "2 mmproj"),
        ([MODEL_FILE, "--mmproj", "no-such.gguf"], 66, "no-such.gguf"),
    ],
)
def test_errors(
    stick: Path, capfd: pytest.CaptureFixture[str], names: list[str], code: int, words: str
) -> None:
    (stick / "notes.txt").write_text("not a model")
    typed = [name if name.startswith("--") else str(stick / name) for name in names]
    assert main(["import", *typed]) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert words in err


def test_a_damaged_file_is_refused(stick: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = (stick / MODEL_FILE).read_bytes()
    (stick / MODEL_FILE).write_bytes(data[: len(data) // 2])
    assert main(["import", str(stick)]) == ExitCode.BAD_DATA
    assert MODEL_FILE in capfd.readouterr().err
    assert main(["models"]) == 0
    assert "installed" not in capfd.readouterr().out


def test_import_and_rm_as_json(stick: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(stick), "--json"]) == 0
    imported = json.loads(capfd.readouterr().out)
    assert Path(imported["model_path"]).is_file()
    assert main(["rm", imported["model"], "--yes", "--json"]) == 0
    removed = json.loads(capfd.readouterr().out)
    assert imported["model_path"] in removed["deleted"]
    assert removed["freed_bytes"] > 0
    assert main(["rm", "no-such-model", "--json"]) == ExitCode.UNAVAILABLE
    assert json.loads(capfd.readouterr().out)["error"]["exit_code"] == ExitCode.UNAVAILABLE


def test_corruption_is_never_called_sound(stick: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(stick)]) == 0
    path = installed_path(capfd)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    again = f"qvq import {stick / MODEL_FILE} {stick / MMPROJ_FILE}"
    for command in (["verify"], ["models"], ["doctor", "--offline"], ["solve", str(TABLE), "q"]):
        main(command)
        told = "".join(capfd.readouterr())
        assert again in told
        assert "qvq pull" not in told.replace("qvq pull NAME gets it", "")
        assert "--repair" not in told
    assert main(["import", str(path.parent)]) == ExitCode.USAGE
    assert again in capfd.readouterr().err
    assert main(["verify"]) == ExitCode.BAD_DATA
    assert main(again.split()[1:]) == 0
    capfd.readouterr()
    assert main(["verify"]) == 0


def test_linked_files_that_broke_have_to_be_replaced(
    stick: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(stick), "--link"]) == 0
    data = bytearray((stick / MODEL_FILE).read_bytes())
    data[-1] ^= 1
    (stick / MODEL_FILE).write_bytes(data)
    assert main(["verify"]) == ExitCode.BAD_DATA
    err = capfd.readouterr().err
    assert "put sound files in their place" in err
    assert f"qvq import {stick / MODEL_FILE} {stick / MMPROJ_FILE} --link" in err
