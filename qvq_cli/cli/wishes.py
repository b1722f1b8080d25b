"""What a person fixes of a plan: --kv-type, --n-gpu-layers and --device, from words to Wishes."""

from qvq_cli.cli.choices import parse_gpu_layers, parse_kv_type
from qvq_cli.hub.run_plan import Wishes


def make_wishes(kv_type: str, n_gpu_layers: str, device: str | None) -> Wishes:
    """What was typed for a plan. Raises: UsageError."""
    return Wishes(parse_kv_type(kv_type), parse_gpu_layers(n_gpu_layers), device)
