"""What the commands about models say of memory and speed, in the same words everywhere."""

from qvq_cli.cli.fits import Fit
from qvq_cli.cli.machine import Resources
from qvq_cli.sizes import size
from qvq_cli.ui.quantities import speed
from qvq_cli.ui.report import Cell, Tone
from qvq_cli.ui.wording import duration

_A_REASONING_TOKENS = 2_000
"""About what Qwen's published transcripts of QVQ take."""


def file_name(path_in_repo: str) -> str:
    """A file without the folders of its repository."""
    return path_in_repo.rpartition("/")[2]


def memory_words(fit: Fit | None, n_bytes: int, machine: Resources) -> str:
    """`52.5 GB needed, 61.0 GB free: fits`"""
    free = f"{size(machine.free_bytes)} free"
    if fit is None:
        return f"more than {size(n_bytes)} needed, {free}"
    return f"{size(fit.needed_bytes)} needed, {free}: {'fits' if fit.fits else 'does not fit'}"


def speed_words(tokens_per_s: float | None) -> str:
    """`~1.1 tok/s, so 2,000 tokens of reasoning take about 30 min`"""
    if not tokens_per_s:
        return "not known"
    seconds = _A_REASONING_TOKENS / tokens_per_s
    return (
        f"{speed(tokens_per_s)}, so {_A_REASONING_TOKENS:,} tokens of reasoning take "
        f"about {duration(seconds)}"
    )


def fit_cells(fit: Fit | None) -> tuple[Cell, Cell, Cell]:
    """The columns MEMORY, FITS and SPEED of a table."""
    if fit is None:
        return Cell("?", Tone.DIM), Cell("?", Tone.DIM), Cell("?", Tone.DIM)
    fits = Cell("yes", Tone.GOOD) if fit.fits else Cell("no", Tone.WARN)
    return Cell(size(fit.needed_bytes)), fits, Cell(speed(fit.tokens_per_s), Tone.DIM)
