"""Files brought in by hand: checked as a pull's are, linked or copied, and never a foreign pair."""

import hashlib
import os
import shutil
from pathlib import Path, PurePosixPath

import pytest

from conftest import NANO
from gguf_samples import MMPROJ, MODEL, nano_model, qwen3vl_mmproj
from qvq_cli.errors import (
    CannotWriteError,
    DataError,
    GgufError,
    InputNotFoundError,
    UsageError,
)
from qvq_cli.hub.config import Config, config_path
from qvq_cli.hub.ggml_types import ValueType
from qvq_cli.hub.importing import import_model
from qvq_cli.hub.installed import list_installed, verify
from qvq_cli.hub.manifest import (
    Installed,
    Unfinished,
    change_manifest,
    data_dir,
    read_manifest,
)
from qvq_cli.hub.partial import part_path
from qvq_cli.hub.remedy import typed
from qvq_cli.hub.removal import Leftover, find_removable, list_leftovers, plan_removal, remove
from qvq_cli.hub.store import resolve_model


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A folder with a pair."""
    folder = tmp_path / "stick"
    folder.mkdir()
    shutil.copy(MODEL, folder / "My-VL-Q8_0.gguf")
    shutil.copy(MMPROJ, folder / "mmproj-My-VL.gguf")
    return folder


def quiet(path: Path, n_done: int, n_bytes: int) -> None:
    assert path.name
    assert 0 < n_done <= n_bytes


def bring(path: Path, *, mmproj: Path | None = None, link: bool = False) -> Installed:
    return import_model(path, mmproj=mmproj, link=link, on_progress=quiet).installed


@pytest.mark.parametrize("name", ["", "My-VL-Q8_0.gguf"])
def test_copied_it_is_independent_of_where_it_came_from(stick: Path, name: str) -> None:
    model = bring(stick / name)
    assert (model.model_id, model.source, model.dialect) == ("my-vl:Q8_0", "import", "heading")
    shutil.rmtree(stick)
    assert model.problem is None
    assert data_dir() in model.model_path.parents
    choice = resolve_model(None, None, environ=os.environ, config=Config(None, {}))
    assert (choice.origin, choice.model_path) == ("installed", model.model_path)
    sha256 = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    assert ("My-VL-Q8_0.gguf", sha256) in choice.files


def test_linked_it_stays_where_it_is(stick: Path) -> None:
    model = bring(stick, link=True)
    assert model.model_path == stick / "My-VL-Q8_0.gguf"
    assert [path.name for path in data_dir().rglob("*.gguf")] == []
    model.model_path.unlink()
    assert "is gone" in (list_installed()[0].problem or "")


def test_an_mmproj_from_elsewhere(stick: Path, tmp_path: Path) -> None:
    (stick / "mmproj-My-VL.gguf").rename(tmp_path / "eye.gguf")
    with pytest.raises(InputNotFoundError, match="needs its vision projector"):
        bring(stick)
    assert bring(stick, mmproj=tmp_path / "eye.gguf").mmproj_path.name == "eye.gguf"


def test_slices_are_joined_whichever_is_given(stick: Path) -> None:
    data = (stick / "My-VL-Q8_0.gguf").read_bytes()
    (stick / "My-VL-Q8_0.gguf").unlink()
    for i, piece in enumerate((data[:2_000_000], data[2_000_000:5_000_000], data[5_000_000:])):
        (stick / f"My-VL-Q8_0.gguf.part{i + 1}of3").write_bytes(piece)
    model = bring(stick / "My-VL-Q8_0.gguf.part2of3", link=True)
    assert model.model_path.read_bytes() == data
    assert model.mmproj_path == stick / "mmproj-My-VL.gguf"
    (stick / "My-VL-Q8_0.gguf.part3of3").unlink()
    with pytest.raises(InputNotFoundError, match="1 of them are not in"):
        bring(stick)


def test_slices_with_letters(stick: Path) -> None:
    data = (stick / "My-VL-Q8_0.gguf").read_bytes()
    (stick / "My-VL-Q8_0.gguf").unlink()
    for letter, piece in (("a", data[:3_000_000]), ("b", data[3_000_000:])):
        (stick / f"My-VL-Q8_0.gguf.{letter}").write_bytes(piece)
    assert bring(stick).model_path.read_bytes() == data


def test_slices_that_make_no_gguf_leave_nothing_behind(stick: Path) -> None:
    (stick / "My-VL-Q8_0.gguf").unlink()
    for i in (1, 2):
        (stick / f"My-VL-Q8_0.gguf.part{i}of2").write_bytes(b"nonsense")
    with pytest.raises(GgufError):
        bring(stick)
    assert list((data_dir() / "models").iterdir()) == []
    assert read_manifest().unfinished == ()


def test_what_isnt_there_or_isnt_one(stick: Path, tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="there is no file"):
        bring(tmp_path / "none.gguf")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputNotFoundError, match="no GGUF model in"):
        bring(tmp_path / "empty")
    shutil.copy(MODEL, stick / "Other-Q8_0.gguf")
    with pytest.raises(UsageError, match="2 models in"):
        bring(stick)


def test_a_foreign_pair_and_a_broken_file(stick: Path) -> None:
    qwen3vl_mmproj(0).write(stick / "mmproj-My-VL.gguf")
    with pytest.raises(GgufError, match="mmproj of another model"):
        bring(stick)
    (stick / "My-VL-Q8_0.gguf").write_bytes(MODEL.read_bytes()[:-1000])
    with pytest.raises(GgufError, match="cut off"):
        bring(stick)
    assert list_installed() == ()


def test_a_file_that_the_catalog_knows_otherwise(stick: Path) -> None:
    folder = config_path(os.environ).parent / "catalog"
    folder.mkdir(parents=True)
    (folder / "my-vl.toml").write_text(
        'name = "my-vl"\ntitle = "My VL"\nrepo = "me/x"\nkv_bytes_per_token = 4096\n'
        'default_quant = "Q8_0"\n[profile]\ndialect = "plain"\n[mmproj]\nname = "m.gguf"\n'
        f'[[quants.Q8_0]]\nname = "sub/My-VL-Q8_0.gguf"\nsha256 = "{"ab" * 32}"\n'
    )
    sample = nano_model()
    sample.values["general.name"] = (sample.values["general.name"][0], "x")
    sample.write(stick / "My-VL-Q8_0.gguf")
    with pytest.raises(DataError, match="other bytes than the catalog's"):
        bring(stick)
    assert list(data_dir().rglob("*.gguf")) == []
    (stick / "My-VL-Q8_0.gguf").rename(stick / "My-VL-mine-Q8_0.gguf")
    assert bring(stick).model_id == "my-vl:Q8_0"


def second(stick: Path, file_type: int, *, name: str) -> Path:
    """Another folder with a pair of other bytes: another quant, another mmproj of the same name."""
    folder = stick.with_name("second")
    folder.mkdir()
    sample = nano_model()
    sample.values["general.file_type"] = (ValueType.UINT32, file_type)
    sample.write(folder / name)
    mmproj = bytearray(MMPROJ.read_bytes())
    mmproj[-1] ^= 1
    (folder / "mmproj-My-VL.gguf").write_bytes(mmproj)
    return folder


def states(model: Installed) -> list[str]:
    return [check.state for check in verify(model, lambda _file, _n_done: None)]


def test_two_quants_of_a_model_share_no_file(stick: Path) -> None:
    first = bring(stick)
    other = bring(second(stick, 2, name="My-VL-Q4_0.gguf"))
    assert (first.model_id, other.model_id) == ("my-vl:Q8_0", "my-vl:Q4_0")
    assert first.mmproj_path.name == other.mmproj_path.name
    assert states(first) == states(other) == ["ok", "ok"]


def test_model_and_mmproj_of_one_name(stick: Path, tmp_path: Path) -> None:
    mmproj = tmp_path / "My-VL-Q8_0.gguf"
    shutil.copy(MMPROJ, mmproj)
    model = bring(stick / "My-VL-Q8_0.gguf", mmproj=mmproj)
    assert states(model) == ["ok", "ok"]
    assert model.mmproj_path.read_bytes() == MMPROJ.read_bytes()


def test_what_replaces_a_model_takes_the_room_of_its_copies(stick: Path) -> None:
    copied = bring(stick)
    renamed = second(stick, 7, name="my_vl-Q8_0.gguf")
    again, freed_bytes = import_model(renamed, on_progress=quiet)
    assert again.model_id == copied.model_id
    assert freed_bytes == copied.n_bytes
    assert not copied.model_path.parent.exists()
    linked, freed_bytes = import_model(stick, link=True, on_progress=quiet)
    assert freed_bytes == again.n_bytes
    assert list((data_dir() / "models").iterdir()) == []
    assert states(linked) == ["ok", "ok"]


def test_a_broken_copy_is_never_imported_again(stick: Path) -> None:
    model = bring(stick)
    data = bytearray(model.model_path.read_bytes())
    data[-1] ^= 1
    model.model_path.write_bytes(data)
    alias = stick.with_name("alias")
    alias.mkdir()
    (alias / "link-Q8_0.gguf").symlink_to(model.model_path)
    (alias / "hard-Q8_0.gguf").hardlink_to(model.model_path)
    for path in (model.model_path.parent, *alias.iterdir()):
        for link in (False, True):
            with pytest.raises(UsageError, match="a copy of qvq's own") as caught:
                bring(path, mmproj=stick / "mmproj-My-VL.gguf", link=link)
            assert f"qvq import {stick}/My-VL-Q8_0.gguf {stick}/mmproj" in caught.value.hint
    assert states(model) == ["wrong-bytes", "ok"]
    assert states(bring(stick)) == ["ok", "ok"]


def test_a_lost_import_is_listed_and_can_be_removed(stick: Path) -> None:
    class Killed(BaseException):
        pass

    def stop(path: Path, _n_done: int, _n_bytes: int) -> None:
        if path.name.startswith("mmproj"):
            raise Killed

    with pytest.raises(Killed):
        import_model(stick, on_progress=stop)
    assert list_leftovers() == ()
    assert list((data_dir() / "models").iterdir()) == []
    # SIGKILL leaves no time to tidy up: what was written down before the first byte is all there is
    folder = data_dir() / "models" / "my-vl"
    folder.mkdir(parents=True)
    part = part_path(folder / "My-VL-Q8_0.gguf")
    part.write_bytes(b"x" * 100_000)
    begun = Unfinished("my-vl:Q8_0", "import", (folder / "My-VL-Q8_0.gguf", part))
    change_manifest(lambda manifest: manifest.with_unfinished(begun))
    assert list_leftovers() == (Leftover("my-vl:Q8_0", 100_000, is_pull=False, to=None),)
    removal = plan_removal(find_removable("MY-VL"))
    assert removal.freed_bytes == 100_000
    remove(removal)
    assert not folder.exists()
    assert list_leftovers() == ()


def test_a_disk_without_room(stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(stick)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(CannotWriteError, match="a copy takes"):
        bring(stick)
    assert bring(stick, link=True).problem is None


def test_a_copy_of_nano_never_takes_its_name() -> None:
    assert bring(NANO).name == "nano-imported"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/media/stick/m-Q4_K_M.gguf", "/media/stick/m-Q4_K_M.gguf"),
        ("/media/my stick/m.gguf", '"/media/my stick/m.gguf"'),
        ("/media/stick(1)/m.gguf", '"/media/stick(1)/m.gguf"'),
        ("/media/mine&yours/m.gguf", '"/media/mine&yours/m.gguf"'),
        ("/media/Ana's/m.gguf", '"/media/Ana\'s/m.gguf"'),
    ],
)
def test_a_path_is_shown_as_it_has_to_be_typed(path: str, words: str) -> None:
    assert typed(PurePosixPath(path)) == words
