"""The lasso against scikit-learn, a trait at a time."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Lasso, LassoCV

from crosstrait.models.base import ModelConfig
from crosstrait.models.lasso import LassoConfig, draw_folds, fit_lasso
from support.model_contract import ModelContract


class TestLasso(ModelContract):
    order_matters = True  # folds are drawn in order

    def config(self) -> ModelConfig:
        return LassoConfig()


def cross(n: int, n_loci: int, *, missing: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    X = rng.choice(np.array([-1, 0.3, 1], dtype=np.float32), size=(n, n_loci))
    Y = X[:, :3] @ rng.normal(size=(3, 4)) + rng.normal(size=(n, 4)) + 2
    Y[rng.random(Y.shape) < missing] = np.nan
    return X, Y


@pytest.mark.parametrize("shape", [(200, 12), (60, 150)], ids=["few loci", "many loci"])
@pytest.mark.parametrize("missing", [0.0, 0.3], ids=["whole", "holes"])
def test_every_trait_is_scikit_learns_lasso_on_its_measured_samples(
    shape: tuple[int, int], missing: float
) -> None:
    X, Y = cross(*shape, missing=missing)
    learned = fit_lasso(X, Y, fold=draw_folds(len(X), folds=5, seed=0))
    for t in range(Y.shape[1]):
        measured = ~np.isnan(Y[:, t])
        alone = Lasso(alpha=learned.penalty[t], tol=1e-8, max_iter=100_000)
        alone.fit(X[measured].astype(float), Y[measured, t])
        exact = objective(X[measured], Y[measured, t], alone.coef_, alone.intercept_, alone.alpha)
        ours = objective(
            X[measured], Y[measured, t], learned.coef[t], learned.intercept[t], alone.alpha
        )
        assert exact <= ours + 1e-9
        assert ours < exact * 1.001


def objective(
    X: np.ndarray, y: np.ndarray, coef: np.ndarray, intercept: float, alpha: float
) -> float:
    """What the lasso minimises."""
    return float(((y - X @ coef - intercept) ** 2).mean() / 2 + alpha * np.abs(coef).sum())


def test_the_effects_without_a_fold_do_not_know_it() -> None:
    X, Y = cross(100, 8, missing=0.1)
    fold = draw_folds(100, folds=4, seed=1)
    learned = fit_lasso(X, Y, fold=fold)
    for k in range(4):
        others = fold != k
        for t in range(Y.shape[1]):
            rows = others & ~np.isnan(Y[:, t])
            alone = Lasso(alpha=learned.penalty[t], tol=1e-8, max_iter=100_000)
            alone.fit(X[rows].astype(float), Y[rows, t])
            assert np.allclose(learned.fold_coef[k, t], alone.coef_, atol=0.01)
            assert np.isclose(learned.fold_intercept[k, t], alone.intercept_, atol=0.01)


def test_folds_differ_in_size_by_at_most_one() -> None:
    sizes = np.bincount(draw_folds(103, folds=5, seed=0))
    assert sizes.sum() == 103
    assert np.ptp(sizes) == 1


def test_the_penalty_is_the_one_that_cross_validation_chooses() -> None:
    X, Y = cross(300, 30, missing=0.0)
    fold = draw_folds(300, folds=5, seed=0)
    learned = fit_lasso(X, Y, fold=fold)
    parts = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(5)]
    for t in range(Y.shape[1]):
        chosen = LassoCV(alphas=100, eps=1e-3, cv=parts, tol=1e-6).fit(X.astype(float), Y[:, t])
        errors = chosen.mse_path_.mean(axis=1)
        ours = np.interp(-learned.penalty[t], -chosen.alphas_, errors)
        assert ours < errors.min() * 1.005


def test_a_trait_measured_in_one_fold_only_is_predicted_by_its_mean() -> None:
    X, Y = cross(100, 30, missing=0.0)
    fold = draw_folds(100, folds=5, seed=0)
    Y[fold != 2, 1] = np.nan
    learned = fit_lasso(X, Y, fold=fold)
    assert learned.penalty[1] == np.inf
    assert (learned.coef[1] == 0).all()
    assert learned.intercept[1] == pytest.approx(np.nanmean(Y[:, 1]))


def test_duplicated_and_constant_loci_are_survived() -> None:
    X, Y = cross(200, 12, missing=0.1)
    X = np.column_stack([X, X[:, 0], np.ones(200, dtype=np.float32)])
    learned = fit_lasso(X, Y, fold=draw_folds(200, folds=5, seed=0))
    assert np.isfinite(learned.coef).all()
    assert np.abs(learned.coef[:, -1]).max() < 1e-6
