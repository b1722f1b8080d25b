"""How long the commands take that only look things up: the promise is 0.3 s each.

Best of several runs, so that what else the machine does counts as little as it can, and as a ratio
to an interpreter that imports typer: nothing built on it can be faster.

usage: python tests/benchmarks/commands.py [RUNS]
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence

COMMANDS = (
    ["--version"],
    ["--help"],
    ["models"],
    ["models", "--json"],
    ["show", "qvq-72b-preview"],
    ["plan", "qvq-72b-preview", "--json"],
)
PROMISE_S = 0.3


def best_s(command: Sequence[str], environ: Mapping[str, str], n_runs: int) -> float:
    """The fastest of n_runs, from spawn to exit."""
    times = []
    for _ in range(n_runs):
        started = time.perf_counter()
        subprocess.run(command, env=environ, capture_output=True)
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    n_runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "QVQ_DATA": folder, "HF_HOME": folder, "XDG_CONFIG_HOME": folder}
        base_s = best_s([sys.executable, "-c", "import typer"], environ, n_runs)
        print(f"{'python, import typer':36} {base_s:6.3f} s   1.0")
        for arguments in COMMANDS:
            took_s = best_s([sys.executable, "-m", "qvq_cli", *arguments], environ, n_runs)
            late = "" if took_s <= PROMISE_S else f"   over {PROMISE_S} s"
            print(f"qvq {' '.join(arguments):32} {took_s:6.3f} s  {took_s / base_s:4.1f}{late}")


if __name__ == "__main__":
    main()
