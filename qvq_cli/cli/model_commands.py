"""The commands about models as Typer sees them: parameters, help, and nothing else.

Each body imports the module that does the work: `qvq --help` and `qvq solve` read this one too.
"""

import typer

from qvq_cli.cli import model_options as opt
from qvq_cli.cli import options as solve_opt
from qvq_cli.cli.session import Session


def pull(
    ctx: typer.Context,
    model: opt.Wanted = None,
    quant: opt.Quant = None,
    dry_run: opt.DryRun = False,
    to: opt.To = None,
    print_urls: opt.PrintUrls = False,
    yes: opt.Yes = False,
    json: opt.Json = False,
) -> None:
    """Download a model: say what it costs, ask, resume, check every byte.

    Without a name it is QVQ, in the best quant that fits this machine. Interrupt it whenever you
    like: the same command goes on where it stopped. Afterwards nothing needs the network again.

    The files go to the Hugging Face cache (HF_HOME), shared with other tools. HF_TOKEN opens gated
    models, HF_ENDPOINT names another Hub. It asks on a terminal only; in a pipe or a script it
    goes ahead, as with --yes. The last thing it prints, on stdout, is the path of the model.
    """
    from qvq_cli.cli.interrupts import ends_tidily
    from qvq_cli.cli.pull import PullOptions, run

    session: Session = ctx.obj
    with ends_tidily():
        run(session, PullOptions(model, quant, to, dry_run, print_urls, yes), json=json)


def models(ctx: typer.Context, json: opt.Json = False) -> None:
    """List the models: installed ones first, then those to pull.

    MEMORY is what a usual run needs, FITS whether that is free now, SPEED a rough estimate from
    the speed of this machine's memory.
    """
    from qvq_cli.cli.models import run

    run(ctx.obj, json=json)


def show(ctx: typer.Context, model: opt.Known, json: opt.Json = False) -> None:
    """Show one model: where it is from, how it is run, each of its quants on this machine."""
    from qvq_cli.cli.show import run

    run(ctx.obj, model, json=json)


def rm(
    ctx: typer.Context, model: opt.Installed, yes: opt.Yes = False, json: opt.Json = False
) -> None:
    """Remove an installed model: say what that frees, ask, delete.

    Files that another installed model uses are kept, and so are files that were imported with
    --link. Where there is nobody to ask (a pipe, a script), it wants --yes.
    """
    from qvq_cli.cli.rm import run

    run(ctx.obj, model, is_agreed=yes, json=json)


def verify(
    ctx: typer.Context,
    model: opt.Checked = None,
    repair: opt.Repair = False,
    json: opt.Json = False,
) -> None:
    """Read every byte of installed models again and compare its sha256.

    Prints a line for each file, PATH: OK or what is wrong with it. On a terminal it offers to get
    broken files again, and only those; --repair does so without asking. Ends with 65 where
    something stays broken.
    """
    from qvq_cli.cli.interrupts import ends_tidily
    from qvq_cli.cli.verify import run

    with ends_tidily():
        run(ctx.obj, model, is_repair_agreed=repair, json=json)


def import_(
    ctx: typer.Context,
    paths: opt.Paths,
    mmproj: opt.Mmproj = None,
    copy: opt.Copy = True,
    json: opt.Json = False,
) -> None:
    """Install a model from files: from a USB stick, from another program.

    Model and mmproj are checked to belong together, every byte is hashed, and compared with what
    the catalog knows. On another computer, [cyan]qvq pull MODEL --to DIR[/] fills such a folder.
    """
    from qvq_cli.cli.import_model import run
    from qvq_cli.cli.interrupts import ends_tidily

    with ends_tidily():
        run(ctx.obj, paths, mmproj, is_copied=copy, json=json)


def plan(
    ctx: typer.Context,
    model: opt.Planned = None,
    quant: opt.Quant = None,
    max_thinking: solve_opt.MaxThinking = None,
    max_answer: solve_opt.MaxAnswer = 512,
    votes: solve_opt.Votes = 1,
    image_tokens_max: solve_opt.ImageTokensMax = None,
    kv_type: solve_opt.KvType = "auto",
    n_gpu_layers: solve_opt.GpuLayers = "auto",
    device: solve_opt.Device = None,
    draft: solve_opt.Draft = None,
    json: opt.Json = False,
) -> None:
    """Show where a run's memory would go, whether it fits, and why.

    Weights, mmproj, KV cache and compute buffers on each device; context, KV type and GPU layers as
    solve would choose them. For one picture and a short question. Ends with 71 where it doesn't
    fit.
    """
    from qvq_cli.cli.plan import PlanOptions, run

    options = PlanOptions(
        model=model,
        quant=quant,
        max_thinking=max_thinking,
        max_answer=max_answer,
        votes=votes,
        image_tokens_max=image_tokens_max,
        kv_type=kv_type,
        n_gpu_layers=n_gpu_layers,
        device=device,
        draft=solve_opt.draft_over_defaults(ctx, draft, is_useless=votes > 1),
    )
    run(ctx.obj, options, json=json)


def cache(ctx: typer.Context, json: opt.Json = False) -> None:
    """List what is kept of pictures and of what was said of them, or clear it.

    After a picture is read, what that cost is kept on disk (QVQ_CACHE), so that the next question
    about it begins at once: the model's state behind the picture, and the picture's embeddings for
    other system prompts. What was said of it is kept, too: asked again, it is checked several
    tokens at once. The least recently used go first; QVQ_CACHE_BYTES or cache-bytes in the config
    file is the limit, 0 keeps nothing, and [cyan]qvq solve --no-cache[/] leaves it alone.
    """
    if ctx.invoked_subcommand is None:
        from qvq_cli.cli.cache import run

        run(ctx.obj, json=json)


def cache_clear(ctx: typer.Context, yes: opt.Yes = False, json: opt.Json = False) -> None:
    """Remove everything from the cache: say what that frees, ask, delete.

    Where there is nobody to ask (a pipe, a script), it wants --yes.
    """
    from qvq_cli.cli.cache import clear

    # `qvq cache --json clear` means the same as `qvq cache clear --json`.
    is_typed_before = ctx.parent is not None and bool(ctx.parent.params.get("json"))
    clear(ctx.obj, is_agreed=yes, json=json or is_typed_before)


def doctor(ctx: typer.Context, offline: opt.Offline = False, json: opt.Json = False) -> None:
    """Check this installation: Python, llama.cpp, GPUs, memory, disk, Hub, models, a real solve.

    Says what is wrong and what to type. Ends with 0 only when a solve would work. The Hub is asked
    for one page, for three seconds at most, and not at all with --offline or HF_HUB_OFFLINE=1.
    """
    from qvq_cli.cli.doctor import run

    run(ctx.obj, is_offline=offline, json=json)


def bench(
    ctx: typer.Context,
    model: opt.Benched = None,
    quant: opt.Quant = None,
    seconds: opt.Seconds = 60.0,
    plot: opt.Plot = None,
    n_gpu_layers: solve_opt.GpuLayers = "auto",
    device: solve_opt.Device = None,
    threads: solve_opt.Threads = None,
    repack: solve_opt.Repack = None,
    force: solve_opt.Force = False,
    json: opt.Json = False,
    verbose: solve_opt.Verbose = False,
) -> None:
    """Measure what this machine does with a model, and forecast QVQ at each of its quants.

    Loading, a picture, the prompt, decoding, batches of 1 to 8 tokens and what they make of drafts
    and votes. A model of 0.3 GB or more tells QVQ's speed by its own; with a smaller one, such as
    nano, single matrices of QVQ's shape are timed instead. Each forecast says how it came about.

    Ctrl-C ends the measuring and shows what there is by then. Ends with 71 where the model doesn't
    fit.
    """
    from qvq_cli.cli.bench import BenchOptions, run

    options = BenchOptions(
        model, quant, seconds, plot, n_gpu_layers, device, threads, repack, force, verbose
    )
    run(ctx.obj, options, json=json)
