"""What `qvq solve` does, from what was typed to an exit code.

The order is the promise: whatever can be wrong with the command line, the model's files, the
pictures and the memory is found before anybody waits for the model. Where no picture can change how
it is loaded, the worker does that meanwhile.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qvq_cli.cli import planning, settings
from qvq_cli.cli.caching import cache_spec
from qvq_cli.cli.inputs import Inputs, read_inputs, reads_keyboard
from qvq_cli.cli.session import Session
from qvq_cli.cli.settings import SolveOptions
from qvq_cli.cli.wishes import wanted_draft
from qvq_cli.engine.grid import ImageLimits
from qvq_cli.engine.process import WorkerEngine
from qvq_cli.engine.protocol import CacheSpec, LoadSpec
from qvq_cli.errors import ExitCode
from qvq_cli.hub.advice import require_fit
from qvq_cli.hub.draft import Draft, find_draft
from qvq_cli.hub.offload import ALL_LAYERS
from qvq_cli.hub.run_plan import Machine, RunPlan
from qvq_cli.hub.store import ModelChoice, resolve_model
from qvq_cli.reasoning.control import Control
from qvq_cli.reasoning.events import (
    CutOff,
    Event,
    ImageReady,
    ImageUsed,
    ModelUsed,
    Notice,
    Solved,
)
from qvq_cli.reasoning.policy import Policy
from qvq_cli.ui.view import View, make_view

if TYPE_CHECKING:
    from qvq_cli.engine.images import Picture
    from qvq_cli.reasoning.solver import Solver
    from qvq_cli.ui.pictures import Picture as SavedPicture

BLANK_NOTICE = (
    "is one colour all over; a white drawing on a transparent background comes out like that"
)
FRAMES_NOTICE = (
    "frames or pages, of which the model sees the first; another has to be saved as a file of its "
    "own"
)
KEYBOARD_PROMPT = (
    "qvq: type the question, then Enter and "
    + ("Ctrl-Z, Enter" if sys.platform == "win32" else "Ctrl-D")
    + "\n"
)
EMBEDDED_NOTICE = (
    "nano answers, the 13 MB model that comes with the program, which knows six kinds of "
    "pictures; `qvq pull` gets QVQ, or the best reasoner that fits this machine"
)


def run(
    session: Session, params: Mapping[str, Any], engine: WorkerEngine, control: Control
) -> ExitCode:
    """Solve what was typed on an engine that has been started and not loaded.

    Args:
        params: by the names of SolveOptions' fields.
    Returns: ANSWER, or NO_ANSWER when the model gave none. Raises: QvqError for all else.
    """
    options = SolveOptions(**{name: params[name] for name in SolveOptions._fields})
    with make_view(settings.view_options(options), session.env) as view:
        session.view = view
        engine.on_notice = lambda reference, message: view.handle(Notice(reference, message))
        save = settings.save_path(options)
        inputs = _read_inputs(session, options)
        choice = resolve_model(
            options.model, options.mmproj, environ=session.env.variables, config=session.config
        )
        draft = _find_draft(session, options, choice)
        policy = settings.make_policy(options, choice)
        limits = settings.image_limits(options, choice.profile.limits)
        dialect = settings.choose_dialect(options, choice)
        machine = planning.look_at_memory(engine.devices())
        _load_ahead(engine, options, choice, inputs, limits, policy, machine, draft)
        # What the worker's loading gives the time for.
        from qvq_cli.reasoning.solver import About, Problem, Solver

        pictures = _load_pictures(session, inputs, limits, view)
        image_tokens = tuple(picture.image_tokens for picture in pictures)
        policy = settings.add_looks(policy, options, dialect, image_tokens)
        demand = planning.make_demand(options, choice, inputs, image_tokens, policy)
        plan = planning.make_plan(options, choice, demand, machine, draft)
        if not options.force:
            require_fit(plan, choice.name, choice.entry)
            policy = planning.fitted_policy(policy, plan)
        tell = view.handle if save is None else _keeping(save, pictures, view)
        solver = Solver(engine, policy, control, tell)
        engine.on_notice = solver.notice
        cache = (
            cache_spec(session.env.variables, session.config, choice, plan)
            if options.cache
            else None
        )
        spec = _load_spec(options, choice, plan, draft, cache)
        planned = planning.notices(options, choice, policy, plan, spec)
        _say_what_is_special(solver, choice, pictures, planned)
        problem = Problem(
            question=inputs.question,
            system=settings.system_prompt(options, choice),
            bitmaps=tuple(picture.bitmap for picture in pictures),
            dialect=dialect,
        )
        about = About(
            model=ModelUsed(choice.name, choice.quant, choice.files, draft.name if draft else None),
            images=tuple(_image_used(picture) for picture in pictures),
            started_s=session.started_s,
        )
        record = solver.solve(spec, problem, about)
    return ExitCode.ANSWER if record.answer is not None else ExitCode.NO_ANSWER


def _load_spec(
    options: SolveOptions,
    choice: ModelChoice,
    plan: RunPlan,
    draft: Draft | None,
    cache: CacheSpec | None = None,
) -> LoadSpec:
    return planning.load_spec(
        choice,
        plan,
        threads=options.threads,
        device=options.device,
        repack=options.repack,
        cache=cache,
        drafts=options.drafts,
        draft=draft,
    )


def _load_ahead(
    engine: WorkerEngine,
    options: SolveOptions,
    choice: ModelChoice,
    inputs: Inputs,
    limits: ImageLimits,
    policy: Policy,
    machine: Machine,
    draft: Draft | None,
) -> None:
    """Begin to load the model where all of it will lie in one place, whatever the pictures are.

    It must fit with the largest pictures that may come; then it does with those that do.
    """
    if options.look_again is not None:
        return  # what looks take is known with the pictures
    largest = (limits.image_tokens_max,) * len(inputs.pictures)
    demand = planning.make_demand(options, choice, inputs, largest, policy)
    plan = planning.make_plan(options, choice, demand, machine, draft)
    if plan.fits and (not machine.gpus or plan.offload.n_gpu_layers == ALL_LAYERS):
        engine.load_ahead(_load_spec(options, choice, plan, draft))


def _read_inputs(session: Session, options: SolveOptions) -> Inputs:
    is_terminal = session.env.stdin_is_terminal
    if not options.quiet and reads_keyboard(options.arguments, stdin_is_terminal=is_terminal):
        session.env.stderr.write(KEYBOARD_PROMPT)
    return read_inputs(options.arguments, session.stdin_bytes, stdin_is_terminal=is_terminal)


def _keeping(save: Path, pictures: Sequence["Picture"], view: View) -> Callable[[Event], None]:
    """Show events, and save the record whatever becomes of showing it, also that of half a run."""
    from qvq_cli.ui.save import save_record

    def tell(event: Event) -> None:
        try:
            view.handle(event)
        finally:
            if isinstance(event, Solved | CutOff):
                save_record(save, event.record, [_saved(picture) for picture in pictures])
        if isinstance(event, CutOff):
            view.handle(Notice("saved-unfinished", f"what was said until now is in {save}"))

    return tell


def _find_draft(session: Session, options: SolveOptions, choice: ModelChoice) -> Draft | None:
    wanted = wanted_draft(options.draft, drafts=options.drafts, votes=options.votes)
    if wanted is None:
        return None
    return find_draft(wanted, choice.entry, choice.pair.text.n_vocab, session.env.variables)


def _say_what_is_special(
    solver: "Solver",
    choice: ModelChoice,
    pictures: Sequence["Picture"],
    planned: Iterable[tuple[str, str]],
) -> None:
    """Notices about this run that a person should have before waiting for it."""
    for notice in planned:
        solver.notice(*notice)
    for picture in pictures:
        if picture.is_blank:
            solver.notice("blank-picture", f"{picture.source} {BLANK_NOTICE}")
        if picture.n_frames > 1:
            frames = f"{picture.n_frames} {FRAMES_NOTICE}"
            solver.notice("first-frame-only", f"{picture.source} has {frames}")
    if choice.is_embedded:
        solver.notice("embedded-model", EMBEDDED_NOTICE)


def _load_pictures(
    session: Session, inputs: Inputs, limits: ImageLimits, view: View
) -> list["Picture"]:
    from qvq_cli.engine.images import load_picture

    stdin = None if session.env.stdin_is_terminal else session.stdin_bytes
    pictures = []
    for source in inputs.pictures:
        pictures.append(load_picture(source, limits, stdin))
        view.handle(ImageReady(_image_used(pictures[-1])))
    return pictures


def _image_used(picture: "Picture") -> ImageUsed:
    return ImageUsed(
        source=picture.source,
        sha256=picture.sha256,
        width_px=picture.width_px,
        height_px=picture.height_px,
        used_width_px=picture.bitmap.width_px,
        used_height_px=picture.bitmap.height_px,
        tokens=picture.image_tokens,
    )


def _saved(picture: "Picture") -> "SavedPicture":
    from qvq_cli.engine.images import embeddable
    from qvq_cli.ui.pictures import Picture as SavedPicture

    mime, data = embeddable(picture)
    return SavedPicture(picture.source, mime, data)
