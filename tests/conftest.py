"""Shared by all tests: the embedded model, a picture of a table, and one engine thread.

Two OpenMP programs on two cores slow each other down a hundredfold, so every engine here gets one.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from qvq_cli.engine.grid import ImageLimits
from qvq_cli.engine.images import load_picture
from qvq_cli.engine.protocol import LoadSpec, PromptPart
from qvq_cli.hub.catalog import catalog_entry, models_dir
from qvq_cli.reasoning.prompt import build_prompt
from qvq_cli.reasoning.transcript import Dialect

DATA = Path(__file__).parent / "data"
TABLE = DATA / "published-0.png"
QUESTION = "Given h(x) = f(x) * g(x), find h'(2)."
NANO = models_dir() / "nano"

# What an example takes says nothing about it on a machine that computes something else besides.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


def no_progress(_stage: str, _share: float) -> None:
    """An OnProgress for engines that nobody watches."""


@pytest.fixture(autouse=True, scope="session")
def signals_end_programs() -> None:
    """Where the tests run under nohup or in the background, what they start would ignore these."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No test sees or touches the settings of the person who runs it."""
    for name in list(os.environ):
        if name.startswith(("QVQ_", "HF_")) or name in ("NO_COLOR", "COLUMNS"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("QVQ_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("QVQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("QVQ_THREADS", "1")
    yield


@pytest.fixture(scope="session")
def nano_spec() -> LoadSpec:
    """The embedded model, on one thread of the CPU."""
    return LoadSpec(
        str(NANO / "nano-q8_0.gguf"),
        str(NANO / "mmproj-nano-q8_0.gguf"),
        n_threads=1,
        n_gpu_layers=0,
    )


@pytest.fixture(scope="session")
def table_prompt() -> tuple[PromptPart, ...]:
    """The published example: h'(2) of a product, from a table. The answer is -29."""
    profile = catalog_entry("nano").profile
    picture = load_picture(str(TABLE), ImageLimits(70, 391))
    return build_prompt(profile.system, [picture.bitmap], QUESTION, Dialect.HEADING)
