"""`qvq doctor`: does everything here work, and if not, what to type.

It ends with 0 only when a solve would work: llama.cpp loads, the model that solve would take is
there and fits, and nano really solves a picture.
"""

from collections.abc import Iterator

from qvq_cli.cli import checks
from qvq_cli.cli.checks import Check, State
from qvq_cli.cli.machine import look_at_machine
from qvq_cli.cli.session import Session
from qvq_cli.errors import UnavailableError
from qvq_cli.ui.report import Fact, Facts, Tone

_TONES = {
    State.OK: Tone.GOOD,
    State.NOTE: Tone.DIM,
    State.WARNING: Tone.WARN,
    State.FAIL: Tone.BAD,
}
_LABEL_CELLS = max(map(len, State))


def run(session: Session, *, is_offline: bool, json: bool) -> None:
    """Check everything, telling each finding as soon as it is there.

    Raises: UnavailableError: something that a solve needs doesn't work.
    """
    screen = session.open_screen(json=json)
    done: list[Check] = []
    for check in _all_checks(session, is_offline=is_offline):
        done.append(check)
        if not json:
            screen.result([_fact(check)], {})
    failed = [check for check in done if check.state is State.FAIL]
    if json:
        screen.result([], {"ok": not failed, "checks": [_body(check) for check in done]})
    if failed:
        raise UnavailableError(
            f"a solve would not work: {failed[0].message}",
            hint=failed[0].hint,
            reference="doctor",
        )


def _all_checks(session: Session, *, is_offline: bool) -> Iterator[Check]:
    environ = session.env.variables
    yield checks.check_python()
    has_engine = True
    for check in checks.check_engine():
        has_engine = has_engine and check.state is not State.FAIL
        yield check
    settings = checks.check_settings(session)
    yield settings
    yield from checks.check_disk(environ)
    yield checks.check_hub(is_offline=is_offline)
    yield from checks.check_installed(environ)
    if not has_engine:
        return  # what follows would only say it again
    resources = look_at_machine(environ, is_fresh=True)
    yield checks.check_memory(resources)
    if settings.state is not State.FAIL:
        yield checks.check_choice(environ, session.config, resources)
    yield checks.check_example(environ, resources)


def _fact(check: Check) -> Facts:
    facts = [Fact(f"{check.state:<{_LABEL_CELLS}}", check.message, _TONES[check.state])]
    if check.hint:
        facts.append(Fact("", check.hint, is_exact=True))
    return Facts(tuple(facts))


def _body(check: Check) -> dict[str, str | None]:
    return {
        "name": check.name,
        "state": check.state.lower(),
        "message": check.message,
        "hint": check.hint,
    }
