"""The article's experiments: complete to the last setting, and they run."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from crosstrait.experiments.driver import run_experiment
from crosstrait.experiments.file import Experiment, read_experiment
from crosstrait.models.published import import_checkpoint
from crosstrait.panel.simulate import SimulationConfig, simulate
from crosstrait.panel.simulate_settings import Missing
from crosstrait.panel.storage import save_panel
from crosstrait.training.config import TrainConfig

FOLDER = Path(__file__).parents[2] / "experiments" / "published"
FIGURES = {"fig1": "rijal", "fig2": "canonical", "fig3": "transformer"}
CHECKPOINTS = {"fig1": "rijal_23C", "fig2": "canonical_rep_00"}

# The same files at the size of a test.
SMALLER = {
    "fig1": ["model.rijal.embedding_dim=5"],
    "fig2": ["model.canonical.embedding_dim=8"],
    "fig3": ["model.transformer.embedding_dim=8", "model.transformer.feedforward_dim=16"],
}
NOT_IN_THE_FILES = {
    "device",
    "devices",
    "micro_batch_size",
    "plateau_factor",
    "plateau_patience",
} | {
    "minimum_rate",  # of a schedule that is off
    "scope",  # given by a model's own table
}


@pytest.fixture(scope="module")
def cross(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated cross of 3 traits, a fifth of whose cells are missing."""
    path = tmp_path_factory.mktemp("published") / "cross.zarr"
    config = SimulationConfig(
        n_samples=120, n_loci=16, n_traits=3, n_causal=6, missing=Missing(traits=0.2)
    )
    save_panel(simulate(config)[0], path)
    return path


def run_small(figure: str, *, cross: Path, out: Path) -> tuple[Experiment, pd.DataFrame]:
    changes = [f"data.panel={cross}", "train.max_epochs=3", "train.batch_size=32"]
    experiment = read_experiment(FOLDER / f"{figure}.toml", changes=[*changes, *SMALLER[figure]])
    run_experiment(experiment, out=out, console=Console(quiet=True))
    return experiment, pd.read_csv(out / "leaderboard.csv")


@pytest.mark.parametrize("figure", FIGURES)
def test_every_setting_is_written_out(figure: str) -> None:
    values = tomllib.loads((FOLDER / f"{figure}.toml").read_text())
    assert set(TrainConfig.model_fields) - set(values["train"]) == NOT_IN_THE_FILES
    [model] = values["model"]
    [entry] = read_experiment(FOLDER / f"{figure}.toml").models
    assert entry.label == FIGURES[figure]  # under this name it stands beside the published values
    assert set(model) == set(type(entry.config).model_fields)


@pytest.mark.parametrize("figure", CHECKPOINTS)
def test_settings_are_those_of_a_published_checkpoint(parity: Path, figure: str) -> None:
    published = import_checkpoint(parity / f"checkpoint_{CHECKPOINTS[figure]}.ckpt")
    [entry] = read_experiment(FOLDER / f"{figure}.toml").models
    assert entry.config == published.config
    ours = entry.train.model_dump()
    assert {name: ours[name] for name in published.train} == published.train
    assert len(published.train) == 7


def test_the_transformer_differs_from_the_canonical_model_in_what_the_article_says() -> None:
    canonical, transformer = (read_experiment(FOLDER / f"fig{n}.toml") for n in (2, 3))
    assert canonical.replicates == transformer.replicates == 5
    assert canonical.data == transformer.data
    ours = transformer.models[0].train.model_dump()
    assert ours == canonical.models[0].train.model_dump() | {"max_epochs": 80}


@pytest.mark.parametrize("figure", FIGURES)
def test_an_experiment_runs_to_its_leaderboard(figure: str, cross: Path, tmp_path: Path) -> None:
    experiment, board = run_small(figure, cross=cross, out=tmp_path)
    model = FIGURES[figure]
    means = board[(board["trait"] == "mean") & (board["metric"] == "r2")]
    assert means["model"].tolist() == [model]
    assert np.isfinite(means["mean"]).all()
    assert means["n_replicates"].tolist() == [experiment.replicates]
    assert len(list((tmp_path / "runs").glob(f"{model}-*/DONE"))) == experiment.replicates
    cells = board[(board["metric"] == "r2") & (board["trait"] != "mean")]["n_cells"]
    if figure == "fig1":  # a trait is scored on all of its own samples
        assert cells.nunique() > 1
    else:  # on the samples that have every trait
        assert cells.nunique() == 1
