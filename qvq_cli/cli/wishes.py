"""What a person fixes of a plan: --kv-type, --n-gpu-layers, --device and --votes, checked."""

from qvq_cli.engine.protocol import KvType
from qvq_cli.errors import UsageError
from qvq_cli.hub.run_plan import Wishes

N_CHAINS_MAX = 64
"""Chains that can vote; the paper on self-consistency saw little change beyond 40."""
KV_TYPES: dict[str, KvType | None] = {"auto": None, "f16": "f16", "q8_0": "q8_0"}


def make_wishes(kv_type: str, n_gpu_layers: str, device: str | None) -> Wishes:
    """What was typed for a plan. Raises: UsageError."""
    return Wishes(_kv_type(kv_type), _gpu_layers(n_gpu_layers), device)


def check_votes(n_chains: int) -> int:
    """Raises: UsageError: not a number of chains that can be run."""
    if not 1 <= n_chains <= N_CHAINS_MAX:
        raise UsageError(
            f"--votes can't be {n_chains}",
            hint=f"give a number from 1 to {N_CHAINS_MAX}; 8 is a good one",
            reference="bad-votes",
        )
    return n_chains


def wanted_draft(draft: str | None, *, drafts: bool, votes: int) -> str | None:
    """What --draft names. Raises: UsageError: there are to be no drafts."""
    if draft and not drafts:
        raise UsageError(
            "--draft and --no-drafts exclude each other",
            hint="leave one of them out; --drafts is for a config file that says drafts = false",
            reference="conflicting-drafts",
        )
    if draft and votes > 1:
        raise UsageError(
            "--draft and --votes exclude each other: chains that vote take no drafts",
            hint="leave one of them out; --votes 1 is for a config file that has votes",
            reference="votes-draft",
        )
    return draft or None


def _kv_type(typed: str) -> KvType | None:
    if typed.lower() not in KV_TYPES:
        raise UsageError(
            f"--kv-type can't be {typed!r}",
            hint=f"choose one of {', '.join(KV_TYPES)}",
            reference="bad-kv-type",
        )
    return KV_TYPES[typed.lower()]


def _gpu_layers(typed: str) -> int | None:
    if typed == "auto":
        return None
    if not typed.removeprefix("-").isdecimal():
        raise UsageError(
            f"--n-gpu-layers can't be {typed!r}",
            hint="give a number of layers, 0 for none, -1 for all, or auto",
            reference="bad-gpu-layers",
        )
    return int(typed)
