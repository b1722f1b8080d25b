"""Where llama.cpp is told to rewrite weights for the CPU."""

import pytest

from qvq_cli.hub import repacking
from qvq_cli.hub.repacking import repacks


@pytest.mark.parametrize(
    ("is_x86", "quant", "expected"),
    [
        (True, "Q4_K_M", False),
        (True, "IQ4_XS", False),
        (True, "Q4_0", True),
        (True, "IQ4_NL", True),
        (False, "Q4_K_M", True),
        (False, "Q8_0", True),
    ],
)
@pytest.mark.parametrize("typed", [None, False, True])
def test_what_was_typed_counts_then_what_is_faster(
    typed: bool | None, is_x86: bool, quant: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repacking, "cpu_has_amx", lambda: False)
    monkeypatch.setattr(repacking, "cpu_is_x86", lambda: is_x86)
    assert repacks(typed, quant) is (expected if typed is None else typed)


@pytest.mark.parametrize("typed", [None, False, True])
def test_never_with_amx(typed: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repacking, "cpu_has_amx", lambda: True)
    assert not repacks(typed, "Q4_0")
