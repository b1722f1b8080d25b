"""Forecasts: the arithmetic by hand, and what more memory or speed must do to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvq_cli.engine.draft_gain import draft_gain
from qvq_cli.engine.protocol import Device
from qvq_cli.hub.catalog import catalog_entry
from qvq_cli.hub.forecast import (
    ANSWER_TOKENS,
    QUESTION_TOKENS,
    Rates,
    bytes_per_token,
    forecast,
    is_telling,
    needed_places,
    text_flop,
    vision_flop,
)
from qvq_cli.hub.plan import ModelSizes, catalog_sizes
from qvq_cli.hub.run_plan import Machine

GB = 10**9
QVQ = catalog_entry("qvq-72b-preview")
RATES = Rates(100e9, 1e12, 2e12, draft_gain=1.25)
HOST = Machine(64 * GB)


def sizes(name: str = QVQ.name, quant: str = "Q4_K_M") -> ModelSizes:
    found = catalog_sizes(catalog_entry(name), quant)
    assert found is not None
    return found


def test_qvq_by_hand() -> None:
    found = {
        each.quant: each
        for each in forecast(QVQ, HOST, 64 * GB, {"CPU": RATES}, disk_bytes_per_s=1e9)
    }
    each = found["Q4_K_M"]
    # 80 layers: 8192 x 8192 twice, 8192 x 1024 twice, 8192 x 29568 three times; 2 operations each.
    n_weights = 80 * (2 * 8192**2 + 2 * 8192 * 1024 + 3 * 8192 * 29568)
    assert text_flop(sizes().text, 1) == 2 * n_weights
    assert each.prefill_s == pytest.approx(2 * n_weights * (1280 + QUESTION_TOKENS) / 1e12)
    # Of 72.7e9 weights the embedding's 1.25e9 are not read.
    assert each.decode_tps == pytest.approx(100 / (47.4 * (1 - 1.25 / 72.7)), rel=0.01)
    assert each.load_s == pytest.approx(48.8, rel=0.01)
    assert each.image_s == pytest.approx(vision_flop(sizes().vision, 1280) / 2e12)
    assert each.total_s == pytest.approx(
        each.image_s + each.prefill_s + ANSWER_TOKENS / each.decode_tps
    )
    assert found["Q4_K_M"].fits and not found["Q8_0"].fits
    assert found["Q8_0"].total_s is not None, "what doesn't fit is told as well"


def test_the_encoder_is_what_its_makers_say() -> None:
    # 32 layers of 12 x 1280^2 weights and a merger of 5120 x (5120 + 8192): 697e6 in all.
    shape = sizes().vision
    attention = 4 * (4 * 1280) ** 2 * 1280 * 32
    weights = 4 * 1280 * 32 * 12 * 1280**2 + 1280 * 5120 * (5120 + 8192)
    assert vision_flop(shape, 1280) == 2 * weights + attention
    windowed = shape._replace(projector="qwen2.5vl_merger", n_ff=3420)
    assert vision_flop(windowed, 1280) < vision_flop(shape, 1280)


@given(st.floats(1e8, 1e13), st.floats(1e9, 1e15), st.floats(1.0, 2.0))
def test_twice_the_speed_takes_half_the_time(memory: float, compute: float, gain: float) -> None:
    def first(factor: float) -> float:
        rates = Rates(memory * factor, compute * factor, compute * factor, gain)
        whole = forecast(QVQ, HOST, GB, {"CPU": rates}, disk_bytes_per_s=None)[0]
        assert whole.total_s is not None and whole.total_with_drafts_s is not None
        assert whole.total_with_drafts_s <= whole.total_s
        assert whole.load_s is None
        return whole.total_s

    assert first(2.0) == pytest.approx(first(1.0) / 2)


def test_nothing_is_told_of_a_place_that_was_not_measured() -> None:
    for rates in ({}, {"GPU": RATES}):
        found = forecast(QVQ, HOST, 64 * GB, rates, disk_bytes_per_s=None)
        assert {each.total_s for each in found} == {None}


def test_gpus_take_what_fits_on_them_and_nothing_is_told_of_a_split() -> None:
    gpu = Device("CUDA0", is_gpu=True, free_bytes=60 * GB)
    machine = Machine(64 * GB, (gpu,))
    assert needed_places(QVQ, machine) == {"GPU"}
    assert needed_places(QVQ, machine, "none") == {"CPU"}
    rates = {"GPU": RATES, "CPU": RATES}
    found = forecast(QVQ, machine, 124 * GB, rates, disk_bytes_per_s=None)
    told = {each.quant for each in found if each.total_s is not None}
    assert "Q4_K_M" in told and "Q8_0" not in told


def test_small_models_and_mixtures_tell_nothing_of_large_ones() -> None:
    assert is_telling(sizes())
    assert not is_telling(sizes("nano", "Q8_0"))
    mixture = sizes()._replace(text=sizes().text._replace(n_expert=128))
    assert not is_telling(mixture)


def test_an_embedding_that_is_the_output_too_is_read() -> None:
    apart = sizes()
    assert bytes_per_token(apart) == apart.weight_bytes - apart.embedding_bytes
    tied = apart._replace(output_bytes=0)
    assert bytes_per_token(tied) == tied.weight_bytes


def test_drafts_gain_most_where_a_batch_costs_no_more_than_a_token() -> None:
    free = draft_gain(dict.fromkeys(range(1, 9), 1.0))
    assert free == (1.643, 7, 1), "the tokens a pass that were counted"
    assert draft_gain({n: float(n) for n in range(1, 9)}) == (1.0, 0, 0)
    assert draft_gain({1: 1.0}) == (1.0, 0, 0)


@given(st.lists(st.floats(1.0, 10.0), min_size=7, max_size=7))
def test_costlier_batches_never_gain_more(costs: list[float]) -> None:
    cheap = {1: 1.0} | dict(enumerate(costs, start=2))
    dear = {1: 1.0} | {n: cost * 1.5 for n, cost in enumerate(costs, start=2)}
    assert 1.0 <= draft_gain(dear).gain <= draft_gain(cheap).gain


def test_the_gain_by_hand() -> None:
    # Drafting one token behind every match: 1.326 tokens a pass, 77.3 % of which have a draft.
    found = draft_gain({1: 2.0, 2: 2.2})
    assert found == (pytest.approx(1.326 / (1 - 0.773 + 0.773 * 1.1)), 1, 1)
