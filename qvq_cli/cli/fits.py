"""Whether a model fits this machine and how fast it would be, known from wherever it can be."""

from dataclasses import dataclass

from qvq_cli.cli.machine import Resources
from qvq_cli.errors import QvqError
from qvq_cli.hub.catalog import CatalogEntry, load_catalog
from qvq_cli.hub.choose import quant_fits
from qvq_cli.hub.manifest import Installed


@dataclass(frozen=True, slots=True)
class Fit:
    """One quant here. n_bytes: of its files; needed_bytes: of memory, for a usual run.

    tokens_per_s: a rough guess, None where GPUs do the work.
    """

    n_bytes: int
    needed_bytes: int
    fits: bool
    tokens_per_s: float | None


def catalog_fits(entry: CatalogEntry, resources: Resources) -> dict[str, Fit]:
    """The quants of known size, the largest first."""
    fits = quant_fits(entry, resources.free_bytes, bandwidth=resources.bandwidth)
    return {
        fit.quant: Fit(fit.n_bytes, fit.needed_bytes, fit.fits, fit.tokens_per_s) for fit in fits
    }


def installed_fit(installed: Installed, resources: Resources) -> Fit | None:
    """From the catalog, or from the files' headers; None where those are broken."""
    entry = entry_of(installed)
    known = catalog_fits(entry, resources).get(installed.quant) if entry else None
    if known is not None or installed.problem is not None:
        return known
    return _fit_of_files(installed, resources)


def entry_of(installed: Installed) -> CatalogEntry | None:
    """The catalog's entry of an installed model."""
    return next((entry for entry in load_catalog() if entry.name == installed.name), None)


def _fit_of_files(installed: Installed, resources: Resources) -> Fit | None:
    # Only models that the catalog doesn't know need all this.
    from qvq_cli.hub.gguf import read_gguf
    from qvq_cli.hub.identify import identify
    from qvq_cli.hub.pair import check_pair
    from qvq_cli.hub.plan import sizes_of
    from qvq_cli.hub.run_plan import plan_run, typical_demand

    try:
        pair = check_pair(read_gguf(installed.model_path), read_gguf(installed.mmproj_path))
        demand = typical_demand(identify(pair).profile)
    except QvqError:  # a list of models is no place to end on one of them; doctor tells more
        return None
    sizes = sizes_of(pair)
    plan = plan_run(sizes, demand, resources.for_plan())
    bandwidth = resources.bandwidth
    return Fit(
        n_bytes=installed.n_bytes,
        needed_bytes=plan.needed_bytes,
        fits=plan.fits,
        tokens_per_s=None if bandwidth is None else bandwidth / sizes.weight_bytes,
    )
