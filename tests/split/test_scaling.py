from __future__ import annotations

import numpy as np
import pytest

from crosstrait.errors import DataError
from crosstrait.split import TraitScaler


def test_training_values_get_mean_zero_and_population_spread_one() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(1e6, [1e-3, 50.0, 3.0], (200, 3))
    values[rng.random(values.shape) < 0.3] = np.nan
    rows = np.arange(0, 200, 2)
    scaler = TraitScaler.fit(values, rows=rows)
    scaled = scaler.scale(values)
    np.testing.assert_allclose(np.nanmean(scaled[rows], axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(np.nanstd(scaled[rows], axis=0, ddof=0), 1, rtol=1e-9)
    np.testing.assert_array_equal(np.isnan(scaled), np.isnan(values))
    np.testing.assert_allclose(scaler.unscale(scaled), values, rtol=1e-12)


def test_other_samples_change_nothing() -> None:
    values = np.arange(20.0).reshape(10, 2)
    other = values.copy()
    other[5:] = 1e9
    fitted, same = (TraitScaler.fit(v, rows=np.arange(5)) for v in (values, other))
    np.testing.assert_array_equal(fitted.mean, same.mean)
    np.testing.assert_array_equal(fitted.sd, same.sd)


def test_the_state_restores_the_scaler() -> None:
    values = np.random.default_rng(0).normal(size=(10, 2))
    scaler = TraitScaler.fit(values)
    again = TraitScaler.from_state(scaler.state())
    np.testing.assert_array_equal(again.scale(values), scaler.scale(values))


@pytest.mark.parametrize("column", [[np.nan] * 4, [0.1] * 4, [3.0, np.nan, np.nan, np.nan]])
def test_a_trait_that_does_not_vary_in_training_is_named(column: list[float]) -> None:
    values = np.column_stack([np.arange(4.0), column])
    n_measured = np.isfinite(column).sum()
    with pytest.raises(DataError, match=f"trait 'yield' has {n_measured} measured values in the 4"):
        TraitScaler.fit(values, trait_names=["height", "yield"])
