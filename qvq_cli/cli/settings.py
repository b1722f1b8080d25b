"""What the options of `qvq solve` mean: from words that were typed to what the layers below take.

Everything here is pure translation and refuses what contradicts itself; nothing is run.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from qvq_cli.cli.choices import parse_choice
from qvq_cli.cli.inputs import typed_text
from qvq_cli.cli.wishes import check_votes
from qvq_cli.engine.grid import ImageLimits
from qvq_cli.engine.protocol import Sampling
from qvq_cli.errors import UsageError
from qvq_cli.hub.store import ModelChoice
from qvq_cli.reasoning.budget import ThinkingBudget, parse_thinking_budget
from qvq_cli.reasoning.look_again import LookAgain
from qvq_cli.reasoning.policy import Policy
from qvq_cli.reasoning.transcript import Dialect
from qvq_cli.ui.view import Form, ViewOptions

VOTES_SAMPLING = Sampling(temperature=0.6, top_p=0.95, top_k=40)
"""Of chains that vote, for models whose own sampling is greedy.

Source: the model card of QwQ-32B, QVQ's sibling for text (top_k "between 20 and 40"); within what
the paper on self-consistency used (temperature 0.5 to 0.7, top_k 40).
"""
GREEDY_TOP_P = 0.01


class SolveOptions(NamedTuple):
    """What was typed, in the names of `solve`'s parameters; None where the model's own applies."""

    arguments: list[str]
    max_thinking: str | None
    max_answer: int
    votes: int
    look_again: int | None
    system: str | None
    answer_only: bool
    answer_format: str | None
    json: bool
    jsonl: bool
    quiet: bool
    verbose: bool
    save: str | None
    model: str | None
    mmproj: str | None
    dialect: str | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    repeat_penalty: float | None
    seed: int
    image_tokens_min: int | None
    image_tokens_max: int | None
    n_gpu_layers: str
    kv_type: str
    device: str | None
    threads: int | None
    repack: bool | None
    cache: bool
    drafts: bool
    draft: str | None
    force: bool


def view_options(options: SolveOptions) -> ViewOptions:
    forms = [
        form
        for form, is_wanted in (
            (Form.ANSWER_ONLY, options.answer_only),
            (Form.JSON, options.json),
            (Form.JSONL, options.jsonl),
        )
        if is_wanted
    ]
    if len(forms) > 1:
        raise UsageError(
            f"--{forms[0]} and --{forms[1]} exclude each other",
            hint="choose one of --answer-only, --json and --jsonl",
            reference="conflicting-output",
        )
    return ViewOptions(
        form=forms[0] if forms else Form.TEXT,
        quiet=options.quiet,
        verbose=options.verbose,
        format_answer=_answer_formatter(options),
    )


def _answer_formatter(options: SolveOptions) -> Callable[..., str] | None:
    if options.answer_format is None:
        return None
    from qvq_cli.reasoning.answer import AnswerFormat, format_answer

    wanted = parse_choice("--answer-format", options.answer_format, AnswerFormat)
    return partial(format_answer, form=wanted)


def save_path(options: SolveOptions) -> Path | None:
    if options.save is None:
        return None
    from qvq_cli.ui.save import check_save_path  # takes 10 ms that few runs need

    path = Path(options.save)
    check_save_path(path)
    return path


def choose_dialect(options: SolveOptions, choice: ModelChoice) -> Dialect:
    if options.dialect is None:
        return Dialect(choice.profile.dialect)
    return parse_choice("--dialect", options.dialect, Dialect)


def system_prompt(options: SolveOptions, choice: ModelChoice) -> str:
    """Raises: PromptError: what was typed isn't text."""
    if options.system is None:
        return choice.profile.system
    return typed_text(options.system, "the system prompt")


def make_policy(options: SolveOptions, choice: ModelChoice) -> Policy:
    if options.max_thinking is None:
        budget = ThinkingBudget(max_tokens=choice.profile.max_thinking)
    else:
        budget = parse_thinking_budget(options.max_thinking)
    if options.votes > 1 and options.look_again is not None:
        raise UsageError(
            "--votes and --look-again exclude each other",
            hint="look again in one chain, or let several vote",
            reference="votes-look-again",
        )
    sampling = _sampling(options, choice.profile.sampling)
    n_chains = check_votes(options.votes)
    return Policy(budget, options.max_answer, sampling, n_chains=n_chains)


def needs_chance(options: SolveOptions, sampling: Sampling) -> bool:
    """Whether chains of a vote are to be sampled though the model's own sampling is greedy."""
    is_typed = options.temperature is not None
    return options.votes > 1 and not is_typed and is_greedy(sampling)


def is_greedy(sampling: Sampling) -> bool:
    """Whether this sampling all but always takes the likeliest token."""
    return sampling.temperature <= 0 or sampling.top_k == 1 or sampling.top_p < GREEDY_TOP_P


def _sampling(options: SolveOptions, own: Sampling) -> Sampling:
    """The model's own sampling, or that of votes where it needs one, with what was typed.

    Raises: UsageError: votes of chains that would all be the same.
    """
    base = VOTES_SAMPLING._replace(repeat_penalty=own.repeat_penalty)
    chosen = {
        name: getattr(options, name)
        for name in ("temperature", "top_p", "top_k", "min_p", "repeat_penalty", "seed")
        if getattr(options, name) is not None
    }
    sampling = (base if needs_chance(options, own) else own)._replace(**chosen)
    if options.votes > 1 and is_greedy(sampling):
        raise UsageError(
            f"--votes {options.votes} with greedy sampling would think the same "
            f"{options.votes} times",
            hint="leave out --temperature, --top-k and --top-p, or give --votes 1",
            reference="votes-without-chance",
        )
    return sampling


def add_looks(
    policy: Policy, options: SolveOptions, dialect: Dialect, image_tokens: tuple[int, ...]
) -> Policy:
    """The policy with the looks at the pictures that were asked for, where a model reasons."""
    if options.look_again is None or dialect is Dialect.PLAIN or policy.budget.max_tokens == 0:
        return policy
    return policy._replace(looks=LookAgain(options.look_again, image_tokens))


def image_limits(options: SolveOptions, limits: ImageLimits) -> ImageLimits:
    """The model's limits with what was typed; a single typed limit moves the other if it must."""
    lowest, highest = options.image_tokens_min, options.image_tokens_max
    if lowest is not None and highest is not None and lowest > highest:
        raise UsageError(
            f"--image-tokens-min {lowest} is more than --image-tokens-max {highest}",
            hint="raise --image-tokens-max, or leave one of the two to the model",
            reference="conflicting-image-tokens",
        )
    return limits._replace(
        image_tokens_min=min(limits.image_tokens_min, highest or lowest or 1 << 30)
        if lowest is None
        else lowest,
        image_tokens_max=max(limits.image_tokens_max, lowest or 0) if highest is None else highest,
    )
