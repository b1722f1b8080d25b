"""Numbers as people read them: bytes, rates, speeds. Decimal units, as download pages use them."""

from qvq_cli.ui.wording import duration

_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def size(n_bytes: int | None) -> str:
    """`47.4 GB`, `13 MB`, `812 bytes`; `?` where it is unknown."""
    if n_bytes is None:
        return "?"
    for unit_bytes, unit in _UNITS:
        if n_bytes >= unit_bytes:
            return f"{_rounded(n_bytes / unit_bytes)} {unit}"
    return f"{n_bytes} bytes"


def share_of(n_done: int, n_total: int) -> str:
    """`24.6 of 47.4 GB`: both in the unit of the whole."""
    for unit_bytes, unit in _UNITS:
        if n_total >= unit_bytes:
            return f"{_rounded(n_done / unit_bytes)} of {_rounded(n_total / unit_bytes)} {unit}"
    return f"{n_done} of {n_total} bytes"


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


def _rounded(value: float) -> str:
    """One decimal below 100, none above; never `1000`, since the next unit begins there."""
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"
