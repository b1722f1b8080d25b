"""What a person fixes of a plan: --kv-type, --n-gpu-layers, --device and --votes, checked."""

from collections.abc import Sequence

from qvq_cli.cli.choices import parse_gpu_layers, parse_kv_type
from qvq_cli.engine.protocol import Device
from qvq_cli.errors import UsageError
from qvq_cli.hub.run_plan import Wishes

N_CHAINS_MAX = 64
"""Chains that can vote; the paper on self-consistency saw little change beyond 40."""


def make_wishes(kv_type: str, n_gpu_layers: str, device: str | None) -> Wishes:
    """What was typed for a plan. Raises: UsageError."""
    return Wishes(parse_kv_type(kv_type), parse_gpu_layers(n_gpu_layers), device)


def require_device(device: str | None, gpus: Sequence[Device]) -> None:
    """Refuse a --device that no run could take, without asking llama.cpp for a run.

    Raises: UnavailableError: there is none of that name.
    """
    names = ["CPU", *(gpu.name for gpu in gpus)]
    if device is None or device.lower() in {"none", *map(str.lower, names)}:
        return
    from qvq_cli.engine.build import no_such_device

    raise no_such_device(device, names)


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
