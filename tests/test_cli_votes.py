"""`qvq solve --votes` and `qvq plan --votes` through main(argv)."""

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import QUESTION, TABLE
from qvq_cli.cli.app import main
from qvq_cli.engine.protocol import chain_seed
from qvq_cli.errors import ExitCode

ASK = ["solve", str(TABLE), QUESTION]
VOTE = [*ASK, "--votes", "4"]


def result(capfd: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == ExitCode.ANSWER
    return dict(json.loads(capfd.readouterr().out))


def test_every_chain_is_in_the_json(capfd: pytest.CaptureFixture[str]) -> None:
    run = result(capfd, *VOTE, "--seed", "11", "--temperature", "1.1")
    votes = run["votes"]
    assert votes["n_chains"] == len(votes["chains"]) == 4
    assert [chain["seed"] for chain in votes["chains"]] == [chain_seed(11, i) for i in range(4)]
    winner = votes["chains"][votes["winner"]]
    assert winner["reasoning"] == run["reasoning"]
    assert winner["answer"] == run["answer"]
    assert winner["reasoning_tokens"] == run["usage"]["reasoning_tokens"]
    assert all(chain["reasoning"] for chain in votes["chains"])
    ended = [chain for chain in votes["chains"] if chain["finish"] != "cut"]
    assert votes["n_finished"] == len(ended)
    assert sum(count["n"] for count in votes["counts"]) <= len(ended)
    assert votes["agreed"] == votes["counts"][0]["n"]
    alone = result(
        capfd, *ASK, "--temperature", "1.1", "--seed", str(winner["seed"]), "--votes", "1"
    )
    assert alone["votes"] is None
    assert (alone["reasoning"], alone["answer_text"]) == (run["reasoning"], run["answer_text"])


def test_the_same_seed_gives_the_same_votes(capfd: pytest.CaptureFixture[str]) -> None:
    first, second = (result(capfd, *VOTE, "--max-thinking", "70")["votes"] for _ in range(2))
    assert first == second


def test_greedy_models_are_sampled_and_it_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    run = result(capfd, *VOTE, "--top-k", "30", "--max-thinking", "20")
    sampling = run["sampling"]
    assert (sampling["temperature"], sampling["top_p"], sampling["top_k"]) == (0.6, 0.95, 30)
    (notice,) = [each for each in run["notices"] if each["reference"] == "votes-sampling"]
    assert "temperature 0.6" in notice["message"]
    run = result(capfd, *VOTE, "--temperature", "0.8", "--max-thinking", "20")
    assert (run["sampling"]["temperature"], run["sampling"]["top_k"]) == (0.8, 0)
    assert "votes-sampling" not in [each["reference"] for each in run["notices"]]


@pytest.mark.parametrize("arguments", [["--votes", "0"], ["--votes", "65"], ["--votes", "-1"]])
def test_numbers_that_are_none(capfd: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main([*ASK, *arguments]) == ExitCode.USAGE
    message, hint = capfd.readouterr().err.splitlines()
    assert "--votes can't be" in message and "1 to 64" in hint
    assert main(["plan", "nano", *arguments]) == ExitCode.USAGE


@pytest.mark.parametrize("greedy", [["--temperature", "0"], ["--top-k", "1"]])
def test_greedy_votes_are_refused(capfd: pytest.CaptureFixture[str], greedy: list[str]) -> None:
    assert main([*VOTE, *greedy]) == ExitCode.USAGE
    assert "would think the same 4 times" in capfd.readouterr().err


def test_votes_take_no_second_look(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*VOTE, "--look-again", "100"]) == ExitCode.USAGE
    assert "--look-again exclude each other" in capfd.readouterr().err


def test_votes_by_default(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "qvq").mkdir()
    (tmp_path / "qvq" / "config.toml").write_text("votes = 3\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert result(capfd, *ASK, "--max-thinking", "20")["votes"]["n_chains"] == 3
    assert result(capfd, *ASK, "--max-thinking", "20", "--votes", "1")["votes"] is None


def test_the_story_in_a_pipe(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*VOTE, "--seed", "1"]) == 0
    out, err = capfd.readouterr()
    assert out == "-29\n"
    assert "4 chains vote" in err
    votes = [line for line in err.splitlines() if " answers " in line]
    assert votes and all(line.startswith("qvq: chain ") for line in votes)
    assert f"{len(votes)} of 4 chains done: -29 x" in votes[-1]
    assert f"agreed by {len(votes)} of {len(votes)} chains" in err.splitlines()[-1]
    assert "The table has" in err, "one chain's reasoning is told"


def test_the_answer_only(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*VOTE, "--answer-only", "--quiet", "--max-thinking", "300"]) == 0
    assert capfd.readouterr() == ("-29\n", "")


def test_events_say_which_chain(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*VOTE, "--jsonl"]) == 0
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    chains = events[-1]["votes"]["chains"]
    for i, chain in enumerate(chains):
        deltas = [e for e in events if e["event"] == "reasoning_delta" and e["chain"] == i]
        assert "".join(e["text"] for e in deltas).strip() == chain["reasoning"]
    voted = [event for event in events if event["event"] == "voted"]
    assert len(voted) == events[-1]["votes"]["n_finished"]
    assert voted[-1]["is_decided"] and voted[-1]["counts"][0]["answer"] == "-29"


@pytest.mark.parametrize("suffix", ["md", "html"])
def test_saved_chains(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"run.{suffix}"
    assert main([*VOTE, "--quiet", "--save", str(path)]) == 0
    text = path.read_text("utf-8")
    assert "agreed by " in text
    assert "chain 4" in text and f"seed {chain_seed(0, 3)}" in text
    assert text.count("(this record)") == 1


def test_votes_that_do_not_fit_are_planned(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def plan(*arguments: str) -> dict[str, Any]:
        main(["plan", "nano", *arguments, "--json"])
        return dict(json.loads(capfd.readouterr().out))

    one, eight = plan(), plan("--votes", "8")
    assert (one["n_chains"], eight["n_chains"]) == (1, 8)
    assert 4 * one["n_ctx"] < eight["n_ctx"] < 8 * one["n_ctx"]
    assert eight["kv_bytes"] == eight["n_ctx"] * 4096
    # Room for what a run of one chain takes, and a third of what seven more want.
    free = one["needed_bytes"] + (eight["needed_bytes"] - one["needed_bytes"]) // 3
    monkeypatch.setattr("qvq_cli.cli.planning.free_memory", lambda: free)
    run = result(capfd, *VOTE[:-1], "8")
    assert {"thinking-limited", "votes-sampling"} <= {n["reference"] for n in run["notices"]}
    assert run["votes"]["n_finished"] >= 4
    monkeypatch.setattr("qvq_cli.cli.planning.free_memory", lambda: one["needed_bytes"])
    assert main([*VOTE[:-1], "8", "--max-thinking", "1024"]) == ExitCode.DOES_NOT_FIT
    assert "fewer --votes would fit" in capfd.readouterr().err
