"""The leaderboard's rows, their numbers and their order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from crosstrait.errors import DataError
from crosstrait.evaluation.leaderboard import LEADERBOARD_COLUMNS, leaderboard
from crosstrait.evaluation.scores import score
from support.predictions import predictions, trait_values

MODELS = {"ridge": 0.35, "trees": 0.5, "canonical": 0.45}


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return trait_values(120, n_traits=3, missing=0.1, seed=2)


def row(board: pd.DataFrame, model: str, trait: str = "mean", metric: str = "r2") -> pd.Series:
    found = board[
        (board["model"] == model) & (board["trait"] == trait) & (board["metric"] == metric)
    ]
    assert len(found) == 1
    return found.iloc[0]


def test_the_columns_are_those_of_the_surface_and_the_best_mean_r2_is_first(values) -> None:
    board = leaderboard(score(predictions(values, accuracy=MODELS), resamples=20))
    assert tuple(board.columns) == LEADERBOARD_COLUMNS
    assert list(dict.fromkeys(board["model"])) == ["trees", "canonical", "ridge"]
    assert len(board) == 3 * (3 + 1) * 3
    assert set(board["metric"]) == {"r2", "pearson_r", "rmse"}
    assert board["trait"].iloc[0] == "mean"


def test_mean_and_sd_are_over_units_and_the_mean_row_averages_traits_first(values) -> None:
    scores = score(predictions(values, accuracy=MODELS, replicates=4), resamples=50)
    board = leaderboard(scores)
    by_unit = scores.by_unit["r2"]["trees"]
    one = row(board, "trees", "trait_1")
    assert one["mean"] == pytest.approx(by_unit[:, 1].mean())
    assert one["sd"] == pytest.approx(by_unit[:, 1].std(ddof=1))
    mean = row(board, "trees")
    assert mean["mean"] == pytest.approx(by_unit.mean())
    assert mean["sd"] == pytest.approx(by_unit.mean(axis=1).std(ddof=1))
    assert mean["n_replicates"] == 4


def test_one_unit_has_no_sd(values) -> None:
    board = leaderboard(score(predictions(values, accuracy=MODELS), resamples=20))
    assert board["sd"].isna().all()
    assert (board["n_replicates"] == 1).all()


def test_a_model_that_ran_once_stands_beside_replicated_ones(values) -> None:
    cells = predictions(values, accuracy=MODELS, replicates=3, once=["ridge"])
    board = leaderboard(score(cells, resamples=20))
    assert row(board, "ridge")["n_replicates"] == 1
    assert row(board, "trees")["n_replicates"] == 3
    assert row(board, "ridge")["n_cells"] == row(board, "trees")["n_cells"]


def test_cells_are_counted_once_whatever_the_replicates(values) -> None:
    measured = (~np.isnan(values)).sum(axis=0)
    cells = predictions(values, accuracy=MODELS, replicates=2, folds=3)
    for pooled in (True, False):
        board = leaderboard(score(cells, pooled=pooled, resamples=5))
        assert row(board, "ridge")["n_cells"] == measured.sum()
        assert row(board, "ridge", "trait_2")["n_cells"] == measured[2]


def test_intervals_hold_their_mean_and_shrink_with_more_samples(values) -> None:
    few = leaderboard(score(predictions(values, accuracy=MODELS), resamples=200))
    many_values = trait_values(1200, n_traits=3, missing=0.1, seed=2)
    many = leaderboard(score(predictions(many_values, accuracy=MODELS), resamples=200))
    for board in (few, many):
        assert ((board["ci_low"] < board["mean"]) & (board["mean"] < board["ci_high"])).all()
    ratio = (many["ci_high"] - many["ci_low"]).mean() / (few["ci_high"] - few["ci_low"]).mean()
    assert 0.2 < ratio < 0.45  # sqrt(1 / 10) is 0.32


def test_train_seconds_is_the_mean_over_runs(values) -> None:
    cells = predictions(values, accuracy=MODELS, folds=2)
    costs = pd.DataFrame(
        {"model": ["ridge", "ridge", "trees"], "train_seconds": [1.0, 2.0, 10.0]}
    ).assign(replicate=0, fold=0)
    board = leaderboard(score(cells, pooled=True, resamples=5), costs=costs)
    assert set(board.loc[board["model"] == "ridge", "train_seconds"]) == {1.5}
    assert board.loc[board["model"] == "canonical", "train_seconds"].isna().all()
    with pytest.raises(DataError, match="lacks the columns train_seconds"):
        leaderboard(score(cells, pooled=True, resamples=5), costs=costs[["model"]])


def test_a_missing_run_leaves_rows_without_numbers_at_the_bottom(values) -> None:
    cells = predictions(values, accuracy=MODELS, replicates=3)
    planned = [(model, replicate, 0) for model in MODELS for replicate in range(3)]
    lost = (cells["model"] == "trees") & (cells["replicate"] == 2)
    board = leaderboard(score(cells[~lost], expected=planned, resamples=5))
    assert list(dict.fromkeys(board["model"])) == ["canonical", "ridge", "trees"]
    trees = board[board["model"] == "trees"]
    assert trees[["mean", "sd", "ci_low", "ci_high"]].isna().all(axis=None)
    assert (trees["n_replicates"] == 2).all()
    assert len(trees) == 12


def test_a_model_with_no_run_at_all_is_on_the_leaderboard(values) -> None:
    cells = predictions(values, accuracy=MODELS)
    planned = [(model, 0, 0) for model in (*MODELS, "rijal")]
    board = leaderboard(score(cells, expected=planned, resamples=5))
    rijal = board[board["model"] == "rijal"]
    assert rijal["trait"].tolist() == ["mean"] * 3
    assert rijal["mean"].isna().all()
    assert (rijal["n_replicates"] == 0).all()


def test_a_model_of_some_traits_has_no_mean_to_mislead_with(values) -> None:
    cells = predictions(values, accuracy={**MODELS, "rijal": 0.9}, only={"rijal": ["trait_0"]})
    board = leaderboard(score(cells, resamples=5))
    assert list(dict.fromkeys(board["model"])) == ["trees", "canonical", "ridge", "rijal"]
    assert set(board.loc[board["model"] == "rijal", "trait"]) == {"trait_0"}
    assert np.isfinite(row(board, "rijal", "trait_0")["ci_low"])


def test_the_ceiling_row_exists_only_where_a_ceiling_does(values) -> None:
    cells = predictions(values, accuracy=MODELS)
    errors = pd.DataFrame(0.4, index=[f"S{i:04d}" for i in range(120)], columns=["trait_1"])
    board = leaderboard(score(cells, trait_se=errors, resamples=20))
    share = board[board["metric"] == "r2_of_ceiling"]
    assert set(share["trait"]) == {"mean", "trait_1"}
    one, mean = (row(board, "trees", trait, "r2_of_ceiling") for trait in ("trait_1", "mean"))
    assert one["mean"] == mean["mean"] > row(board, "trees", "trait_1")["mean"]
    assert one["n_cells"] == mean["n_cells"] == (~np.isnan(values[:, 1])).sum()


def test_a_trait_that_is_constant_in_the_test_cells_has_no_r2_and_the_others_do() -> None:
    values = trait_values(40, n_traits=2)
    cells = predictions(values, accuracy=MODELS)
    cells.loc[cells["trait"] == "trait_1", "observed"] = 2.5
    board = leaderboard(score(cells, resamples=10))
    assert np.isnan(row(board, "ridge", "trait_1")["mean"])
    assert np.isnan(row(board, "ridge", "trait_1")["ci_low"])
    assert row(board, "ridge")["mean"] == pytest.approx(row(board, "ridge", "trait_0")["mean"])
