"""Folders to be: who may write there, and what is free."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from qvq_cli.errors import CannotWriteError
from qvq_cli.hub.disk import existing_parent, free_bytes, require_writable, write_problem


def test_a_folder_that_can_be_made(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert write_problem(folder) is None
    assert existing_parent(folder) == tmp_path
    assert free_bytes(folder) == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)
    require_writable(folder, hint="")
    assert not folder.exists(), "nothing is made by asking"


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("file", "file/a/b", "dangling/a"):
        problem = write_problem(tmp_path / name) or ""
        assert problem.endswith("is not a folder")
    with pytest.raises(CannotWriteError, match="is not a folder") as caught:
        require_writable(tmp_path / "file", hint="move it")
    assert caught.value.hint == "move it"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_disk_that_holds_nothing_is_not_called_full() -> None:
    assert write_problem(Path("/proc/x")) == "/proc/x can't be written to"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may everything")
def test_a_folder_that_may_not_be_entered(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "in").mkdir(parents=True)
    closed.chmod(0)
    try:
        assert write_problem(closed / "in") == f"{closed / 'in'} can't be written to"
    finally:
        closed.chmod(0o700)
