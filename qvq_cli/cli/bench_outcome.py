"""Everything that `qvq bench` found out, before it is put into words, JSON or a picture."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from qvq_cli.cli.measuring import Measured, Runs
from qvq_cli.engine.draft_gain import DraftGain, draft_gain
from qvq_cli.hub.catalog import CatalogEntry
from qvq_cli.hub.forecast import Forecast, Place, Rates, bytes_per_token, is_telling
from qvq_cli.hub.plan import ModelSizes
from qvq_cli.hub.run_plan import RunPlan
from qvq_cli.hub.store import ModelChoice

NOISY_SPREAD = 0.2


@dataclass(frozen=True, slots=True)
class Forecasts:
    """What the entry's quants would take; rates: what that rests on, for each place that counts.

    of_model: the places whose rates are the measured model's own; the others' are of products.
    """

    entry: CatalogEntry
    rates: Mapping[Place, Rates]
    of_model: frozenset[Place]
    quants: tuple[Forecast, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured, and what follows from it.

    n_threads_batch: up to so many, for several tokens at once. bandwidth: of the computer's memory
    in bytes/s, None where GPUs do the work.
    """

    choice: ModelChoice
    sizes: ModelSizes
    plan: RunPlan
    n_threads: int
    n_threads_batch: int
    bandwidth: float | None
    measured: Measured
    forecasts: Forecasts
    is_interrupted: bool

    @property
    def is_telling(self) -> bool:
        """Whether the model's own figures say something about larger ones."""
        return is_telling(self.sizes)

    @property
    def worst_spread(self) -> float:
        return max((runs.spread or 0.0 for runs in self._all_runs()), default=0.0)

    @property
    def is_noisy(self) -> bool:
        return self.worst_spread > NOISY_SPREAD

    @property
    def drafts(self) -> DraftGain | None:
        """What drafts would gain with this model's batches; None where they weren't measured."""
        batches = self.batches
        return draft_gain(batches) if 1 in batches else None

    @property
    def batches(self) -> dict[int, float]:
        """Seconds of a pass by the tokens in its batch."""
        return {size: runs.median for size, runs in self.measured.batch_s.items()}

    @property
    def weights_per_s(self) -> float | None:
        """Bytes of weights that decoding reads in a second."""
        token_s = self.measured.token_s
        return None if token_s is None else bytes_per_token(self.sizes) / token_s

    def _all_runs(self) -> Iterator[Runs]:
        measured = self.measured
        for runs in (measured.image_s, measured.prefill_s, measured.decode_tps):
            if runs is not None:
                yield runs
        yield from measured.batch_s.values()
