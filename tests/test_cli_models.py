"""`qvq models`, `show`, `verify`, `rm` through main(argv), with nano as a downloaded model."""

import errno
import json
import re
from pathlib import Path

import pytest

from fake_hub import FakeHub, Status
from gguf_samples import nano_mmproj, nano_model
from model_shop import FILES, MMPROJ_FILE, MODEL, MODEL_FILE, N_BYTES, REPO, hub, machine
from qvq_cli.cli.app import main
from qvq_cli.errors import ExitCode
from qvq_cli.hub.catalog import catalog_entry
from qvq_cli.hub.ggml_types import ValueType
from qvq_cli.hub.partial import Partial
from test_program_models import damage

__all__ = ["hub", "machine"]
pytestmark = pytest.mark.usefixtures("machine")
ID = f"{MODEL}:Q8_0"


@pytest.fixture
def pulled(hub: FakeHub, capfd: pytest.CaptureFixture[str]) -> Path:
    """The path of an installed model."""
    assert hub.endpoint
    assert main(["pull", MODEL]) == 0
    return Path(capfd.readouterr().out.strip())


def as_json(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, object]:
    capfd.readouterr()
    assert main([*arguments, "--json"]) == code
    out = capfd.readouterr().out
    assert out.count("\n") == 1
    return dict(json.loads(out))


def rows(out: str) -> list[list[str]]:
    """The cells of a table."""
    return [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]


# models


def test_models_lists_what_is_here_and_what_could_be(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    out, err = capfd.readouterr()
    title, nano, qvq, *_ = rows(out)
    assert title == ["MODEL", "QUANT", "SIZE", "MEMORY", "FITS", "SPEED", "STATE"]
    assert nano[0] == "nano" and nano[-1] == "built in"
    assert (qvq[0], qvq[4], qvq[-1]) == ("qvq-72b-preview", "yes", "to pull")
    assert "64.0 GB of memory free" in err


def test_models_shows_the_quant_that_a_pull_would_take(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def shown(free_gb: int) -> list[str]:
        monkeypatch.setattr("qvq_cli.cli.machine.free_memory", lambda: free_gb * 10**9)
        assert main(["models"]) == 0
        return next(row for row in rows(capfd.readouterr().out) if row[0] == "qvq-72b-preview")

    assert shown(64)[1] == "Q4_K_M"
    assert shown(46)[1] == "IQ4_XS"
    assert (shown(10)[1], shown(10)[4]) == ("Q4_K_M", "no")


def test_a_pulled_model_comes_first(pulled: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert pulled.is_file()
    assert main(["models"]) == 0
    first = rows(capfd.readouterr().out)[1]
    assert first[:3] == [MODEL, "Q8_0", "13.5 MB"]
    assert first[4] == "yes", "planned from its headers, as the catalog doesn't know it"
    assert first[-1] == "installed"


def test_models_as_json(pulled: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = as_json(capfd, "models")
    assert set(found) == {"schema", "version", "memory_free_bytes", "models"}
    models = found["models"]
    assert isinstance(models, list)
    by_state = {model["state"]: model for model in models}
    assert set(by_state) == {"installed", "built-in", "to-pull"}
    assert all(set(model) == set(models[0]) for model in models)
    assert by_state["installed"]["files"][0] == str(pulled)
    assert by_state["installed"]["model"] == ID
    assert 0 < by_state["installed"]["memory_bytes"] < 10**9


def test_a_broken_model_is_marked_and_its_cure_named(
    pulled: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pulled.resolve().write_bytes(b"cut off")
    assert main(["models"]) == 0
    out, err = capfd.readouterr()
    assert rows(out)[1][-1] == "broken"
    assert f"qvq verify {ID} --repair" in err


# show


def test_show_lists_every_quant(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "qvq-72b-preview"]) == 0
    out = capfd.readouterr().out
    for words in ("bartowski/QVQ-72B-Preview-GGUF", "qwen", "Final Answer", "Q2_K ", "IQ3_XXS"):
        assert words in out
    fits = {row[0]: row[3] for row in rows(out) if row[-1] == "to pull"}
    assert (fits["Q4_K_M"], fits["Q6_K"]) == ("yes", "no")


def test_show_an_installed_model(pulled: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["show", MODEL]) == 0
    assert str(pulled) in capfd.readouterr().out
    found = as_json(capfd, "show", MODEL)
    installed = found["installed"]
    assert isinstance(installed, list)
    assert [file["role"] for file in installed[0]["files"]] == ["model", "mmproj"]


@pytest.mark.parametrize("model", ["qvq-72b-preview:Q9", "nano:Q4_K_M"])
def test_show_a_quant_that_is_nowhere(capfd: pytest.CaptureFixture[str], model: str) -> None:
    assert main(["show", model]) == ExitCode.UNAVAILABLE
    out, err = capfd.readouterr()
    assert out == ""
    assert f"has no quant {model.partition(':')[2]} in the catalog" in err


def test_show_one_quant(capfd: pytest.CaptureFixture[str]) -> None:
    found = as_json(capfd, "show", "QVQ-72B-Preview:q4_k_m")["quants"]
    assert isinstance(found, list)
    assert [each["quant"] for each in found] == ["Q4_K_M"]


@pytest.mark.parametrize("command", ["rm", "verify"])
def test_nano_is_no_installed_model(
    pulled: Path, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command, "nano"]) == ExitCode.USAGE
    assert "nano comes with the program" in capfd.readouterr().err
    assert main([command, "nanu"]) == ExitCode.UNAVAILABLE
    assert f"nanu is not installed; what is: {ID}\n" in capfd.readouterr().err
    assert pulled.is_file()


@pytest.mark.usefixtures("machine", "pulled")
def test_show_what_is_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "no-such"]) == ExitCode.UNAVAILABLE
    assert "there is no model 'no-such'" in capfd.readouterr().err
    assert main(["show", "qvq-72b-previw"]) == ExitCode.UNAVAILABLE
    assert "perhaps qvq-72b-preview?" in capfd.readouterr().err
    assert main(["show", "hf:owner/repo"]) == ExitCode.UNAVAILABLE
    assert f"hf:owner/repo is not installed; what is: {ID}\n" in capfd.readouterr().err


def test_show_a_repository_of_the_catalog(capfd: pytest.CaptureFixture[str]) -> None:
    repo = catalog_entry("qvq-72b-preview").repo
    found = as_json(capfd, "show", f"hf:{repo}")
    assert found["name"] == "qvq-72b-preview"
    assert found["quants"] == as_json(capfd, "show", "qvq-72b-preview")["quants"]


# verify


def test_verify_says_ok_for_each_file(pulled: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["verify"]) == 0
    assert capfd.readouterr().out == f"{pulled}: OK\n{pulled.with_name(MMPROJ_FILE)}: OK\n"


def test_verify_names_the_broken_file(pulled: Path, capfd: pytest.CaptureFixture[str]) -> None:
    damage(pulled)
    assert main(["verify", MODEL]) == ExitCode.BAD_DATA
    out, err = capfd.readouterr()
    broken, sound = out.splitlines()
    assert broken.startswith(f"{pulled}: BROKEN, its sha256 is wrong (")
    assert sound.endswith(": OK")
    assert f"{MODEL_FILE} is broken" in err
    assert f"qvq verify {ID} --repair" in err


def test_verify_as_json(pulled: Path, capfd: pytest.CaptureFixture[str]) -> None:
    damage(pulled)
    found = as_json(capfd, "verify", code=ExitCode.BAD_DATA)
    files = found["files"]
    assert isinstance(files, list)
    assert [file["state"] for file in files] == ["wrong-bytes", "ok"]
    assert files[0]["sha256"] != files[0]["sha256_found"]
    assert found["is_repaired"] is False


def test_repair_gets_just_that_file(
    pulled: Path, hub: FakeHub, capfd: pytest.CaptureFixture[str]
) -> None:
    damage(pulled)
    model, mmproj = hub.n_sent(MODEL_FILE), hub.n_sent(MMPROJ_FILE)
    assert main(["verify", "--repair"]) == 0
    out, err = capfd.readouterr()
    assert "BROKEN" in out, "what was found is told as well as what was done"
    assert f"{ID} is whole again" in err
    assert pulled.read_bytes() == FILES[MODEL_FILE].read_bytes()
    assert model < hub.n_sent(MODEL_FILE) <= model + pulled.stat().st_size
    assert hub.n_sent(MMPROJ_FILE) == mmproj
    assert main(["verify"]) == 0


def test_repair_keeps_the_commit_whatever_was_pushed(pulled: Path, hub: FakeHub) -> None:
    newer = nano_model()
    newer.values["general.name"] = (ValueType.STRING, "Nano, of another week")
    damage(pulled)
    mmproj = hub.n_sent(MMPROJ_FILE)
    hub.commit(REPO, {MODEL_FILE: newer.to_bytes(), MMPROJ_FILE: nano_mmproj().to_bytes()})
    assert main(["verify", "--repair"]) == 0
    assert pulled.read_bytes() == FILES[MODEL_FILE].read_bytes()
    assert hub.n_sent(MMPROJ_FILE) == mmproj


def test_repair_takes_the_newest_where_the_commit_is_gone(
    pulled: Path, hub: FakeHub, capfd: pytest.CaptureFixture[str]
) -> None:
    damage(pulled)
    fault = Status(404, "RevisionNotFound", "Invalid rev id")
    hub.fail(fault, where="info", times=1)
    assert main(["verify", "--repair"]) == 0
    assert f"{ID} is whole again" in capfd.readouterr().err


def test_repair_stays_in_the_folder_of_the_pull(hub: FakeHub, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    assert main(["pull", MODEL, "--to", str(stick)]) == 0
    damage(stick / MMPROJ_FILE)
    before = hub.n_sent(MODEL_FILE)
    assert main(["verify", "--repair"]) == 0
    assert (stick / MMPROJ_FILE).read_bytes() == FILES[MMPROJ_FILE].read_bytes()
    assert hub.n_sent(MODEL_FILE) == before
    assert sorted(each.name for each in stick.glob("*.gguf")) == sorted(FILES)


def test_repair_without_a_hub_deletes_nothing(
    pulled: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    damage(pulled)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert main(["verify", "--repair"]) == ExitCode.TRY_LATER
    assert pulled.is_file()
    assert f"{pulled}: BROKEN" in capfd.readouterr().out


def test_a_missing_file_is_told(pulled: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pulled.unlink()
    assert main(["verify"]) == ExitCode.BAD_DATA
    assert f"{pulled}: MISSING" in capfd.readouterr().out


def test_nothing_to_verify(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["verify"]) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert "nothing to check" in err


# rm


def test_rm_without_anybody_to_ask_wants_yes(
    pulled: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["rm", MODEL]) == ExitCode.USAGE
    assert f"qvq rm {ID} --yes" in capfd.readouterr().err
    assert pulled.is_file()


def test_rm_says_what_it_freed(pulled: Path, capfd: pytest.CaptureFixture[str]) -> None:
    blob = pulled.resolve()
    assert main(["rm", ID, "--yes"]) == 0
    assert capfd.readouterr().out == f"{ID} is gone; 13.5 MB are free again\n"
    assert not pulled.exists() and not blob.exists()
    assert main(["rm", ID, "--yes"]) == ExitCode.UNAVAILABLE


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("is_in_folder", [False, True])
def test_an_abandoned_pull_is_listed_and_removed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    is_in_folder: bool,
) -> None:
    store = Partial.store

    def full(self: Partial, offset: int, piece: bytes) -> None:
        if offset > 6_500_000:  # the mmproj is smaller
            raise OSError(errno.ENOSPC, "No space left on device")
        store(self, offset, piece)

    folder = tmp_path / "stick"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    to = ["--to", str(folder)] if is_in_folder else []
    with monkeypatch.context() as patch:
        patch.setattr(Partial, "store", full)
        assert main(["pull", MODEL, *to]) == ExitCode.CANNOT_WRITE
    listed = as_json(capfd, "models")["models"]
    assert isinstance(listed, list)
    (row,) = [each for each in listed if each["state"] == "unfinished"]
    assert row["model"] == ID
    assert 5_000_000 < row["bytes"] < N_BYTES
    assert main(["models"]) == 0
    assert f"qvq pull {' '.join([ID, *to])} goes on, qvq rm {ID} frees" in capfd.readouterr().err
    assert main(["rm", ID, "--yes"]) == 0
    freed = int(float(capfd.readouterr().out.split("; ")[1].split(" MB")[0]) * 1e6)
    assert freed == pytest.approx(row["bytes"], abs=100_000)
    for place in (folder, tmp_path / "hf"):
        assert sum(each.stat().st_size for each in place.rglob("*") if each.is_file()) < 1000
    assert (folder / "notes.txt").read_text() == "mine"
    assert "unfinished" not in json.dumps(as_json(capfd, "models"))
    assert main(["pull", MODEL, *to]) == 0
    assert "unfinished" not in json.dumps(as_json(capfd, "models"))


# help


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("pull", ("--quant", "--dry-run", "--to", "--print-urls", "--yes", "--json", "HF_TOKEN")),
        ("models", ("--json", "FITS")),
        ("show", ("MODEL", "--json")),
        ("verify", ("--repair", "65")),
        ("import", ("PATH", "--copy", "--link")),
        ("rm", ("--yes", "frees")),
        ("plan", ("--max-thinking", "--image-tokens-max", "--kv-type", "71")),
        ("bench", ("--seconds", "--plot", "--json", "Ctrl-C ends the measuring", "71")),
        ("doctor", ("--offline", "--json", "0 only when a solve would work")),
    ],
)
def test_help_stands_for_itself(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    command: str,
    words: tuple[str, ...],
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main([command, "--help"]) == 0
    out = capfd.readouterr().out
    assert [word for word in words if word not in out] == []
