"""One comparison a line: both sides' medians, what is compared, the target, met or missed."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

HEADINGS = ("measured", "qvq", "peer", "compared", "target", "")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of both programs: pairs of qvq's and its peer's, measured next to each other.

    compare: the ratio or the difference within each pair; the median of those counts. wanted:
    whether it is to be at most or at least `target`; a target of None is for information.
    """

    what: str
    unit: str
    pairs: Sequence[tuple[float, float]]
    compare: Literal["ratio", "difference"] = "ratio"
    wanted: Literal["at most", "at least"] = "at most"
    target: float | None = None

    @property
    def compared(self) -> float:
        if self.compare == "ratio":
            return statistics.median(a / b for a, b in self.pairs)
        return statistics.median(a - b for a, b in self.pairs)

    @property
    def is_met(self) -> bool | None:
        if self.target is None:
            return None
        if self.wanted == "at least":
            return self.compared >= self.target
        return self.compared <= self.target

    def cells(self) -> tuple[str, ...]:
        """What HEADINGS stands above."""
        unit = "x" if self.compare == "ratio" else f" {self.unit}"
        sign = "+" if self.compare == "difference" and self.compared >= 0 else ""
        bound = {"at most": "≤", "at least": "≥"}[self.wanted]
        sides = zip(*self.pairs, strict=True)
        medians = [f"{statistics.median(side):.4g} {self.unit}" for side in sides]
        target = "" if self.target is None else f"{bound} {self.target:.2f}{unit}"
        verdict = {True: "met", False: "missed", None: ""}[self.is_met]
        return self.what, *medians, f"{sign}{self.compared:.3f}{unit}", target, verdict

    def as_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "unit": self.unit,
            "pairs": self.pairs,
            self.compare: self.compared,
            self.wanted: self.target,
            "is_met": self.is_met,
        }


def format_table(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table, ready for the README."""
    lines: list[Sequence[str]] = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    )
