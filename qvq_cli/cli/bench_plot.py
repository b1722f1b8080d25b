"""`qvq bench --plot FILE.svg`: decoding by batch, and what an answer of QVQ takes by quant."""

from pathlib import Path

from qvq_cli.cli.bench_outcome import Outcome
from qvq_cli.cli.bench_report import few_digits, minutes, tps_words
from qvq_cli.errors import UsageError
from qvq_cli.hub.forecast import ANSWER_TOKENS, Forecast
from qvq_cli.sizes import size
from qvq_cli.ui.chart import Bar, Chart, draw_charts
from qvq_cli.ui.whole_file import check_writable, write_whole

_OPTION = "--plot"


def check_plot_path(path: Path) -> None:
    """Raises: UsageError: not .svg. CannotWriteError: no such folder, not writable."""
    if path.suffix.lower() != ".svg":
        raise UsageError(
            f"--plot can't write '{path}': a plot is SVG, which browsers and editors open",
            hint=f"name it {path.with_suffix('.svg').name if path.name else 'bench.svg'}",
            reference="plot-format",
        )
    check_writable(path, _OPTION)


def write_plot(outcome: Outcome, path: Path) -> None:
    """Raises: CannotWriteError: disk full, no permission."""
    choice, forecasts = outcome.choice, outcome.forecasts
    charts = []
    if outcome.measured.batch_s:
        charts.append(_batch_chart(outcome))
    bars = tuple(
        _quant_bar(each, total_s)
        for each in forecasts.quants
        if (total_s := each.total_with_drafts_s) is not None
    )
    if bars:
        caption = (
            f"Picture, question and {ANSWER_TOKENS:,} tokens, with drafts; lighter: before the "
            "first token; grey: does not fit"
        )
        charts.append(Chart(f"{forecasts.entry.title}: forecast of an answer", caption, bars))
    notes = [] if not outcome.is_noisy else ["Measured while something else used the machine."]
    title = f"{choice.name} {choice.quant} on this machine"
    write_whole(path, draw_charts(title, charts, notes), _OPTION)


def _batch_chart(outcome: Outcome) -> Chart:
    bars = tuple(
        Bar(
            f"{n} token{'' if n == 1 else 's'}",
            n / seconds,
            f"{tps_words(n / seconds)} tok/s, {few_digits(seconds)} a pass",
        )
        for n, seconds in outcome.batches.items()
    )
    caption = "Tokens a second by tokens in a pass, measured: what drafts and votes have to gain"
    return Chart("Decoding in batches", caption, bars)


def _quant_bar(each: Forecast, total_s: float) -> Bar:
    before_s = (each.image_s or 0.0) + (each.prefill_s or 0.0)
    return Bar(
        each.quant,
        total_s,
        f"~{minutes(total_s)}, {size(each.n_bytes)}",
        part=before_s,
        is_pale=not each.fits,
    )
