"""`qvq verify`: reads every byte again, names the broken file, gets just that one again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qvq_cli.cli.machine import look_at_machine
from qvq_cli.cli.pull import fetch
from qvq_cli.cli.session import Session
from qvq_cli.errors import DataError
from qvq_cli.hub.download import plan_pull
from qvq_cli.hub.hf_cache import cache_dir
from qvq_cli.hub.installed import (
    FileCheck,
    discard_broken,
    find_installed,
    list_installed,
    verify,
)
from qvq_cli.hub.manifest import Installed, data_dir
from qvq_cli.hub.remedy import remedy
from qvq_cli.sizes import size
from qvq_cli.ui.report import Line
from qvq_cli.ui.screen import Screen
from qvq_cli.ui.transfer import Phase, TransferFile

_WORDS = {
    "ok": "OK",
    "missing": "MISSING",
    "unreadable": "UNREADABLE",
    "wrong-size": "BROKEN, its size is wrong",
    "wrong-bytes": "BROKEN, its sha256 is wrong",
}


@dataclass(frozen=True, slots=True)
class _Checked:
    installed: Installed
    checks: tuple[FileCheck, ...]

    @property
    def broken(self) -> list[FileCheck]:
        return [check for check in self.checks if check.state != "ok"]


def run(session: Session, model: str | None, *, is_repair_agreed: bool, json: bool) -> None:
    """Check one model or all, and repair what a person wants repaired.

    Raises:
        DataError: a file is broken and stays so. UnavailableError: the model isn't installed.
        QvqError: as a pull, when something is repaired.
    """
    screen = session.open_screen(json=json)
    environ = session.env.variables
    wanted = list_installed(environ) if model is None else [find_installed(model, environ)]
    if not wanted:
        screen.notice("nothing to check: no model is installed but nano, which came with qvq")
    checked = _check(wanted, screen, session)
    if not json:
        screen.result([Line(_line(check)) for each in checked for check in each.checks], {})
    broken = [each for each in checked if each.broken]
    left = [each for each in broken if not _repair(each, screen, session, is_repair_agreed)]
    if json:
        files = [_body(each, check) for each in checked for check in each.checks]
        screen.result([], {"files": files, "is_repaired": bool(broken) and not left})
    if left:
        raise _broken_error(left)


def _check(wanted: Sequence[Installed], screen: Screen, session: Session) -> list[_Checked]:
    files = [file for installed in wanted for file in installed.files]
    rows = [TransferFile(str(file.path), file.n_bytes) for file in files]
    checked = []
    with screen.transfer(rows, Phase.CHECKING) as view:
        for installed in wanted:
            checks = verify(
                installed,
                lambda file, n_done: view.update(str(file.path), n_done, Phase.CHECKING),
                session.env.variables,
            )
            for check in checks:
                if check.state == "ok":
                    view.update(str(check.file.path), check.file.n_bytes, Phase.DONE)
            checked.append(_Checked(installed, checks))
    return checked


def _repair(checked: _Checked, screen: Screen, session: Session, is_agreed: bool) -> bool:
    """Get the broken files again, if they come from the Hub and that is wanted.

    Returns: whether the model is whole again.
    """
    installed = checked.installed
    if installed.repo is None:
        return False
    n_bytes = sum(check.file.n_bytes for check in checked.broken)
    question = f"Get {_names(checked.broken)} again ({size(n_bytes)})?"
    if not is_agreed and not (screen.can_ask and screen.ask(question, default=True)):
        return False
    environ = session.env.variables
    # The Hub is asked before anything is deleted: without it, nothing could be repaired.
    free_bytes = look_at_machine(environ).free_bytes
    to = _folder_of(installed, environ)
    # Of the commit that was installed: the newest may be another model, and all of it to fetch.
    plan = plan_pull(
        installed.model_id,
        to=to,
        free_bytes=free_bytes,
        commit=installed.commit,
        environ=environ,
    )
    discard_broken(checked.checks, environ)
    fetch(plan.looked_at(), screen, session, again=f"qvq verify {installed.model_id} --repair")
    screen.notice(f"{installed.model_id} is whole again")
    return True


def _folder_of(installed: Installed, environ: Mapping[str, str]) -> Path | None:
    """The folder that a pull was told with --to, None where it took its own place."""
    own = (cache_dir(environ), data_dir(environ))
    folders = installed.model_path.parents
    return None if any(each in folders for each in own) else installed.model_path.parent


def _broken_error(left: Sequence[_Checked]) -> DataError:
    checks = [check for each in left for check in each.broken]
    are = "is" if len(checks) == 1 else "are"
    hint = "; ".join(dict.fromkeys(remedy(each.installed) for each in left))
    return DataError(f"{_names(checks)} {are} broken", hint=hint, reference="broken-file")


def _names(checks: Sequence[FileCheck]) -> str:
    return ", ".join(Path(check.file.path).name for check in checks)


def _line(check: FileCheck) -> str:
    line = f"{check.file.path}: {_WORDS[check.state]}"
    if check.state == "wrong-bytes":
        line += f" ({check.sha256} instead of {check.file.sha256})"
    return line


def _body(checked: _Checked, check: FileCheck) -> dict[str, object]:
    return {
        "model": checked.installed.model_id,
        "role": check.file.role,
        "path": str(check.file.path),
        "state": check.state,
        "sha256": check.file.sha256,
        "sha256_found": check.sha256,
    }
