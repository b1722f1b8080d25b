"""What bench asks of the engine leaves no trace; medians and spreads are those of a book."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import no_progress
from qvq_cli.cli.measuring import Measurer, Runs
from qvq_cli.engine.matmul import Matmul
from qvq_cli.engine.process import WorkerEngine
from qvq_cli.engine.protocol import LoadSpec, PromptPart, Reserve, Sampling
from qvq_cli.errors import PromptError, UnavailableError
from qvq_cli.hub.catalog import catalog_entry

ROOM = Reserve(16, 400)
CUE = "\n\nSo "


@pytest.fixture
def engine(nano_spec: LoadSpec) -> Iterator[WorkerEngine]:
    with closing(WorkerEngine(verbose=False)) as engine:
        engine.load(nano_spec, no_progress)
        yield engine


def after_a_cue(engine: WorkerEngine) -> list[int]:
    engine.append(CUE)
    return [piece.token for piece in engine.decode(40)]


@pytest.mark.parametrize("n_said", [0, 5])
def test_batches_leave_the_text_as_it_was(
    engine: WorkerEngine, table_prompt: tuple[PromptPart, ...], n_said: int
) -> None:
    said = []
    for is_timed in (False, True):
        engine.prefill(table_prompt, ROOM, Sampling(), no_progress)
        list(engine.decode(n_said))
        if is_timed:
            assert len(engine.time_batch(1, 1)) == 1
            times = engine.time_batch(8, 3)
            assert len(times) == 3 and min(times) > 0
        said.append(after_a_cue(engine))
    assert said[0] == said[1] and len(said[0]) > 1


def test_a_batch_that_has_no_room_is_refused(
    engine: WorkerEngine, table_prompt: tuple[PromptPart, ...]
) -> None:
    done = engine.prefill(table_prompt, ROOM, Sampling(), no_progress)
    with pytest.raises(PromptError, match="no room"):
        engine.time_batch(done.n_ctx - done.n_tokens + 1, 1)
    assert engine.time_batch(1, 1)


@pytest.mark.parametrize("weight_type", ["f16", "q4_K"])
def test_a_product_needs_no_model(weight_type: str) -> None:
    matmul = Matmul(weight_type, 512, 256, 3)  # type: ignore[arg-type]  # parametrized
    assert matmul.flop == 2 * 512 * 256 * 3
    assert matmul.weight_bytes == 512 * 256 * {"f16": 2, "q4_K": 0.5625}[weight_type]
    with closing(WorkerEngine(verbose=False)) as engine:
        times = engine.time_matmul(matmul, device="cpu", n_threads=1, n_passes=4)
        assert len(times) == 4 and min(times) > 0
        with pytest.raises(UnavailableError, match="no device 'CUDA9'"):
            engine.time_matmul(matmul, device="CUDA9", n_threads=1, n_passes=1)


def test_every_part_is_measured_however_little_time_there_is(nano_spec: LoadSpec) -> None:
    told: list[str] = []
    with closing(WorkerEngine(verbose=False)) as engine:
        measurer = Measurer(engine, catalog_entry("nano").profile, 0.0, told.append)
        measurer.measure(nano_spec, 1)
    measured = measurer.measured
    assert measured.image_s and measured.prefill_s and measured.decode_tps
    assert len(measured.image_s.values) == 1 and measured.is_cold
    assert set(measured.batch_s) == set(range(1, 9))
    assert measured.token_s == 1 / measured.decode_tps.median
    measured.decode_tps = None
    assert measured.token_s == measured.batch_s[1].median, "a model that would not go on"
    assert told[0].startswith("loading") and len(told) == 4


def test_without_time_for_a_usual_picture_text_tells_the_pace_of_a_prompt(
    nano_spec: LoadSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def has_time(_self: Measurer, _share: float, next_s: float) -> bool:
        asked.append(next_s)
        return len(asked) != 2  # after the first small picture: whether a usual one can be had

    monkeypatch.setattr(Measurer, "_has_time", has_time)
    told: list[str] = []
    with closing(WorkerEngine(verbose=False)) as engine:
        measurer = Measurer(engine, catalog_entry("nano").profile, 60.0, told.append)
        measurer.measure(nano_spec, 1)
    measured = measurer.measured
    assert measured.is_small and not measured.is_cold
    assert 0 < measured.image_tokens <= 64 and measured.prompt_tokens > 200
    assert measured.image_s and len(measured.image_s.values) == 5 and min(measured.image_s.values)
    assert "a longer text" in told


def test_the_spread_is_that_of_the_middle_half() -> None:
    assert Runs((1.0,)).spread is None
    assert Runs((4.0, 1.0, 2.0, 3.0, 5.0)).spread == pytest.approx((4 - 2) / 3)
    assert Runs((1.0, 1.0, 1.0, 1.0, 9.0)).spread == 0.0, "one disturbed run is no noise"


@given(st.lists(st.floats(1e-6, 1e6), min_size=2), st.floats(1e-3, 1e3))
def test_a_spread_has_no_unit(values: list[float], factor: float) -> None:
    spread, scaled = Runs(tuple(values)).spread, Runs(tuple(v * factor for v in values)).spread
    assert spread is not None and spread >= 0.0
    assert scaled == pytest.approx(spread, rel=1e-6, abs=1e-9)
