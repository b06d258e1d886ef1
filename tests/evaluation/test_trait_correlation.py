"""Correlations between traits over shared cells."""

from __future__ import annotations

import numpy as np
import pytest

from crosstrait.evaluation.trait_correlation import trait_correlations
from support.predictions import predictions, trait_values


def test_observed_correlations_use_the_samples_that_have_both_traits() -> None:
    values = trait_values(80, n_traits=4, missing=0.2, seed=1)
    cells = predictions(values, accuracy={"ridge": 0.5, "trees": 0.6}, replicates=2, folds=2)
    observed, predicted = trait_correlations(cells, model="ridge")
    both = ~np.isnan(values[:, 0]) & ~np.isnan(values[:, 3])
    expected = np.corrcoef(values[both, 0], values[both, 3])[0, 1]
    assert observed.loc["trait_0", "trait_3"] == pytest.approx(expected)
    assert list(observed.index) == list(observed.columns) == list(predicted.columns)
    np.testing.assert_allclose(np.diag(predicted), 1)


def test_predictions_are_averaged_over_replicates() -> None:
    values = trait_values(80, n_traits=2, seed=1)
    cells = predictions(values, accuracy={"ridge": 0.5}, replicates=3)
    _, predicted = trait_correlations(cells, model="ridge")
    mean = cells.groupby(["sample", "trait"], observed=True)["predicted"].mean().unstack()
    assert predicted.iloc[0, 1] == pytest.approx(np.corrcoef(mean.T)[0, 1])


def test_two_traits_that_hardly_share_a_sample_have_no_correlation() -> None:
    values = trait_values(40, n_traits=2)
    values[:20, 0] = np.nan
    values[22:, 1] = np.nan
    cells = predictions(values, accuracy={"ridge": 0.5})
    observed, _ = trait_correlations(cells, model="ridge")
    assert np.isnan(observed.loc["trait_0", "trait_1"])
