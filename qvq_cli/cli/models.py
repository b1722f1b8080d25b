"""`qvq models`: what is on this machine and what could be, one row each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from qvq_cli.cli.fits import Fit, catalog_fits, entry_of, installed_fit
from qvq_cli.cli.machine import Resources, look_at_machine
from qvq_cli.cli.model_words import fit_cells
from qvq_cli.cli.session import Session
from qvq_cli.errors import DoesNotFitError
from qvq_cli.hub.catalog import EMBEDDED, CatalogEntry, catalog_entry, catalog_names, load_catalog
from qvq_cli.hub.choose import choose_quant
from qvq_cli.hub.installed import list_installed
from qvq_cli.hub.manifest import Installed
from qvq_cli.hub.remedy import remedy, typed
from qvq_cli.hub.removal import Leftover, list_leftovers
from qvq_cli.sizes import size
from qvq_cli.ui.report import Cell, Column, Table, Tone

_COLUMNS = (
    Column("MODEL"),
    Column("QUANT"),
    Column("SIZE", is_number=True),
    Column("MEMORY", is_number=True, is_optional=True),
    Column("FITS"),
    Column("SPEED", is_number=True, is_optional=True),
    Column("STATE"),
)


@dataclass(frozen=True, slots=True)
class _Listed:
    """One row. problem: what is wrong with an installed model's files."""

    name: str
    quant: str
    n_bytes: int | None
    fit: Fit | None
    state: str
    entry: CatalogEntry | None
    installed: Installed | None = None
    problem: str | None = None
    leftover: Leftover | None = None


def run(session: Session, *, json: bool) -> None:
    """List the models."""
    screen = session.open_screen(json=json)
    machine = look_at_machine(session.env.variables)
    found = list_installed(session.env.variables)
    leftovers = list_leftovers(session.env.variables)
    listed = [*_here(found, leftovers, machine)]
    listed += _elsewhere({each.name for each in listed}, machine)
    body = {"memory_free_bytes": machine.free_bytes, "models": [_body(each) for each in listed]}
    screen.result([Table(_COLUMNS, tuple(map(_row, listed)))], body)
    if not json:
        screen.notice(
            f"{size(machine.free_bytes)} of memory free; qvq show NAME tells more, "
            "qvq pull NAME gets it"
        )
        for each in listed:
            if each.installed and each.problem:
                model = f"{each.name}:{each.quant}"
                screen.notice(
                    f"{model} is broken: {each.problem}; qvq verify {model} looks closer; "
                    f"{remedy(each.installed)}"
                )
            if each.leftover:
                screen.notice(_leftover_words(each.leftover))


def _leftover_words(leftover: Leftover) -> str:
    model_id, to = leftover.model_id, f" --to {typed(leftover.to)}" if leftover.to else ""
    goes_on = f"qvq pull {model_id}{to} goes on, " if leftover.is_pull else ""
    return (
        f"{model_id} is unfinished: {size(leftover.n_bytes)} of it are here; {goes_on}"
        f"qvq rm {model_id} frees them"
    )


def _here(
    found: tuple[Installed, ...], leftovers: tuple[Leftover, ...], machine: Resources
) -> Iterator[_Listed]:
    for installed in found:
        entry = entry_of(installed)
        yield _Listed(
            name=installed.name,
            quant=installed.quant,
            n_bytes=installed.n_bytes,
            fit=installed_fit(installed, machine),
            state="broken" if installed.problem else "installed",
            entry=entry,
            installed=installed,
            problem=installed.problem,
        )
    for leftover in leftovers:
        name, _, quant = leftover.model_id.rpartition(":")
        known = catalog_entry(name) if name in catalog_names() else None
        fit = catalog_fits(known, machine).get(quant) if known else None
        yield _Listed(name, quant, leftover.n_bytes, fit, "unfinished", known, leftover=leftover)
    nano = catalog_entry(EMBEDDED)
    fit = catalog_fits(nano, machine).get(nano.default_quant)
    n_bytes = fit.n_bytes if fit else nano.about_bytes(nano.default_quant)
    yield _Listed(nano.name, nano.default_quant, n_bytes, fit, "built in", nano)


def _elsewhere(names: set[str], machine: Resources) -> Iterator[_Listed]:
    """The catalog's other models, the best first, each in the quant a pull would take."""
    rows = []
    for entry in load_catalog():
        if entry.repo is None or entry.name in names:
            continue
        fits = catalog_fits(entry, machine)
        quant = _quant_to_pull(entry, machine)
        fit = fits.get(quant)
        rows.append(_Listed(entry.name, quant, fit.n_bytes if fit else None, fit, "to pull", entry))
    yield from sorted(rows, key=_rank)


def _rank(row: _Listed) -> tuple[bool, int]:
    """As installed models are ranked: reasoners first, then the larger ones."""
    is_plain = row.entry is not None and row.entry.profile.dialect == "plain"
    return is_plain, -(row.n_bytes or 0)


def _quant_to_pull(entry: CatalogEntry, machine: Resources) -> str:
    try:
        return choose_quant(entry, machine.free_bytes).quant
    except DoesNotFitError:
        return entry.default_quant


def _row(listed: _Listed) -> tuple[Cell, ...]:
    is_here = listed.state != "to pull"
    tones = {"installed": Tone.GOOD, "broken": Tone.BAD, "unfinished": Tone.WARN}
    return (
        Cell(listed.name, Tone.STRONG if is_here else Tone.PLAIN),
        Cell(listed.quant),
        Cell(size(listed.n_bytes)),
        *fit_cells(listed.fit),
        Cell(listed.state, tones.get(listed.state, Tone.GOOD if is_here else Tone.DIM)),
    )


def _body(listed: _Listed) -> dict[str, Any]:
    fit, entry, installed = listed.fit, listed.entry, listed.installed
    return {
        "model": f"{listed.name}:{listed.quant}",
        "name": listed.name,
        "quant": listed.quant,
        "state": listed.state.replace(" ", "-"),
        "problem": listed.problem,
        "bytes": listed.n_bytes,
        "memory_bytes": fit.needed_bytes if fit else None,
        "fits": fit.fits if fit else None,
        "tokens_per_s": fit.tokens_per_s if fit else None,
        "title": entry.title if entry else None,
        "licence": entry.licence if entry else None,
        "repo": installed.repo if installed else entry.repo if entry else None,
        "quants": list(entry.quants) if entry else [listed.quant],
        "files": [str(file.path) for file in installed.files] if installed else [],
    }
