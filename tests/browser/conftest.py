"""One browser; reports of a real experiment, of the least that is one and of a large one; a panel.

Each page is made once, by the first process that asks for it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from playwright.sync_api import Browser, sync_playwright

from crosstrait.cli import run_command
from crosstrait.panel.schema import from_arrays
from crosstrait.panel.simulate import SimulationConfig, simulate
from crosstrait.panel.storage import save_panel
from crosstrait.report.page import write_report
from support.browser import chromium_path, start_chromium
from support.run_folder import ACCURACY, BYXRM_TRAITS, write_more_tables, write_run_folder

WHOLE = """
[data]
panel = "cross.zarr"
[split]
scheme = "kfold"
folds = 2
[train]
replicates = 2
max_epochs = 4
batch_size = 32
device = "cpu"
[[model]]
type = "ridge"
[[model]]
type = "lasso"
[[model]]
type = "canonical"
scope = "both"
embedding_dim = 4
"""
LEAST = """
[data]
panel = "cross.zarr"
[split]
scheme = "random"
[[model]]
type = "ridge"
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; absent, the test skips, but fails on CI."""
    if chromium_path() is None:
        reason = "there is no chromium here: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        running = start_chromium(playwright)
        yield running
        running.close()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of a test run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own


@pytest.fixture(scope="session")
def whole(shared: Path) -> Path:
    """The report of a small real experiment that has every section."""
    return _once(shared / "whole", lambda folder: _run(folder, WHOLE, n_traits=4, missing=0.1))


@pytest.fixture(scope="session")
def least(shared: Path) -> Path:
    """The report of one model on one whole trait."""
    return _once(shared / "least", lambda folder: _run(folder, LEAST, n_traits=1, missing=0.0))


@pytest.fixture(scope="session")
def large(shared: Path) -> Path:
    """The report of 46 traits, 8 models and 5 replicates."""
    models = [*ACCURACY, "rijal", "residual", "gp", "deep"]

    def write(folder: Path) -> Path:
        write_run_folder(
            folder,
            n_samples=60,
            trait_names=BYXRM_TRAITS.split(),
            accuracy={model: 0.3 + k / 50 for k, model in enumerate(models)},
            replicates=5,
            folds=1,
            resamples=10,
        )
        return write_report(write_more_tables(folder))

    return _once(shared / "large", write)


@pytest.fixture(scope="session")
def panel(shared: Path) -> Path:
    """The page of a panel with places, groups, holes, twins and an outlier."""

    def write(folder: Path) -> Path:
        folder.mkdir()
        rng = np.random.default_rng(0)
        dosage = rng.integers(0, 3, (160, 120)).astype(float)
        dosage[17] = dosage[4]
        dosage[rng.random(dosage.shape) < 0.02] = np.nan
        traits = rng.normal(size=(160, 3))
        traits[:, 1] += traits[:, 0]
        traits[rng.random(traits.shape) < 0.1] = np.nan
        traits[8, 0] = 999
        made = from_arrays(
            dosage,
            trait_value=traits,
            trait_names=["height", "yield", "protein"],
            ploidy=2,
            variant_contig=np.repeat(["chr1", "chr2", "chr3"], 40),
            variant_position=np.tile(np.arange(1, 41) * 5000, 3),
            sample_group=["north"] * 80 + ["south"] * 80,
        )
        save_panel(made, folder / "cross.zarr")
        page = folder / "panel.html"
        assert run_command(["inspect", str(folder / "cross.zarr"), "--html", str(page)]) == 0
        return page

    return _once(shared / "panel", write)


def _once(folder: Path, write: Callable[[Path], Path]) -> Path:
    """Make the page in the first process that asks for it."""
    with FileLock(f"{folder}.lock"):
        found = next(folder.rglob("*.html"), None) if folder.exists() else None
        return found or write(folder)


def _run(folder: Path, experiment: str, *, n_traits: int, missing: float) -> Path:
    folder.mkdir()
    config = SimulationConfig(
        n_samples=120, n_loci=24, n_traits=n_traits, n_causal=6, missing={"traits": missing}
    )
    panel, _ = simulate(config)
    save_panel(panel, folder / "cross.zarr")
    (folder / "experiment.toml").write_text(experiment)
    out = folder / "out"
    arguments = ["run", str(folder / "experiment.toml"), "--out", str(out), "--workers", "1"]
    with warnings.catch_warnings():
        # Of Lightning, where Slurm's commands are installed: nothing to do with the page.
        warnings.filterwarnings("ignore", message="The `srun` command is available")
        assert run_command(arguments) == 0
    return out / "report.html"
