"""A panel on disk as plain arrays, which several processes map instead of copying."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import xarray as xr

from crosstrait.experiments.storage import make_folder, storage_errors, write_json
from crosstrait.panel.schema import Panel


def hand_over(panel: Panel, *, folder: Path) -> None:
    """Write the variables of ``panel``, which is valid, into ``folder``."""
    make_folder(folder)
    with storage_errors(folder):
        for name, variable in panel.variables.items():
            np.save(folder / f"{name}.npy", variable.values, allow_pickle=False)
        dims = {str(name): list(variable.dims) for name, variable in panel.variables.items()}
        attrs = {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in panel.attrs.items()
        }
        write_json(folder / "panel.json", {"dims": dims, "attrs": attrs})


def take_over(folder: Path) -> Panel:
    """Open what `hand_over` wrote, read-only and without reading the genotypes."""
    content = json.loads((folder / "panel.json").read_text())
    variables = {
        name: (dims, np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))
        for name, dims in content["dims"].items()
    }
    return xr.Dataset(variables, attrs=content["attrs"])
