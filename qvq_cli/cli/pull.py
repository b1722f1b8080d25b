"""`qvq pull`: what it will cost, a question, the download, and the path of what came of it.

The order is the promise: sizes, disk, memory and licence are known before the first byte moves.
Asking needs a person, so in a pipe, a script or a container nothing is asked: whoever typed `pull`
there wants the download, as with every other program that fetches things.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

from qvq_cli.cli.fits import Fit
from qvq_cli.cli.interrupts import Terminated, stopped
from qvq_cli.cli.machine import Resources, look_at_machine
from qvq_cli.cli.pull_report import fit_of, plan_body, plan_report
from qvq_cli.cli.session import Session
from qvq_cli.errors import AbortedError
from qvq_cli.hub.download import FileProgress, PullPlan, plan_pull, require_disk
from qvq_cli.hub.download import pull as pull_files
from qvq_cli.hub.manifest import Installed
from qvq_cli.sizes import share_of, size
from qvq_cli.ui.report import Line
from qvq_cli.ui.screen import Screen
from qvq_cli.ui.transfer import Phase, TransferFile

_PHASES = {
    "waiting": Phase.WAITING,
    "downloading": Phase.FETCHING,
    "checking": Phase.CHECKING,
    "done": Phase.DONE,
}


@dataclass(frozen=True, slots=True)
class PullOptions:
    """What was typed."""

    model: str | None
    quant: str | None
    to: Path | None
    is_dry: bool
    wants_urls: bool
    is_agreed: bool


def run(session: Session, options: PullOptions, *, json: bool) -> None:
    """Pull a model, or show what pulling it would be.

    Raises: QvqError: as plan_pull and hub.download.pull; AbortedError: a no, or Ctrl-C.
    """
    screen = session.open_screen(json=json)
    machine = look_at_machine(session.env.variables)
    plan = plan_pull(
        options.model,
        quant=options.quant,
        to=options.to,
        free_bytes=machine.free_bytes,
        environ=session.env.variables,
    )
    if options.wants_urls:
        urls = [file.url for file in plan.files]
        screen.result([Line(url) for url in urls], {"urls": urls})
        return
    fit = fit_of(plan, machine)
    if options.is_dry:
        screen.result(plan_report(plan, fit, machine), plan_body(plan, fit, machine))
        return
    if plan.is_complete:
        installed = pull_files(plan, lambda _: None, environ=session.env.variables)
        screen.notice(
            f"{plan.title} {plan.quant} is installed already; qvq verify {plan.model_id} reads "
            "every byte again"
        )
    else:
        _agree(plan, fit, machine, screen, is_agreed=options.is_agreed)
        to = f" --to {shlex.quote(str(options.to))}" if options.to else ""
        installed = fetch(plan, screen, session, again=f"qvq pull {plan.model_id}{to}")
        screen.notice(
            f"{plan.title} {plan.quant} is installed: {size(plan.n_bytes)}, every byte checked"
        )
    body = plan_body(plan, fit, machine) | {"is_installed": True, "missing_bytes": 0}
    screen.result([Line(str(installed.model_path))], body)


def fetch(plan: PullPlan, screen: Screen, session: Session, *, again: str) -> Installed:
    """Carry out a plan, with progress.

    Args: again: what to type to go on after an interruption.
    Raises: AbortedError: Ctrl-C or a signal; it says how much stays. QvqError: as
        hub.download.pull.
    """
    files = [TransferFile(f.name, f.n_bytes, f.have_bytes) for f in plan.files]
    done_bytes = {file.name: file.have_bytes for file in plan.files}
    with screen.transfer(files, Phase.FETCHING) as view:

        def on_progress(progress: tuple[FileProgress, ...]) -> None:
            for each in progress:
                done_bytes[each.file.name] = each.done_bytes
                view.update(each.file.name, each.done_bytes, _PHASES[each.state])

        try:
            return pull_files(plan, on_progress, environ=session.env.variables)
        except (KeyboardInterrupt, Terminated) as caught:
            end = caught
    share = share_of(sum(done_bytes.values()), plan.n_bytes)
    raise stopped(
        end,
        state=f"{share} are here and stay here",
        hint=f"to go on where it stopped: {again}",
    )


def _agree(
    plan: PullPlan, fit: Fit | None, machine: Resources, screen: Screen, *, is_agreed: bool
) -> None:
    """Show the plan; ask where somebody can answer.

    Raises: AbortedError: the answer is no. CannotWriteError: the disk is too small.
    """
    screen.explain(plan_report(plan, fit, machine))
    require_disk(plan)
    if is_agreed or not screen.can_ask:
        return
    fits = fit is None or fit.fits
    question = f"Download {size(plan.missing_bytes)}?"
    if not fits:
        question = f"It does not fit in this machine's memory. {question[:-1]} all the same?"
    if not screen.ask(question, default=fits):
        raise AbortedError("nothing was downloaded", reference="declined")
