"""A quantized KV cache, through the real engine."""

import pytest

from conftest import QUESTION, TABLE
from qvq_cli.cli.app import main
from qvq_cli.hub.plan import ModelSizes
from qvq_cli.hub.run_plan import Demand, Machine, RunPlan, Wishes, plan_run


@pytest.mark.parametrize("kv_type", ["f16", "q8_0"])
def test_the_answer_is_the_same(kv_type: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", str(TABLE), QUESTION, "--kv-type", kv_type, "-v"]) == 0
    out, err = capfd.readouterr()
    assert out == "-29\n"
    assert f"K ({kv_type})" in err, "llama.cpp's own log says what it keeps"


def test_another_type_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", str(TABLE), QUESTION, "--kv-type", "q4_0"]) == 2
    assert "auto, f16, q8_0" in capfd.readouterr().err


def test_short_memory_is_answered_with_a_smaller_context(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def plan_on_one_byte_too_few(
        sizes: ModelSizes, demand: Demand, machine: Machine, wishes: Wishes
    ) -> RunPlan:
        needed = plan_run(sizes, demand, machine, wishes).needed_bytes
        return plan_run(sizes, demand, Machine(needed - 1), wishes)

    monkeypatch.setattr("qvq_cli.cli.planning.plan_run", plan_on_one_byte_too_few)
    assert main(["solve", str(TABLE), QUESTION, "--verbose"]) == 0
    out, err = capfd.readouterr()
    assert out == "-29\n"
    assert "the context is kept in q8_0, as memory is short" in err
    assert "K (q8_0)" in err
