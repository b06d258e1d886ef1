"""The noise ceiling: an estimate, never a bound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crosstrait.evaluation.ceiling import (
    above_ceiling,
    noise_ceiling,
    noise_table,
    standard_errors,
)
from crosstrait.evaluation.cells import make_cells
from crosstrait.evaluation.metrics import r2
from crosstrait.panel import from_arrays


def test_a_perfect_predictor_reaches_the_ceiling() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(50_000, 2))
    se = np.array([0.3, 1.0]) * np.ones_like(truth)
    observed = truth + se * rng.normal(size=truth.shape)
    ceiling = noise_ceiling(observed, standard_error=se)
    np.testing.assert_allclose(ceiling, r2(observed, predicted=truth), atol=0.01)
    np.testing.assert_allclose(ceiling, [1 / 1.09, 0.5], atol=0.01)


def test_cells_without_a_standard_error_count_for_the_variance_alone() -> None:
    observed = [[0.0], [1.0], [2.0], [3.0]]
    se = [[0.5], [np.nan], [0.5], [np.nan]]
    assert noise_ceiling(observed, standard_error=se) == pytest.approx([1 - 0.25 / 1.25])


@pytest.mark.parametrize(
    ("observed", "se"),
    [
        ([[1.0], [3.0]], [[np.nan], [np.nan]]),
        ([[1.0], [1.0]], [[0.1], [0.1]]),
        ([[1.0], [3.0]], [[1.0], [1.0]]),
        ([[np.nan], [np.nan]], [[0.1], [0.1]]),
    ],
    ids=["no standard errors", "no variance", "all of it noise", "no cells"],
)
def test_a_trait_without_a_sensible_ceiling_has_none(observed, se) -> None:
    assert np.isnan(noise_ceiling(observed, standard_error=se)).all()


def test_standard_errors_come_by_sample_and_trait_name() -> None:
    given = {"trait_value": [[1.0], [2.0]], "trait_names": ["li"], "sample_id": ["a", "b"]}
    assert standard_errors(from_arrays([[0], [1]], **given)) is None
    table = standard_errors(from_arrays([[0], [1]], trait_se=[[0.1], [0.2]], **given))
    assert table is not None
    assert table.loc["b", "li"] == 0.2


def test_rows_above_the_ceiling_are_found() -> None:
    board = pd.DataFrame(
        {
            "model": ["a", "b", "c", "b"],
            "trait": ["li"] * 4,
            "metric": [*["r2_of_ceiling"] * 3, "r2"],
            "mean": [0.98, 1.01, 1.1, 1.5],
            "ci_low": [0.9, 0.95, 1.02, 1.4],
        }
    )
    above = above_ceiling(board)
    assert above["model"].tolist() == ["b", "c"]
    assert above["sure"].tolist() == [False, True]


def test_the_published_lithium_errors_leave_the_ceiling_that_was_measured(real_data: Path) -> None:
    # README of the data: 0.817 on average over the test sets of seeds 0, 1, 2; 0.8155 elsewhere.
    table = pd.read_csv(real_data / "bbq_li" / "qtls_li_hq.csv.gz")
    observed, se = (table[[name]].to_numpy() for name in ("y", "y_var"))
    ceilings = []
    for seed in range(3):
        test = np.random.default_rng(seed).permutation(len(table))[15_866:]
        ceilings.append(noise_ceiling(observed[test], standard_error=se[test])[0])
    assert np.mean(ceilings) == pytest.approx(0.817, abs=0.001)


def test_the_noise_of_standard_errors_and_models_stand_side_by_side() -> None:
    observed = np.array([[0.0, 1.0], [2.0, 5.0], [4.0, np.nan]])
    cells = make_cells(
        observed,
        predicted=np.zeros((3, 2)),
        sample_id=["x", "y", "z"],
        trait_names=["a", "b"],
        model="m",
    )
    errors = pd.DataFrame({"a": [1.0, np.nan, 1.0]}, index=["x", "y", "z"])
    learned = {"gp": {"a": 0.5, "b": 1.0}}
    table = noise_table(cells, trait_se=errors, learned=learned).set_index(["trait", "source"])
    variance = observed[:, 0].var()
    assert table.loc[("a", "standard errors"), "noise_variance"] == 1.0
    assert table.loc[("a", "standard errors"), "ceiling"] == pytest.approx(1 - 1 / variance)
    assert table.loc[("a", "gp"), "noise_share"] == pytest.approx(0.5 / variance)
    assert table.loc[("b", "gp"), "ceiling"] == pytest.approx(1 - 1 / 4)
    assert len(table) == 3
    assert noise_table(cells, trait_se=None, learned={}).empty
