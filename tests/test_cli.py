"""`qvq solve` through main(argv): what is typed, what each stream gets, and the exit code."""

import io
import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from conftest import QUESTION, TABLE
from qvq_cli import __version__, errors
from qvq_cli.cli.app import main
from qvq_cli.errors import ExitCode, QvqError
from qvq_cli.hub.catalog import models_dir
from qvq_cli.reasoning.events import Answer

README = Path(__file__).parents[1] / "README.md"
CHINESE = "已知 h(x) = f(x) * g(x)，求 h'(2)。"


def solve(*arguments: str) -> int:
    return main(["solve", *arguments])


def give_stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_an_answer_and_nothing_else_on_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    assert solve(str(TABLE), QUESTION) == ExitCode.ANSWER
    out, err = capfd.readouterr()
    assert out == "-29\n"
    assert "f'(2) = -8" in err, "the reasoning is on stderr"
    assert "420x280 → 420x280 px, 150 tokens" in err
    assert "nano answers" in err, "the embedded model never passes for QVQ"


def test_answer_only_and_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    assert solve(str(TABLE), QUESTION, "--answer-only", "--quiet") == 0
    assert capfd.readouterr() == ("-29\n", "")


def test_json_is_one_object_with_these_keys(capfd: pytest.CaptureFixture[str]) -> None:
    assert solve(str(TABLE), QUESTION, "--json", "--max-thinking", "50") == 0
    result = json.loads(capfd.readouterr().out)
    assert set(result) == {
        *("schema", "version", "question", "system", "answer", "answer_parts", "answer_source"),
        *("answer_text", "reasoning", "finish", "usage", "timings", "model", "sampling", "images"),
        *("notices", "votes"),
    }
    assert result["schema"] == 1
    assert result["answer_parts"] == [result["answer"]]
    assert result["finish"] == "budget"
    assert result["usage"]["image_tokens"] == 150
    assert result["images"][0]["tokens"] == 150
    assert result["model"]["name"] == "nano"
    assert len(result["model"]["files"][0]["sha256"]) == 64
    assert [notice["reference"] for notice in result["notices"]] == ["embedded-model", "budget"]
    timings = result["timings"]
    assert 0 < timings["ttft_s"] < timings["total_s"]


def test_jsonl_tells_the_run_and_ends_with_the_result(capfd: pytest.CaptureFixture[str]) -> None:
    assert solve(str(TABLE), QUESTION, "--jsonl") == 0
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[-1] == "result"
    assert {"image_ready", "progress", "reasoning_started", "reasoning_delta"} <= set(kinds)
    reasoning = "".join(e["text"] for e in events if e["event"] == "reasoning_delta")
    assert reasoning.strip() == events[-1]["reasoning"]


def test_several_pictures(capfd: pytest.CaptureFixture[str]) -> None:
    assert solve(str(TABLE), str(TABLE), QUESTION, "--json", "--max-thinking", "20") in (0, 3)
    assert json.loads(capfd.readouterr().out)["usage"]["image_tokens"] == 300


def test_only_the_first_page_of_a_scan(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    page = Image.open(TABLE).convert("RGB")
    page.save(tmp_path / "scan.tiff", save_all=True, append_images=[page])
    assert solve(str(tmp_path / "scan.tiff"), QUESTION) == 0
    out, err = capfd.readouterr()
    assert out == "-29\n"
    assert "scan.tiff has 2 frames or pages, of which the model sees the first" in err


def test_the_picture_from_stdin(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    give_stdin(monkeypatch, TABLE.read_bytes())
    assert solve("-", QUESTION) == 0
    assert capfd.readouterr().out == "-29\n"


def test_a_page_of_a_pdf_from_stdin(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pages = io.BytesIO()
    with Image.open(TABLE) as table:
        page = table.convert("RGB")
    page.save(pages, "PDF", save_all=True, append_images=[page])
    give_stdin(monkeypatch, pages.getvalue())
    assert solve("-", QUESTION) == ExitCode.BAD_DATA
    assert "choose one: -#1" in capfd.readouterr().err
    give_stdin(monkeypatch, pages.getvalue())
    assert solve("-q", "-#1", "why?", "--json", "--max-thinking", "0") in (0, 3)
    assert json.loads(capfd.readouterr().out)["images"][0]["source"] == "-#1"


@pytest.mark.parametrize("arguments", [[str(TABLE)], [str(TABLE), "-"]])
def test_the_question_from_stdin(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    give_stdin(monkeypatch, (QUESTION + "\n").encode())
    assert solve(*arguments) == 0
    assert capfd.readouterr().out == "-29\n"


def test_the_question_from_a_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "question.txt"
    file.write_text("\ufeff" + QUESTION, "utf-8")
    assert solve(str(TABLE), f"@{file}") == 0
    assert capfd.readouterr().out == "-29\n"


def test_the_answer_as_a_number(capfd: pytest.CaptureFixture[str]) -> None:
    assert solve(str(TABLE), QUESTION, "--answer-format", "number", "-q") == 0
    assert capfd.readouterr().out == "-29\n"


@pytest.mark.parametrize("suffix", ["md", "html", "json"])
def test_save(tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str) -> None:
    file = tmp_path / f"record.{suffix}"
    assert solve(str(TABLE), QUESTION, "--save", str(file), "-q") == 0
    text = file.read_text("utf-8")
    assert "-29" in text
    assert "data:image/png;base64," in text
    assert capfd.readouterr().out == "-29\n"


def test_an_answer_that_is_no_number_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """An ordinary run, but the parser is told that nano said a fox."""
    fox = Answer("a fox", ("a fox",), "boxed")
    monkeypatch.setattr("qvq_cli.reasoning.answer.extract_answer", lambda *_: fox)
    save = tmp_path / "run.json"
    asked = (str(TABLE), QUESTION, "--answer-format", "number", "--json", "--save", str(save))
    assert solve(*asked) == ExitCode.NO_ANSWER
    result = json.loads(capfd.readouterr().out)
    assert result["error"]["exit_code"] == 3
    assert (result["answer"], result["answer_parts"]) == (None, ["a fox"])
    assert "f'(2) = -8" in result["reasoning"]
    assert json.loads(save.read_text("utf-8"))["answer"] == "a fox"


def test_the_config_file_sets_defaults(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "config" / "qvq"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text('max-thinking = 30\nseed = 5\nmodel = "nano"\n')
    assert solve(str(TABLE), QUESTION, "--json") == 0
    result = json.loads(capfd.readouterr().out)
    assert result["finish"] == "budget"
    assert result["sampling"]["seed"] == 5
    assert solve(str(TABLE), QUESTION, "--json", "--max-thinking", "900", "--seed", "6") == 0
    result = json.loads(capfd.readouterr().out)
    assert result["finish"] == "concluded"
    assert result["sampling"]["seed"] == 6


def test_sampling_options_reach_the_engine(capfd: pytest.CaptureFixture[str]) -> None:
    def reasoning(*options: str) -> str:
        solve(str(TABLE), QUESTION, "--json", "--max-thinking", "60", *options)
        return str(json.loads(capfd.readouterr().out)["reasoning"])

    hot = ("--temperature", "2.0")
    assert reasoning(*hot, "--seed", "1") == reasoning(*hot, "--seed", "1")
    assert reasoning(*hot, "--seed", "1") != reasoning(*hot, "--seed", "2")
    assert reasoning(*hot, "--top-k", "1") == reasoning()


def test_no_more_threads_than_cpus(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("qvq_cli.cli.planning.logical_cpus", lambda: 1)
    assert solve(str(TABLE), QUESTION, "--threads", "512", "--json") == 0
    notices = json.loads(capfd.readouterr().out)["notices"]
    assert "threads-cut" in [notice["reference"] for notice in notices]
    assert solve(str(TABLE), QUESTION, "--threads", "1", "--json") == 0
    notices = json.loads(capfd.readouterr().out)["notices"]
    assert "threads-cut" not in [notice["reference"] for notice in notices]


def test_a_given_model_and_its_sibling(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    nano = models_dir() / "nano"
    for name in ("nano-q8_0.gguf", "mmproj-nano-q8_0.gguf"):
        (tmp_path / name).symlink_to(nano / name)
    assert solve(str(TABLE), QUESTION, "--model", str(tmp_path / "nano-q8_0.gguf")) == 0
    assert capfd.readouterr().out == "-29\n"


# what goes wrong, before any model is loaded


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "Usage"),
        (["no-such.png", "why?"], 66, "no-such.png"),
        ([str(TABLE)], 2, "no question"),
        (["why?"], 2, "no picture"),
        (["-", "-"], 2, "stdin"),
        (["-"], 2, "no question"),
        (["-", str(TABLE)], 2, "no question"),
        ([str(TABLE), "   "], 2, "no question"),
        ([str(TABLE.parent), "why?"], 66, "folder"),
        ([__file__, "why?"], 65, "is text"),
        (["why?", str(TABLE)], 2, "last"),
        ([str(TABLE), "why?", "--max-thinking", "soon"], 2, "soon"),
        ([str(TABLE), "why?", "--answer-format", "roman"], 2, "roman"),
        ([str(TABLE), "why?", "--dialect", "latin"], 2, "latin"),
        ([str(TABLE), "why?", "--n-gpu-layers", "lots"], 2, "lots"),
        ([str(TABLE), "why?", "--image-tokens-min", "99", "--image-tokens-max", "9"], 2, "99"),
        ([str(TABLE), "why?", "--save", "record.docx"], 2, "docx"),
        ([str(TABLE), "why?", "--save", "no-such-folder/record.md"], 73, "no-such-folder"),
        ([str(TABLE), "@no-such.txt"], 66, "no-such.txt"),
        ([str(TABLE), "why?", "--model", "no-such-model"], 69, "no-such-model"),
        ([str(TABLE), "why?", "--model", "qvq-72b-preview"], 69, "qvq pull qvq-72b-preview"),
        ([str(TABLE), "why?", "--model", "no-such.gguf"], 66, "no-such.gguf"),
        ([str(TABLE), "why?", "--model", str(TABLE)], 65, "GGUF"),
        ([str(TABLE), "why?", "--device", "CUDA7"], 69, "CUDA7"),
        ([str(TABLE), "why?", "--temperature", "-1"], 2, "--temperature"),
        ([str(TABLE), "why?", "--frobnicate"], 2, "qvq solve --help"),
        ([str(TABLE), "-3x + 2 = 8: find x"], 2, "goes after --: qvq solve"),
        ([str(TABLE), "-a + 2 = 8: find a"], 2, "goes after --: qvq solve"),
        ([str(TABLE), "--x+2=8"], 2, "goes after --: qvq solve"),
        ([str(TABLE), "why " * 30_000], 65, "trained for 4096"),
    ],
)
def test_errors(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    give_stdin(monkeypatch, b"")
    assert solve(*arguments) == code
    out, err = capfd.readouterr()
    assert words in out + err
    assert "Traceback" not in err
    if arguments:
        assert out == ""


def test_a_picture_in_place_of_a_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["diagram.png", "why?"]) == ExitCode.USAGE
    assert "hint: qvq solve diagram.png 'why?'" in capfd.readouterr().err


def test_an_error_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    assert solve("no-such.png", "why?", "--json") == 66
    out, err = capfd.readouterr()
    assert json.loads(out)["error"]["exit_code"] == 66
    assert err.startswith("qvq: error: ")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--answer-format", "roman"], 2),
        (["--jsonl"], 2),
        (["--answer-only"], 2),
        (["--frobnicate"], 2),
        (["--threads", "0"], 2),
        (["--save", "record.docx"], 2),
        (["--n-gpu-layers", "lots"], 2),
    ],
)
def test_an_error_on_the_command_line_as_json(
    capfd: pytest.CaptureFixture[str], arguments: list[str], code: int
) -> None:
    assert solve(str(TABLE), "why?", "--json", *arguments) == code
    assert json.loads(capfd.readouterr().out)["error"]["exit_code"] == code


def test_a_config_error_as_a_line_of_json(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QVQ_CONFIG", "no-such.toml")
    assert solve(str(TABLE), "why?", "--jsonl") == ExitCode.BAD_CONFIG
    event = json.loads(capfd.readouterr().out)
    assert (event["event"], event["error"]["exit_code"]) == ("error", 78)


def test_a_model_that_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("qvq_cli.cli.planning.free_memory", lambda: 50_000_000)
    assert solve(str(TABLE), QUESTION) == ExitCode.DOES_NOT_FIT
    out, err = capfd.readouterr()
    assert out == ""
    assert "--force" in err
    assert solve(str(TABLE), QUESTION, "--force") == 0


def test_the_model_being_loaded_does_not_count_as_memory_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = iter([8_000_000_000, 1_000_000])
    monkeypatch.setattr("qvq_cli.cli.planning.free_memory", lambda: next(free))
    assert solve(str(TABLE), QUESTION) == 0


def test_a_broken_config_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "config" / "qvq"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("max-thinkin = 30\n")
    assert solve(str(TABLE), QUESTION) == ExitCode.BAD_CONFIG
    assert "max-thinking" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("\nthreads = 0", "config.toml:2: threads: "),
        ('max-thinking = "bar"', "config.toml:1: max-thinking 'bar' is neither"),
        ('answer-format = "y"', "config.toml:1: answer-format can't be 'y'"),
        ('dialect = "latin"', "config.toml:1: dialect can't be 'latin'"),
        ('n-gpu-layers = "lots"', "config.toml:1: n-gpu-layers can't be 'lots'"),
    ],
)
def test_the_config_file_is_blamed_for_its_values(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    line: str,
    words: str,
) -> None:
    monkeypatch.delenv("QVQ_THREADS")
    monkeypatch.setenv("QVQ_CONFIG", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text(line)
    assert solve(str(TABLE), QUESTION) == ExitCode.BAD_CONFIG
    err = capfd.readouterr().err
    assert words in err
    assert "--" not in err, "no option was typed"
    assert solve("--help") == ExitCode.ANSWER
    assert solve() == ExitCode.USAGE, "which shows the help"


def test_a_variable_is_blamed_for_its_value(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QVQ_THREADS", "x")
    assert solve(str(TABLE), QUESTION) == ExitCode.BAD_CONFIG
    assert "qvq: error: QVQ_THREADS: " in capfd.readouterr().err


def test_no_answer_ends_with_3(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An ordinary run, but the parser is told to find nothing in what nano said."""
    monkeypatch.setattr("qvq_cli.reasoning.answer.extract_answer", lambda *_: None)
    assert solve(str(TABLE), QUESTION) == ExitCode.NO_ANSWER
    out, err = capfd.readouterr()
    assert out == ""
    assert "no answer was reached" in err
    assert solve(str(TABLE), QUESTION, "--json") == ExitCode.NO_ANSWER
    assert json.loads(capfd.readouterr().out)["answer"] is None


# help, version and the contract on codes


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capfd.readouterr().out == f"qvq {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help(capfd: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(arguments) in (0, 2)
    out, err = capfd.readouterr()
    assert "solve" in out + err


def test_help_of_solve_names_every_option(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert solve("--help") == 0
    out = capfd.readouterr().out
    for option in ("--max-thinking", "--answer-only", "--json", "--save", "--model", "--seed"):
        assert option in out


def error_classes() -> list[type[QvqError]]:
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    return [each for each in found if issubclass(each, QvqError) and each is not QvqError]


@pytest.mark.parametrize("kind", error_classes())
def test_every_error_has_one_documented_code(kind: type[QvqError]) -> None:
    assert kind.exit_code in set(ExitCode) - {ExitCode.ANSWER, ExitCode.BUG}
    assert kind("x").reference == kind.reference != QvqError.reference


def test_the_readme_lists_every_exit_code() -> None:
    text = README.read_text("utf-8")
    for code in ExitCode:
        assert f"| {code.value} |" in text, f"exit code {code.value} is missing from the README"
