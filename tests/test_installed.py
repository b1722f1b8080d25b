"""The list of what is here: kept safe, found by name, verified, repaired, removed."""

import hashlib
import json
import multiprocessing
import os
from pathlib import Path

import pytest

from conftest import NANO
from qvq_cli.errors import CannotWriteError, ConfigError, UnavailableError
from qvq_cli.hub.hf_cache import blob_path, cache_dir, link_snapshot, snapshot_path
from qvq_cli.hub.installed import (
    discard_broken,
    find_installed,
    list_installed,
    verify,
)
from qvq_cli.hub.manifest import (
    Installed,
    InstalledFile,
    Role,
    change_manifest,
    data_dir,
    read_manifest,
    verified_now,
)
from qvq_cli.hub.removal import plan_removal, remove

MODEL, MMPROJ = b"model" * 1000, b"mmproj" * 500


def cached(repo: str, commit: str, name: str, content: bytes) -> Path:
    """A file in the cache, as a pull leaves it."""
    blob = blob_path(repo, hashlib.sha256(content).hexdigest())
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(content)
    pointer = snapshot_path(repo, commit, name)
    link_snapshot(blob, pointer)
    return pointer


def register(
    name: str = "hf:o/r", quant: str = "Q8_0", *, source: str = "pull", **paths: Path
) -> Installed:
    roles: tuple[Role, ...] = ("model", "mmproj")
    files = tuple(
        InstalledFile.of(
            verified_now(paths[role], hashlib.sha256(paths[role].read_bytes()).hexdigest()),
            role,
            paths[role].name,
        )
        for role in roles
    )
    model = Installed(name, quant, "o/r", "c0ffee", source, "plain", files)  # type: ignore[arg-type]
    change_manifest(lambda manifest: manifest.with_model(model))
    return model


@pytest.fixture
def model() -> Installed:
    return register(
        model=cached("o/r", "c0ffee", "m.gguf", MODEL),
        mmproj=cached("o/r", "c0ffee", "mmproj.gguf", MMPROJ),
    )


def states(model: Installed) -> list[str]:
    return [check.state for check in verify(model, quiet)]


def quiet(file: InstalledFile, n_bytes: int) -> None:
    assert n_bytes <= file.n_bytes


# the list


def test_nothing_is_installed_at_first() -> None:
    assert list_installed() == ()


def test_what_is_written_is_read(model: Installed) -> None:
    assert list_installed() == (model,)
    assert json.loads((data_dir() / "models.json").read_text())["schema"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ('{"schema": 1, "models": [{}], "files": []}', "is damaged"),
        ('{"schema": 1, "models": [], "files": [{"path": 1}]}', "is damaged"),
        ('{"schema": 2}', "written by a newer qvq"),
    ],
)
def test_a_list_that_cant_be_read(text: str, message: str) -> None:
    data_dir().mkdir(parents=True)
    (data_dir() / "models.json").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        list_installed()
    assert caught.value.hint


def test_a_folder_that_cant_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWriteError, match="can't be written"):
        change_manifest(lambda manifest: manifest, {"QVQ_DATA": str(tmp_path / "file" / "x")})


def _add(i: int) -> None:
    path = data_dir() / f"{i}.gguf"
    path.write_bytes(b"x" * i)
    change_manifest(lambda manifest: manifest.with_file(verified_now(path, f"{i:064}")))


def test_many_writers_lose_nothing() -> None:
    data_dir().mkdir(parents=True)
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    workers = [context.Process(target=_add, args=(i,)) for i in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(read_manifest().files) == 6


@pytest.mark.parametrize(
    ("platform", "expected"),
    [("linux", ".local/share/qvq"), ("darwin", "Library/Application Support/qvq")],
)
def test_the_data_folder_of_a_platform(platform: str, expected: str) -> None:
    assert data_dir({}, platform) == Path.home() / expected
    assert data_dir({"QVQ_DATA": "/x"}, platform) == Path("/x")
    assert data_dir({"LOCALAPPDATA": "/local"}, "win32") == Path("/local/qvq")
    assert data_dir({"XDG_DATA_HOME": "/data"}, "linux") == Path("/data/qvq")


# finding


def test_by_name_and_quant(model: Installed) -> None:
    for typed in ("hf:o/r", "hf:o/r:Q8_0", "HF:O/R:q8_0"):
        assert find_installed(typed) == model
    with pytest.raises(UnavailableError, match="Q4_0 is not installed; what is: hf:o/r:Q8_0"):
        find_installed("hf:o/r:Q4_0")


def test_a_model_without_its_mmproj_is_broken(model: Installed) -> None:
    assert list_installed()[0].problem is None
    model.mmproj_path.resolve().unlink()
    assert "is gone" in (list_installed()[0].problem or "")


# verifying


def test_every_byte_is_read_again(model: Installed) -> None:
    seen: dict[str, int] = {}

    def note(file: InstalledFile, n_bytes: int) -> None:
        seen[file.name] = n_bytes

    assert [check.state for check in verify(model, note)] == ["ok", "ok"]
    assert seen == {"m.gguf": len(MODEL), "mmproj.gguf": len(MMPROJ)}


def test_a_flipped_byte_is_found_and_can_be_fetched_again(model: Installed) -> None:
    blob = model.model_path.resolve()
    stat = blob.stat()
    blob.write_bytes(b"M" + MODEL[1:])
    os.utime(blob, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert model.problem is None  # a quick look can't tell
    checks = verify(model, quiet)
    assert [check.state for check in checks] == ["wrong-bytes", "ok"]
    discard_broken(checks)
    assert not blob.exists()
    assert not model.model_path.is_symlink()
    assert model.mmproj_path.exists()
    assert str(model.model_path) not in read_manifest().files
    assert states(model) == ["missing", "ok"]


def test_other_sizes_and_missing_files(model: Installed) -> None:
    model.model_path.resolve().write_bytes(MODEL + b"x")
    model.mmproj_path.unlink()
    assert states(model) == ["wrong-size", "missing"]


def test_a_file_that_was_only_touched_counts_again(model: Installed) -> None:
    os.utime(model.model_path, (1, 1))
    assert "was changed since" in (model.problem or "")
    assert states(model) == ["ok", "ok"]
    assert list_installed()[0].problem is None


# removing


def test_removing_frees_all_of_it(model: Installed) -> None:
    removal = plan_removal(model.model_id)
    assert removal.freed_bytes == len(MODEL) + len(MMPROJ)
    assert removal.kept == ()
    blobs = [path.resolve() for path in removal.paths]
    remove(removal)
    assert not any(path.exists() for path in (*removal.paths, *blobs))
    assert list_installed() == ()
    assert read_manifest().files == {}


def test_a_shared_mmproj_stays_until_its_last_model_goes(model: Installed) -> None:
    other = register(
        quant="Q4_0",
        model=cached("o/r", "c0ffee", "m4.gguf", MODEL[:-1]),
        mmproj=model.mmproj_path,
    )
    removal = plan_removal(model.model_id)
    assert removal.freed_bytes == len(MODEL)
    assert [(kept.path, kept.reason) for kept in removal.kept] == [
        (model.mmproj_path, "hf:o/r:Q4_0 needs it")
    ]
    remove(removal)
    assert other.problem is None
    assert plan_removal(other.model_id).freed_bytes == len(MODEL) - 1 + len(MMPROJ)


def test_content_that_another_commit_points_to_survives(model: Installed) -> None:
    elsewhere = cached("o/r", "beef", "renamed.gguf", MODEL)
    removal = plan_removal(model.model_id)
    assert removal.freed_bytes == len(MMPROJ)
    remove(removal)
    assert elsewhere.read_bytes() == MODEL
    assert not model.model_path.exists()


def test_plain_files_go_and_linked_ones_stay(tmp_path: Path) -> None:
    paths = {}
    for role, content in (("model", MODEL), ("mmproj", MMPROJ)):
        paths[role] = tmp_path / f"{role}.gguf"
        paths[role].write_bytes(content)
    linked = register("mine", source="import", **paths)
    removal = plan_removal(linked.model_id)
    assert (removal.freed_bytes, removal.paths) == (0, ())
    assert "imported by link" in removal.kept[0].reason
    remove(removal)
    assert list_installed() == ()
    pulled = register("mine", **paths)
    assert plan_removal(pulled.model_id).freed_bytes == len(MODEL) + len(MMPROJ)
    remove(plan_removal(pulled.model_id))
    assert not paths["model"].exists()


def test_a_folder_of_ours_goes_with_its_last_file() -> None:
    paths = {}
    for role, content in (("model", MODEL), ("mmproj", MMPROJ)):
        paths[role] = data_dir() / "models" / "mine" / f"{role}.gguf"
        paths[role].parent.mkdir(parents=True, exist_ok=True)
        paths[role].write_bytes(content)
    remove(plan_removal(register("mine", source="import", **paths).model_id))
    assert list((data_dir() / "models").iterdir()) == []


def test_folders_are_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("QVQ_DATA", "HF_HOME"):
        monkeypatch.setenv(name, "here")
    assert data_dir() == tmp_path / "here"
    assert cache_dir() == tmp_path / "here" / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", "there")
    assert cache_dir() == tmp_path / "there"


def test_nano_isnt_touched(model: Installed) -> None:
    remove(plan_removal(model.model_id))
    assert (NANO / "nano-q8_0.gguf").exists()
