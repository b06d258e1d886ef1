"""The folders are the path of the data: none imports from one to its right."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "crosstrait"
ORDER = [
    "genotypes",
    "panel",
    "split",
    "models",
    "training",
    "evaluation",
    "explanation",
    "experiments",
    "report",
]
FOUNDATION = {"errors", "extras", "files", "lazy", "settings"}
COMMANDS = "commands"  # of the command line: they may import all
MODULES = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Return the x of every module `crosstrait.x...` that a file imports, lazily or not."""
    modules_there = {path.stem for path in SOURCE.iterdir()}
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        modules = []
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module]
            if node.module == "crosstrait":
                modules = [f"crosstrait.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        names |= {m.split(".")[1] for m in modules if m.startswith("crosstrait.")}
    return names & modules_there


def test_every_folder_is_in_the_order() -> None:
    folders = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()}
    assert folders == {*ORDER, COMMANDS}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_folder_imports_only_from_those_to_its_left(path: Path) -> None:
    if len(path.parts) == 1:
        allowed = FOUNDATION if path.stem in FOUNDATION else {*FOUNDATION, *ORDER, COMMANDS, "cli"}
    elif path.parts[0] == COMMANDS:
        allowed = {*FOUNDATION, *ORDER, COMMANDS}
    else:
        allowed = FOUNDATION | set(ORDER[: ORDER.index(path.parts[0]) + 1])
    assert imported(SOURCE / path) <= allowed


def test_importing_crosstrait_loads_no_engine_no_plots_and_no_compiler() -> None:
    heavy = ["ray", "modal", "submitit", "matplotlib", "torch._dynamo", "lightning", "lightgbm"]
    code = f"import crosstrait, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
