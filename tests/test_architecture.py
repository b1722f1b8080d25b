"""Who may import whom, and what a light command must not load: the design, read from sources."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "qvq_cli"
MODULES = sorted(ROOT.rglob("*.py"))

# engine.protocol, engine.grid and reasoning.events are plain data that other layers may name.
ALLOWED = {
    "errors": set(),
    "sizes": set(),
    "latex": {"errors"},
    "engine": {"errors"},
    "hub": {"errors", "sizes", "engine.protocol", "engine.grid"},
    "reasoning": {"errors", "latex", "engine.protocol"},
    "ui": {"errors", "sizes", "latex", "reasoning.events"},
    "cli": {"errors", "sizes", "ui", "reasoning", "engine", "hub"},
    "__main__": {"cli"},
}
ONLY_IN = {
    "llama_cpp": {"engine/llama_library.py"},
    "PIL": {"engine/images.py"},
    "pypdfium2": {"engine/pdf.py"},
    "huggingface_hub": {"hub/remote.py", "hub/remote_errors.py", "hub/removal.py"},
    "httpx2": {"hub/remote.py", "hub/remote_errors.py"},
    "filelock": {"hub/download.py", "hub/manifest.py"},
    "rich": {f"ui/{path.name}" for path in (ROOT / "ui").glob("*.py")},
    "pylatexenc": {"latex/formula.py"},
    "psutil": {"hub/memory.py"},
    "typer": {f"cli/{path.name}" for path in (ROOT / "cli").glob("*.py")},
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "qvq_cli":
                yield from (f"qvq_cli.{alias.name}" for alias in node.names)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def layer_of(dotted: str) -> str:
    return dotted.split(".")[0]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_arrows(path: Path) -> None:
    layer = layer_of(name_of(path).removesuffix(".py").replace("/", "."))
    for module in imports(path):
        inner = module.removeprefix("qvq_cli.")
        if inner == module or inner in ("__version__", layer) or layer_of(inner) == layer:
            continue
        allowed = ALLOWED[layer]
        assert inner in allowed or layer_of(inner) in allowed, f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_libraries_have_one_importer(path: Path) -> None:
    for module in imports(path):
        places = ONLY_IN.get(layer_of(module))
        assert places is None or name_of(path) in places, f"{name_of(path)} imports {module}"


def loaded_by(*arguments: str) -> set[str]:
    script = (
        "import sys\n"
        "from qvq_cli.cli.app import main\n"
        f"main({list(arguments)!r})\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    return {layer_of(line) for line in done.stderr.splitlines()}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["solve", "--help"], ["pull", "--help"]]
)
def test_light_commands_load_nothing_heavy(arguments: list[str]) -> None:
    heavy = {"llama_cpp", "PIL", "huggingface_hub", "numpy", "pypdfium2", "psutil", "pylatexenc"}
    assert not loaded_by(*arguments) & heavy


@pytest.mark.parametrize("command", ["models", "verify"])
def test_commands_about_installed_models_load_no_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    monkeypatch.setenv("QVQ_DATA", str(tmp_path))
    heavy = {"llama_cpp", "PIL", "huggingface_hub", "httpx", "httpx2", "numpy", "ssl"}
    assert not loaded_by(command) & heavy


def test_the_version_loads_no_typer() -> None:
    assert not loaded_by("--version") & {"typer", "rich"}


def test_a_command_line_is_read_without_pydantic() -> None:
    """Typer reads values through it from 0.29 on: 0.1 to 0.2 s of every start."""
    assert "pydantic" not in loaded_by("solve", "no.png", "why?", "--max-thinking", "90s")
