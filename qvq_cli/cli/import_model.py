"""`qvq import PATH...`: files that came some other way become an installed model."""

import re
from collections.abc import Sequence
from pathlib import Path

from qvq_cli.cli.session import Session
from qvq_cli.errors import UsageError
from qvq_cli.hub.importing import import_model
from qvq_cli.hub.pair import is_named_mmproj
from qvq_cli.ui.quantities import size
from qvq_cli.ui.report import Line
from qvq_cli.ui.transfer import Phase

_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$|\.part\d+of\d+$|(?<=\.gguf)\.[a-z]$", re.IGNORECASE)
"""What tells the parts of one model apart: gguf-split's numbers, or those of cut bytes."""


def run(session: Session, paths: Sequence[Path], *, is_copied: bool, json: bool) -> None:
    """Import a model and its mmproj.

    Raises: UsageError: more than one mmproj or folder. QvqError: as import_model.
    """
    screen = session.open_screen(json=json)
    model, mmproj = _model_and_mmproj(paths)
    with screen.transfer([], Phase.CHECKING) as view:

        def on_progress(path: Path, n_done: int, n_bytes: int) -> None:
            phase = Phase.DONE if n_done >= n_bytes else Phase.CHECKING
            view.update(str(path), n_done, phase, n_bytes)

        installed = import_model(
            model,
            mmproj=mmproj,
            link=not is_copied,
            on_progress=on_progress,
            environ=session.env.variables,
        )
    where = "copied" if is_copied else "linked: they must stay where they are"
    screen.notice(
        f"{installed.model_id} is installed: {size(installed.n_bytes)} checked, its files {where}"
    )
    screen.result(
        [Line(str(installed.model_path))],
        {
            "model": installed.model_id,
            "name": installed.name,
            "quant": installed.quant,
            "model_path": str(installed.model_path),
            "mmproj_path": str(installed.mmproj_path),
            "bytes": installed.n_bytes,
            "is_copied": is_copied,
        },
    )


def _model_and_mmproj(paths: Sequence[Path]) -> tuple[Path, Path | None]:
    """Which of the paths is which; of a model in parts the first will do."""
    mmprojs = [path for path in paths if is_named_mmproj(path)]
    models = [path for path in paths if path not in mmprojs]
    if len(mmprojs) > 1 or len({_PART.sub("", str(path)) for path in models}) != 1:
        raise UsageError(
            f"these are {len(models)} models and {len(mmprojs)} mmproj files",
            hint="give one model and at most one mmproj, or the folder they are in: "
            "qvq import MODEL.gguf mmproj-MODEL.gguf",
            reference="not-one-model",
        )
    return min(models), mmprojs[0] if mmprojs else None
