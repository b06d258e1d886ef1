"""Models are compared on identical cells or not at all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from crosstrait.errors import DataError
from crosstrait.evaluation.ledger import open_ledger
from support.predictions import predictions, trait_values

MODELS = {"ridge": 0.4, "trees": 0.5}


@pytest.fixture
def values() -> np.ndarray:
    return trait_values(30, n_traits=3, missing=0.1, seed=2)


def test_the_order_of_rows_does_not_matter(values: np.ndarray) -> None:
    cells = predictions(values, accuracy=MODELS, replicates=2, folds=3)
    shuffled = cells.sample(frac=1, random_state=0)
    a, b = open_ledger(cells, pooled=True), open_ledger(shuffled, pooled=True)
    for model in MODELS:
        for unit, predicted in a.predicted[model].items():
            np.testing.assert_array_equal(predicted, b.predicted[model][unit])


def test_pooled_folds_are_one_block_and_others_one_each(values: np.ndarray) -> None:
    cells = predictions(values, accuracy=MODELS, replicates=2, folds=3)
    pooled, apart = open_ledger(cells, pooled=True), open_ledger(cells)
    assert [len(block.rows) for block in pooled.blocks] == [30]
    assert [len(block.rows) for block in apart.blocks] == [10, 10, 10]
    assert len(pooled.predicted["ridge"]) == 2
    assert len(apart.predicted["ridge"]) == 6
    measured = (~np.isnan(values)).sum(axis=0)
    np.testing.assert_array_equal(pooled.n_cells, measured)
    np.testing.assert_array_equal(apart.n_cells, measured)


def test_a_model_that_lacks_cells_is_refused_with_the_trait_and_samples(
    values: np.ndarray,
) -> None:
    cells = predictions(values, accuracy=MODELS, folds=2)
    lost = (cells["model"] == "trees") & (cells["trait"] == "trait_1") & (cells["fold"] == 1)
    names = cells.loc[lost, "sample"].astype(str).tolist()[:2]
    with pytest.raises(
        DataError,
        match=rf"unlike cells.*'trees' .*fold 1\) lacks 2 of.*'trait_1' that model 'ridge' has, "
        rf"such as samples {names[0]}, {names[1]}",
    ):
        open_ledger(cells.drop(index=cells.index[lost][:2]), pooled=True)


def test_the_first_model_too_is_named_when_it_is_the_one_that_lacks(values: np.ndarray) -> None:
    cells = predictions(values, accuracy=MODELS)
    lost = cells.index[cells["model"] == "ridge"][:1]
    with pytest.raises(DataError, match=r"'ridge' .* lacks 1 of"):
        open_ledger(cells.drop(index=lost))


def test_complete_cases_beside_masked_cells_are_refused(values: np.ndarray) -> None:
    ridge = predictions(values, accuracy={"ridge": 0.4})
    dropped = np.where(np.isnan(values).any(axis=1, keepdims=True), np.nan, values)
    trees = predictions(dropped, accuracy={"trees": 0.5})
    with pytest.raises(DataError, match="score all models under one protocol"):
        open_ledger(pd.concat([ridge, trees]))


def test_a_model_of_some_traits_shares_their_cells(values: np.ndarray) -> None:
    cells = predictions(values, accuracy=MODELS, only={"trees": ["trait_2"]})
    ledger = open_ledger(cells)
    assert ledger.covers.tolist() == [[True, True, True], [False, False, True]]
    assert np.isnan(ledger.predicted["trees"][0, 0][:, :2]).all()


def test_runs_against_another_panel_are_refused(values: np.ndarray) -> None:
    cells = predictions(values, accuracy=MODELS)
    place = cells.index[cells["model"] == "trees"][3]
    cells.loc[place, "observed"] += 0.5
    with pytest.raises(DataError, match="come from different panels"):
        open_ledger(cells)


def test_pooled_folds_that_share_a_sample_are_refused(values: np.ndarray) -> None:
    cells = predictions(values, accuracy=MODELS)
    with pytest.raises(DataError, match="must not share test samples; 30 are in more than one"):
        open_ledger(pd.concat([cells, cells.assign(fold=1)]), pooled=True)
    assert len(open_ledger(pd.concat([cells, cells.assign(fold=1)])).blocks) == 2


def test_a_fold_that_one_model_lacks_is_refused_unless_its_run_is_planned(
    values: np.ndarray,
) -> None:
    cells = predictions(values, accuracy=MODELS, folds=3)
    cells = cells[~((cells["model"] == "trees") & (cells["fold"] == 2))]
    with pytest.raises(DataError, match=r"model 'trees' \(replicate 0\) has no cells in fold 2"):
        open_ledger(cells, pooled=True)
    planned = [(model, 0, fold) for model in MODELS for fold in range(3)]
    ledger = open_ledger(cells, pooled=True, expected=planned)
    assert ledger.missing == {"trees": ((0, 2),)}
    assert ledger.predicted["trees"] == {}
    assert set(ledger.predicted["ridge"]) == {(0, 0)}


def test_runs_that_nobody_planned_are_refused(values: np.ndarray) -> None:
    cells = predictions(values, accuracy=MODELS, replicates=2)
    with pytest.raises(DataError, match=r"did not plan: .*replicate 1, fold 0"):
        open_ledger(cells, expected=[("ridge", 0, 0), ("trees", 0, 0)])


def test_a_trait_called_mean_is_refused(values: np.ndarray) -> None:
    cells = predictions(values, accuracy=MODELS, trait_names=["mean", "b", "c"])
    with pytest.raises(DataError, match="cannot be called 'mean'"):
        open_ledger(cells)


def test_an_empty_table_is_refused(values: np.ndarray) -> None:
    with pytest.raises(DataError, match="empty"):
        open_ledger(predictions(values, accuracy=MODELS).iloc[:0])
