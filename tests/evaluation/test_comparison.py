"""Paired differences between models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from crosstrait.evaluation.comparison import COMPARISON_COLUMNS, compare
from crosstrait.evaluation.leaderboard import leaderboard
from crosstrait.evaluation.scores import score
from support.predictions import predictions, trait_values

MODELS = {"ridge": 0.40, "trees": 0.50, "canonical": 0.45}


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return trait_values(200, n_traits=3, missing=0.1, seed=2)


def row(table: pd.DataFrame, model: str, other: str, trait: str = "mean", metric: str = "r2"):
    found = table.set_index(["model", "other", "trait", "metric"])
    return found.loc[(model, other, trait, metric)]


def test_every_pair_is_there_once_the_better_model_first(values) -> None:
    table = compare(score(predictions(values, accuracy=MODELS), resamples=20))
    assert tuple(table.columns) == COMPARISON_COLUMNS
    assert list(dict.fromkeys(zip(table["model"], table["other"], strict=True))) == [
        ("trees", "canonical"),
        ("trees", "ridge"),
        ("canonical", "ridge"),
    ]
    assert len(table) == 3 * 4 * 3


def test_a_difference_is_that_of_the_leaderboard(values) -> None:
    scores = score(predictions(values, accuracy=MODELS, replicates=3, folds=2), resamples=20)
    board = leaderboard(scores).set_index(["model", "trait", "metric"])["mean"]
    table = compare(scores)
    for line in table.itertuples():
        expected = (
            board[line.model, line.trait, line.metric]
            - (board[line.other, line.trait, line.metric])
        )
        assert line.difference == pytest.approx(expected, abs=1e-12)


def test_pairing_makes_the_interval_narrower_than_independent_ones_would_be(values) -> None:
    scores = score(predictions(values, accuracy=MODELS), resamples=400)
    board = leaderboard(scores).set_index(["model", "trait", "metric"])
    one = row(compare(scores), "trees", "ridge")
    trees, ridge = (board.loc[(model, "mean", "r2")] for model in ("trees", "ridge"))
    unpaired = np.hypot(trees["ci_high"] - trees["ci_low"], ridge["ci_high"] - ridge["ci_low"])
    assert one["ci_high"] - one["ci_low"] < 0.5 * unpaired
    assert one["ci_low"] > 0
    assert one["share_better"] == 1


def test_a_model_does_not_differ_from_its_copy(values) -> None:
    cells = predictions(values, accuracy={"ridge": 0.4})
    table = compare(score(pd.concat([cells, cells.assign(model="copy")]), resamples=20))
    assert (table[["difference", "ci_low", "ci_high", "share_better"]] == 0).all(axis=None)


def test_better_means_a_smaller_rmse(values) -> None:
    table = compare(score(predictions(values, accuracy=MODELS), resamples=50))
    error = row(table, "trees", "ridge", metric="rmse")
    assert error["difference"] < 0
    assert error["share_better"] == 1


def test_a_model_of_some_traits_is_compared_on_those(values) -> None:
    cells = predictions(
        values, accuracy={**MODELS, "rijal": 0.9}, only={"rijal": ["trait_0", "trait_2"]}
    )
    scores = score(cells, resamples=20)
    board = leaderboard(scores).set_index(["model", "trait", "metric"])["mean"]
    table = compare(scores)
    shared = row(table, "ridge", "rijal")
    assert shared["n_traits"] == 2
    assert shared["n_cells"] == (~np.isnan(values[:, [0, 2]])).sum()
    expected = np.mean(
        [board["ridge", t, "r2"] - board["rijal", t, "r2"] for t in ("trait_0", "trait_2")]
    )
    assert shared["difference"] == pytest.approx(expected)
    assert ("ridge", "rijal", "trait_1", "r2") not in table.set_index(
        ["model", "other", "trait", "metric"]
    ).index


def test_models_without_a_shared_trait_are_not_compared(values) -> None:
    only = {"ridge": ["trait_0"], "trees": ["trait_1"]}
    cells = predictions(values, accuracy=MODELS, only=only)
    pairs = compare(score(cells, resamples=5))[["model", "other"]].drop_duplicates()
    assert len(pairs) == 2


def test_a_model_with_missing_runs_is_not_compared(values) -> None:
    cells = predictions(values, accuracy=MODELS)
    planned = [(model, replicate, 0) for model in MODELS for replicate in (0,)] + [("trees", 1, 0)]
    table = compare(score(cells, expected=planned, resamples=5))
    assert set(table["model"]) | set(table["other"]) == {"ridge", "canonical"}
