"""Whatever the network does to a pull: its exit code, a next step, and what a next run makes of it.

Through main(argv) with the real client; only the waits between attempts are cut short.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fake_hub import (
    Cut,
    FakeHub,
    Hang,
    HubFile,
    NewCommit,
    Page,
    Slow,
    Status,
    Truncated,
    WholeFile,
    Wrong,
)
from fake_hub_faults import Fault
from qvq_cli.cli.app import main
from qvq_cli.hub import remote, transfer
from qvq_cli.hub.installed import list_installed
from torture_pull import FILES, REPO

MODEL = f"hf:{REPO}"
GATED, PRIVATE = "owner/gated-GGUF", "owner/private-GGUF"
N_BYTES = {name: path.stat().st_size for name, path in FILES.items()}
LARGE = "nano-q8_0.gguf"


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_RETRY_WAITS_S", (0.0, 0.0))
    monkeypatch.setattr(remote, "_RETRY_WAITS_S", (0.0, 0.0))
    monkeypatch.setattr(remote.constants, "HF_HUB_ETAG_TIMEOUT", 1.0)
    monkeypatch.setattr(remote.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 1.0)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    repos = {REPO: FILES, GATED: FILES, PRIVATE: FILES}
    with FakeHub(repos, gated=[GATED], private=[PRIVATE]) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


@pytest.fixture
def pull(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run a pull. Returns: its exit code and what it said on stderr."""

    def run(model: str = MODEL, *options: str) -> tuple[int, str]:
        capfd.readouterr()
        code = main(["pull", model, "--yes", *options])
        err = capfd.readouterr().err
        assert "Traceback" not in err
        return code, err

    return run


Pull = Callable[..., tuple[int, str]]


def assert_whole() -> None:
    """One model is installed, right to the byte."""
    (installed,) = list_installed()
    assert installed.problem is None
    for file in installed.files:
        assert file.path.read_bytes() == FILES[file.path.name].read_bytes()


@pytest.mark.parametrize(
    ("fault", "where"),
    [
        (Status(500), "info"),
        (Status(503), "info"),
        (Status(503), "get"),
        (Status(503), "cdn"),
        (Status(403), "cdn"),
        (Cut(0), "info"),
        (Cut(0, is_reset=True), "info"),
        (Status(429, retry_after_s=0), "cdn"),
        (Status(429, retry_after_s=0), "info"),
        (Cut(100_000), "cdn"),
        (Cut(100_000, is_reset=True), "cdn"),
        (Cut(0, is_reset=True), "cdn"),
        (Hang(), "cdn"),
        (Slow(40 << 20), "cdn"),
        (WholeFile(), "cdn"),
    ],
    ids=str,
)
def test_what_passes_is_waited_out(hub: FakeHub, pull: Pull, fault: Fault, where: str) -> None:
    hub.fail(fault, where=where, times=1)  # type: ignore[arg-type]
    code, err = pull()
    assert code == 0, err
    assert_whole()


@pytest.mark.parametrize(
    ("fault", "where", "code"),
    [
        (Status(500), "info", 75),
        (Status(503), "any", 75),
        (Status(429, retry_after_s=0), "any", 75),
        (Hang(), "info", 75),
        (Hang(), "cdn", 75),
        (Page(), "any", 75),
        (Page(), "cdn", 75),
        (Cut(0), "cdn", 74),
        (Cut(0, is_reset=True), "cdn", 74),
        (Status(404, "EntryNotFound"), "get", 69),
        (Status(404), "cdn", 69),
        (Status(403), "cdn", 75),
        (Status(407), "any", 75),
        (Cut(0), "info", 74),
        (Status(401), "any", 77),
        (Wrong(at=5000), "cdn", 65),
        (Wrong(at=0), "cdn", 65),
        (Truncated(100_000), "cdn", 74),
    ],
    ids=str,
)
def test_what_stays_ends_with_its_code_and_a_next_step_and_heals(
    hub: FakeHub, pull: Pull, fault: Fault, where: str, code: int
) -> None:
    hub.fail(fault, where=where)  # type: ignore[arg-type]
    ended, err = pull()
    assert "hint: " in err
    assert list_installed() == ()
    assert ended == code, err
    hub.heal()
    assert pull()[0] == 0
    assert_whole()


def test_wrong_bytes_in_both_files_cost_one_run(hub: FakeHub, pull: Pull) -> None:
    hub.fail(Wrong(at=1_500_000), where="cdn")
    # Both arrive side by side, so that the model is under way when the mmproj is found out.
    hub.fail(Slow(4 << 20), where="cdn")
    assert pull()[0] == 65
    hub.heal()
    assert pull()[0] == 0
    assert_whole()


def test_no_hub_at_all(monkeypatch: pytest.MonkeyPatch, pull: Pull) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    code, err = pull()
    assert code == 75
    assert "hint: " in err


def test_a_cut_connection_costs_no_byte(hub: FakeHub, pull: Pull) -> None:
    hub.fail(Cut(1_000_000), where="cdn", file=LARGE, times=5)
    assert pull()[0] == 0
    assert hub.n_sent(LARGE) - N_BYTES[LARGE] <= 1 << 20, "the pair is recognized by its headers"
    assert_whole()


def test_wrong_bytes_once_are_fetched_again(hub: FakeHub, pull: Pull) -> None:
    hub.fail(Wrong(at=3_000_000), where="cdn", file=LARGE, times=1)
    first, err = pull()
    if first:
        assert first == 65
        assert LARGE in err
        assert pull()[0] == 0
    assert_whole()


def test_a_push_between_two_files_changes_nothing(hub: FakeHub, pull: Pull) -> None:
    old = hub.revision(REPO)
    other = {name: HubFile(path.read_bytes()[::-1]) for name, path in FILES.items()}
    hub.fail(NewCommit(other), where="get", times=1)
    assert pull()[0] == 0
    assert hub.revision(REPO) != old
    assert_whole()
    assert list_installed()[0].commit == old


def test_a_push_between_two_runs_goes_on_with_the_new_files(hub: FakeHub, pull: Pull) -> None:
    hub.fail(Cut(2_000_000), where="cdn", file=LARGE, times=1)
    hub.fail(Status(503), where="cdn", file=LARGE, skip=1)
    assert pull()[0] == 75
    hub.heal()
    readme = HubFile(b"# now with a README\n", is_lfs=False)
    hub.commit(REPO, {**FILES, "README.md": readme})
    assert pull()[0] == 0
    assert_whole()
    assert list_installed()[0].commit == hub.revision(REPO)
    assert hub.n_sent(LARGE) <= N_BYTES[LARGE] + (1 << 20), "the same bytes are not fetched again"


@pytest.mark.parametrize(
    ("model", "token", "code", "words"),
    [
        (f"hf:{GATED}", "", 77, "HF_TOKEN"),
        (f"hf:{GATED}", "hf_other", 77, GATED),
        (f"hf:{GATED}", "hf_granted", 0, ""),
        (f"hf:{PRIVATE}", "hf_granted", 0, ""),
        (f"hf:{REPO}", "hf_wrong", 77, "HF_TOKEN"),
        ("hf:owner/none", "hf_other", 69, "owner/none"),
        (f"hf:{REPO}:Q2_K", "", 69, "Q8_0"),
    ],
)
def test_who_may_have_what(
    hub: FakeHub,
    monkeypatch: pytest.MonkeyPatch,
    pull: Pull,
    model: str,
    token: str,
    code: int,
    words: str,
) -> None:
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    ended, err = pull(model)
    assert ended == code, err
    assert words in err
    assert ("hint: " in err) == (code != 0)
    assert not any(entry.token for entry in hub.requests("cdn")), "the CDN never sees a token"


@pytest.mark.parametrize("model", [f"hf:{PRIVATE}", "hf:owner/none"])
def test_private_and_missing_look_the_same_to_strangers(
    hub: FakeHub, pull: Pull, model: str
) -> None:
    code, err = pull(model)
    assert code in (69, 77)
    assert "HF_TOKEN" in err
    assert hub.n_sent() == 0


def test_a_proxy_is_respected(hub: FakeHub, tmp_path: Path) -> None:
    """In a process of its own: the client reads the proxies once."""
    environ = {**os.environ, "HTTP_PROXY": hub.endpoint, "http_proxy": hub.endpoint}
    environ |= {"HF_ENDPOINT": "http://hub.invalid", "NO_PROXY": "", "no_proxy": ""}
    environ |= {"HF_HOME": str(tmp_path / "hf"), "QVQ_DATA": str(tmp_path / "data")}
    command = [sys.executable, "-m", "qvq_cli", "pull", MODEL, "--dry-run"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert all(entry.is_proxied for entry in hub.requests("info"))
    assert hub.requests("info"), done.stderr


def test_every_request_says_who_asks_and_nothing_else(hub: FakeHub, pull: Pull) -> None:
    assert pull()[0] == 0
    assert all(entry.user_agent.startswith("qvq/") for entry in hub.log)
    kinds = {(entry.where, entry.method) for entry in hub.log}
    assert kinds <= {("info", "GET"), ("get", "GET"), ("head", "HEAD"), ("cdn", "GET")}


def test_a_second_pull_downloads_nothing(hub: FakeHub, pull: Pull) -> None:
    assert pull()[0] == 0
    n_sent = hub.n_sent()
    assert pull()[0] == 0
    assert hub.n_sent() - n_sent <= 2 << 20, "headers at most"
    assert_whole()
