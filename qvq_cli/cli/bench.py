"""`qvq bench [MODEL]`: what this machine does with a model, and what QVQ would take here.

The model is the one that solve would use. Its own speed is measured in any case; forecasts for QVQ
rest on it where it is large enough, else on products of QVQ's own shape (rates.py).
"""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from qvq_cli.cli.bench_body import bench_body
from qvq_cli.cli.bench_outcome import Forecasts, Outcome
from qvq_cli.cli.bench_plot import check_plot_path, write_plot
from qvq_cli.cli.bench_report import bench_report
from qvq_cli.cli.interrupts import interrupts
from qvq_cli.cli.machine import Resources, look_at_machine
from qvq_cli.cli.measuring import PICTURE_PX, ROOM_TOKENS, Measured, Measurer
from qvq_cli.cli.planning import choose_threads, load_spec, threads_cut_words
from qvq_cli.cli.rates import rates_of_model, rates_of_products
from qvq_cli.cli.session import Session
from qvq_cli.cli.wishes import make_wishes
from qvq_cli.engine.grid import image_grid
from qvq_cli.engine.process import WorkerEngine
from qvq_cli.errors import AbortedError
from qvq_cli.hub.advice import require_fit
from qvq_cli.hub.catalog import Profile, catalog_entry
from qvq_cli.hub.forecast import (
    QUESTION_TOKENS,
    Place,
    Rates,
    forecast,
    is_telling,
    needed_places,
    place_of,
)
from qvq_cli.hub.names import with_quant
from qvq_cli.hub.plan import sizes_of
from qvq_cli.hub.run_plan import Demand, plan_run
from qvq_cli.hub.store import resolve_model
from qvq_cli.reasoning.control import Control
from qvq_cli.ui.screen import Screen

PREDICTED = "qvq-72b-preview"


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What was typed. seconds: for measuring, once the model is loaded."""

    model: str | None
    quant: str | None
    seconds: float
    plot: Path | None
    n_gpu_layers: str
    device: str | None
    threads: int | None
    repack: bool | None
    force: bool
    verbose: bool


def run(session: Session, options: BenchOptions, *, json: bool) -> None:
    """Measure, predict, show.

    Raises:
        AbortedError: Ctrl-C; what was measured until then has been shown.
        UsageError, UnavailableError, DoesNotFitError, CannotWriteError: before anything is loaded.
        QvqError: as the engine.
    """
    screen = session.open_screen(json=json)
    if options.plot is not None:
        check_plot_path(options.plot)
    try:
        with interrupts(Control()):
            outcome = _Bench(session, options, screen).run()
    except KeyboardInterrupt:
        raise AbortedError("interrupted before anything was measured") from None
    screen.result(bench_report(outcome), bench_body(outcome))
    if options.plot is not None:
        write_plot(outcome, options.plot)
        screen.notice(f"the plot is in {options.plot}")
    if outcome.is_interrupted:
        raise AbortedError("interrupted; what was measured until then stands above")


class _Bench:
    """One call: everything that can be wrong is found before the model is loaded."""

    def __init__(self, session: Session, options: BenchOptions, screen: Screen) -> None:
        environ, config = session.env.variables, session.config
        self._options, self._screen = options, screen
        model = with_quant(options.model, options.quant)
        self._choice = resolve_model(model, None, environ=environ, config=config)
        self._sizes = sizes_of(self._choice.pair)
        # Free memory is looked at now: later the model is in it.
        self._resources = look_at_machine(environ)
        wishes = make_wishes("auto", options.n_gpu_layers, options.device)
        demand = _demand(self._choice.profile)
        self._plan = plan_run(self._sizes, demand, self._resources.for_plan(), wishes)
        if not options.force:
            name = f"{self._choice.name} {self._choice.quant}"
            require_fit(self._plan, name, self._choice.entry)
        self._predicted = catalog_entry(PREDICTED)

    def run(self) -> Outcome:
        """Raises: KeyboardInterrupt: before the model was loaded."""
        options, choice, resources = self._options, self._choice, self._resources
        spec = load_spec(
            choice,
            self._plan,
            threads=options.threads,
            device=options.device,
            repack=options.repack,
            drafts=False,  # what they bring is told apart
        )
        if options.threads is not None and spec.n_threads < options.threads:
            self._screen.notice(threads_cut_words(spec.n_threads))
        rates: dict[Place, Rates] = {}
        of_model: set[Place] = set()
        is_interrupted = False
        with closing(WorkerEngine(verbose=options.verbose)) as engine:
            engine.on_notice = lambda _reference, message: self._screen.notice(message)
            measurer = Measurer(engine, choice.profile, options.seconds, self._screen.notice)
            measured = measurer.measured
            try:
                measurer.measure(spec, self._sizes.weight_bytes)
                of_model |= self._add_own_rates(rates, measured)
                self._add_product_rates(rates, engine)
            except KeyboardInterrupt:
                if measured.load_s is None:
                    raise
                is_interrupted = True
        quants = forecast(
            self._predicted,
            resources.for_plan(),
            resources.free_bytes,
            rates,
            disk_bytes_per_s=measured.disk_bytes_per_s,
            device=options.device,
        )
        return Outcome(
            choice=choice,
            sizes=self._sizes,
            plan=self._plan,
            n_threads=spec.n_threads,
            n_threads_batch=spec.most_threads,
            bandwidth=resources.bandwidth,
            measured=measured,
            forecasts=Forecasts(self._predicted, rates, frozenset(of_model), quants),
            is_interrupted=is_interrupted,
        )

    def _add_own_rates(self, rates: dict[Place, Rates], measured: Measured) -> set[Place]:
        """Returns: where the model's own speed tells that of larger ones."""
        place = place_of(self._plan)
        found = rates_of_model(measured, self._sizes)
        if place is None or found is None or not is_telling(self._sizes):
            return set()
        rates[place] = found
        return {place}

    def _add_product_rates(self, rates: dict[Place, Rates], engine: WorkerEngine) -> None:
        """For the places where QVQ would run and the model didn't, or was too small."""
        options, shape = self._options, self._predicted.shape
        needed = needed_places(self._predicted, self._resources.for_plan(), options.device)
        for place in sorted(needed - rates.keys()):
            assert shape is not None  # or there were no places
            self._screen.notice(f"matrices as {self._predicted.title} has them, on the {place}")
            rates[place] = rates_of_products(
                engine,
                shape,
                device=_device_name(place, self._resources, options.device),
                n_threads=choose_threads(options.threads, is_tiny=False),
            )


def _demand(profile: Profile) -> Demand:
    """KV cells that measuring takes."""
    image_tokens = image_grid(*PICTURE_PX, profile.limits).image_tokens
    return Demand(
        n_prompt=image_tokens + QUESTION_TOKENS + len(profile.system) // 2,
        image_tokens=(image_tokens,),
        n_answer=0,
        n_thinking=ROOM_TOKENS,
        n_thinking_min=ROOM_TOKENS,
    )


def _device_name(place: Place, resources: Resources, wished: str | None) -> str:
    """llama.cpp's name of a device there."""
    if place == "CPU":
        return "CPU"
    return wished or resources.gpus[0].name
