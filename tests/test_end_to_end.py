"""The main job on real data: from the files of 2013 to a leaderboard, on every measured cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import crosstrait as ct
from crosstrait.cli import run_command
from crosstrait.experiments.file import read_experiment

ROOT = Path(__file__).parents[1]
SHIPPED = [*(ROOT / "experiments").glob("*.toml"), *ROOT.glob("src/crosstrait/*/demo.toml")]

TRAITS = ["Cadmium_Chloride", "Maltose", "YNB:ph3"]
EXPERIMENT = """
[data]
panel = "{panel}"
traits = {traits}
prune_r = 0.7
[split]
scheme = "kfold"
folds = 3
[[model]]
type = "ridge"
[[model]]
type = "lasso"
"""


def test_the_cross_of_2013_is_predicted_on_every_measured_cell(
    real_data: Path, tmp_path: Path
) -> None:
    file = tmp_path / "byxrm.toml"
    file.write_text(EXPERIMENT.format(panel=real_data / "byxrm", traits=TRAITS))
    out = tmp_path / "out"
    assert run_command(["run", str(file), "--out", str(out), "--workers", "1"]) == 0

    panel = ct.load_panel(str(real_data / "byxrm"))
    values = pd.DataFrame(panel.trait_value.values, columns=panel.trait_name.values)
    cells = pd.read_parquet(out / "predictions.parquet")
    ridge = cells[cells["model"] == "ridge"]
    # A missing trait costs its cell: each trait is scored on all that were measured for it,
    # far more than the 303 segregants with every trait.
    measured = values[TRAITS].notna().sum()
    assert ridge.groupby("trait", observed=True).size().to_dict() == measured.to_dict()
    assert ridge["sample"].nunique() == values[TRAITS].notna().any(axis=1).sum() > 1000

    board = pd.read_csv(out / "leaderboard.csv")
    scores = board[board["metric"] == "r2"].set_index(["model", "trait"])["mean"]
    assert 0.32 < scores["ridge", "mean"] < scores["lasso", "mean"] - 0.05
    assert (out / "report.html").read_text().count("<svg") > 3


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_experiment_can_be_read(path: Path) -> None:
    assert len(read_experiment(path).models) >= 3


def test_no_training_sample_is_lost_to_a_missing_trait(real_data: Path) -> None:
    panel = ct.load_panel(str(real_data / "byxrm"))
    order = panel.sample_id.values
    split = ct.split.from_ids(train=order[:800], test=order[800:])
    together = ct.fit("ridge", panel, split, prune_r=0.7)
    alone = ct.fit("ridge", panel, split, traits=["Maltose"], prune_r=0.7)
    t = list(panel.trait_name.values).index("Maltose")
    both = [fitted.predict_samples(panel, np.arange(800, 1008)) for fitted in (together, alone)]
    np.testing.assert_allclose(both[0][:, t], both[1][:, 0], atol=1e-3)
    assert np.isnan(panel.trait_value.values[:800]).any(axis=1).sum() > 500
