"""The config file: defaults for the options of `qvq solve`, one key for each option.

    # ~/.config/qvq/config.toml
    model = "qwen3-vl-4b-thinking"
    max-thinking = "90s"

A key that isn't known or a value of the wrong type stops the program: a setting that is silently
ignored is worse than none. Refuses to know: what the options mean, and whether a value is in range;
the command line checks that as if it had been typed.
"""

import os
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from qvq_cli.errors import ConfigError

_TEXT, _NUMBER, _INTEGER, _SWITCH = (str,), (int, float), (int,), (bool,)
_TYPE_WORDS: Mapping[tuple[type, ...], str] = {
    _TEXT: "text in quotes",
    _NUMBER: "a number",
    _INTEGER: "a whole number",
    _SWITCH: "true or false",
    (str, int): "a whole number, or text in quotes",
}
KEYS: Mapping[str, tuple[type, ...]] = {
    "model": _TEXT,
    "mmproj": _TEXT,
    "dialect": _TEXT,
    "max-thinking": (str, int),
    "max-answer": _INTEGER,
    "votes": _INTEGER,
    "look-again": _INTEGER,
    "system": _TEXT,
    "answer-format": _TEXT,
    "quiet": _SWITCH,
    "temperature": _NUMBER,
    "top-p": _NUMBER,
    "top-k": _INTEGER,
    "min-p": _NUMBER,
    "repeat-penalty": _NUMBER,
    "seed": _INTEGER,
    "image-tokens-min": _INTEGER,
    "image-tokens-max": _INTEGER,
    "n-gpu-layers": (str, int),
    "device": _TEXT,
    "threads": _INTEGER,
    "repack": _SWITCH,
    "cache": _SWITCH,
    "cache-bytes": _INTEGER,
    "drafts": _SWITCH,
    "draft": _TEXT,
}
"""Every key with the types that its value may have."""


class Config(NamedTuple):
    """What the config file says; None and an empty `values` where there is no file.

    values: by option name without dashes in front, only those that are set.
    """

    path: Path | None
    values: Mapping[str, str | int | float | bool]

    def text(self, key: str) -> str | None:
        """The value of a key whose option takes text, as if it had been typed."""
        value = self.values.get(key)
        return None if value is None else str(value)

    def where(self, key: str) -> str:
        """The file and the line that set a key, for messages about its value."""
        assert self.path is not None
        return f"{self.path}{_line(self.path.read_text('utf-8'), key)}"


def config_path(environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """Where the config file is looked for: QVQ_CONFIG, else the platform's own place."""
    if environ.get("QVQ_CONFIG"):
        return Path(environ["QVQ_CONFIG"]).expanduser()
    if platform == "win32":
        folder = Path(environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif environ.get("XDG_CONFIG_HOME"):
        folder = Path(environ["XDG_CONFIG_HOME"])
    elif platform == "darwin":
        folder = Path.home() / "Library" / "Application Support"
    else:
        folder = Path.home() / ".config"
    return folder / "qvq" / "config.toml"


def load_config(environ: Mapping[str, str] = os.environ) -> Config:
    """Read the config file, if there is one.

    Raises: ConfigError: it is no TOML, has an unknown key or a value of the wrong type, can't be
        read, or QVQ_CONFIG names a file that isn't there.
    """
    path = config_path(environ)
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        if environ.get("QVQ_CONFIG"):
            raise ConfigError(
                f"QVQ_CONFIG names {path}, and there is no such file",
                hint="write it, or unset QVQ_CONFIG",
                reference="no-config",
            ) from None
        return Config(None, {})
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text", reference="broken-config") from error
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror or error}") from error
    return Config(path, _parse(path, text))


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path} is not valid TOML: {error}",
            hint='a line is key = value, with text in quotes: model = "nano"',
            reference="broken-config",
        ) from error
    for key, value in table.items():
        if key not in KEYS:
            _refuse_key(path, text, key)
        # bool is an int to Python, but true is no number of threads.
        if not isinstance(value, KEYS[key]) or (isinstance(value, bool) and bool not in KEYS[key]):
            raise ConfigError(
                f"{path}{_line(text, key)}: {key} must be {_TYPE_WORDS[KEYS[key]]}, not {value!r}",
                reference="bad-config-value",
            )
    return table


def _refuse_key(path: Path, text: str, key: str) -> NoReturn:
    from difflib import get_close_matches

    near = get_close_matches(key, KEYS, n=1)
    raise ConfigError(
        f"{path}{_line(text, key)}: there is no setting {key!r}"
        + (f"; perhaps {near[0]}?" if near else ""),
        hint="the settings are " + ", ".join(KEYS),
        reference="unknown-config-key",
    )


def _line(text: str, key: str) -> str:
    """ ":3" where the key stands in line 3, "" where its line isn't found."""
    pattern = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}[\"']?\s*[.=\]]")
    numbers = (i for i, line in enumerate(text.splitlines(), 1) if pattern.match(line))
    number = next(numbers, None)
    return "" if number is None else f":{number}"
