"""Tutorials are executed on the real data, and stored with the outputs of their last run."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))


def kinds(notebook: nbformat.NotebookNode) -> list[list[str]]:
    """Return what each code cell shows: text, tables, pictures."""
    return [
        [kind for output in cell.outputs for kind in sorted(output.get("data", {"stream": ""}))]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs_and_shows_what_it_is_stored_with(
    path: Path, real_data: Path, tmp_path: Path
) -> None:
    stored = nbformat.read(path, as_version=4)
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    assert kinds(notebook) == kinds(stored)


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_explains_every_step_and_keeps_no_path_of_a_machine(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    assert cells[0].cell_type == "markdown"
    assert not any(a.cell_type == b.cell_type == "code" for a, b in pairwise(cells))
    shown = "".join(str(cell.outputs) for cell in cells if cell.cell_type == "code")
    assert str(ROOT.parent) not in shown
    assert str(Path.home()) not in shown
