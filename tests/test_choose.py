"""Which quant a machine gets, before anything is downloaded."""

import pytest

from qvq_cli.errors import DoesNotFitError
from qvq_cli.hub.bandwidth import memory_bandwidth
from qvq_cli.hub.catalog import CatalogEntry, catalog_entry, load_catalog
from qvq_cli.hub.choose import best_reasoner, choose_quant, quant_fits

GB = 10**9
QVQ = catalog_entry("qvq-72b-preview")


@pytest.mark.parametrize(
    ("free_gb", "quant"),
    [
        (500, "Q6_K"),
        (70, "Q6_K"),
        (60, "Q4_K_M"),
        (50, "Q4_K_S"),
        (48, "IQ4_XS"),
        (42, "Q3_K_M"),
        (36, "IQ3_XXS"),
        (34.5, "Q2_K"),
        (32, "IQ2_XS"),
        (28, "IQ1_M"),
    ],
)
def test_qvq_on_machines_of_all_sizes(free_gb: float, quant: str) -> None:
    fit = choose_quant(QVQ, round(free_gb * GB))
    assert (fit.quant, fit.fits) == (quant, True)
    assert fit.needed_bytes <= free_gb * GB


def test_small_models_take_what_is_largest() -> None:
    assert choose_quant(catalog_entry("qwen3-vl-2b-thinking"), 16 * GB).quant == "Q8_0"


def test_where_nothing_fits_the_best_reasoner_that_does_is_named() -> None:
    with pytest.raises(DoesNotFitError, match=r"IQ1_M, needs 27\.9 GB of memory, and 16") as caught:
        choose_quant(QVQ, 16 * GB)
    assert "qvq pull qwen3-vl-8b-thinking" in (caught.value.hint or "")
    with pytest.raises(DoesNotFitError) as caught:
        choose_quant(QVQ, 1 * GB)
    assert "no reasoner of the catalog fits in 1.0 GB" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("free_gb", "model"),
    [
        (80, "qvq-72b-preview:Q6_K"),
        (27, "qwen3-vl-32b-thinking:Q4_K_M"),
        (10, "qwen3-vl-8b-thinking:Q4_K_M"),
        (6, "qwen3-vl-4b-thinking:Q4_K_M"),
        (4, "qwen3-vl-2b-thinking:Q8_0"),
    ],
)
def test_the_best_reasoner_of_a_machine(free_gb: int, model: str) -> None:
    fit = best_reasoner(free_gb * GB)
    assert fit is not None
    assert fit.model_id == model


def test_speed_is_bandwidth_over_weights() -> None:
    fits = {fit.quant: fit for fit in quant_fits(QVQ, 64 * GB, bandwidth=400e9)}
    assert fits["Q4_K_M"].tokens_per_s == pytest.approx(400 / 47.4)
    assert quant_fits(QVQ, 64 * GB)[0].tokens_per_s is None


@pytest.mark.parametrize("entry", load_catalog(), ids=lambda entry: entry.name)
def test_without_a_shape_the_guess_is_near_and_rounds_up(entry: CatalogEntry) -> None:
    """It must not promise room that the plan then doesn't find."""
    planned = quant_fits(entry, 0)
    guessed = quant_fits(entry._replace(shape=None), 0)
    for plan, guess in zip(planned, guessed, strict=True):
        assert 0 <= guess.needed_bytes - plan.needed_bytes < 0.6 * GB


def test_bandwidth_is_that_of_a_computer() -> None:
    assert 1e8 < memory_bandwidth(1) < 1e13
