"""Intervals hold as many new samples as they claim."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Lasso, Ridge

from crosstrait.errors import SettingsError
from crosstrait.models.intervals import ErrorQuantiles
from crosstrait.models.lasso import LassoConfig, draw_folds
from crosstrait.models.ridge import RidgeConfig
from crosstrait.models.trees import TreesConfig
from support.model_contract import fit_estimator, simulated


@pytest.mark.parametrize("n", [30, 3000])
def test_new_errors_fall_inside_as_often_as_claimed_whatever_their_distribution(n: int) -> None:
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(200 if n < 100 else 20):
        heavy = rng.standard_t(3, size=(n + 500, 2)) * [1, 5]
        quantiles = ErrorQuantiles.fit(heavy[:n])
        inside.append([(np.abs(heavy[n:]) <= quantiles.at(p)).mean(0) for p in (0.5, 0.8, 0.95)])
    np.testing.assert_allclose(
        np.mean(inside, axis=0), np.tile([[0.5], [0.8], [0.95]], 2), atol=0.02
    )


def test_the_quantile_is_the_order_statistic_of_split_conformal_prediction() -> None:
    quantiles = ErrorQuantiles.fit(np.arange(1.0, 20.0)[:, None] * [[1.0, -1.0]])
    np.testing.assert_array_equal(quantiles.at(0.5), [10, 10])  # (19 + 1) * 0.5 = 10th of 19
    np.testing.assert_array_equal(quantiles.at(0.95), [19, 19])
    assert np.isinf(quantiles.at(0.96)).all()
    np.testing.assert_allclose(quantiles.root_mean_square, np.sqrt((np.arange(1, 20) ** 2).mean()))


def test_levels_between_hundredths_lie_between_their_quantiles() -> None:
    quantiles = ErrorQuantiles.fit(np.random.default_rng(1).normal(size=(500, 1)))
    assert quantiles.at(0.80) < quantiles.at(0.803) < quantiles.at(0.81)


@pytest.mark.parametrize("level", [0, 0.005, 0.995, 1, 80, float("nan")])
def test_a_level_out_of_range_is_refused(level: float) -> None:
    with pytest.raises(SettingsError, match=r"level = .*0\.01 to 0\.99"):
        ErrorQuantiles.fit(np.ones((5, 1))).at(level)


def test_a_trait_without_held_out_errors_has_unbounded_intervals() -> None:
    errors = np.full((50, 2), np.nan)
    errors[:, 1] = np.linspace(-1, 1, 50)
    quantiles = ErrorQuantiles.fit(errors)
    assert np.isinf(quantiles.at(0.5)[0])
    assert quantiles.at(0.5)[1] == pytest.approx(0.5, abs=0.05)
    assert np.isnan(quantiles.root_mean_square[0])


@pytest.mark.parametrize("missing", [0.0, 0.1, 0.6], ids=["whole", "few holes", "many holes"])
@pytest.mark.parametrize("n_loci", [8, 150], ids=["few loci", "many loci"])
def test_ridge_holds_out_one_sample_at_a_time(n_loci: int, missing: float) -> None:
    problem = simulated(n_train=60, n_validation=0, n_loci=n_loci, heritability=0.5)
    Y = problem.Y.copy()
    Y[np.random.default_rng(3).random(Y.shape) < missing] = np.nan
    model = RidgeConfig().build(n_loci=n_loci, n_traits=2)
    model.fit(problem.X, Y, X_validation=problem.X[:0], Y_validation=Y[:0], seed=0)
    assert model.held_out is not None
    samples = np.flatnonzero(~np.isnan(Y).all(axis=1))
    for t in range(2):
        for i in np.flatnonzero(~np.isnan(Y[:, t]))[:10]:
            others = np.setdiff1d(np.flatnonzero(~np.isnan(Y[:, t])), i)
            refit = Ridge(alpha=model.penalty[t], solver="svd")
            refit.fit(problem.X[others].astype(np.float64), Y[others, t])
            error = Y[i, t] - refit.predict(problem.X[[i]].astype(np.float64))[0]
            found = model.held_out[np.searchsorted(samples, i), t]
            assert found == pytest.approx(error, rel=1e-6)
        assert (np.isnan(model.held_out[:, t]) == np.isnan(Y[samples, t])).all()


def test_the_lasso_holds_out_folds() -> None:
    problem = simulated(n_train=100, n_validation=0)
    model = LassoConfig(folds=4).build(n_loci=12, n_traits=2)
    model.fit(problem.X, problem.Y, X_validation=problem.X[:0], Y_validation=problem.Y[:0], seed=5)
    assert model.held_out is not None
    fold = draw_folds(100, folds=4, seed=5)
    for k in range(4):
        for t in range(2):
            alone = Lasso(alpha=model.penalty[t], tol=1e-8).fit(
                problem.X[fold != k].astype(np.float64), problem.Y[fold != k, t]
            )
            error = problem.Y[fold == k, t] - alone.predict(problem.X[fold == k])
            # The path is followed to a duality gap of 1e-4: fitted values to its root, twice.
            assert np.sqrt(((model.held_out[fold == k, t] - error) ** 2).mean()) < 0.02


def test_trees_hold_the_validation_samples_out() -> None:
    problem = simulated(n_train=200, n_validation=50)
    model = fit_estimator(TreesConfig(), problem)
    assert model.held_out is not None
    assert np.isnan(model.held_out[:200]).all()
    assert np.isfinite(model.held_out[200:]).all()
