"""The command that compiles llama-cpp-python for a GPU, in the environment that runs this."""

import sys
from importlib.util import find_spec

_PACKAGE = "llama-cpp-python"


def rebuild_command(
    flag: str,
    version: str,
    *,
    python: str = sys.executable,
    is_windows: bool = sys.platform == "win32",
    has_pip: bool | None = None,
) -> str:
    """What to type; for PowerShell on Windows.

    Args:
        flag: of CMake, such as "-DGGML_CUDA=on".
        version: of llama-cpp-python, which stays the same.
        has_pip: None finds out; environments made by uv have none.
    """
    if has_pip is None:
        has_pip = find_spec("pip") is not None
    quoted = f'"{python}"' if " " in python else python
    wanted = f"{_PACKAGE}=={version}" if version[:1].isdigit() else _PACKAGE
    if has_pip:
        install = (
            f"{quoted} -m pip install --force-reinstall --no-deps --no-cache-dir "
            f"--no-binary {_PACKAGE} {wanted}"
        )
        if is_windows and quoted != python:
            install = f"& {install}"
    else:
        install = (
            f"uv pip install --python {quoted} --reinstall --no-deps --no-cache "
            f"--no-binary {_PACKAGE} {wanted}"
        )
    if is_windows:
        return f'$env:CMAKE_ARGS="{flag}"; {install}'
    return f'CMAKE_ARGS="{flag}" {install}'
