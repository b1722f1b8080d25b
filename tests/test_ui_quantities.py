"""Numbers as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvq_cli.sizes import share_of, size
from qvq_cli.ui.quantities import rate, speed


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (None, "?"),
        (0, "0 bytes"),
        (812, "812 bytes"),
        (13_290_752, "13.3 MB"),
        (521_000_000, "521 MB"),
        (47_400_000_000, "47.4 GB"),
        (999_499_999, "999 MB"),
        (999_500_000, "1.0 GB"),
        (2_000_000_000_000, "2.0 TB"),
    ],
)
def test_size(n_bytes: int | None, text: str) -> None:
    assert size(n_bytes) == text


def test_parts_are_told_in_the_unit_of_the_whole() -> None:
    assert share_of(600_000_000, 47_400_000_000) == "0.6 of 47.4 GB"
    assert share_of(0, 47_400_000_000) == "0.0 of 47.4 GB"
    assert rate(112_000_000.0) == "112 MB/s"


@pytest.mark.parametrize(
    ("tokens_per_s", "text"),
    [
        (None, "?"),
        (0.41, "~0.4 tok/s"),
        (9.94, "~9.9 tok/s"),
        (9.98, "~10 tok/s"),
        (37.0, "~35 tok/s"),
        (234.0, "~250 tok/s"),
        (2890.0, "~3,000 tok/s"),
    ],
)
def test_an_estimate_has_no_more_digits_than_it_deserves(
    tokens_per_s: float | None, text: str
) -> None:
    assert speed(tokens_per_s) == text


@given(st.floats(min_value=10, max_value=1e6))
def test_rounding_stays_near(tokens_per_s: float) -> None:
    shown = float(speed(tokens_per_s).strip("~ tok/s").replace(",", ""))
    assert shown == pytest.approx(tokens_per_s, rel=0.26)
