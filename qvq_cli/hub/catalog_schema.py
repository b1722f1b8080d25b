"""What a catalog entry must say: for files that people write, so that a slip is told, not ignored.

# ~/.config/qvq/catalog/my-vl.toml
name = "my-vl"
title = "My VL"
repo = "me/My-VL-GGUF"
kv_bytes_per_token = 57344
default_quant = "Q4_K_M"
[profile]
dialect = "plain"
[mmproj]
name = "mmproj-f16.gguf"
[[quants.Q4_K_M]]
name = "My-VL-Q4_K_M.gguf"
"""

import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, NamedTuple, get_args

from qvq_cli.engine.grid import ImageLimits
from qvq_cli.engine.protocol import Sampling
from qvq_cli.errors import ConfigError
from qvq_cli.hub.text_model import TextShape
from qvq_cli.hub.vision_model import VisionShape

Dialect = Literal["heading", "think-tags", "plain"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)


class _Rule(NamedTuple):
    """What a value must be, in words, and the test for it."""

    words: str
    holds: Callable[[Any], bool]
    is_required: bool = False


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < math.inf


_TEXT = _Rule("text in quotes", lambda value: isinstance(value, str))
_COUNT = _Rule("a whole number above 0", _is_count)
_TABLE = _Rule("a table", lambda value: isinstance(value, dict))
_REPO = _Rule("OWNER/REPO in quotes", _matches(r"\w[\w.-]*/\w[\w.-]*"))
_NAME_SYNTAX = r"[a-z0-9][a-z0-9.-]*"

_ENTRY: Mapping[str, _Rule] = {
    "name": _Rule("small letters, digits, dots and dashes", _matches(_NAME_SYNTAX), True),
    "title": _TEXT._replace(is_required=True),
    "description": _TEXT,
    "repo": _REPO._replace(is_required=True),
    "revision": _TEXT,
    "licence": _TEXT,
    "kv_bytes_per_token": _COUNT._replace(is_required=True),
    "default_quant": _TEXT._replace(is_required=True),
    "draft": _TEXT,
    "profile": _TABLE._replace(is_required=True),
    "sampling": _TABLE,
    "image": _TABLE,
    "mmproj": _TABLE._replace(is_required=True),
    "quants": _TABLE._replace(is_required=True),
    "shape": _TABLE,
}
_PROFILE: Mapping[str, _Rule] = {
    "dialect": _Rule("one of " + ", ".join(DIALECTS), lambda value: value in DIALECTS, True),
    "system": _TEXT,
    "max_thinking": _COUNT,
}
_FILE: Mapping[str, _Rule] = {
    "name": _Rule(
        "the path of a GGUF in the repository",
        _matches(r"(?!/)(?!.*\.\.)[^\\:]+\.gguf(\.part\d+of\d+|\.[a-z])?"),
        True,
    ),
    "repo": _REPO,
    "bytes": _COUNT,
    "gigabytes": _Rule("a number", _is_number),
    "sha256": _Rule("64 hexadecimal digits", _matches(r"[0-9a-f]{64}")),
}
_SAMPLING = {name: _Rule("a number", _is_number) for name in Sampling._fields if name != "seed"}
_IMAGE = dict.fromkeys(ImageLimits._fields, _COUNT)
_SHAPES = {"text": TextShape.__annotations__, "vision": VisionShape.__annotations__}


def check_entry(table: Mapping[str, Any], where: str, stem: str, names: Collection[str]) -> None:
    """Check an entry.

    Args:
        where: the file, for messages.
        stem: its name without .toml, which the entry must have.
        names: of all entries, for what names another one.
    Raises: ConfigError: the first thing that is wrong, with what it must be.
    """
    _check_table(table, _ENTRY, where, "")
    if table["name"] != stem:
        raise _wrong(where, "name", f"the file's own, {stem!r}, not {table['name']!r}")
    _check_table(table["profile"], _PROFILE, where, "profile.")
    _check_table(table.get("sampling", {}), _SAMPLING, where, "sampling.")
    _check_table(table.get("image", {}), _IMAGE, where, "image.")
    _check_file(table["mmproj"], where, "mmproj.")
    for quant, files in table["quants"].items():
        if not re.fullmatch(r"[A-Z0-9_]+", quant):
            raise _wrong(where, f"quants.{quant}", "named in capitals, as Q4_K_M is")
        if not isinstance(files, list) or not files:
            raise _wrong(where, f"quants.{quant}", f"a list of files: [[quants.{quant}]]")
        for file in files:
            _check_file(file, where, f"quants.{quant}.")
    if table["default_quant"] not in table["quants"]:
        raise _wrong(where, "default_quant", "one of " + (", ".join(table["quants"]) or "some"))
    if table.get("draft", "") == stem or table.get("draft", stem) not in names:
        raise _wrong(where, "draft", f"another name of the catalog, not {table['draft']!r}")
    _check_shape(table.get("shape"), where)


def _check_file(table: Any, where: str, path: str) -> None:
    if not isinstance(table, dict):
        raise _wrong(where, path.rstrip("."), "a table")
    _check_table(table, _FILE, where, path)
    if "bytes" in table and "gigabytes" in table:
        raise _wrong(where, f"{path}gigabytes", "left out where bytes says it exactly")


def _check_shape(shape: Any, where: str) -> None:
    if shape is None:
        return
    for half, fields in _SHAPES.items():
        table = shape.get(half)
        if not isinstance(table, dict):
            raise _wrong(where, f"shape.{half}", "a table")
        for name, kind in fields.items():
            value = table.get(name)
            holds = isinstance(value, str) if kind is str else type(value) is int
            if not holds or (isinstance(value, int) and value < 0):
                raise _wrong(where, f"shape.{half}.{name}", "what the model's config says")


def _check_table(
    table: Mapping[str, Any], rules: Mapping[str, _Rule], where: str, path: str
) -> None:
    for key, value in table.items():
        if key not in rules:
            raise ConfigError(
                f"{where}: there is no {path}{key} in a catalog entry",
                hint=f"{path.rstrip('.') or 'an entry'} has " + ", ".join(rules),
                reference="unknown-catalog-key",
            )
        if not rules[key].holds(value):
            raise _wrong(where, path + key, f"{rules[key].words}, not {value!r}")
    for key, rule in rules.items():
        if rule.is_required and key not in table:
            raise ConfigError(
                f"{where}: {path}{key} is missing; it is {rule.words}",
                reference="bad-catalog-entry",
            )


def _wrong(where: str, key: str, words: str) -> ConfigError:
    return ConfigError(f"{where}: {key} must be {words}", reference="bad-catalog-entry")
