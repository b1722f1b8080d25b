"""A model of QVQ's size, as files with holes: listed, planned, checked, and never loaded.

Every command here runs with less address space than a fiftieth of the model.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gguf_samples import qvq_mmproj, qvq_model
from qvq_cli.hub.manifest import Installed, InstalledFile, change_manifest
from torture_pull import Machine

GB = 10**9
ADDRESS_SPACE = 1 * GB

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS and holes")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    qvq_model().write_sparse(folder / "QVQ-72B-Preview-Q4_K_M.gguf")
    qvq_mmproj().write_sparse(folder / "mmproj-QVQ-72B-Preview-f16.gguf")
    if sum(path.stat().st_blocks * 512 for path in folder.iterdir()) > GB:
        pytest.skip("this file system has no holes")
    return folder


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """qvq with little address space."""
    import resource

    def confine() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))

    return subprocess.run(
        [sys.executable, "-m", "qvq_cli", *arguments],
        env=Machine(folder, "http://127.0.0.1:9").environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        preexec_fn=confine,
    )


def install(folder: Path) -> None:
    """Write down both files as verified, without the minute that hashing 49 GB takes."""
    files = tuple(
        InstalledFile(path, path.stat().st_size, path.stat().st_mtime_ns, "0" * 64, role, path.name)
        for role, path in (
            ("model", folder / "QVQ-72B-Preview-Q4_K_M.gguf"),
            ("mmproj", folder / "mmproj-QVQ-72B-Preview-f16.gguf"),
        )
    )
    model = Installed("qvq-72b-preview", "Q4_K_M", None, None, "import", "heading", files)
    environ = Machine(folder, "").environ
    change_manifest(lambda manifest: manifest.with_model(model), environ)


def test_the_model_is_as_large_as_qvq(folder: Path) -> None:
    assert (folder / "QVQ-72B-Preview-Q4_K_M.gguf").stat().st_size > 48 * GB


def test_it_is_planned_by_path(folder: Path) -> None:
    done = run(folder, "plan", str(folder / "QVQ-72B-Preview-Q4_K_M.gguf"), "--json")
    plan = json.loads(done.stdout)
    assert plan["weight_bytes"] > 48 * GB
    assert plan["needed_bytes"] > plan["weight_bytes"]
    assert plan["is_installed"]
    assert done.returncode == (0 if plan["fits"] else 71)


def test_it_is_listed_shown_and_planned_when_installed(folder: Path) -> None:
    install(folder)
    listed = run(folder, "models")
    assert listed.returncode == 0, listed.stderr
    assert "qvq-72b-preview" in listed.stdout
    shown = run(folder, "show", "qvq-72b-preview")
    assert shown.returncode == 0, shown.stderr
    assert "QVQ-72B-Preview-Q4_K_M.gguf" in shown.stdout
    planned = run(folder, "plan", "qvq-72b-preview", "--json")
    assert json.loads(planned.stdout)["is_installed"]


def test_it_is_refused_in_time_where_it_does_not_fit(folder: Path, tmp_path: Path) -> None:
    plan = json.loads(run(folder, "plan", "qvq-72b-preview", "--json").stdout)
    if plan["fits"]:
        pytest.skip("this machine holds QVQ")
    assert plan["kv_type"] == "q8_0", "everything was tried"
    assert plan["reasons"][0].startswith("it does not fit")
    assert not list(tmp_path.iterdir())


def test_a_hole_in_the_file_is_found_by_hashing(folder: Path) -> None:
    """The mmproj of 8 MB stands for the model here: hashing reads both in the same pieces."""
    install(folder)
    small = folder / "mmproj-QVQ-72B-Preview-f16.gguf"
    model = folder / "QVQ-72B-Preview-Q4_K_M.gguf"
    whole = model.stat()
    with model.open("r+b") as file:
        file.truncate(1 * GB)
    done = run(folder, "verify")
    with model.open("r+b") as file:
        file.truncate(whole.st_size)
    assert done.returncode == 65
    assert model.name in done.stdout + done.stderr
    assert small.name in done.stdout + done.stderr
