"""What a lease of a GPU brought home: rows that outlive one another's failures, and their table."""

import json
import subprocess
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Values = dict[str, Any]

# Whatever goes wrong in one row, a program's failure first of all (measure.py exits with its
# stderr), is written down as what that row found out: the machine is not to be had again.
FAILURES = (
    *(SystemExit, OSError, subprocess.SubprocessError),
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
)


class MissingError(ValueError):
    """What a row rests on was not measured."""


class Record:
    """The rows so far, written to a file after each.

    Args:
        seconds: after which no further row is begun.

    A row's values may hold "shown", what the table says of it, and "calculated": True where it was
    not measured but follows from other rows.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self._path = path
        self._began_s = time.monotonic()
        self._seconds = seconds
        self._rows: list[Values] = []

    @property
    def left_s(self) -> float:
        return self._seconds - (time.monotonic() - self._began_s)

    def measure(self, model: str, what: str, row: Callable[[], Values]) -> Values:
        """Measure one row, unless the time is up. Returns: its values; none where it failed."""
        began_s = time.monotonic()
        values: Values = {}
        if self.left_s < 0:
            found: Values = {"not_measured": "the time was up"}
        else:
            try:
                found = values = row()
            except FAILURES as error:
                found = {"error": str(error)[-4000:], "where": traceback.format_exc()[-2000:]}
        took_s = time.monotonic() - began_s
        self._rows.append({"model": model, "what": what, "took_s": round(took_s, 2), **found})
        self._path.write_text(json.dumps({"rows": self._rows}, indent=1) + "\n", encoding="utf-8")
        print(f"{self._seconds - self.left_s:6.1f} s  {model}: {what}: {_shown(found)}", flush=True)
        return values

    def table(self) -> str:
        """One line for each thing measured, one column for each model; Markdown."""
        models = list(dict.fromkeys(row["model"] for row in self._rows))
        whats = list(dict.fromkeys(row["what"] for row in self._rows))
        cells = {(row["model"], row["what"]): _shown(row) for row in self._rows}
        lines = [["measured", *models], ["-" * 8] * (len(models) + 1)]
        lines += [[what, *(cells.get((model, what), "") for model in models)] for what in whats]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def needed(values: Mapping[str, Any], key: str) -> Any:
    """A value of an earlier row. Raises: MissingError: that row failed."""
    if values.get(key) is None:
        raise MissingError(f"{key} is not known")
    return values[key]


def _shown(row: Mapping[str, Any]) -> str:
    if "error" in row:
        lines = row["error"].strip().splitlines() or [""]
        ends = dict.fromkeys((lines[0][:40], lines[-1][-80:]))
        return f"failed: {' ... '.join(ends)}".replace("|", "/")
    if "not_measured" in row:
        return f"not measured: {row['not_measured']}"
    return str(row.get("shown", "")) + (" (calculated)" if row.get("calculated") else "")
