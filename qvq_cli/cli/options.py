"""The options of `qvq solve` as types: name, help and group, once each.

A value that can be judged on its own is judged while the command line is read, before anything is
started; the modules that know how are imported only where there is one.
"""

from typing import Annotated

import typer

from qvq_cli.cli.choices import parse_choice, parse_gpu_layers, parse_kv_type
from qvq_cli.cli.refusal import checked

THINKING = "Thinking and answer"
OUTPUT = "Output"
MODEL = "Model"
SAMPLING = "Sampling"
PICTURES = "Pictures"
MACHINE = "Machine"


def _check_max_thinking(typed: str) -> None:
    from qvq_cli.reasoning.budget import parse_thinking_budget

    parse_thinking_budget(typed)


def _check_dialect(typed: str) -> None:
    from qvq_cli.reasoning.transcript import Dialect

    parse_choice("--dialect", typed, Dialect)


def _check_answer_format(typed: str) -> None:
    from qvq_cli.reasoning.answer import AnswerFormat

    parse_choice("--answer-format", typed, AnswerFormat)


Arguments = Annotated[
    list[str],
    typer.Argument(
        metavar="PICTURE... QUESTION",
        help="Pictures first: files, [cyan]file.pdf#3[/] for a page, [cyan]-[/] for stdin, "
        "[cyan]@clipboard[/]. Then the question: text, [cyan]@file[/], or [cyan]-[/] for stdin.",
        show_default=False,
    ),
]

MaxThinking = Annotated[
    str | None,
    typer.Option(
        metavar="TOKENS|TIME",
        help="The most thinking: [cyan]2048[/] tokens, [cyan]90s[/], [cyan]5m[/], [cyan]0[/] to "
        "answer at once, [cyan]none[/]. After that the model is made to answer.",
        callback=checked(_check_max_thinking),
        rich_help_panel=THINKING,
        show_default=False,
    ),
]
MaxAnswer = Annotated[
    int,
    typer.Option(
        metavar="TOKENS",
        min=16,
        max=32768,
        help="Room kept for the answer.",
        rich_help_panel=THINKING,
    ),
]
Votes = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Think N times at once, by chance each time otherwise, and vote on the answer.",
        rich_help_panel=THINKING,
    ),
]
LookAgain = Annotated[
    int | None,
    typer.Option(
        metavar="TOKENS",
        min=1,
        help="After every so many tokens of thinking, put the pictures in front of the model "
        "again: against losing sight of them, at the cost of reading them once more.",
        rich_help_panel=THINKING,
        show_default=False,
    ),
]
System = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="System prompt instead of the model's own; '' for none.",
        rich_help_panel=THINKING,
        show_default=False,
    ),
]

AnswerOnly = Annotated[
    bool,
    typer.Option(
        "--answer-only", "-a", help="Print the answer, nothing else.", rich_help_panel=OUTPUT
    ),
]
AnswerFormatOption = Annotated[
    str | None,
    typer.Option(
        "--answer-format",
        metavar="latex|text|number",
        help="The answer as the model wrote it, as plain text, or as a number.",
        callback=checked(_check_answer_format),
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object.", rich_help_panel=OUTPUT)
]
Jsonl = Annotated[
    bool,
    typer.Option("--jsonl", help="Print every event as a line of JSON.", rich_help_panel=OUTPUT),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Nothing on stderr but errors.", rich_help_panel=OUTPUT),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="llama.cpp's log on stderr.", rich_help_panel=OUTPUT),
]
Save = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.md|.html|.json",
        help="Write picture, question, reasoning, answer and settings to one file.",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME|FILE|hf:OWNER/REPO",
        help="The model, FILE being a GGUF; also QVQ_MODEL or the config file. "
        "Default: the best installed, else nano.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
Mmproj = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.gguf",
        help="Its vision projector. Default: the one beside the model.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
DialectOption = Annotated[
    str | None,
    typer.Option(
        "--dialect",
        metavar="heading|think-tags|plain",
        help="How the model ends its reasoning, where the file doesn't tell: QVQ's heading, "
        "</think>, or not at all.",
        callback=checked(_check_dialect),
        rich_help_panel=MODEL,
        show_default=False,
    ),
]

Temperature = Annotated[
    float | None,
    typer.Option(min=0.0, help="0 takes the likeliest token.", rich_help_panel=SAMPLING),
]
TopP = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        help="Only the likeliest that make up this share.",
        rich_help_panel=SAMPLING,
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(
        min=0, help="Only this many of the likeliest; 0 for all.", rich_help_panel=SAMPLING
    ),
]
MinP = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        help="Only those at least this likely, next to the likeliest.",
        rich_help_panel=SAMPLING,
    ),
]
RepeatPenalty = Annotated[
    float | None,
    typer.Option(
        min=0.1, help="Above 1, what was just said gets less likely.", rich_help_panel=SAMPLING
    ),
]
Seed = Annotated[
    int, typer.Option(min=0, max=2**32 - 1, help="Same seed, same run.", rich_help_panel=SAMPLING)
]

ImageTokensMin = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=16384,
        metavar="TOKENS",
        help="Enlarge smaller pictures to this. Default: the model's own.",
        rich_help_panel=PICTURES,
        show_default=False,
    ),
]
ImageTokensMax = Annotated[
    int | None,
    typer.Option(
        min=4,
        max=16384,
        metavar="TOKENS",
        help="Shrink larger pictures to this.",
        rich_help_panel=PICTURES,
        show_default=False,
    ),
]

GpuLayers = Annotated[
    str,
    typer.Option(
        "--n-gpu-layers",
        "-ngl",
        metavar="auto|N",
        help="Layers on the GPU; 0 stays on the CPU.",
        callback=checked(parse_gpu_layers),
        rich_help_panel=MACHINE,
    ),
]
KvType = Annotated[
    str,
    typer.Option(
        "--kv-type",
        metavar="auto|f16|q8_0",
        help="How the context is kept; q8_0 takes half the memory. auto takes f16 where it fits.",
        callback=checked(parse_kv_type),
        rich_help_panel=MACHINE,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="llama.cpp's name of the GPU to use, [cyan]none[/] for the CPU alone.",
        rich_help_panel=MACHINE,
        show_default=False,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=512,
        help="Threads, at most one for each CPU. Default: one for each physical core (tiny "
        "models: one, and up to two for several tokens at once).",
        envvar="QVQ_THREADS",
        rich_help_panel=MACHINE,
        show_default=False,
    ),
]
Repack = Annotated[
    bool | None,
    typer.Option(
        help="Let llama.cpp rewrite the weights for this CPU when it loads them. Default: where "
        "that makes it faster. Never done on CPUs with AMX.",
        rich_help_panel=MACHINE,
    ),
]
Cache = Annotated[
    bool,
    typer.Option(
        help="Keep on disk what the pictures cost and what was said, for the next question.",
        rich_help_panel=MACHINE,
    ),
]
Drafts = Annotated[
    bool,
    typer.Option(
        help="Guess tokens from the text so far, and from what was said of the picture before, and "
        "check several at once where that is faster.",
        rich_help_panel=MACHINE,
    ),
]
Draft = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE|auto",
        help="A smaller model of the same vocabulary that guesses too; a text-only GGUF will do. "
        "[cyan]auto[/] takes the one that the catalog names. Only what the model itself chooses is "
        "kept.",
        envvar="QVQ_DRAFT",
        rich_help_panel=MACHINE,
        show_default=False,
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Load even what seems too large.", rich_help_panel=MACHINE),
]


def draft_over_defaults(ctx: typer.Context, draft: str | None, *, is_useless: bool) -> str | None:
    """--draft as given; where it is useless, only if it was typed and so is to be refused.

    A variable or the config file is for the runs that can have a draft model.
    """
    source = ctx.get_parameter_source("draft")
    is_typed = source is not None and source.name == "COMMANDLINE"
    return None if is_useless and not is_typed else draft
