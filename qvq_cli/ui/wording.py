"""The sentences both renderers use, so that a pipe and a terminal tell the same story."""

from collections.abc import Sequence

from qvq_cli import __version__
from qvq_cli.errors import NoAnswerError
from qvq_cli.reasoning.events import Count, Finish, ImageUsed, LookedAgain, Record, Voted, Votes
from qvq_cli.ui.clean import clean_line
from qvq_cli.ui.spotlight import Shown

_LAST_WORDS_CHARS = 240
_ANSWER_CHARS = 32
_N_COUNTS = 3

_NO_ANSWER_BECAUSE = {
    Finish.CONCLUDED: "the model stopped without giving one",
    Finish.BUDGET: "the thinking budget was used up and the model gave none when asked",
    Finish.DEADLINE: "the time was up and the model gave none when asked",
    Finish.LOOP: "the model went round in circles and gave none when asked",
    Finish.INTERRUPTED: "the run was interrupted and the model gave none when asked",
    Finish.LENGTH: "the room for it was used up",
    Finish.CUT: "the vote was decided without it",
    Finish.ABORTED: "the run was cut off",
}
_MORE_THINKING = "allow more with --max-thinking, or put the question in other words"
_NO_ANSWER_HINTS = {
    Finish.CONCLUDED: "put the question in other words, or ask another model with --model",
    Finish.BUDGET: _MORE_THINKING,
    Finish.DEADLINE: _MORE_THINKING,
    Finish.LOOP: "put the question in other words, or try --temperature 0.7 and another --seed",
    Finish.INTERRUPTED: "let it think longer, or put the question in other words",
    Finish.LENGTH: "--max-answer gives the answer more room, --image-tokens-max the picture less",
    Finish.ABORTED: "run it again",
    Finish.CUT: "put the question in other words, or let more chains vote",
}


def image_line(image: ImageUsed) -> str:
    """`diagram.png  640x480 → 644x476 px, 391 tokens`"""
    before = f"{image.width_px}x{image.height_px}"
    after = f"{image.used_width_px}x{image.used_height_px}"
    return f"{clean_line(image.source)}  {before} → {after} px, {image.tokens} tokens"


def look_line(event: LookedAgain) -> str:
    """`looked at the picture again after 214 tokens: 162 cells, 1.2 s`"""
    return (
        f"looked at the picture again after {event.reasoning_tokens} tokens: {event.n_cells} "
        f"cells, {duration(event.look_s)}"
    )


def shown_line(shown: Shown) -> str:
    """`showing chain 2 of 8, from its token 214`"""
    place = f"showing chain {shown.chain + 1} of {shown.n_chains}"
    return f"{place}, from its token {shown.reasoning_tokens + 1}"


def vote_line(vote: Voted) -> str:
    """`chain 3 answers -29; 3 of 8 chains done: -29 x2, 14 x1`"""
    said = "gives no answer" if vote.answer is None else f"answers {short_answer(vote.answer)}"
    return f"chain {vote.chain + 1} {said}; {tally(vote)}"


def tally(vote: Voted) -> str:
    """`3 of 8 chains done: -29 x2, 14 x1`"""
    done = f"{vote.n_finished} of {vote.n_chains} chains done"
    return f"{done}: {counts_words(vote.counts)}" if vote.counts else done


def counts_words(counts: Sequence[Count]) -> str:
    """`-29 x2, 14 x1`, the rest as `and 2 others`"""
    words = ", ".join(f"{short_answer(each.answer)} x{each.n}" for each in counts[:_N_COUNTS])
    n_more = len(counts) - _N_COUNTS
    return f"{words} and {n_more} other{'' if n_more == 1 else 's'}" if n_more > 0 else words


def agreement(votes: Votes) -> str:
    """`agreed by 6 of 8 chains`; of those that came to their end before the vote was decided."""
    words = f"agreed by {votes.agreed} of {votes.n_finished} chains"
    n_cut = len(votes.chains) - votes.n_finished
    return f"{words}, {n_cut} cut" if n_cut else words


def short_answer(latex: str) -> str:
    """An answer as one short piece of a line."""
    from qvq_cli.latex import latex_to_unicode

    text = clean_line(latex_to_unicode(latex))
    return text if len(text) <= _ANSWER_CHARS else text[: _ANSWER_CHARS - 1] + "…"


def n_tokens_of(record: Record) -> int:
    """All tokens the model said, in all chains."""
    spent = (record.usage,) if record.votes is None else record.votes.chains
    return sum(each.reasoning_tokens + each.answer_tokens for each in spent)


def summary(record: Record) -> str:
    """`3 min 12 s · 812 tokens · 4.2 tok/s · QVQ-72B-Preview Q4_K_M`"""
    n_tokens = n_tokens_of(record)
    parts = [
        *([] if record.votes is None else [agreement(record.votes)]),
        duration(record.timings.total_s),
        f"{n_tokens} token{'' if n_tokens == 1 else 's'}",
        f"{record.timings.decode_tps:.1f} tok/s",
        clean_line(f"{record.model.name} {record.model.quant}").strip(),
    ]
    cached = from_cache(record)
    return " · ".join([*parts, cached] if cached else parts)


def from_cache(record: Record) -> str | None:
    """`pictures and prompt from the cache`, None where everything was computed."""
    n_cached, n_images = record.usage.cached_images, len(record.images)
    if not n_cached:
        return None
    what = "picture" if n_images == 1 else "pictures"
    if record.usage.cached_tokens:
        what += " and prompt"
    elif n_cached < n_images:
        what = f"{n_cached} of {n_images} pictures"
    return f"{what} from the cache"


def duration(seconds: float) -> str:
    """`1.2 s`, `43 s`, `3 min 12 s`, `2 h 05 min`"""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def clock_time(seconds: float) -> str:
    """`1:43`, `1:02:03`"""
    hours, rest = divmod(int(seconds), 3600)
    if hours:
        return f"{hours}:{rest // 60:02}:{rest % 60:02}"
    return f"{rest // 60}:{rest % 60:02}"


def settings(record: Record) -> list[tuple[str, str]]:
    """(name, value) of everything a reader of a saved run needs to run it again."""
    sampling = record.sampling
    chosen = "greedy" if sampling.temperature == 0 else f"temperature {sampling.temperature:g}"
    chosen += f", top_p {sampling.top_p:g}, top_k {sampling.top_k}, min_p {sampling.min_p:g}"
    chosen += f", repeat_penalty {sampling.repeat_penalty:g}, seed {sampling.seed}"
    usage, cached = record.usage, from_cache(record)
    rows = [
        ("model", f"{record.model.name} {record.model.quant}".strip()),
        *((f"sha256 of {name}", sha256 or "not verified") for name, sha256 in record.model.files),
        *([("draft model", record.model.draft)] if record.model.draft else []),
        ("sampling", chosen),
        ("system", record.system),
        *([] if record.votes is None else _vote_rows(record.votes)),
        ("reasoning ended by", record.finish.value),
        ("prompt", f"{usage.prompt_tokens} tokens, {usage.image_tokens} of them pictures"),
        *([("not computed again", cached)] if cached else []),
        ("reasoning", f"{usage.reasoning_tokens} tokens"),
        *((("looked again", _times(usage.looks)),) if usage.looks else ()),
        ("answer", f"{usage.answer_tokens} tokens"),
        *([("drafts", f"{usage.accepted} of {usage.drafted} tokens")] if usage.drafted else []),
        ("time", f"{duration(record.timings.total_s)}, {record.timings.decode_tps:.1f} tok/s"),
        *(("notice", notice.message) for notice in record.notices),
        ("written by", f"qvq {__version__}"),
    ]
    return [(clean_line(name), clean_line(value)) for name, value in rows]


def _vote_rows(votes: Votes) -> list[tuple[str, str]]:
    """The chains as rows of a table."""
    rows = [("votes", f"{agreement(votes)}: {counts_words(votes.counts)}")]
    for i, chain in enumerate(votes.chains):
        said = "no answer" if chain.answer is None else short_answer(chain.answer.text)
        n_tokens = chain.reasoning_tokens + chain.answer_tokens
        is_shown = " (this record)" if i == votes.winner else ""
        words = f"{said}, {chain.finish.value}, {n_tokens} tokens, seed {chain.seed}"
        rows.append((f"chain {i + 1}{is_shown}", words))
    return rows


def _times(n: int) -> str:
    return f"{n} time{'' if n == 1 else 's'}"


def no_answer(record: Record, *, is_told: bool = False) -> NoAnswerError:
    """What to say of a record whose answer is None, with the model's last words.

    Args: is_told: they are on the screen already.
    """
    message = f"no answer was reached: {_NO_ANSWER_BECAUSE[record.finish]}"
    last_words = record.answer_text.strip() or record.reasoning.strip()
    if last_words and not is_told:
        cut = len(last_words) > _LAST_WORDS_CHARS
        last_words = ("…" if cut else "") + last_words[-_LAST_WORDS_CHARS:].lstrip()
        message += f"\nthe model's last words: {last_words}"
    return NoAnswerError(message, hint=_NO_ANSWER_HINTS[record.finish])
