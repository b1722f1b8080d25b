"""How broken files of an installed model are got again: from the Hub, or from where they came."""

import re
from pathlib import PurePath

from qvq_cli.hub.manifest import Installed

_PLAIN = re.compile(r"[\w.,:/\\+@=-]+")
"""What no shell reads as anything else."""


def remedy(installed: Installed) -> str:
    """What to do about broken files, with the command to type."""
    if installed.repo is not None:
        return f"get what is broken again: qvq verify {installed.model_id} --repair"
    if not installed.imported_from:
        return "import it again from the files it came from: qvq import PATH"
    given = " ".join(map(typed, installed.imported_from))
    if installed.model_path in installed.imported_from:
        # What it came from is what broke.
        return f"put sound files in their place, then import them again: qvq import {given} --link"
    return f"import it again from where it came: qvq import {given}"


def typed(path: PurePath) -> str:
    """A path as it has to be typed."""
    return str(path) if _PLAIN.fullmatch(str(path)) else f'"{path}"'
