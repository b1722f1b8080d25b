"""Numbers as people read them: rates, speeds, what is left of a wait."""

from qvq_cli.sizes import size
from qvq_cli.ui.wording import duration


def rate(bytes_per_s: float) -> str:
    """`112 MB/s`"""
    return f"{size(round(bytes_per_s))}/s"


def speed(tokens_per_s: float | None) -> str:
    """`~1.1 tok/s`; `?` where it can't be told. Never more digits than an estimate deserves."""
    if tokens_per_s is None:
        return "?"
    if tokens_per_s < 9.95:
        return f"~{tokens_per_s:.1f} tok/s"
    step = 10 ** (len(str(round(tokens_per_s))) - 1) // 2
    return f"~{round(tokens_per_s / step) * step:,} tok/s"


def time_left(seconds: float) -> str:
    """`3 min 23 s left`"""
    return f"{duration(seconds)} left"
