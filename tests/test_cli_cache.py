"""What pictures cost, kept between runs of the real program; `qvq cache` shows and clears it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import NANO, QUESTION, TABLE
from qvq_cli.cli import caching
from qvq_cli.cli.app import main
from qvq_cli.engine.past import N_BEFORE
from qvq_cli.errors import ConfigError, ExitCode
from qvq_cli.hub.config import Config, load_config
from qvq_cli.hub.fingerprint import fingerprint

Run = Callable[..., dict[str, Any]]
NO_CONFIG = Config(None, {})


@pytest.fixture
def solve(capfd: pytest.CaptureFixture[str]) -> Run:
    """Solve the table, returning what --json says."""

    def run(*options: str, question: str = QUESTION) -> dict[str, Any]:
        main(["solve", str(TABLE), question, "--json", *options])
        return dict(json.loads(capfd.readouterr().out))

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where conftest.py lets the cache lie."""
    return tmp_path / "cache"


def test_the_second_question_about_a_picture(solve: Run, capfd: pytest.CaptureFixture[str]) -> None:
    first, again, bare = solve(), solve(), solve("--no-cache")
    other = solve(question="Given h(x) = f(x) * g(x), find h'(1).")
    assert first["answer"] == again["answer"] == bare["answer"] == "-29"
    assert first["reasoning"] == again["reasoning"] == bare["reasoning"]
    assert [each["usage"]["cached_images"] for each in (first, again, bare, other)] == [0, 1, 0, 1]
    assert first["usage"]["cached_tokens"] == bare["usage"]["cached_tokens"] == 0
    assert 150 < again["usage"]["cached_tokens"] < again["usage"]["prompt_tokens"]
    assert again["timings"]["image_s"] == 0.0
    main(["solve", str(TABLE), QUESTION])
    assert "picture and prompt from the cache" in capfd.readouterr().err


def test_another_system_prompt_keeps_the_picture(
    solve: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    solve()
    usage = solve("--system", "Be brief.")["usage"]
    assert (usage["cached_images"], usage["cached_tokens"]) == (1, 0)
    main(["solve", str(TABLE), QUESTION, "--system", "Be terse."])
    err = capfd.readouterr().err
    assert "picture from the cache" in err


def test_other_settings_of_the_picture_are_another_picture(solve: Run) -> None:
    solve()
    assert solve("--image-tokens-max", "100")["usage"]["cached_images"] == 0


def test_a_saved_record_says_what_was_not_computed(solve: Run, tmp_path: Path) -> None:
    solve()
    solve("--save", str(tmp_path / "record.md"))
    assert "picture and prompt from the cache" in (tmp_path / "record.md").read_text("utf-8")


@pytest.mark.parametrize("how", ["option", "config", "limit"])
def test_it_can_be_switched_off(
    solve: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "config":
        (tmp_path / "config.toml").write_text("cache = false")
        monkeypatch.setenv("QVQ_CONFIG", str(tmp_path / "config.toml"))
    if how == "limit":
        monkeypatch.setenv("QVQ_CACHE_BYTES", "0")
    assert solve(*(["--no-cache"] if how == "option" else []))["answer"] == "-29"
    assert not folder.exists()


def test_a_place_that_can_not_be_written_fails_no_run(solve: Run, folder: Path) -> None:
    folder.write_text("in the way")
    assert solve()["answer"] == solve()["answer"] == "-29"


def test_damaged_entries_fail_no_run(solve: Run, folder: Path) -> None:
    solve()
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    again = solve()
    assert (again["answer"], again["usage"]["cached_images"]) == ("-29", 0)
    assert solve()["usage"]["cached_images"] == 1


def test_runs_at_once_share_it(tmp_path: Path) -> None:
    """Three programs that all find nothing, keep the same, and say the same."""
    command = [sys.executable, "-m", "qvq_cli", "solve", str(TABLE), QUESTION, "--json"]
    runs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(3)
    ]
    told = [json.loads(run.communicate()[0]) for run in runs]
    assert [each["answer"] for each in told] == ["-29"] * 3
    assert len({each["reasoning"] for each in told}) == 1
    kept = [path.suffix for path in (tmp_path / "cache").iterdir()]
    assert sorted(kept) == [".picture", ".prompt", ".reasoning"]


def test_a_changed_model_finds_nothing(solve: Run, tmp_path: Path) -> None:
    """The same file but for one weight, and its time of change."""
    shutil.copytree(NANO, tmp_path / "model")
    model = tmp_path / "model" / "nano-q8_0.gguf"
    solve("--model", str(model))
    assert solve("--model", str(model))["usage"]["cached_images"] == 1
    data = bytearray(model.read_bytes())
    data[-100] ^= 1
    model.write_bytes(data)
    assert solve("--model", str(model))["usage"]["cached_images"] == 0


def test_a_broken_mmproj_is_refused_as_before(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its header is sound; llama.cpp finds out, now when the first picture needs it."""
    shutil.copytree(NANO, tmp_path / "model")
    mmproj = tmp_path / "model" / "mmproj-nano-q8_0.gguf"
    data = mmproj.read_bytes()
    assert data.count(b"v.blk.0.attn_out.weight") == 1
    mmproj.write_bytes(data.replace(b"v.blk.0.attn_out.weight", b"v.blk.0.attn_oux.weight"))
    model = str(tmp_path / "model" / "nano-q8_0.gguf")
    assert main(["solve", str(TABLE), QUESTION, "--model", model]) == ExitCode.BAD_DATA
    assert "mmproj-nano" in capfd.readouterr().err


# qvq cache


def cache(capfd: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["cache", "--json", *arguments]) == 0
    return dict(json.loads(capfd.readouterr().out))


def test_listing(solve: Run, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cache(capfd)["entries"] == []
    usage = solve()["usage"]
    listed = cache(capfd)
    kinds = {entry["kind"]: entry for entry in listed["entries"]}
    assert set(kinds) == {"prompt", "picture", "reasoning"}
    for entry in kinds.values():
        assert set(entry) == {
            *("kind", "model", "image_tokens", "text_tokens", "bytes", "last_used", "path")
        }
        assert entry["model"] == "nano Q8_0"
    assert kinds["prompt"]["image_tokens"] == [150]
    assert kinds["prompt"]["text_tokens"] == kinds["reasoning"]["image_tokens"] == []
    n_said = usage["reasoning_tokens"] + usage["answer_tokens"]
    assert kinds["reasoning"]["text_tokens"] == [N_BEFORE + n_said]
    assert listed["bytes"] == sum(path.stat().st_size for path in folder.iterdir())
    assert listed["folder"] == str(folder)
    assert main(["cache"]) == 0
    out, err = capfd.readouterr()
    assert "a prompt with a picture" in out and "150  nano Q8_0" in out
    assert "the reasoning of a run" in out
    assert f"in {folder}; qvq cache clear" in err


def test_clearing(solve: Run, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    solve()
    assert main(["cache", "clear"]) == ExitCode.USAGE, "there is nobody to ask"
    assert "qvq cache clear --yes" in capfd.readouterr().err
    assert len(list(folder.iterdir())) == 3
    assert main(["cache", "clear", "--yes"]) == 0
    assert "the cache is empty" in capfd.readouterr().out
    assert list(folder.iterdir()) == []
    assert main(["cache", "clear"]) == 0, "of nothing, nothing has to be asked"


def test_a_damaged_file_that_stays_is_told(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "a.prompt").mkdir(parents=True)  # nothing that unlink takes
    assert main(["cache", "clear", "--yes"]) == ExitCode.CANNOT_WRITE
    out, err = capfd.readouterr()
    assert out == ""
    assert f"{folder / 'a.prompt'} can't be removed" in err


@pytest.mark.parametrize("typed", [["clear", "--json"], ["--json", "clear"]])
def test_clearing_as_json(
    solve: Run, folder: Path, capfd: pytest.CaptureFixture[str], typed: list[str]
) -> None:
    solve()
    n_bytes = sum(path.stat().st_size for path in folder.iterdir())
    capfd.readouterr()
    assert main(["cache", *typed, "--yes"]) == 0
    assert json.loads(capfd.readouterr().out)["freed_bytes"] == n_bytes


def test_nothing_kept_is_nothing_to_clear(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["cache"]) == 0
    out, err = capfd.readouterr()
    assert out == "nothing is kept\n"
    assert "qvq cache clear" not in err


@pytest.mark.parametrize("said", ["lots", "9" * 400, "9" * 5000])
def test_a_limit_that_is_no_number(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], said: str
) -> None:
    monkeypatch.setenv("QVQ_CACHE_BYTES", said)
    for command in (["solve", str(TABLE), QUESTION], ["cache"]):
        assert main(command) == ExitCode.BAD_CONFIG
        assert f"QVQ_CACHE_BYTES is '{said[:100]}" in capfd.readouterr().err


# settings


def test_where_it_lies() -> None:
    home = Path.home()
    assert caching.cache_dir({"QVQ_CACHE": "/x"}, "linux") == Path("/x").absolute()
    assert caching.cache_dir({"XDG_CACHE_HOME": "/c"}, "linux") == Path("/c/qvq")
    assert caching.cache_dir({}, "linux") == home / ".cache" / "qvq"
    assert caching.cache_dir({}, "darwin") == home / "Library" / "Caches" / "qvq"
    assert caching.cache_dir({"LOCALAPPDATA": "/l"}, "win32") == Path("/l/qvq/Cache")


def test_how_large_it_may_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.toml"
    config.write_text("cache-bytes = 5_000")
    said = load_config({"QVQ_CONFIG": str(config)})
    assert caching.cache_limit({"QVQ_CACHE_BYTES": "77"}, said) == 77
    assert caching.cache_limit({}, said) == 5000
    with pytest.raises(ConfigError, match="cache-bytes"):
        caching.cache_limit({}, Config(config, {"cache-bytes": -1}))
    environ = {"QVQ_CACHE": str(tmp_path / "not" / "there")}
    usage = shutil.disk_usage(tmp_path)
    for free_bytes, limit in ((1 << 40, caching.DEFAULT_BYTES), (10_000, 1000)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, n=free_bytes: usage._replace(free=n))
        assert caching.cache_limit(environ, NO_CONFIG) == limit


def test_fingerprints(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(bytes(3 << 20))
    unverified = fingerprint([file], {})
    assert fingerprint([file], {file: "00" * 32}) != unverified
    before = file.stat()
    file.write_bytes(bytes((3 << 20) - 1) + b"x")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert fingerprint([file], {}) != unverified, "the last bytes are among the samples"
