"""Experiments on learning across traits, from the file to the tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crosstrait.experiments.driver import run_experiment
from crosstrait.experiments.file import read_experiment
from crosstrait.panel.storage import open_panel
from support.experiments import write_tiny

TEXT = """
[data]
panel = "cross.zarr"
[split]
scheme = "cells"
test = 0.3
repeats = 2
hide = 0.2
[[model]]
type = "ridge"
[[model]]
type = "multi_gblup"
scope = "both"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("across")
    return run_experiment(read_experiment(write_tiny(made, text=TEXT)), out=made / "out").folder


def test_the_held_out_cells_alone_are_scored(folder: Path) -> None:
    cells = pd.read_parquet(folder / "predictions.parquet")
    once = cells[(cells["model"] == "ridge") & (cells["fold"] == 0)]
    assert not once.duplicated(["sample", "trait"]).any()
    assert 15 < len(once) < 55  # 30 % of 60 samples x 2 traits, each sample keeping one
    assert not once.duplicated(["sample"]).any()


def test_the_gain_is_tabulated_with_the_models_own_labels(folder: Path) -> None:
    table = pd.read_csv(folder / "single_vs_multi.csv")
    assert sorted(table["trait"]) == ["mean", "trait_1", "trait_2"]
    assert set(table["model"]) == {"multi_gblup"}
    assert set(table["single"]) == {"multi_gblup-single"}
    board = pd.read_csv(folder / "leaderboard.csv")
    r2 = board[board["metric"] == "r2"].set_index(["model", "trait"])["mean"]
    gain = r2[("multi_gblup", "trait_1")] - r2[("multi_gblup-single", "trait_1")]
    assert table.set_index("trait").loc["trait_1", "difference"] == pytest.approx(gain)


def test_coverage_is_counted_from_the_intervals_of_the_runs(folder: Path) -> None:
    table = pd.read_csv(folder / "calibration.csv")
    assert set(table["model"]) == {"ridge", "multi_gblup", "multi_gblup-single"}
    assert set(table["level"]) == {0.5, 0.8, 0.95}
    intervals = [pd.read_parquet(path) for path in folder.glob("runs/ridge-*/intervals.parquet")]
    both = pd.concat(intervals)
    inside = (both["lower_80"] <= both["observed"]) & (both["observed"] <= both["upper_80"])
    mine = table[(table["model"] == "ridge") & (table["level"] == 0.8)].set_index("trait")
    for trait, share in inside.groupby(both["trait"]).mean().items():
        assert mine.loc[trait, "coverage"] == pytest.approx(share)


def test_the_noise_is_that_of_the_standard_errors_and_of_the_models(folder: Path) -> None:
    noise = pd.read_csv(folder / "noise.csv").set_index(["trait", "source"])["noise_variance"]
    assert set(noise.index.get_level_values("source")) == {
        "standard errors",
        "multi_gblup",
        "multi_gblup-single",
    }
    panel = open_panel(folder.parent / "cross.zarr")
    assert noise[("trait_1", "standard errors")] == pytest.approx(
        float((panel["trait_se"].values[:, 0] ** 2).mean())
    )
    assert np.isfinite(noise).all()


def test_tables_of_an_earlier_experiment_do_not_outlive_it(tmp_path: Path) -> None:
    text = TEXT.replace('scope = "both"', "")
    first = read_experiment(write_tiny(tmp_path, text=TEXT))
    run_experiment(first, out=tmp_path / "out")
    assert (tmp_path / "out" / "single_vs_multi.csv").is_file()
    run_experiment(read_experiment(write_tiny(tmp_path, text=text)), out=tmp_path / "out")
    assert not (tmp_path / "out" / "single_vs_multi.csv").exists()
