"""A tiny experiment on files, as a user would have it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from crosstrait.panel.simulate import SimulationConfig, simulate
from crosstrait.panel.storage import save_panel

TINY = """
[data]
panel = "cross.zarr"
[split]
scheme = "kfold"
folds = 2
[train]
replicates = 2
max_epochs = 3
batch_size = 16
device = "cpu"
[[model]]
type = "ridge"
[[model]]
type = "canonical"
embedding_dim = 4
n_layers = 1
"""


def write_tiny(folder: Path, *, text: str = TINY) -> Path:
    """Write a simulated cross and an experiment file about it; return the file."""
    config = SimulationConfig(n_samples=60, n_loci=12, n_traits=2, n_causal=4)
    panel, _ = simulate(config)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "cross.zarr").exists():
        save_panel(panel, folder / "cross.zarr")
    path = folder / "tiny.toml"
    path.write_text(text)
    return path


def start_crosstrait(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Start the command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "crosstrait.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
