"""What the options of `qvq solve` mean: from words that were typed to what the layers below take.

Everything here is pure translation and refuses what contradicts itself; nothing is run.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TypeVar

from qvq_cli.engine.grid import ImageLimits
from qvq_cli.errors import UsageError
from qvq_cli.hub.store import ModelChoice
from qvq_cli.reasoning.budget import ThinkingBudget, parse_thinking_budget
from qvq_cli.reasoning.chain import Policy
from qvq_cli.reasoning.look_again import LookAgain
from qvq_cli.reasoning.transcript import Dialect
from qvq_cli.ui.save import check_save_path
from qvq_cli.ui.view import Form, ViewOptions

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class SolveOptions:
    """What was typed, in the names of `solve`'s parameters; None where the model's own applies."""

    arguments: list[str]
    max_thinking: str | None
    max_answer: int
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
    repack: bool
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

    wanted = _choice("--answer-format", options.answer_format, AnswerFormat)
    return partial(format_answer, form=wanted)


def _choice(option: str, typed: str, choices: type[Choice]) -> Choice:
    try:
        return choices(typed.lower())
    except ValueError:
        raise UsageError(
            f"{option} can't be {typed!r}",
            hint=f"choose one of {', '.join(choices)}",
            reference="bad-choice",
        ) from None


def save_path(options: SolveOptions) -> Path | None:
    if options.save is None:
        return None
    path = Path(options.save)
    check_save_path(path)
    return path


def wanted_draft(options: SolveOptions) -> str | None:
    """What --draft names. Raises: UsageError: there are to be no drafts."""
    if options.draft and not options.drafts:
        raise UsageError(
            "--draft and --no-drafts exclude each other",
            hint="leave one of them out; --drafts is for a config file that says drafts = false",
            reference="conflicting-drafts",
        )
    return options.draft or None


def choose_dialect(options: SolveOptions, choice: ModelChoice) -> Dialect:
    if options.dialect is None:
        return Dialect(choice.profile.dialect)
    return _choice("--dialect", options.dialect, Dialect)


def make_policy(options: SolveOptions, choice: ModelChoice) -> Policy:
    if options.max_thinking is None:
        budget = ThinkingBudget(max_tokens=choice.profile.max_thinking)
    else:
        budget = parse_thinking_budget(options.max_thinking)
    chosen = {
        name: getattr(options, name)
        for name in ("temperature", "top_p", "top_k", "min_p", "repeat_penalty", "seed")
        if getattr(options, name) is not None
    }
    return Policy(budget, options.max_answer, replace(choice.profile.sampling, **chosen))


def add_looks(
    policy: Policy, options: SolveOptions, dialect: Dialect, image_tokens: tuple[int, ...]
) -> Policy:
    """The policy with the looks at the pictures that were asked for, where a model reasons."""
    if options.look_again is None or dialect is Dialect.PLAIN or policy.budget.max_tokens == 0:
        return policy
    return replace(policy, looks=LookAgain(options.look_again, image_tokens))


def image_limits(options: SolveOptions, limits: ImageLimits) -> ImageLimits:
    """The model's limits with what was typed; a single typed limit moves the other if it must."""
    lowest, highest = options.image_tokens_min, options.image_tokens_max
    if lowest is not None and highest is not None and lowest > highest:
        raise UsageError(
            f"--image-tokens-min {lowest} is more than --image-tokens-max {highest}",
            reference="conflicting-image-tokens",
        )
    return replace(
        limits,
        image_tokens_min=min(limits.image_tokens_min, highest or lowest or 1 << 30)
        if lowest is None
        else lowest,
        image_tokens_max=max(limits.image_tokens_max, lowest or 0) if highest is None else highest,
    )
