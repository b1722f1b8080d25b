"""What a pull is going to be, for people and as JSON."""

from pathlib import Path
from typing import Any

from qvq_cli.cli.fits import Fit, catalog_fits
from qvq_cli.cli.machine import Resources
from qvq_cli.cli.model_words import file_name, memory_words, speed_words
from qvq_cli.hub.download import PullPlan
from qvq_cli.sizes import share_of, size
from qvq_cli.ui.report import Fact, Facts, Report, Sentence, Tone


def fit_of(plan: PullPlan, machine: Resources) -> Fit | None:
    """Whether the plan's quant fits here; None where the catalog doesn't know the model."""
    if plan.entry is None:
        return None
    return catalog_fits(plan.entry, machine).get(plan.quant)


def plan_report(plan: PullPlan, fit: Fit | None, machine: Resources) -> Report:
    """What the download is, costs and needs."""
    n_here = plan.n_bytes - plan.missing_bytes
    download = size(plan.missing_bytes)
    if n_here:
        download += f"; {share_of(n_here, plan.n_bytes)} are here already"
    sources = dict.fromkeys(f"{f.repo}, revision {f.commit[:7]}" for f in plan.files)
    widest = max(len(file_name(file.name)) for file in plan.files)
    files = [f"{file_name(file.name):<{widest}}  {size(file.n_bytes)}" for file in plan.files]
    has_room = plan.disk_free_bytes >= plan.missing_bytes
    facts = [
        Fact("from", "\n".join(sources)),
        Fact("files", "\n".join(files), is_exact=True),
        Fact("download", download),
        Fact(
            "disk",
            f"{size(plan.disk_free_bytes)} free in {_shown_folder(plan)}",
            text_tone=Tone.PLAIN if has_room else Tone.BAD,
        ),
        Fact(
            "memory",
            memory_words(fit, plan.n_bytes, machine),
            text_tone=Tone.PLAIN if fit is None or fit.fits else Tone.BAD,
        ),
        Fact("speed", speed_words(_expected_tps(plan, fit, machine))),
        Fact("licence", plan.licence),
    ]
    return [Sentence(f"{plan.title} {plan.quant}", Tone.STRONG), Facts(tuple(facts))]


def _expected_tps(plan: PullPlan, fit: Fit | None, machine: Resources) -> float | None:
    """A rough guess; of a model that the catalog doesn't know, from the size of its file."""
    if fit is not None or machine.bandwidth is None:
        return fit.tokens_per_s if fit else None
    return machine.bandwidth / sum(file.n_bytes for file in plan.files if file.role == "model")


def _shown_folder(plan: PullPlan) -> Path:
    """The cache as people know it, without its inner folders."""
    return plan.folder.parents[1] if plan.files[0].blob is not None else plan.folder


def plan_body(plan: PullPlan, fit: Fit | None, machine: Resources) -> dict[str, Any]:
    """The plan as --json prints it."""
    return {
        "model": plan.model_id,
        "name": plan.name,
        "title": plan.title,
        "quant": plan.quant,
        "licence": plan.licence,
        "is_installed": plan.is_complete,
        "bytes": plan.n_bytes,
        "missing_bytes": plan.missing_bytes,
        "folder": str(plan.folder),
        "disk_free_bytes": plan.disk_free_bytes,
        "memory_bytes": fit.needed_bytes if fit else None,
        "memory_free_bytes": machine.free_bytes,
        "fits": fit.fits if fit else None,
        "tokens_per_s": _expected_tps(plan, fit, machine),
        "files": [
            {
                "role": file.role,
                "repo": file.repo,
                "revision": file.commit,
                "name": file.name,
                "bytes": file.n_bytes,
                "have_bytes": file.have_bytes,
                "sha256": file.sha256,
                "url": file.url,
                "path": str(file.path),
            }
            for file in plan.files
        ],
    }
