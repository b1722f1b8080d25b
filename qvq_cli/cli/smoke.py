"""The smallest real run: nano solves the picture that lies beside it."""

import time
from collections.abc import Mapping
from contextlib import closing

from qvq_cli.cli.machine import Resources
from qvq_cli.cli.planning import load_spec
from qvq_cli.engine.images import load_picture
from qvq_cli.engine.process import WorkerEngine
from qvq_cli.errors import EngineDiedError
from qvq_cli.hub.catalog import EMBEDDED, catalog_entry, models_dir
from qvq_cli.hub.config import Config
from qvq_cli.hub.plan import sizes_of
from qvq_cli.hub.run_plan import plan_run, typical_demand
from qvq_cli.hub.store import resolve_model
from qvq_cli.reasoning.budget import ThinkingBudget
from qvq_cli.reasoning.control import Control
from qvq_cli.reasoning.events import ModelUsed, Record
from qvq_cli.reasoning.policy import Policy
from qvq_cli.reasoning.solver import About, Problem, Solver
from qvq_cli.reasoning.transcript import Dialect

PICTURE = "example.png"
QUESTION = "Given h(x) = f(x) * g(x), find h'(2)."
ANSWER = "-29"
_MAX_ANSWER = 64


def solve_example(environ: Mapping[str, str], resources: Resources) -> Record:
    """Solve the example, on the GPU where there is one, as solve would.

    Raises: EngineDiedError: the engine works but computes nonsense. QvqError: as the engine.
    """
    nano = catalog_entry(EMBEDDED)
    folder = models_dir() / EMBEDDED
    path = folder / nano.quants[nano.default_quant][0].name
    choice = resolve_model(str(path), None, environ=environ, config=Config(None, {}))
    profile = choice.profile
    plan = plan_run(sizes_of(choice.pair), typical_demand(profile), resources.for_plan())
    picture = load_picture(str(folder / PICTURE), profile.limits)
    spec = load_spec(choice, plan)
    policy = Policy(ThinkingBudget(profile.max_thinking), _MAX_ANSWER, profile.sampling)
    problem = Problem(QUESTION, profile.system, (picture.bitmap,), Dialect(profile.dialect))
    about = About(ModelUsed(choice.name, choice.quant, choice.files), (), time.perf_counter())
    with closing(WorkerEngine(verbose=False)) as engine:
        record = Solver(engine, policy, Control(), lambda _: None).solve(spec, problem, about)
    found = "nothing" if record.answer is None else record.answer.text
    if found != ANSWER:
        raise EngineDiedError(
            f"the engine runs but computes wrongly: nano answers {found!r} instead of {ANSWER!r}",
            hint="reinstall llama-cpp-python for this machine; --n-gpu-layers 0 avoids the GPU",
            reference="wrong-example",
        )
    return record
