"""A Hub that has nano under another name, and a machine with known memory, for the commands."""

import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from conftest import NANO
from fake_hub import FakeHub

REPO = "some/nano-GGUF"
MODEL = f"hf:{REPO}"
MODEL_FILE, MMPROJ_FILE = "nano-Q8_0.gguf", "mmproj-nano-f16.gguf"
FILES: Mapping[str, Path] = {
    MODEL_FILE: NANO / "nano-q8_0.gguf",
    MMPROJ_FILE: NANO / "mmproj-nano-q8_0.gguf",
}
N_BYTES = sum(path.stat().st_size for path in FILES.values())
GB = 10**9


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with FakeHub({REPO: FILES}, gated=["some/gated"], private=["some/private"]) as hub:
        hub.commit("some/gated", FILES)
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """64 GB of free memory that moves 100 GB a second, and no GPU."""
    monkeypatch.setattr("qvq_cli.cli.machine.free_memory", lambda: 64 * GB)
    monkeypatch.setattr("qvq_cli.cli.machine.has_gpu_backend", lambda: False)
    data = tmp_path / "data"
    data.mkdir()
    (data / "bandwidth.json").write_text(json.dumps({platform.node(): 100e9}))
