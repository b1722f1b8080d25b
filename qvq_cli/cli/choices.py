"""Words of the command line that have few spellings. Light: checked before anything starts."""

from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from qvq_cli.errors import UsageError

if TYPE_CHECKING:
    from qvq_cli.engine.protocol import KvType

Choice = TypeVar("Choice", bound=StrEnum)
KV_TYPES: "dict[str, KvType | None]" = {"auto": None, "f16": "f16", "q8_0": "q8_0"}


def parse_choice(option: str, typed: str, choices: type[Choice]) -> Choice:
    """One of an option's words. Raises: UsageError: it is none of them."""
    try:
        return choices(typed.lower())
    except ValueError:
        raise UsageError(
            f"{option} can't be {typed!r}",
            hint=f"choose one of {', '.join(choices)}",
            reference="bad-choice",
        ) from None


def parse_kv_type(typed: str) -> "KvType | None":
    """None for auto. Raises: UsageError."""
    if typed.lower() not in KV_TYPES:
        raise UsageError(
            f"--kv-type can't be {typed!r}",
            hint=f"choose one of {', '.join(KV_TYPES)}",
            reference="bad-kv-type",
        )
    return KV_TYPES[typed.lower()]


def parse_gpu_layers(typed: str) -> int | None:
    """None for auto. Raises: UsageError."""
    if typed == "auto":
        return None
    if not typed.removeprefix("-").isdecimal():
        raise UsageError(
            f"--n-gpu-layers can't be {typed!r}",
            hint="give a number of layers, 0 for none, -1 for all, or auto",
            reference="bad-gpu-layers",
        )
    return int(typed)
