"""Which model a run gets: the order of the places it is named in, and the ways to name one."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from gguf_samples import MMPROJ, MODEL, nano_mmproj, nano_model, qwen3vl_mmproj
from qvq_cli.errors import (
    ConfigError,
    DataError,
    GgufError,
    InputNotFoundError,
    UnavailableError,
    UsageError,
)
from qvq_cli.hub.catalog import catalog_entry
from qvq_cli.hub.config import Config
from qvq_cli.hub.hf_cache import quant_in_name
from qvq_cli.hub.manifest import Installed, InstalledFile, change_manifest, verified_now
from qvq_cli.hub.store import ModelChoice, resolve_model

NO_CONFIG = Config(None, {})


def resolve(
    model: str | None = None,
    mmproj: str | None = None,
    environ: Mapping[str, str] | None = None,
    config: Config = NO_CONFIG,
) -> ModelChoice:
    return resolve_model(model, mmproj, environ={**os.environ, **(environ or {})}, config=config)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model of one's own and its mmproj."""
    nano_model().write(tmp_path / "own.gguf")
    nano_mmproj().write(tmp_path / "own-mmproj.gguf")
    return tmp_path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def fill_cache(cache: Path, repo: str, *names: str) -> Path:
    """Put files into the cache as `hf download` does. Returns: the snapshot's folder."""
    folder = cache / ("models--" + repo.replace("/", "--"))
    snapshot = folder / "snapshots" / "c0ffee"
    for name in names:
        path = snapshot / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (nano_mmproj() if "mmproj" in name else nano_model()).write(path)
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("c0ffee")
    return snapshot


# the order


def test_the_embedded_model_is_the_last_resort() -> None:
    choice = resolve()
    assert (choice.name, choice.quant, choice.origin) == ("nano", "Q8_0", "embedded")
    assert choice.is_embedded
    assert (choice.model_path, choice.mmproj_path) == (MODEL, MMPROJ)
    assert choice.profile == catalog_entry("nano").profile


def test_option_before_environment_before_config(folder: Path) -> None:
    own = str(folder / "own.gguf")
    config = Config(folder / "config.toml", {"model": own})
    assert resolve(own, environ={"QVQ_MODEL": "nano"}).origin == "option"
    choice = resolve(environ={"QVQ_MODEL": own}, config=Config(None, {"model": "nano"}))
    assert (choice.origin, choice.model_path) == ("environment", Path(own))
    choice = resolve(environ={"QVQ_MODEL": ""}, config=config)
    assert (choice.origin, choice.model_path) == ("config", Path(own))


def test_the_configs_mmproj_belongs_to_its_model_only(folder: Path) -> None:
    mmproj = qwen3vl_mmproj(0).write(folder / "foreign.gguf")
    config = Config(None, {"model": str(folder / "own.gguf"), "mmproj": str(mmproj)})
    with pytest.raises(GgufError, match="another model"):
        resolve(config=config)
    assert resolve("nano", config=config).mmproj_path == MMPROJ
    chosen = resolve(mmproj=str(folder / "own-mmproj.gguf"), config=config)
    assert chosen.mmproj_path == folder / "own-mmproj.gguf"


@pytest.mark.parametrize("name", ["foo", "/no/such.gguf", "hf:none"])
def test_a_model_that_nobody_typed_is_blamed_on_who_named_it(tmp_path: Path, name: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'\nmodel = "{name}"\n')
    with pytest.raises(ConfigError) as caught:
        resolve(config=Config(file, {"model": name}))
    assert caught.value.message.startswith(f"{file}:2: ")
    with pytest.raises(ConfigError, match=r"^QVQ_MODEL: "):
        resolve(environ={"QVQ_MODEL": name})
    with pytest.raises(UnavailableError, match=r"^QVQ_MODEL: .* is not on this machine"):
        resolve(environ={"QVQ_MODEL": "qvq-72b-preview"})


def test_the_configs_mmproj_is_blamed_for_itself(folder: Path) -> None:
    file = folder / "config.toml"
    values = {"model": str(folder / "own.gguf"), "mmproj": "/no/such.gguf"}
    file.write_text("\n".join(f'{key} = "{value}"' for key, value in values.items()))
    with pytest.raises(ConfigError, match=r"config.toml:2: there is no file"):
        resolve(config=Config(file, values))


# paths


def test_a_file_with_its_sibling(folder: Path) -> None:
    choice = resolve(str(folder / "own.gguf"))
    assert choice.mmproj_path == folder / "own-mmproj.gguf"
    assert not choice.is_embedded
    assert choice.files == (("own.gguf", None), ("own-mmproj.gguf", None))


def test_the_embedded_files_have_their_sha256() -> None:
    entry = catalog_entry("nano")
    expected = (entry.quants["Q8_0"][0], entry.mmproj)
    assert resolve().files == tuple((file.name, file.sha256) for file in expected)


def test_the_option_mmproj_wins_over_the_sibling(folder: Path) -> None:
    assert resolve(str(folder / "own.gguf"), str(MMPROJ)).mmproj_path == MMPROJ
    with pytest.raises(InputNotFoundError, match="no file"):
        resolve(str(folder / "own.gguf"), str(folder / "none.gguf"))


def test_a_missing_file_and_a_folder(folder: Path) -> None:
    for missing in (folder / "other.gguf", "sub/none", "x.gguf"):
        with pytest.raises(InputNotFoundError, match="there is no file") as caught:
            resolve(str(missing))
        assert "qvq models" in (caught.value.hint or "")
    with pytest.raises(InputNotFoundError, match="there is no file") as caught:
        resolve(str(folder / "onw.gguf"))
    assert caught.value.hint == f"did you mean {folder / 'own.gguf'}?"
    with pytest.raises(InputNotFoundError, match="is a folder") as caught:
        resolve(str(folder))
    assert caught.value.hint == f'give the model in it: "{folder / "own.gguf"}"'
    (folder / "empty").mkdir()
    with pytest.raises(InputNotFoundError, match="a folder without a GGUF model") as caught:
        resolve(str(folder / "empty"))
    assert "qvq models" in (caught.value.hint or "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps a folder that is in use")
def test_a_name_in_a_folder_that_has_been_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(InputNotFoundError, match="there is no file"):
        resolve("x.gguf")


# names


def test_nano_by_name() -> None:
    for name in ("nano", "nano:q8_0"):
        choice = resolve(name)
        assert (choice.name, choice.origin, choice.is_embedded) == ("nano", "option", True)


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnavailableError, match="perhaps qvq-72b-preview") as caught:
        resolve("QVQ")
    assert caught.value.exit_code == 69
    assert "qwen3-vl-8b-thinking" in (caught.value.hint or "")
    with pytest.raises(UnavailableError, match="perhaps qwen2-vl-2b-instruct"):
        resolve("qwen2-vl-2b-instuct")


def test_unknown_quant_lists_the_known_ones() -> None:
    with pytest.raises(UnavailableError, match="no quant Q9") as caught:
        resolve("qvq-72b-preview:q9")
    assert "Q4_K_M" in (caught.value.hint or "")


def test_a_model_that_isnt_there_comes_with_what_to_type() -> None:
    with pytest.raises(UnavailableError, match=r"48\.8 GB to download as Q4_K_M\)") as caught:
        resolve("qvq-72b-preview")
    assert caught.value.hint == "qvq pull qvq-72b-preview"
    with pytest.raises(
        UnavailableError, match=r"Q6_K is not on this machine \(65\.7 GB to download\)"
    ) as caught:
        resolve("qvq-72b-preview:Q6_K")
    assert caught.value.hint == "qvq pull qvq-72b-preview --quant Q6_K"


def test_a_catalog_model_in_the_cache_is_used(cache: Path) -> None:
    entry = catalog_entry("qwen2-vl-2b-instruct")
    assert entry.repo
    names = [entry.quants["Q4_K_M"][0].name, entry.mmproj.name]
    snapshot = fill_cache(cache, entry.repo, *names)
    choice = resolve("qwen2-vl-2b-instruct")
    assert choice.model_path == snapshot / names[0]
    assert choice.mmproj_path == snapshot / names[1]
    assert resolve(f"hf:{entry.repo}").model_path == choice.model_path
    with pytest.raises(UnavailableError, match="Q8_0 is not on this machine"):
        resolve("qwen2-vl-2b-instruct:Q8_0")


def test_another_quant_in_the_cache_will_do_when_none_is_asked_for(cache: Path) -> None:
    entry = catalog_entry("qwen2-vl-2b-instruct")
    assert entry.repo
    name = entry.quants["Q6_K"][0].name
    snapshot = fill_cache(cache, entry.repo, name, entry.mmproj.name)
    assert resolve(entry.name).model_path == snapshot / name


def test_a_model_without_its_mmproj_isnt_installed(cache: Path) -> None:
    entry = catalog_entry("qwen2-vl-2b-instruct")
    assert entry.repo
    fill_cache(cache, entry.repo, entry.quants["Q4_K_M"][0].name)
    with pytest.raises(UnavailableError, match="not on this machine"):
        resolve(entry.name)


# installed


def install(folder: Path, name: str, *, dialect: str = "plain", size: int = 0) -> Installed:
    """Register a pair in a folder of its own, as a pull does."""
    folder.mkdir()
    nano_model().write(folder / "m.gguf")
    with (folder / "m.gguf").open("ab") as file:
        file.write(bytes(size))
    nano_mmproj().write(folder / "mmproj.gguf")
    files = tuple(
        InstalledFile.of(verified_now(folder / file, "ab" * 32), role, file)
        for role, file in (("model", "m.gguf"), ("mmproj", "mmproj.gguf"))
    )
    model = Installed(name, "Q8_0", "o/r", "c0ffee", "pull", dialect, files)
    change_manifest(lambda manifest: manifest.with_model(model))
    return model


def test_the_best_installed_comes_before_the_embedded(tmp_path: Path) -> None:
    install(tmp_path / "a", "hf:o/large", size=4096)
    reasoner = install(tmp_path / "b", "hf:o/reasoner", dialect="think-tags")
    choice = resolve()
    assert (choice.origin, choice.model_path) == ("installed", reasoner.model_path)
    assert not choice.is_embedded
    assert choice.files == (("m.gguf", "ab" * 32), ("mmproj.gguf", "ab" * 32))
    reasoner.mmproj_path.unlink()
    assert resolve().model_path == tmp_path / "a" / "m.gguf"


def test_a_path_of_an_installed_model_has_its_sha256(tmp_path: Path) -> None:
    installed = install(tmp_path / "a", "hf:o/large")
    link = tmp_path / "link.gguf"
    link.symlink_to(installed.model_path)
    mmproj = nano_mmproj().write(tmp_path / "mmproj.gguf")
    assert dict(resolve(str(installed.model_path)).files) == dict.fromkeys(
        ("m.gguf", "mmproj.gguf"), "ab" * 32
    )
    foreign = resolve(str(link), str(mmproj)).files
    assert dict(foreign)["mmproj.gguf"] is None, "another file of the same name"
    assert "ab" * 32 in dict(foreign).values()
    with installed.model_path.open("ab") as file:
        file.write(b"more")
    assert set(dict(resolve(str(link), str(mmproj)).files).values()) == {None}


def test_config_comes_before_the_best_installed(tmp_path: Path) -> None:
    install(tmp_path / "a", "hf:o/large")
    config = Config(tmp_path / "config.toml", {"model": "nano"})
    assert resolve(config=config).origin == "config"


def test_an_installed_model_by_its_names(tmp_path: Path) -> None:
    model = install(tmp_path / "a", "hf:o/large")
    for typed in ("hf:o/large", "hf:o/large:Q8_0", "hf:O/Large:q8_0"):
        choice = resolve(typed)
        assert (choice.model_path, choice.installed) == (model.model_path, model)
    entry = install(tmp_path / "b", "qwen2-vl-2b-instruct")
    repo = catalog_entry("qwen2-vl-2b-instruct").repo
    assert resolve(f"hf:{repo}").model_path == entry.model_path


def test_an_installed_model_that_changed_is_refused(tmp_path: Path) -> None:
    model = install(tmp_path / "a", "hf:o/large")
    with model.model_path.open("ab") as file:
        file.write(b"x")
    for typed in (None, "hf:o/large"):
        with pytest.raises(DataError, match="bytes instead of") as caught:
            resolve(typed)
        assert "qvq verify hf:o/large:Q8_0" in (caught.value.hint or "")


# hf:


def test_a_repository_outside_the_catalog(cache: Path) -> None:
    names = ("My-VL.Q4_K_M.gguf", "My-VL.Q8_0.gguf", "mmproj-F16.gguf")
    snapshot = fill_cache(cache, "some/My-VL-GGUF", *names)
    assert resolve("hf:some/My-VL-GGUF").model_path == snapshot / "My-VL.Q4_K_M.gguf"
    assert resolve("hf:some/My-VL-GGUF:q8_0").model_path == snapshot / "My-VL.Q8_0.gguf"
    with pytest.raises(UnavailableError, match="there is Q4_K_M, Q8_0"):
        resolve("hf:some/My-VL-GGUF:Q5_K_M")


def test_a_repository_that_isnt_there(cache: Path) -> None:
    assert not cache.exists()
    with pytest.raises(UnavailableError) as caught:
        resolve("hf:some/My-VL-GGUF:Q5_K_M")
    assert caught.value.hint == "qvq pull hf:some/My-VL-GGUF:Q5_K_M"


@pytest.mark.parametrize("model", ["hf:", "hf:owner", "hf:a/b/c", "hf:../x", "hf:a/b:c d"])
def test_what_names_no_repository(model: str) -> None:
    with pytest.raises(UsageError):
        resolve(model)


@pytest.mark.parametrize(
    ("name", "quant"),
    [
        ("QVQ-72B-Preview-Q4_K_M.gguf", "Q4_K_M"),
        ("QVQ-72B-Preview.i1-IQ3_XXS.gguf", "IQ3_XXS"),
        ("x-Q6_K-00001-of-00002.gguf", "Q6_K"),
        ("Qwen3VL-2B-Thinking-F16.gguf", "F16"),
        ("model-bf16.gguf", "BF16"),
        ("model.gguf", None),
    ],
)
def test_quant_in_a_files_name(name: str, quant: str | None) -> None:
    assert quant_in_name(name) == quant
