"""Folders that a person may not enter, and names that no file can have: words, never a traceback.

Root may enter everything, so as root the program is run without that right.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import NANO, TABLE
from fake_hub import FakeHub
from model_shop import MODEL, hub

__all__ = ["hub"]
_IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
_SETPRIV = shutil.which("setpriv")
_AS_A_PERSON = [_SETPRIV or "", "--bounding-set=-dac_override,-dac_read_search"] if _IS_ROOT else []
pytestmark = pytest.mark.skipif(
    os.name == "nt" or (_IS_ROOT and _SETPRIV is None), reason="no folder is closed to this user"
)


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder with nano's pair in it that nobody may enter."""
    folder = tmp_path / "closed"
    shutil.copytree(NANO, folder, ignore=shutil.ignore_patterns("recipe"))
    folder.chmod(0)
    yield folder
    folder.chmod(0o700)


def qvq(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*_AS_A_PERSON, sys.executable, "-m", "qvq_cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("command", ["solve", "plan", "import"])
@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_model_in_a_closed_folder(closed: Path, command: str, what: str) -> None:
    path = closed / "nano-q8_0.gguf" if what == "file" else closed
    if command == "solve":
        done = qvq("solve", TABLE, "what?", "--model", path)
    else:
        done = qvq(command, path)
    assert done.returncode == 66
    if (command, what) == ("import", "folder") or what == "file":
        assert f"{path} can't be read: Permission denied" in done.stderr


def test_an_mmproj_in_a_closed_folder(closed: Path) -> None:
    done = qvq(
        *("solve", TABLE, "what?", "--model", NANO / "nano-q8_0.gguf"),
        *("--mmproj", closed / "mmproj-nano-q8_0.gguf"),
    )
    assert done.returncode == 66
    assert "mmproj-nano-q8_0.gguf can't be read: Permission denied" in done.stderr


@pytest.mark.parametrize("name", ["m" * 5000, "m" * 300 + ".gguf", "~nobody-here/m.gguf"])
@pytest.mark.parametrize("command", [["solve", str(TABLE), "what?", "--model"], ["plan"]])
def test_a_name_that_no_file_can_have(command: list[str], name: str) -> None:
    done = qvq(*command, name)
    assert done.returncode in (66, 69)
    assert len(done.stderr) < 1500


@pytest.mark.parametrize("name", ["m" * 5000, "m" * 300 + ".gguf", "~nobody-here/m.gguf"])
def test_import_of_a_name_that_no_file_can_have(name: str) -> None:
    done = qvq("import", name)
    assert done.returncode == 66
    assert len(done.stderr) < 1500


@pytest.mark.parametrize("variable", ["HF_HOME", "QVQ_DATA"])
def test_doctor_says_which_folder_is_closed(closed: Path, variable: str) -> None:
    done = qvq("doctor", "--offline", **{variable: str(closed / "x")})
    assert f"set {variable} to a folder of yours" in done.stdout
    assert f"{closed / 'x'}" in done.stdout


def test_import_into_a_closed_data_folder(closed: Path) -> None:
    for options in ([], ["--link"]):
        done = qvq("import", NANO, *options, QVQ_DATA=str(closed / "x"))
        assert done.returncode == 73
        assert f"{closed / 'x'}" in done.stderr
        assert "can't be written to" in done.stderr
        assert "QVQ_DATA" in done.stderr


@pytest.mark.parametrize("token", ["", "hf_granted"])
@pytest.mark.parametrize("home", ["/dev/null", "closed", "/proc/x"])
def test_a_cache_that_cannot_be_is_no_matter_of_the_network(
    closed: Path, hub: FakeHub, home: str, token: str
) -> None:
    if home == "/proc/x" and sys.platform != "linux":
        pytest.skip("there is no /proc")
    folder = str(closed / "x") if home == "closed" else home
    variables = {"HF_TOKEN": token} if token else {}
    done = qvq("pull", MODEL, HF_HOME=folder, HF_ENDPOINT=hub.endpoint, **variables)
    assert done.returncode in (73, 78)
    assert home.strip("/").split("/")[0] in done.stderr
    assert "HF_HOME" in done.stderr
    assert "reach" not in done.stderr and "full" not in done.stderr
