"""`qvq show MODEL`: what a model is, how it is run, and each of its quants on this machine."""

from collections.abc import Sequence
from typing import Any

from qvq_cli.cli.fits import catalog_fits, installed_fit
from qvq_cli.cli.machine import Resources, look_at_machine
from qvq_cli.cli.model_words import fit_cells, memory_words, speed_words
from qvq_cli.cli.session import Session
from qvq_cli.hub.catalog import EMBEDDED, CatalogEntry
from qvq_cli.hub.installed import find_installed, list_installed, matching
from qvq_cli.hub.manifest import Installed
from qvq_cli.hub.names import HF, entry_named, require_name, unknown_name, unknown_quant
from qvq_cli.sizes import size
from qvq_cli.ui.report import Block, Cell, Column, Fact, Facts, Report, Sentence, Table, Tone
from qvq_cli.ui.screen import Screen

_COLUMNS = (
    Column("QUANT"),
    Column("SIZE", is_number=True),
    Column("MEMORY", is_number=True),
    Column("FITS"),
    Column("SPEED", is_number=True, is_optional=True),
    Column("STATE"),
)
_ENDINGS = {
    "heading": "visible, ends in a heading such as **Final Answer**",
    "think-tags": "visible, ends in </think>",
    "plain": "none of its own: the whole reply is the answer",
}


def run(session: Session, model: str, *, json: bool) -> None:
    """Show one model, installed or of the catalog.

    Raises: UnavailableError: there is none of that name, or it has no such quant.
    """
    screen = session.open_screen(json=json)
    environ = session.env.variables
    installed = list_installed(environ)
    machine = look_at_machine(environ)
    named = entry_named(require_name(model))
    is_repository, is_here = model.startswith(HF), bool(matching(model, installed))
    if named is None and not is_repository and not is_here:
        raise unknown_name(model, is_pull=True)
    if named is None or (is_repository and is_here):
        _show_foreign(find_installed(model, environ), machine, screen)
        return
    entry, quant = named
    here = [each for each in installed if each.name == entry.name]
    if quant:
        here = [each for each in here if each.quant.upper() == quant]
        known = {each: files for each, files in entry.quants.items() if each == quant}
        if not known and not here:
            raise unknown_quant(entry, quant)
        entry = entry._replace(quants=known)
    screen.result(_report(entry, here, machine), _body(entry, here, machine))


def _show_foreign(installed: Installed, machine: Resources, screen: Screen) -> None:
    """A model that the catalog doesn't know: what its files say."""
    fit = installed_fit(installed, machine)
    source = "imported"
    if installed.repo is not None:
        source = f"{installed.repo}, revision {(installed.commit or '')[:7]}"
    facts = [
        Fact("from", source),
        Fact("size", size(installed.n_bytes)),
        Fact("memory", memory_words(fit, installed.n_bytes, machine)),
        Fact("speed", speed_words(fit.tokens_per_s if fit else None)),
    ]
    report: list[Block] = [Sentence(installed.model_id, Tone.STRONG), Facts(tuple(facts))]
    body = {"name": installed.name, "installed": [_installed_body(installed)]}
    screen.result([*report, *_installed_report([installed])], body)


def _report(entry: CatalogEntry, here: Sequence[Installed], machine: Resources) -> Report:
    profile = entry.profile
    sampling = profile.sampling
    chosen = "greedy" if sampling.temperature == 0 else f"temperature {sampling.temperature:g}"
    limits = profile.limits
    facts = [
        Fact("from", entry.repo or "comes with the program"),
        Fact("licence", entry.licence),
        Fact("reasoning", f"{_ENDINGS[profile.dialect]}; up to {profile.max_thinking:,} tokens"),
        Fact("sampling", chosen),
        Fact(
            "pictures",
            f"{limits.image_tokens_min:,} to {limits.image_tokens_max:,} tokens each",
        ),
        *([Fact("draft model", entry.draft)] if entry.draft else []),
        Fact("memory", f"{size(machine.free_bytes)} free"),
    ]
    return [
        Sentence(f"{entry.title} ({entry.name})", Tone.STRONG),
        Sentence(entry.description),
        Facts(tuple(facts)),
        _quant_table(entry, here, machine),
        *_installed_report(here),
    ]


def _quant_table(entry: CatalogEntry, here: Sequence[Installed], machine: Resources) -> Table:
    states = {each.quant: "broken" if each.problem else "installed" for each in here}
    if entry.name == EMBEDDED:
        states = {entry.default_quant: "built in"}
    fits = catalog_fits(entry, machine)
    unsized = [quant for quant in entry.quants if quant not in fits]
    rows = []
    for quant in [*fits, *unsized]:
        fit, state = fits.get(quant), states.get(quant, "to pull")
        tone = Tone.DIM if state == "to pull" else Tone.BAD if state == "broken" else Tone.GOOD
        n_bytes = Cell(size(fit.n_bytes if fit else None))
        rows.append((Cell(quant), n_bytes, *fit_cells(fit), Cell(state, tone)))
    return Table(_COLUMNS, tuple(rows))


def _installed_report(here: Sequence[Installed]) -> list[Facts]:
    """Where the files of each installed quant lie."""
    return [
        Facts(
            (
                Fact(each.quant, "\n".join(str(file.path) for file in each.files), is_exact=True),
                Fact(
                    "", each.problem or "complete", text_tone=Tone.BAD if each.problem else Tone.DIM
                ),
            )
        )
        for each in here
    ]


def _body(entry: CatalogEntry, here: Sequence[Installed], machine: Resources) -> dict[str, Any]:
    fits = catalog_fits(entry, machine)
    return {
        "name": entry.name,
        "title": entry.title,
        "description": entry.description,
        "repo": entry.repo,
        "revision": entry.revision,
        "licence": entry.licence,
        "dialect": entry.profile.dialect,
        "max_thinking": entry.profile.max_thinking,
        "image_tokens_min": entry.profile.limits.image_tokens_min,
        "image_tokens_max": entry.profile.limits.image_tokens_max,
        "draft": entry.draft,
        "memory_free_bytes": machine.free_bytes,
        "quants": [
            {
                "quant": quant,
                "bytes": fit.n_bytes if fit else None,
                "memory_bytes": fit.needed_bytes if fit else None,
                "fits": fit.fits if fit else None,
                "tokens_per_s": fit.tokens_per_s if fit else None,
                "files": [
                    {"name": file.name, "bytes": file.n_bytes, "sha256": file.sha256}
                    for file in entry.quants[quant]
                ],
            }
            for quant in entry.quants
            for fit in [fits.get(quant)]
        ],
        "installed": [_installed_body(each) for each in here],
    }


def _installed_body(installed: Installed) -> dict[str, Any]:
    return {
        "model": installed.model_id,
        "name": installed.name,
        "quant": installed.quant,
        "repo": installed.repo,
        "revision": installed.commit,
        "source": installed.source,
        "problem": installed.problem,
        "bytes": installed.n_bytes,
        "files": [
            {
                "role": file.role,
                "path": str(file.path),
                "bytes": file.n_bytes,
                "sha256": file.sha256,
            }
            for file in installed.files
        ],
    }
