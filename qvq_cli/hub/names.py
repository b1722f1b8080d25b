"""How models are named on the command line."""

import re

from qvq_cli.errors import UnavailableError
from qvq_cli.hub.catalog import catalog_names

REPO_SYNTAX = re.compile(r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(:(?P<quant>\w+))?", re.ASCII)
"""What may follow `hf:`."""

_MOST_SHOWN_CHARS = 100


def unknown_name(model: str) -> UnavailableError:
    """There is no such model; with the one that was perhaps meant."""
    from difflib import get_close_matches

    typed = model.lower()
    shown = model if len(model) <= _MOST_SHOWN_CHARS else model[:_MOST_SHOWN_CHARS] + "…"
    near = [name for name in catalog_names() if typed in name]
    near = near or get_close_matches(typed, catalog_names(), n=1, cutoff=0.5)
    return UnavailableError(
        f"there is no model {shown!r}" + (f"; perhaps {near[0]}?" if near else ""),
        hint="give a GGUF file, hf:OWNER/REPO, or one of " + ", ".join(catalog_names()),
        reference="unknown-model",
    )
