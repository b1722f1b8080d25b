"""`qvq cache`: what is kept of pictures and of what was said of them, and `qvq cache clear`."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from qvq_cli.cli.caching import cache_dir, cache_limit
from qvq_cli.cli.session import Session
from qvq_cli.engine.cache_store import CacheEntry, CacheStore
from qvq_cli.errors import AbortedError, CannotWriteError, ConfigError, UsageError
from qvq_cli.sizes import size
from qvq_cli.ui.report import Cell, Column, Sentence, Table, Tone

_COLUMNS = (
    Column("WHAT"),
    Column("TOKENS", is_number=True),
    Column("MODEL"),
    Column("SIZE", is_number=True),
    Column("LAST USED"),
)


def run(session: Session, *, json: bool) -> None:
    """List the entries, the last used first. Raises: ConfigError."""
    screen = session.open_screen(json=json)
    folder = cache_dir(session.env.variables)
    limit = cache_limit(session.env.variables, session.config)
    entries = _entries(session, limit)
    total = sum(entry.n_bytes for entry in entries)
    body = {
        "folder": str(folder),
        "bytes": total,
        "limit_bytes": limit,
        "entries": [_body(entry) for entry in entries],
    }
    table = Table(_COLUMNS, tuple(map(_row, entries)))
    screen.result([table] if entries else [Sentence("nothing is kept")], body)
    if not json:
        at_most = f"of {size(limit)} at most" if limit else "and nothing is added"
        clears = "; qvq cache clear removes it" if entries else ""
        screen.notice(f"{size(total)} {at_most}, in {folder}{clears}")


def clear(session: Session, *, is_agreed: bool, json: bool) -> None:
    """Remove everything, after asking.

    Raises:
        AbortedError: the answer is no. UsageError: there is nobody to ask.
        CannotWriteError: a file can't be removed. ConfigError.
    """
    screen = session.open_screen(json=json)
    entries = _entries(session, cache_limit(session.env.variables, session.config))
    if entries and not is_agreed:
        kept = f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'}"
        title = f"Clearing the cache frees {size(sum(entry.n_bytes for entry in entries))} ({kept})"
        screen.explain([Sentence(title, Tone.STRONG)])
        if not screen.can_ask:
            raise UsageError(
                "clearing the cache wants a yes, and there is nobody to ask",
                hint="qvq cache clear --yes",
                reference="nobody-to-ask",
            )
        if not screen.ask("Clear it?", default=False):
            raise AbortedError("nothing was removed", reference="declined")
    folder = cache_dir(session.env.variables)
    freed_bytes, stuck = CacheStore(folder, 0).clear()
    if stuck:
        raise CannotWriteError(
            f"{stuck[0]} can't be removed",
            hint="it may be in use; end other runs of qvq, or remove the folder by hand",
        )
    freed = Sentence(f"the cache is empty; {size(freed_bytes)} are free again")
    screen.result([freed], {"freed_bytes": freed_bytes})


def _entries(session: Session, limit: int) -> Sequence[CacheEntry]:
    folder = cache_dir(session.env.variables)
    try:
        return CacheStore(folder, limit).entries()
    except OSError as error:
        raise ConfigError(
            f"{folder} can't be read: {error.strerror or error}",
            hint="set QVQ_CACHE to a folder of yours",
            reference="unreadable-cache",
        ) from error


def _row(entry: CacheEntry) -> tuple[Cell, ...]:
    return (
        Cell(_what(entry)),
        Cell(str(sum(entry.image_tokens) + sum(entry.text_tokens))),
        Cell(entry.model),
        Cell(size(entry.n_bytes)),
        Cell(time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used_s)), Tone.DIM),
    )


def _what(entry: CacheEntry) -> str:
    n_images = len(entry.image_tokens)
    if entry.kind == "picture":
        return "a picture"
    if entry.kind == "reasoning":
        n_texts = len(entry.text_tokens)
        return "the reasoning of a run" if n_texts == 1 else f"the reasoning of {n_texts} runs"
    return "a prompt with a picture" if n_images == 1 else f"a prompt with {n_images} pictures"


def _body(entry: CacheEntry) -> dict[str, Any]:
    return {
        "kind": entry.kind,
        "model": entry.model,
        "image_tokens": list(entry.image_tokens),
        "text_tokens": list(entry.text_tokens),
        "bytes": entry.n_bytes,
        "last_used": datetime.fromtimestamp(entry.used_s, UTC).isoformat(timespec="seconds"),
        "path": str(entry.path),
    }
