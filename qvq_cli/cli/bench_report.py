"""What `qvq bench` tells a person: what was measured, what follows, what QVQ would take, and how
each forecast came about."""

from collections.abc import Iterator

from qvq_cli.cli.bench_outcome import NOISY_SPREAD, Outcome
from qvq_cli.cli.measuring import Runs
from qvq_cli.hub.forecast import ANSWER_TOKENS, Forecast
from qvq_cli.sizes import size
from qvq_cli.ui.quantities import rate
from qvq_cli.ui.report import Block, Cell, Column, Fact, Facts, Report, Sentence, Table, Tone
from qvq_cli.ui.wording import duration

_N_VOTES = 8
_LEAST_GAIN = 1.02
_UNKNOWN = Cell("?", Tone.DIM)


def bench_report(outcome: Outcome) -> Report:
    parts: list[Block] = [Sentence(_headline(outcome), Tone.STRONG), _parts_table(outcome)]
    if outcome.measured.batch_s:
        parts.append(_batch_table(outcome))
    parts.append(Facts(tuple(_facts(outcome))))
    if outcome.is_noisy:
        parts.append(Sentence(_noise(outcome), Tone.WARN))
    title = outcome.forecasts.entry.title
    parts.append(Sentence(f"{title} on this machine, forecast", Tone.STRONG))
    parts.append(_forecast_table(outcome.forecasts.quants))
    parts.append(Facts(tuple(_derivations(outcome))))
    return parts


def few_digits(seconds: float) -> str:
    """`0.85 ms`, `12 ms`, `0.56 s`, `3 min 12 s`"""
    if seconds < 0.1:
        return f"{seconds * 1e3:.2g} ms" if seconds < 0.01 else f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else duration(seconds)


def _headline(outcome: Outcome) -> str:
    choice, plan, n = outcome.choice, outcome.plan, outcome.n_threads
    threads = f"{n} thread{'' if n == 1 else 's'}"
    if outcome.n_threads_batch > n:
        threads += f" ({outcome.n_threads_batch} for several tokens at once)"
    layers = plan.offload.n_gpu_layers
    where = f"on the CPU, {threads}"
    if layers:
        names = " and ".join(use.name for use in plan.devices[1:])
        where = f"on {names}" if layers < 0 else f"{layers} layers on {names}, {threads}"
    title = f"{choice.name} {choice.quant} {where}, measured"
    if choice.is_embedded:
        title += "; nano is tiny, and its figures say nothing about QVQ"
    return title


def _parts_table(outcome: Outcome) -> Table:
    columns = (
        Column("PART"),
        Column("TIME", is_number=True),
        Column("TOKENS/S", is_number=True),
        Column("SPREAD", is_number=True),
        Column("RUNS", is_number=True),
    )
    return Table(columns, tuple(_part_rows(outcome)))


def _part_rows(outcome: Outcome) -> Iterator[tuple[Cell, ...]]:
    measured = outcome.measured
    if measured.load_s is not None:
        yield Cell("load"), Cell(few_digits(measured.load_s)), Cell(""), Cell(""), Cell("1")
    for label, n_tokens, runs in (
        ("picture", measured.image_tokens, measured.image_s),
        ("prefill", measured.prompt_tokens, measured.prefill_s),
    ):
        if runs is not None:
            time, tps_cell = few_digits(runs.median), tps_words(n_tokens / runs.median)
            label = f"{label}, {n_tokens:,} tokens"
            yield Cell(label), Cell(time), Cell(tps_cell), *_scatter(runs)
    if (tps := measured.decode_tps) is not None:
        yield (
            Cell(f"decode, a token at {measured.n_depth:,}"),
            Cell(few_digits(1.0 / tps.median)),
            Cell(tps_words(tps.median)),
            *_scatter(tps),
        )


def _batch_table(outcome: Outcome) -> Table:
    """What drafts and votes pay for: tokens that go through the model together."""
    columns = (
        Column("BATCH"),
        Column("TIME", is_number=True),
        Column("COST", is_number=True),
        Column("TOKENS/S", is_number=True),
        Column("SPREAD", is_number=True),
        Column("RUNS", is_number=True),
    )
    single = outcome.measured.batch_s[1].median
    rows = tuple(
        (
            Cell(f"{n} token{'' if n == 1 else 's'}"),
            Cell(few_digits(runs.median)),
            Cell(f"{runs.median / single:.2f}x"),
            Cell(tps_words(n / runs.median)),
            *_scatter(runs),
        )
        for n, runs in outcome.measured.batch_s.items()
    )
    return Table(columns, rows)


def _scatter(runs: Runs) -> tuple[Cell, Cell]:
    spread = runs.spread
    if spread is None:
        return Cell(""), Cell(str(len(runs.values)))
    tone = Tone.WARN if spread > NOISY_SPREAD else Tone.PLAIN
    return Cell(f"{spread:.0%}", tone), Cell(str(len(runs.values)))


def _facts(outcome: Outcome) -> Iterator[Fact]:
    batches, drafts = outcome.batches, outcome.drafts
    if drafts is not None:
        yield Fact("drafts", _drafts_words(outcome))
    if _N_VOTES in batches:
        times = batches[_N_VOTES] / batches[1]
        yield Fact(
            "votes",
            f"{_N_VOTES} chains at once: {times:.1f} x the time of one, at "
            f"{tps_words(_N_VOTES / batches[_N_VOTES])} tok/s in all",
        )
    if outcome.weights_per_s is not None:
        yield Fact("memory", _memory_words(outcome.weights_per_s, outcome))
    if outcome.measured.disk_bytes_per_s is not None:
        yield Fact("disk", f"the model was read at {rate(outcome.measured.disk_bytes_per_s)}")
    if outcome.measured.is_small:
        words = (
            "a small one: a usual one takes longer than --seconds allow; large ones go faster, so "
            "that forecasts from this one are on the slow side"
        )
        if outcome.measured.is_cold:
            words += "; and it ran once only, while the weights were touched for the first time"
        yield Fact("picture", words)


def _drafts_words(outcome: Outcome) -> str:
    drafts = outcome.drafts
    assert drafts is not None
    where = "on reasoning like QVQ's published transcripts"
    if drafts.gain < _LEAST_GAIN:
        return f"a batch costs too much here: no gain {where}"
    stood = "one" if drafts.n_match == 1 else f"{drafts.n_match} tokens"
    drafted = "one is" if drafts.n_draft == 1 else f"{drafts.n_draft} are"
    gain = f"{drafts.gain:.2f} x as fast {where}"
    return f"{gain}: {drafted} drafted where the last {stood} stood before"


def _memory_words(weights_per_s: float, outcome: Outcome) -> str:
    words = f"decoding reads weights at {rate(weights_per_s)}"
    if not outcome.is_telling:
        words += ", which says little of so small a model"
    if outcome.bandwidth is None:
        return words
    copying = f"copying reads and writes {rate(outcome.bandwidth)}"
    return f"{words}; {copying}"


def _noise(outcome: Outcome) -> str:
    return (
        f"the figures scatter by up to {outcome.worst_spread:.0%}: something else uses this "
        "machine; measure again when it is quiet"
    )


def _forecast_table(quants: tuple[Forecast, ...]) -> Table:
    columns = (
        Column("QUANT"),
        Column("SIZE", is_number=True),
        Column("FITS"),
        Column("LOAD", is_number=True, is_optional=True),
        Column("PICTURE", is_number=True, is_optional=True),
        Column("PREFILL", is_number=True, is_optional=True),
        Column("DECODE", is_number=True),
        Column("AN ANSWER", is_number=True),
        Column("WITH DRAFTS", is_number=True),
    )
    return Table(columns, tuple(_forecast_row(each) for each in quants))


def _forecast_row(each: Forecast) -> tuple[Cell, ...]:
    tone = Tone.PLAIN if each.fits else Tone.DIM
    times = (each.load_s, each.image_s, each.prefill_s)
    return (
        Cell(each.quant, tone),
        Cell(size(each.n_bytes), tone),
        Cell("yes", Tone.GOOD) if each.fits else Cell("no", Tone.WARN),
        *(_UNKNOWN if s is None else Cell(duration(s), tone) for s in times),
        _UNKNOWN if each.decode_tps is None else Cell(f"~{tps_words(each.decode_tps)} tok/s", tone),
        *(
            _UNKNOWN if s is None else Cell(f"~{minutes(s)}", tone)
            for s in (each.total_s, each.total_with_drafts_s)
        ),
    )


def minutes(seconds: float) -> str:
    """`4.2 min`, `31 min`, `2 h 05 min`: no more digits than an estimate deserves."""
    if seconds < 600:
        return f"{seconds / 60:.1f} min"
    whole = round(seconds / 60)
    return f"{whole} min" if whole < 60 else f"{whole // 60} h {whole % 60:02} min"


def _derivations(outcome: Outcome) -> Iterator[Fact]:
    forecasts = outcome.forecasts
    yield Fact(
        "answer",
        f"{ANSWER_TOKENS:,} tokens after a picture and a short question; Qwen's four published "
        "transcripts have 940 to 1,911",
    )
    for place, rates in sorted(forecasts.rates.items()):
        of_what = (
            f"{outcome.choice.name} did here"
            if place in forecasts.of_model
            else "single matrices of QVQ's shape did here (Q4_K, f16), the best to be expected"
        )
        yield Fact(
            place,
            f"decode: weights read at {rate(rates.bytes_per_s)}; prefill: "
            f"{_flops(rates.text_flop_per_s)}; picture: {_flops(rates.vision_flop_per_s)}; drafts: "
            f"{rates.draft_gain:.2f} x; as {of_what}",
        )
    if any(each.load_s is None for each in forecasts.quants):
        yield Fact("load", "not told: nothing was read from the disk, the system had it in memory")
    if any(each.total_s is None for each in forecasts.quants):
        yield Fact("?", "would be split over CPU and GPU, or was not measured")


def _flops(flop_per_s: float) -> str:
    return f"{flop_per_s / 1e9:,.0f} GFLOP/s"


def tps_words(tokens_per_s: float) -> str:
    """`1,234`, `52`, `0.9`"""
    return f"{tokens_per_s:,.0f}" if tokens_per_s >= 99.5 else f"{tokens_per_s:.2g}"
