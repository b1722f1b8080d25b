"""`qvq import PATH...`: files that came some other way become an installed model."""

from collections.abc import Sequence
from pathlib import Path

from qvq_cli.cli.interrupts import Terminated, stopped
from qvq_cli.cli.session import Session
from qvq_cli.errors import UsageError
from qvq_cli.hub.importing import Imported, import_model
from qvq_cli.hub.pair import is_named_mmproj
from qvq_cli.hub.splits import whole_name
from qvq_cli.sizes import size
from qvq_cli.ui.report import Line
from qvq_cli.ui.screen import Screen
from qvq_cli.ui.transfer import Phase


def run(
    session: Session, paths: Sequence[Path], mmproj: Path | None, *, is_copied: bool, json: bool
) -> None:
    """Import a model and its mmproj.

    Args: mmproj: what was given with --mmproj, whatever it is called.
    Raises: UsageError: more than one mmproj or folder. QvqError: as import_model.
    """
    screen = session.open_screen(json=json)
    model, mmproj = _model_and_mmproj(paths, mmproj)
    installed, freed_bytes = _import(session, screen, model, mmproj, is_copied=is_copied)
    where = "copied" if is_copied else "linked: they must stay where they are"
    freed = f"; the copies it replaces are gone: {size(freed_bytes)}" if freed_bytes else ""
    screen.notice(
        f"{installed.model_id} is installed: {size(installed.n_bytes)} checked, its files {where}"
        + freed
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
            "freed_bytes": freed_bytes,
            "is_copied": is_copied,
        },
    )


def _import(
    session: Session, screen: Screen, model: Path, mmproj: Path | None, *, is_copied: bool
) -> Imported:
    """Raises: AbortedError: Ctrl-C or a signal. QvqError: as import_model."""
    with screen.transfer([], Phase.CHECKING) as view:

        def on_progress(path: Path, n_done: int, n_bytes: int) -> None:
            phase = Phase.DONE if n_done >= n_bytes else Phase.CHECKING
            view.update(str(path), n_done, phase, n_bytes)

        try:
            return import_model(
                model,
                mmproj=mmproj,
                link=not is_copied,
                on_progress=on_progress,
                environ=session.env.variables,
            )
        except (KeyboardInterrupt, Terminated) as caught:
            end = caught
    raise stopped(end, state="nothing was imported", hint="run it again to begin anew")


def _model_and_mmproj(paths: Sequence[Path], mmproj: Path | None) -> tuple[Path, Path | None]:
    """Which of the paths is which; of a model in parts the first will do."""
    mmprojs = [path for path in paths if is_named_mmproj(path)]
    models = [path for path in paths if path not in mmprojs]
    if mmproj is not None:
        mmprojs.append(mmproj)
    if len(mmprojs) > 1 or len({path.parent / whole_name(path.name) for path in models}) != 1:
        raise UsageError(
            f"these are {len(models)} models and {len(mmprojs)} mmproj files",
            hint="give one model and at most one mmproj, or the folder they are in: "
            "qvq import MODEL.gguf --mmproj MMPROJ.gguf",
            reference="not-one-model",
        )
    return min(models), mmprojs[0] if mmprojs else None
