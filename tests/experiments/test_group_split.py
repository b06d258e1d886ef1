"""An experiment that tests whole families."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from crosstrait import panel as panels
from crosstrait.evaluation import r_within
from crosstrait.experiments.driver import run_experiment
from crosstrait.experiments.file import read_experiment
from crosstrait.panel.simulate import SimulationConfig, simulate
from crosstrait.panel.storage import save_panel
from crosstrait.report.page import write_report
from crosstrait.report.table import leaderboard_table

EXPERIMENT = """
[data]
panel = "families.zarr"
[split]
scheme = "{scheme}"
folds = 3
[train]
replicates = 1
[[model]]
type = "ridge"
[[model]]
type = "multi_gblup"
scope = "both"
"""
N_FAMILIES = 24


def families(folder: Path) -> pd.Series:
    """Save a panel of families whose members share an effect that no marker shows."""
    cross, _ = simulate(SimulationConfig(n_samples=240, n_loci=20, n_traits=2, n_causal=6))
    family = np.arange(240) % N_FAMILIES
    effect = np.random.default_rng(0).normal(0, 1.5, size=(N_FAMILIES, 2))
    values = cross["trait_value"].values
    panel = panels.from_arrays(
        dosage=cross["call_dosage"].values,
        trait_value=values + effect[family] * np.nanstd(values, axis=0),
        trait_names=["height", "yield"],
        ploidy=int(cross.attrs["ploidy"]),
        sample_group=[f"family {g:02d}" for g in family],
    )
    save_panel(panel, folder / "families.zarr")
    return pd.Series(panel["sample_group"].values, index=panel["sample_id"].values)


def carry_out(folder: Path, *, scheme: str) -> Path:
    path = folder / f"{scheme}.toml"
    path.write_text(EXPERIMENT.format(scheme=scheme))
    return run_experiment(read_experiment(path), out=folder / scheme).folder


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.Series]:
    folder = tmp_path_factory.mktemp("families")
    groups = families(folder)
    return carry_out(folder, scheme="group"), groups


def test_the_leaderboard_scores_within_families(done: tuple[Path, pd.Series]) -> None:
    folder, groups = done
    board = pd.read_csv(folder / "leaderboard.csv").set_index(["model", "trait", "metric"])
    cells = pd.read_parquet(folder / "predictions.parquet")
    for (model, trait), mine in cells.groupby(["model", "trait"]):
        expected = r_within(
            mine[["observed"]].to_numpy(),
            predicted=mine[["predicted"]].to_numpy(),
            groups=mine["sample"].map(groups).tolist(),
        )
        row = board.loc[(model, trait, "r_within")]
        assert row["mean"] == pytest.approx(expected[0])
        assert row["ci_low"] < row["mean"] < row["ci_high"]
        assert row["mean"] > board.loc[(model, trait, "pearson_r"), "mean"] + 0.05


def test_every_interval_resamples_families(done: tuple[Path, pd.Series]) -> None:
    folder, _ = done
    told = json.loads((folder / "experiment.json").read_text())["resampled"]
    assert told == {"unit": "group", "n": N_FAMILIES}
    board = pd.read_csv(folder / "leaderboard.csv")
    error = board[(board["metric"] == "rmse") & (board["trait"] == "height")]
    pooled = carry_out(folder.parent, scheme="kfold")
    by_sample = pd.read_csv(pooled / "leaderboard.csv")
    error_by_sample = by_sample[(by_sample["metric"] == "rmse") & (by_sample["trait"] == "height")]
    width, width_by_sample = (
        (rows["ci_high"] - rows["ci_low"]).mean() for rows in (error, error_by_sample)
    )
    assert width > 1.5 * width_by_sample
    assert "r_within" not in set(by_sample["metric"])
    told = json.loads((pooled / "experiment.json").read_text())["resampled"]
    assert told == {"unit": "sample", "n": 240}


def test_what_learning_across_traits_gains_has_the_intervals_of_the_comparison(
    done: tuple[Path, pd.Series],
) -> None:
    folder, _ = done
    gains = pd.read_csv(folder / "single_vs_multi.csv")
    pairs = pd.read_csv(folder / "comparison.csv")
    assert "r_within" in set(pairs["metric"])
    r2 = pairs[pairs["metric"] == "r2"].set_index(["model", "other", "trait"])
    for row in gains.itertuples():
        if (row.model, row.single, row.trait) in r2.index:
            assert row.ci_low == r2.loc[(row.model, row.single, row.trait), "ci_low"]
        else:
            assert row.ci_low == -r2.loc[(row.single, row.model, row.trait), "ci_high"]


def test_the_report_of_the_folder_says_what_was_resampled(done: tuple[Path, pd.Series]) -> None:
    folder, _ = done
    page = write_report(folder).read_text(encoding="utf-8")
    console = Console(width=160, file=io.StringIO(), record=True)
    console.print(leaderboard_table(folder))
    for text in (page, " ".join(console.export_text().split())):
        assert f"whole test groups ({N_FAMILIES} of them)" in text
        assert "r within groups" in text
