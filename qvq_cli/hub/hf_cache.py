"""Model files that the Hugging Face tools already downloaded, found without the network.

Source of the layout: huggingface_hub, "Understand caching": models--OWNER--REPO/refs/main names the
commit whose files are in snapshots/COMMIT.
"""

import re
from pathlib import Path

_QUANT = re.compile(
    r"[-_.](?P<quant>I?Q\d\w*|TQ\d\w*|MXFP4\w*|BF16|F16|F32)(-\d{5}-of-\d{5})?\.gguf", re.IGNORECASE
)


def cached_files(repo: str, revision: str | None = None) -> dict[str, Path]:
    """The GGUF files of a repository in the cache, by their path in the repository."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / "--".join(["models", *repo.split("/")])
    try:
        commit = (folder / "refs" / (revision or "main")).read_text("utf-8").strip()
    except OSError:
        commit = revision or ""
    snapshot = folder / "snapshots" / commit
    if not commit or not snapshot.is_dir():
        return {}
    paths = (path for path in snapshot.rglob("*.gguf") if path.is_file())
    return {path.relative_to(snapshot).as_posix(): path for path in sorted(paths)}


def quant_in_name(name: str) -> str | None:
    """The quantization that a file's name ends in: "Q4_K_M" of "QVQ-72B-Preview-Q4_K_M.gguf"."""
    match = _QUANT.search(name)
    return match["quant"].upper() if match else None
