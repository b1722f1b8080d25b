"""`qvq solve`: from what was typed to an exit code.

The order is the promise: whatever can be wrong with the command line, the model's files, the
pictures and the memory is found before the model is loaded.
"""
# ruff: noqa: ARG001  # Typer reads the parameters of `solve`; their values come through ctx.params

from contextlib import closing
from dataclasses import fields

import typer

from qvq_cli.cli import options as opt
from qvq_cli.cli import settings
from qvq_cli.cli.inputs import Inputs, read_inputs
from qvq_cli.cli.interrupts import interrupts
from qvq_cli.cli.session import Session
from qvq_cli.cli.settings import SolveOptions
from qvq_cli.engine.grid import ImageLimits
from qvq_cli.engine.images import Picture, embeddable, load_picture
from qvq_cli.engine.process import WorkerEngine
from qvq_cli.errors import AbortedError, ExitCode
from qvq_cli.hub.store import ModelChoice, resolve_model
from qvq_cli.reasoning.events import ImageReady, ImageUsed, ModelUsed, Record
from qvq_cli.reasoning.solver import About, Control, Problem, Solver
from qvq_cli.ui.pictures import Picture as SavedPicture
from qvq_cli.ui.save import save_record
from qvq_cli.ui.view import View, make_view

BLANK_NOTICE = (
    "is one colour all over; a white drawing on a transparent background comes out like that"
)
EMBEDDED_NOTICE = (
    "nano answers, the 13 MB model that comes with the program: it reads tables of derivatives and "
    "nothing else; `--model qvq-72b-preview` tells how to get QVQ"
)


def solve(
    ctx: typer.Context,
    arguments: opt.Arguments,
    max_thinking: opt.MaxThinking = None,
    max_answer: opt.MaxAnswer = 512,
    system: opt.System = None,
    answer_only: opt.AnswerOnly = False,
    answer_format: opt.AnswerFormatOption = None,
    json: opt.Json = False,
    jsonl: opt.Jsonl = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
    save: opt.Save = None,
    model: opt.Model = None,
    mmproj: opt.Mmproj = None,
    dialect: opt.DialectOption = None,
    temperature: opt.Temperature = None,
    top_p: opt.TopP = None,
    top_k: opt.TopK = None,
    min_p: opt.MinP = None,
    repeat_penalty: opt.RepeatPenalty = None,
    seed: opt.Seed = 0,
    image_tokens_min: opt.ImageTokensMin = None,
    image_tokens_max: opt.ImageTokensMax = None,
    n_gpu_layers: opt.GpuLayers = "auto",
    device: opt.Device = None,
    threads: opt.Threads = None,
    repack: opt.Repack = True,
    force: opt.Force = False,
) -> None:
    """Solve a problem: pictures, then the question.

    The reasoning is shown as it comes, on stderr; the answer goes to stdout. Ctrl-C once makes the
    model answer now, twice stops.
    """
    session: Session = ctx.obj
    names = [field.name for field in fields(SolveOptions)]
    options = SolveOptions(**{name: ctx.params[name] for name in names})
    try:
        code = _Run(session, options).run()
    except KeyboardInterrupt:
        raise AbortedError("interrupted") from None
    raise typer.Exit(code)


class _Run:
    """One call of `qvq solve`."""

    def __init__(self, session: Session, options: SolveOptions) -> None:
        self._session = session
        self._options = options

    def run(self) -> ExitCode:
        """Returns: ANSWER, or NO_ANSWER when the model gave none. Raises: QvqError for all else."""
        options, session = self._options, self._session
        with make_view(settings.view_options(options), session.env) as view:
            session.view = view
            save = settings.save_path(options)
            inputs = self._read_inputs()
            choice = resolve_model(
                options.model,
                options.mmproj,
                environ=session.env.variables,
                config=session.config,
            )
            record, pictures = self._solve(inputs, choice, view)
            if save is not None:
                save_record(save, record, [_saved(picture) for picture in pictures])
        return ExitCode.ANSWER if record.answer is not None else ExitCode.NO_ANSWER

    def _solve(
        self, inputs: Inputs, choice: ModelChoice, view: View
    ) -> tuple[Record, list[Picture]]:
        options = self._options
        policy = settings.make_policy(options, choice)
        limits = settings.image_limits(options, choice.profile.limits)
        control = Control()
        # The worker starts up while the pictures are read; it is told what to load after that.
        engine = WorkerEngine(
            verbose=options.verbose, on_notice=lambda *notice: solver.notice(*notice)
        )
        solver = Solver(engine, policy, control, view.handle)
        with closing(engine), interrupts(control):
            pictures = self._load_pictures(inputs, limits, view)
            plan = settings.plan_run(choice, inputs, pictures, policy)
            devices = engine.devices()
            if not options.force:
                settings.refuse_unless_fits(plan, choice, policy, devices)
            spec = settings.load_spec(options, choice, plan, devices)
            for picture in pictures:
                if picture.is_blank:
                    solver.notice("blank-picture", f"{picture.source} {BLANK_NOTICE}")
            if choice.is_embedded:
                solver.notice("embedded-model", EMBEDDED_NOTICE)
            problem = Problem(
                question=inputs.question,
                system=choice.profile.system if options.system is None else options.system,
                bitmaps=tuple(picture.bitmap for picture in pictures),
                dialect=settings.choose_dialect(options, choice),
            )
            about = About(
                model=ModelUsed(choice.name, choice.quant, choice.files),
                images=tuple(_image_used(picture) for picture in pictures),
                started_s=self._session.started_s,
            )
            return solver.solve(spec, problem, about), pictures

    def _read_inputs(self) -> Inputs:
        session = self._session
        return read_inputs(
            self._options.arguments,
            session.stdin_bytes,
            stdin_is_terminal=session.env.stdin_is_terminal,
        )

    def _load_pictures(self, inputs: Inputs, limits: ImageLimits, view: View) -> list[Picture]:
        session = self._session
        stdin = None if session.env.stdin_is_terminal else session.stdin_bytes
        pictures = []
        for source in inputs.pictures:
            pictures.append(load_picture(source, limits, stdin))
            view.handle(ImageReady(_image_used(pictures[-1])))
        return pictures


def _image_used(picture: Picture) -> ImageUsed:
    return ImageUsed(
        source=picture.source,
        sha256=picture.sha256,
        width_px=picture.width_px,
        height_px=picture.height_px,
        used_width_px=picture.bitmap.width_px,
        used_height_px=picture.bitmap.height_px,
        tokens=picture.image_tokens,
    )


def _saved(picture: Picture) -> SavedPicture:
    mime, data = embeddable(picture)
    return SavedPicture(picture.source, mime, data)
