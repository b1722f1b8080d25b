"""Pulls that are killed at random moments, with the real client against the fake Hub.

Each pull starts from an empty machine and is killed with SIGKILL again and again until it has had
its share of kills; then it may end. What must hold: no broken file is ever installed, the pair that
comes of it is right to the byte, and no kill costs more than one piece of each file.

    python tests/torture_pull.py --pulls 200 --seed 1
"""

import argparse
import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from fake_hub import FakeHub
from qvq_cli.hub.catalog import models_dir
from qvq_cli.hub.installed import list_installed
from qvq_cli.hub.manifest import data_dir

REPO = "owner/nano-GGUF"
NANO = models_dir() / "nano"
FILES = {name: NANO / name for name in ("nano-q8_0.gguf", "mmproj-nano-q8_0.gguf")}
PIECE_BYTES = 1 << 20
"""What a kill may cost of each file: what was under way in the sockets' buffers and in hand."""

_BYTES_PER_S = 16 << 20


class Outcome(NamedTuple):
    """What one pull went through. n_sent: bytes the Hub sent, for each file."""

    n_kills: int
    n_sent: Mapping[str, int]


class BrokenPromiseError(AssertionError):
    """A pull did what it must never do."""


@dataclass(frozen=True)
class Machine:
    """A machine of its own for one pull: home, cache and data in one folder."""

    folder: Path
    endpoint: str

    @property
    def environ(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HF_", "QVQ_")) and not name.lower().endswith("_proxy")
        }
        return kept | {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(self.folder / "hf"),
            "QVQ_DATA": str(self.folder / "data"),
            "QVQ_CACHE": str(self.folder / "cache"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
        }

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "qvq_cli", *arguments]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(command, env=self.environ, stdout=log, stderr=log)


def torture(n_pulls: int, seed: int, n_kills_max: int = 4) -> list[Outcome]:
    """Raises: BrokenPromiseError."""
    chance = random.Random(seed)
    outcomes = []
    for _ in range(n_pulls):
        with FakeHub({REPO: FILES}, bytes_per_s=_BYTES_PER_S) as hub:
            folder = Path(tempfile.mkdtemp(prefix="qvq-pull-"))
            machine = Machine(folder, hub.endpoint)
            try:
                outcomes.append(_pull(hub, machine, chance.randint(1, n_kills_max), chance))
            except BrokenPromiseError:
                print(f"left for a look: {folder}", file=sys.stderr)
                raise
            shutil.rmtree(folder)
    return outcomes


def _pull(hub: FakeHub, machine: Machine, n_kills: int, chance: random.Random) -> Outcome:
    n_killed = 0
    while n_killed < n_kills:
        pulling = machine.start("pull", f"hf:{REPO}", "--yes")
        _wait_for_bytes(hub, pulling, chance)
        if pulling.poll() is None:
            pulling.kill()
            n_killed += 1
        if pulling.wait() == 0:
            break
        _check_installed(machine)
    code = machine.start("pull", f"hf:{REPO}", "--yes").wait()
    if code:
        raise BrokenPromiseError(f"the last pull ended with {code}")
    _check_installed(machine)
    if len(list_installed(machine.environ)) != 1:
        raise BrokenPromiseError("the pull ended well and nothing is installed")
    outcome = Outcome(n_killed, {name: hub.n_sent(name) for name in FILES})
    _check_traffic(outcome)
    return outcome


def _wait_for_bytes(
    hub: FakeHub, pulling: "subprocess.Popen[bytes]", chance: random.Random
) -> None:
    """Wait for a random moment of what this run does: while it starts, downloads or finishes."""
    n_before = hub.n_sent()
    n_left = max(0, sum(path.stat().st_size for path in FILES.values()) - n_before)
    n_wanted = chance.uniform(-0.2, 1.1) * n_left
    while pulling.poll() is None and hub.n_sent() - n_before < min(n_wanted, n_left):
        time.sleep(0.005)
    time.sleep(chance.uniform(0, 0.3) if n_wanted < 0 else chance.uniform(0, 0.03))


def _check_installed(machine: Machine) -> None:
    """Whatever counts as installed, or has a final name in the cache, is right to the byte."""
    right = {name: _sha256(path) for name, path in FILES.items()}
    snapshots = (machine.folder / "hf" / "hub").glob("models--*/snapshots/*/*")
    for path in snapshots:
        if path.suffix == ".gguf" and _sha256(path) != right[path.name]:
            raise BrokenPromiseError(f"{path} is broken and has its final name")
    for installed in list_installed(machine.environ):
        for file in installed.files:
            if _sha256(file.path) != right[file.path.name]:
                raise BrokenPromiseError(f"{file.path} is installed and broken")
        if installed.problem is not None:
            raise BrokenPromiseError(f"{installed.model_id}: {installed.problem}")
    if not data_dir(machine.environ).is_relative_to(machine.folder):
        raise BrokenPromiseError("the manifest is not where it was told to be")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check_traffic(outcome: Outcome) -> None:
    for name, path in FILES.items():
        allowed = path.stat().st_size + outcome.n_kills * PIECE_BYTES
        if outcome.n_sent[name] > allowed:
            sent = outcome.n_sent[name]
            raise BrokenPromiseError(
                f"{name}: {sent:,} bytes sent after {outcome.n_kills} kills, {allowed:,} allowed"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pulls", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.monotonic()
    outcomes = torture(options.pulls, options.seed)
    size = sum(path.stat().st_size for path in FILES.values())
    n_kills = sum(outcome.n_kills for outcome in outcomes)
    n_again = sum(sum(outcome.n_sent.values()) - size for outcome in outcomes)
    print(
        f"{len(outcomes)} pulls, {n_kills} kills, {time.monotonic() - started:.0f} s: all pairs "
        f"right; {n_again / max(n_kills, 1) / 1024:.0f} KiB sent again for each kill"
    )


if __name__ == "__main__":
    main()
