"""R2, Pearson r and RMSE of cells with holes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import r2_score, root_mean_squared_error

from crosstrait.evaluation.metrics import pearson_r, r2, rmse


def cells(seed: int, n: int = 40, traits: int = 5, missing: float = 0.2):
    rng = np.random.default_rng(seed)
    observed = rng.normal(10, 3, size=(n, traits))
    predicted = 0.5 * observed + rng.normal(size=observed.shape)
    observed[rng.random(observed.shape) < missing] = np.nan
    return observed, predicted


@given(st.integers(0, 10_000))
def test_each_trait_equals_scikit_learn_on_its_measured_cells(seed: int) -> None:
    observed, predicted = cells(seed)
    for j in range(observed.shape[1]):
        seen = ~np.isnan(observed[:, j])
        y, p = observed[seen, j], predicted[seen, j]
        assert r2(observed, predicted=predicted)[j] == pytest.approx(r2_score(y, p))
        assert rmse(observed, predicted=predicted)[j] == pytest.approx(
            root_mean_squared_error(y, p)
        )
        assert pearson_r(observed, predicted=predicted)[j] == pytest.approx(np.corrcoef(y, p)[0, 1])


@given(st.integers(0, 10_000), st.floats(-50, 50), st.floats(0.01, 100))
def test_r2_and_r_do_not_depend_on_the_unit_of_the_trait(
    seed: int, shift: float, scale: float
) -> None:
    observed, predicted = cells(seed)
    moved = {"observed": shift + scale * observed, "predicted": shift + scale * predicted}
    for metric in (r2, pearson_r):
        np.testing.assert_allclose(metric(**moved), metric(observed, predicted=predicted))
    np.testing.assert_allclose(rmse(**moved), scale * rmse(observed, predicted=predicted))


def test_the_mean_of_the_cells_scores_zero_and_the_truth_one() -> None:
    observed, _ = cells(1)
    mean = np.broadcast_to(np.nanmean(observed, axis=0), observed.shape)
    np.testing.assert_allclose(r2(observed, predicted=mean), 0, atol=1e-12)
    np.testing.assert_array_equal(r2(observed, predicted=observed), 1)


@pytest.mark.parametrize(
    "observed", [[[2.0], [2.0], [2.0]], [[0.1], [0.1], [0.1]], [[1.0], [np.nan], [np.nan]]]
)
def test_a_trait_without_variance_has_no_r2_and_no_r(observed: list[list[float]]) -> None:
    predicted = [[1.0], [2.0], [3.0]]
    assert np.isnan(r2(observed, predicted=predicted)).all()
    assert np.isnan(pearson_r(observed, predicted=predicted)).all()
    assert np.isfinite(rmse(observed, predicted=predicted)).all()


def test_a_trait_without_cells_has_no_score_at_all() -> None:
    observed = np.full((3, 1), np.nan)
    for metric in (r2, pearson_r, rmse):
        assert np.isnan(metric(observed, predicted=np.ones((3, 1)))).all()


def test_a_constant_prediction_has_r_zero() -> None:
    assert pearson_r([1.0, 2.0, 4.0], predicted=[0.1, 0.1, 0.1]) == 0


def test_a_prediction_that_is_not_a_number_is_never_dropped() -> None:
    predicted = [1.0, np.nan, 3.0]
    for metric in (r2, pearson_r, rmse):
        assert np.isnan(metric([1.0, 2.0, 3.0], predicted=predicted)).all()
        assert np.isfinite(metric([1.0, np.nan, 3.0], predicted=predicted)).all()


def test_unlike_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3, 1\) and \(3,\)"):
        r2(np.zeros((3, 1)), predicted=np.zeros(3))
