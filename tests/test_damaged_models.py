"""Two hundred damaged models through the whole program: a documented exit code each, and no hang.

Damage in the header is refused by our own reader, damage in the weights reaches llama.cpp, which
may compute nonsense or die; both must end as the README says. gguf_samples.py has small cases.
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import QUESTION, TABLE
from qvq_cli.cli.app import main
from qvq_cli.errors import ExitCode
from qvq_cli.hub.catalog import models_dir

N_CASES = 200
N_BATCHES = 10
HEADER_BYTES = 40_000
DOCUMENTED = set(ExitCode) - {ExitCode.BUG}
MODEL, MMPROJ = "nano-q8_0.gguf", "mmproj-nano-q8_0.gguf"


def cut(data: bytearray, rng: random.Random) -> bytearray:
    return data[: rng.randrange(len(data))]


def flip_header(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(HEADER_BYTES)] ^= 1 << rng.randrange(8)
    return data


def flip_weights(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.randint(1, 200)):
        data[rng.randrange(HEADER_BYTES, len(data))] ^= 1 << rng.randrange(8)
    return data


def poison_weights(data: bytearray, rng: random.Random) -> bytearray:
    """A stretch of ones: as f16 scales, NaN."""
    start = rng.randrange(HEADER_BYTES, len(data) - 5000)
    data[start : start + 5000] = b"\xff" * 5000
    return data


def change_a_word(data: bytearray, rng: random.Random) -> bytearray:
    """A value of metadata replaced: a count, a length, a type."""
    start = rng.randrange(0, HEADER_BYTES, 4)
    data[start : start + 4] = rng.choice(
        (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\0\0\0", rng.randbytes(4))
    )
    return data


DAMAGES: tuple[Callable[[bytearray, random.Random], bytearray], ...] = (
    *(cut, flip_header, flip_header, change_a_word, change_a_word),
    *(flip_header, cut, flip_weights, poison_weights, change_a_word),
)


@pytest.mark.parametrize("batch", range(N_BATCHES))
def test_damage_ends_in_a_documented_code(
    batch: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sound = {name: (models_dir() / "nano" / name).read_bytes() for name in (MODEL, MMPROJ)}
    for name in sound:
        shutil.copy(models_dir() / "nano" / name, tmp_path)
    for case in range(batch, N_CASES, N_BATCHES):
        rng = random.Random(case)
        name = rng.choice((MODEL, MMPROJ))
        damage = DAMAGES[case // N_BATCHES % len(DAMAGES)]
        (tmp_path / name).write_bytes(damage(bytearray(sound[name]), rng))
        code = main(
            [
                *("solve", str(TABLE), QUESTION, "--model", str(tmp_path / MODEL)),
                *("--mmproj", str(tmp_path / MMPROJ), "--max-thinking", "8", "--max-answer", "16"),
            ]
        )
        out, err = capfd.readouterr()
        assert code in DOCUMENTED, f"case {case} ({damage.__name__} of {name}): {err}"
        assert "Traceback" not in err, f"case {case}: {err}"
        assert out == "" or code == ExitCode.ANSWER
        (tmp_path / name).write_bytes(sound[name])
