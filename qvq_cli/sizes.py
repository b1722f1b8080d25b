"""Bytes as people read them, in decimal units, as download pages use them.

Every layer names sizes, in messages or in tables, so this one belongs to none. Pure.
"""

_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_NEARLY = 0.9995
"""What rounds to 1000 of a unit is told as one of the next."""


def size(n_bytes: int | None) -> str:
    """`47.4 GB`, `13.5 MB`, `812 bytes`; `?` where it is unknown."""
    if n_bytes is None:
        return "?"
    for unit_bytes, unit in _UNITS:
        if n_bytes >= unit_bytes * _NEARLY:
            return f"{_rounded(n_bytes / unit_bytes)} {unit}"
    return f"{n_bytes} bytes"


def share_of(n_done: int, n_total: int) -> str:
    """`24.6 of 47.4 GB`: both in the unit of the whole."""
    for unit_bytes, unit in _UNITS:
        if n_total >= unit_bytes:
            return f"{_rounded(n_done / unit_bytes)} of {_rounded(n_total / unit_bytes)} {unit}"
    return f"{n_done} of {n_total} bytes"


def _rounded(value: float) -> str:
    """One decimal below 100, none above."""
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"
