"""`qvq solve` as Typer sees it: its parameters and nothing that takes time to import."""
# ruff: noqa: ARG001  # Typer reads the parameters of `solve`; their values come through ctx.params

from contextlib import closing

import typer

from qvq_cli.cli import options as opt
from qvq_cli.cli.interrupts import interrupts
from qvq_cli.cli.session import Session
from qvq_cli.errors import AbortedError
from qvq_cli.reasoning.control import Control


def solve(
    ctx: typer.Context,
    arguments: opt.Arguments,
    max_thinking: opt.MaxThinking = None,
    max_answer: opt.MaxAnswer = 512,
    votes: opt.Votes = 1,
    look_again: opt.LookAgain = None,
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
    kv_type: opt.KvType = "auto",
    device: opt.Device = None,
    threads: opt.Threads = None,
    repack: opt.Repack = None,
    cache: opt.Cache = True,
    drafts: opt.Drafts = True,
    draft: opt.Draft = None,
    force: opt.Force = False,
) -> None:
    """Solve a problem: pictures, then the question.

    The reasoning is shown as it comes, on stderr; the answer goes to stdout.

    Ctrl-C once makes the model answer now, twice stops.
    """
    session: Session = ctx.obj
    control = Control()
    ctx.params["draft"] = opt.draft_over_defaults(ctx, draft, is_useless=not drafts or votes > 1)
    try:
        with interrupts(control):
            from qvq_cli.engine.process import WorkerEngine

            with closing(WorkerEngine(verbose=verbose, process=session.take_worker())) as engine:
                from qvq_cli.cli.solving import run

                code = run(session, ctx.params, engine, control)
    except KeyboardInterrupt:
        raise AbortedError("interrupted") from None
    raise typer.Exit(code)
