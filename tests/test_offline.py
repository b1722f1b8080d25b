"""After a pull, no packet: every command in a network namespace that has no interfaces.

A namespace alone would forgive an attempt that fails quietly, so an audit hook in every Python
process, the worker's too, writes down who so much as looks up a name.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from conftest import QUESTION, TABLE
from fake_hub import FakeHub
from torture_pull import FILES, REPO, Machine

ROOT = Path(__file__).parents[1]
HOOK = """
import os, sys

def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.sendmsg"):
        with open(os.environ["QVQ_TEST_PACKETS"], "a") as log:
            log.write(f"{event} {arguments[1:]}\\n")

sys.addaudithook(note)
"""
MODEL = f"hf:{REPO}"
UNSHARE = ["unshare", "--map-root-user", "--net"]


class Finished(NamedTuple):
    code: int
    out: str
    err: str
    attempts: str


class Island:
    """A machine with a pulled model and no network."""

    def __init__(self, machine: Machine, folder: Path):
        self._machine, self._folder = machine, folder
        (folder / "sitecustomize.py").write_text(HOOK)

    def run(self, *arguments: str, **variables: str) -> Finished:
        log = self._folder / "packets"
        log.write_text("")
        environ = self._machine.environ | {
            "PYTHONPATH": os.pathsep.join([str(self._folder), str(ROOT)]),
            "QVQ_TEST_PACKETS": str(log),
            "QVQ_THREADS": "1",
            **variables,
        }
        command = [*UNSHARE, sys.executable, "-m", "qvq_cli", *arguments]
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        return Finished(done.returncode, done.stdout, done.stderr, log.read_text())


@pytest.fixture(scope="module")
def island(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Island]:
    if shutil.which("unshare") is None or subprocess.run([*UNSHARE, "true"]).returncode:
        pytest.skip("network namespaces are not permitted here")
    folder = tmp_path_factory.mktemp("island")
    with FakeHub({REPO: FILES}) as hub:
        machine = Machine(folder, hub.endpoint)
        assert machine.start("pull", MODEL, "--yes").wait() == 0, (folder / "log").read_text()
    yield Island(machine, folder)


def test_the_namespace_and_the_hook_work(island: Island) -> None:
    done = island.run("pull", "hf:other/repo", "--yes")
    assert done.attempts, "a pull has to try"
    assert done.code == 75
    assert "hint: " in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["solve", str(TABLE), QUESTION, "--answer-only"],
        ["solve", str(TABLE), QUESTION, "--model", MODEL],
        ["solve", str(TABLE), QUESTION, "--model", "nano"],
        ["models"],
        ["models", "--json"],
        ["show", MODEL],
        ["show", "qvq-72b-preview"],
        ["plan"],
        ["plan", "qwen3-vl-2b-thinking"],
        ["verify"],
        ["import", str(FILES["nano-q8_0.gguf"])],
        ["--version"],
    ],
    ids=lambda arguments: " ".join(Path(each).name for each in arguments)[:40],
)
def test_nothing_touches_the_network(island: Island, arguments: list[str]) -> None:
    done = island.run(*arguments)
    assert done.attempts == ""
    assert done.code == 0, done.err
    if arguments[0] == "solve":
        assert done.out == "-29\n"


def test_the_pulled_model_is_the_one_that_answers(island: Island) -> None:
    done = island.run("solve", str(TABLE), QUESTION, "--json")
    notices = json.loads(done.out)["notices"]
    assert "embedded-model" not in [notice["reference"] for notice in notices]
    assert MODEL in island.run("models").out


def test_a_doctor_without_network_still_says_that_a_solve_would_work(island: Island) -> None:
    assert island.run("doctor").code == 0
    done = island.run("doctor", HF_HUB_OFFLINE="1")
    assert (done.code, done.attempts) == (0, "")


def test_offline_mode_keeps_a_pull_from_trying(island: Island) -> None:
    done = island.run("pull", MODEL, "--yes", HF_HUB_OFFLINE="1")
    assert (done.code, done.attempts) == (75, "")
    assert "HF_HUB_OFFLINE" in done.err
