"""`qvq rm MODEL`: says what goes and what that frees, asks, and deletes it."""

from qvq_cli.cli.session import Session
from qvq_cli.errors import AbortedError, UsageError
from qvq_cli.hub.removal import Removal, find_removable, plan_removal, remove
from qvq_cli.sizes import size
from qvq_cli.ui.report import Fact, Facts, Report, Sentence, Tone


def run(session: Session, model: str, *, is_agreed: bool, json: bool) -> None:
    """Remove an installed model, or what an unfinished pull or import of one left.

    Raises:
        UnavailableError: there is nothing of it here. AbortedError: the answer is no.
        UsageError: there is nobody to ask. CannotWriteError: a file can't be deleted.
    """
    screen = session.open_screen(json=json)
    environ = session.env.variables
    removal = plan_removal(find_removable(model, environ), environ)
    name = removal.model_id
    if not is_agreed:
        screen.explain(_report(removal))
        if not screen.can_ask:
            raise UsageError(
                f"removing {name} wants a yes, and there is nobody to ask",
                hint=f"qvq rm {name} --yes",
                reference="nobody-to-ask",
            )
        if not screen.ask("Remove it?", default=False):
            raise AbortedError("nothing was removed", reference="declined")
    remove(removal, environ)
    kept = "; kept: " + ", ".join(each.path.name for each in removal.kept) if removal.kept else ""
    told = f"{name} is gone; {size(removal.freed_bytes)} are free again{kept}"
    body = {
        "model": name,
        "freed_bytes": removal.freed_bytes,
        "deleted": [str(path) for path in removal.paths],
        "kept": [str(each.path) for each in removal.kept],
    }
    screen.result([Sentence(told)], body)


def _report(removal: Removal) -> Report:
    facts = [Fact("deleted", "\n".join(map(str, removal.paths)) or "no file", is_exact=True)]
    if removal.kept:
        kept = [f"{path} ({why})" for path, why in removal.kept]
        facts.append(Fact("kept", "\n".join(kept), is_exact=True))
    title = f"Removing {removal.model_id} frees {size(removal.freed_bytes)}"
    return [Sentence(title, Tone.STRONG), Facts(tuple(facts))]
