"""What a person fixes of a plan: --kv-type, --n-gpu-layers, --device and --votes, checked."""

from qvq_cli.cli.choices import parse_gpu_layers, parse_kv_type
from qvq_cli.errors import UsageError
from qvq_cli.hub.run_plan import Wishes

N_CHAINS_MAX = 64
"""Chains that can vote; the paper on self-consistency saw little change beyond 40."""


def make_wishes(kv_type: str, n_gpu_layers: str, device: str | None) -> Wishes:
    """What was typed for a plan. Raises: UsageError."""
    return Wishes(parse_kv_type(kv_type), parse_gpu_layers(n_gpu_layers), device)


def check_votes(n_chains: int) -> int:
    """Raises: UsageError: not a number of chains that can be run."""
    if not 1 <= n_chains <= N_CHAINS_MAX:
        raise UsageError(
            f"--votes can't be {n_chains}",
            hint=f"give a number from 1 to {N_CHAINS_MAX}; 8 is a good one",
            reference="bad-votes",
        )
    return n_chains
