"""The packages people install: complete, free of what doesn't belong, and working anywhere.

Built once, sdist first and the wheel from it. Nothing is fetched: the new environment borrows the
dependencies that are installed beside this test, and only qvq itself comes out of the wheel.
"""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from pictures import PRODUCT_QUESTION, PUBLISHED, draw_table

ROOT = Path(__file__).resolve().parents[1]
MODEL_FILES = ("nano/nano-q8_0.gguf", "nano/mmproj-nano-q8_0.gguf", "nano/example.png")
LITTER = re.compile(r"__pycache__|\.pyc$|(^|/)\.(?!gitignore)|\.egg-info|(^|/)(build|dist|out)/")
# Names that are imported under another name than they are installed by, or not at all.
DISTRIBUTIONS = {"PIL": "pillow", "llama_cpp": "llama-cpp-python"}


class Packages(NamedTuple):
    """The two files that would go to PyPI."""

    wheel: Path
    sdist: Path


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Packages(next(out.glob("*.whl")), next(out.glob("*.tar.gz")))


@pytest.fixture(scope="module")
def installed(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts folder of a new environment that has the wheel, and no way to the checkout."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False, symlinks=sys.platform != "win32")
    scheme = sysconfig.get_paths(
        "venv", vars={"base": str(home), "platbase": str(home), "installed_base": str(home)}
    )
    # A .pth file lends the dependencies. The .pth files in the folder it names are not read again,
    # so the editable qvq of a developer stays out.
    lent = sysconfig.get_paths()["purelib"]
    (Path(scheme["purelib"]) / "lent.pth").write_text(lent + "\n", encoding="utf-8")
    scripts = Path(scheme["scripts"])
    python = scripts / Path(sys.executable).name
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    install = [*pip, "install", "--no-index", "--no-deps", "--quiet", str(packages.wheel)]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return scripts


def names_in_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def names_in_sdist(sdist: Path) -> set[str]:
    """Paths below the sdist's own top folder."""
    with tarfile.open(sdist) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def test_wheel_holds_the_package_with_its_models_and_nothing_else(packages: Packages) -> None:
    names = names_in_wheel(packages.wheel)
    assert {f"qvq_cli/models/{name}" for name in MODEL_FILES} <= names
    assert any(name.startswith("qvq_cli/models/catalog/") for name in names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"qvq_cli", "qvq"}
    pictures = [name for name in names if name.endswith(".png")]
    assert pictures == ["qvq_cli/models/nano/example.png"]
    assert not [name for name in names if LITTER.search(name) or name.endswith(".pt")]
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "qvq_cli").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources <= names


def test_sdist_can_be_tested_and_built_again(packages: Packages) -> None:
    names = names_in_sdist(packages.sdist)
    wanted = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "Makefile"}
    wanted |= {f"models/{name}" for name in MODEL_FILES}
    wanted |= {"tests/test_wheel.py", "tests/data/engine_references.json", "tests/pictures.py"}
    assert wanted <= names
    assert not [name for name in names if LITTER.search(name)]


def test_wheel_declares_every_package_it_imports(packages: Packages) -> None:
    with zipfile.ZipFile(packages.wheel) as archive:
        metadata = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        lines = archive.read(metadata).decode("utf-8").splitlines()
        modules = [n for n in archive.namelist() if n.endswith(".py")]
        sources = [archive.read(n) for n in modules if not n.startswith("qvq_cli/models/")]
    required = (line.partition(": ")[2] for line in lines if line.startswith("Requires-Dist: "))
    declared = {normalized(re.split(r"[^\w.-]", requirement)[0]) for requirement in required}
    imported = {name for source in sources for name in imported_packages(source)}
    foreign = imported - set(sys.stdlib_module_names) - {"qvq_cli"}
    assert {normalized(DISTRIBUTIONS.get(name, name)) for name in foreign} <= declared


def imported_packages(source: bytes) -> set[str]:
    """Top-level names of all absolute imports, wherever they stand."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


def normalized(name: str) -> str:
    """Source: the Python packaging user guide, "Names and normalization"."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_installed_program_solves_a_picture_from_another_folder(
    installed: Path, tmp_path: Path
) -> None:
    draw_table(PUBLISHED).save(tmp_path / "table.png")
    environment = {name: value for name, value in os.environ.items() if "PYTHON" not in name}
    environment |= {"QVQ_THREADS": "1", "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    program = str(installed / ("qvq.exe" if sys.platform == "win32" else "qvq"))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [program, *arguments]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    version = run("--version")
    assert version.stdout == f"qvq {importlib.metadata.version('qvq')}\n"
    solved = run("solve", "table.png", PRODUCT_QUESTION)
    assert (solved.returncode, solved.stdout) == (0, "-29\n"), solved.stderr
    python = str(installed / Path(sys.executable).name)
    where = [python, "-c", "import qvq_cli; print(qvq_cli.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert Path(found.stdout.strip()).is_relative_to(installed.parent)
