"""Where the cache lies, how large it may grow, and what a run tells its engine about it."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from qvq_cli.engine.protocol import CacheSpec
from qvq_cli.errors import ConfigError
from qvq_cli.hub.config import Config
from qvq_cli.hub.disk import free_bytes
from qvq_cli.hub.fingerprint import fingerprint
from qvq_cli.hub.names import shown_name
from qvq_cli.hub.run_plan import RunPlan
from qvq_cli.hub.store import ModelChoice

DEFAULT_BYTES = 4 << 30
"""Nine pictures of 1,280 tokens for the 72B, hundreds for the small models."""
_SHARE_OF_DISK = 0.1
_MAX_DIGITS = 18  # an exabyte


def cache_dir(environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """Where the cache is: QVQ_CACHE, else the platform's own place for what can be made again."""
    if environ.get("QVQ_CACHE"):
        return Path(environ["QVQ_CACHE"]).expanduser().absolute()
    if platform == "win32":
        local = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        return local / "qvq" / "Cache"
    if environ.get("XDG_CACHE_HOME"):
        folder = Path(environ["XDG_CACHE_HOME"])
    elif platform == "darwin":
        folder = Path.home() / "Library" / "Caches"
    else:
        folder = Path.home() / ".cache"
    return folder / "qvq"


def cache_limit(environ: Mapping[str, str], config: Config) -> int:
    """The bytes it may take: QVQ_CACHE_BYTES, the config file, else 4 GiB or a tenth of the disk.

    Raises: ConfigError: the variable or the setting is no number of bytes.
    """
    said = environ.get("QVQ_CACHE_BYTES")
    where = "QVQ_CACHE_BYTES"
    if not said and config.text("cache-bytes") is not None:
        said, where = config.text("cache-bytes"), f"{config.path}: cache-bytes"
    if said:
        if not said.isdecimal() or len(said) > _MAX_DIGITS:
            raise ConfigError(
                f"{where} is {shown_name(said)!r}, not a number of bytes",
                hint="8000000000 is 8 GB; 0 keeps nothing",
                reference="bad-cache-bytes",
            )
        return int(said)
    try:
        n_free = free_bytes(cache_dir(environ))
    except OSError:
        n_free = 0
    return min(DEFAULT_BYTES, int(n_free * _SHARE_OF_DISK))


def cache_spec(
    environ: Mapping[str, str], config: Config, choice: ModelChoice, plan: RunPlan
) -> CacheSpec | None:
    """What the engine is told; None where nothing may be kept.

    An entry is copied before it is written, so none may be larger than what memory the plan leaves.
    """
    limit = cache_limit(environ, config)
    if limit == 0:
        return None
    host = plan.devices[0]
    spare_bytes = host.free_bytes - (plan.needed_bytes if plan.is_unified else host.total_bytes)
    installed = () if choice.installed is None else choice.installed.files
    verified = {file.path: file.sha256 for file in installed}
    return CacheSpec(
        folder=os.fspath(cache_dir(environ)),
        max_bytes=limit,
        max_entry_bytes=max(0, min(limit, spare_bytes)),
        model_id=fingerprint(choice.pair.model.parts, verified),
        mmproj_id=fingerprint(choice.pair.mmproj.parts, verified),
        model_name=f"{choice.name} {choice.quant}",
    )
