"""Scores of models by unit, and under resampling."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from crosstrait.evaluation import bootstrap
from crosstrait.evaluation.metrics import r2
from crosstrait.evaluation.scores import score
from support.predictions import predictions, trait_values

MODELS = {"ridge": 0.4, "trees": 0.5}


@pytest.fixture
def values() -> np.ndarray:
    return trait_values(60, n_traits=3, missing=0.1, seed=2)


def wide(cells: pd.DataFrame, side: str) -> np.ndarray:
    return cells.pivot_table(index="sample", columns="trait", values=side, observed=True).to_numpy()


def test_pooled_folds_give_one_score_a_replicate(values: np.ndarray) -> None:
    cells = predictions(values, accuracy=MODELS, replicates=2, folds=3)
    scores = score(cells, pooled=True, resamples=5)
    assert scores.by_unit["r2"]["ridge"].shape == (2, 3)
    mine = cells[(cells["model"] == "ridge") & (cells["replicate"] == 1)]
    expected = r2(wide(mine, "observed"), predicted=wide(mine, "predicted"))
    np.testing.assert_allclose(scores.by_unit["r2"]["ridge"][1], expected)


def test_other_schemes_give_one_score_a_replicate_and_fold(values: np.ndarray) -> None:
    cells = predictions(values, accuracy=MODELS, replicates=2, folds=3)
    scores = score(cells, resamples=5)
    assert scores.by_unit["r2"]["ridge"].shape == (6, 3)
    mine = cells[(cells["model"] == "ridge") & (cells["replicate"] == 0) & (cells["fold"] == 1)]
    expected = r2(wide(mine, "observed"), predicted=wide(mine, "predicted"))
    np.testing.assert_allclose(scores.by_unit["r2"]["ridge"][1], expected)


def test_resampling_is_seeded_and_the_same_for_all_models(values: np.ndarray) -> None:
    cells = predictions(values, accuracy=MODELS, folds=2)
    copy = cells[cells["model"] == "ridge"].assign(model="copy")
    cells = pd.concat([cells, copy])
    a, b = score(cells, pooled=True, resamples=20), score(cells, pooled=True, resamples=20)
    c = score(cells, pooled=True, resamples=20, seed=1)
    np.testing.assert_array_equal(a.resampled["r2"], b.resampled["r2"])
    assert not np.array_equal(a.resampled["r2"], c.resampled["r2"])
    np.testing.assert_array_equal(a.resampled["r2"][:, 0], a.resampled["r2"][:, 2])


def test_chunks_of_resamples_change_nothing(values: np.ndarray, monkeypatch) -> None:
    cells = predictions(values, accuracy=MODELS, folds=2)
    whole = score(cells, resamples=20).resampled
    monkeypatch.setattr(bootstrap, "_CHUNK_COUNTS", 60 * 3)
    for metric, draws in score(cells, resamples=20).resampled.items():
        np.testing.assert_allclose(draws, whole[metric])


def test_the_last_column_averages_over_traits_within_units_then_over_units(
    values: np.ndarray,
) -> None:
    cells = predictions(values, accuracy=MODELS, replicates=3)
    draws = score(cells, resamples=10).resampled["r2"]
    np.testing.assert_allclose(draws[:, :, -1], draws[:, :, :-1].mean(axis=2))


def test_standard_errors_give_a_share_of_the_ceiling(values: np.ndarray) -> None:
    cells = predictions(values, accuracy=MODELS)
    names = ["trait_0", "trait_1"]
    errors = pd.DataFrame(0.5, index=[f"S{i:04d}" for i in range(60)], columns=names)
    scores = score(cells, trait_se=errors, resamples=5)
    assert scores.ceiling is not None
    assert np.isnan(scores.ceiling).tolist() == [False, False, True]
    share = scores.by_unit["r2_of_ceiling"]["trees"][0]
    np.testing.assert_allclose(share, scores.by_unit["r2"]["trees"][0] / scores.ceiling)
    draws = scores.resampled["r2_of_ceiling"]
    assert np.isfinite(draws[:, :, [0, 1, 3]]).all()
    assert np.isnan(draws[:, :, 2]).all()
    assert "r2_of_ceiling" not in score(cells, resamples=5).metrics


def test_a_thousand_resamples_of_a_large_experiment_take_seconds() -> None:
    values = trait_values(1008, n_traits=46, missing=0.05)
    cells = predictions(values, accuracy={f"m{k}": 0.3 + k / 20 for k in range(8)}, folds=5)
    start = time.perf_counter()
    scores = score(cells, pooled=True, resamples=1000)
    assert time.perf_counter() - start < 10
    assert scores.resampled["r2"].shape == (1000, 8, 47)
