"""Ridge regression against scikit-learn, brute force and the real data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from crosstrait.models.base import ModelConfig
from crosstrait.models.registry import parse_model
from crosstrait.models.ridge import RidgeConfig, RidgeEstimator
from crosstrait.models.spectrum import Gram
from support.model_contract import ModelContract

Float = NDArray[np.float64]


class TestRidge(ModelContract):
    def config(self) -> ModelConfig:
        return RidgeConfig()


def fitted(X: NDArray[np.float32], Y: Float) -> RidgeEstimator:
    model = RidgeConfig().build(n_loci=X.shape[1], n_traits=Y.shape[1])
    model.fit(X, Y, X_validation=X[:0], Y_validation=Y[:0], seed=0)
    return model


def cross(
    n: int, n_loci: int, n_traits: int, *, missing: float, seed: int
) -> tuple[NDArray[np.float32], Float]:
    rng = np.random.default_rng(seed)
    X = rng.choice(np.array([-1, 0.2, 1], dtype=np.float32), size=(n, n_loci))
    Y = X @ rng.normal(size=(n_loci, n_traits)) / np.sqrt(n_loci) + rng.normal(size=(n, n_traits))
    Y[rng.random(Y.shape) < missing] = np.nan
    return X, 3 * Y + 5


def cross_validation_error(X: Float, y: Float, penalty: float) -> float:
    """Generalised cross-validation from the explicit hat matrix."""
    n = len(y)
    centred = X - X.mean(axis=0)
    hat = centred @ np.linalg.solve(
        centred.T @ centred + penalty * np.eye(X.shape[1]), centred.T
    ) + np.full((n, n), 1 / n)
    return float(n * np.sum((y - hat @ y) ** 2) / (n - np.trace(hat)) ** 2)


@pytest.mark.parametrize("shape", [(60, 9), (60, 200)], ids=["few loci", "many loci"])
@pytest.mark.parametrize("missing", [0.0, 0.05, 0.7], ids=["whole", "few holes", "many holes"])
def test_every_trait_is_scikit_learns_ridge_on_its_measured_samples(
    shape: tuple[int, int], missing: float
) -> None:
    X, Y = cross(*shape, 5, missing=missing, seed=3)
    model = fitted(X, Y)
    X_new, _ = cross(20, shape[1], 1, missing=0, seed=4)
    for t in range(5):
        rows = ~np.isnan(Y[:, t])
        reference = Ridge(alpha=model.penalty[t], solver="svd")
        reference.fit(X[rows].astype(np.float64), Y[rows, t])
        np.testing.assert_allclose(model.coef[t], reference.coef_, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(
            model.predict(X_new)[:, t], reference.predict(X_new.astype(np.float64)), rtol=1e-6
        )


@pytest.mark.parametrize("shape", [(60, 9), (60, 200)], ids=["few loci", "many loci"])
@pytest.mark.parametrize("missing", [0.05, 0.6], ids=["few holes", "many holes"])
def test_the_penalty_has_the_least_cross_validation_error(
    shape: tuple[int, int], missing: float
) -> None:
    X, Y = cross(*shape, 3, missing=missing, seed=5)
    model = fitted(X, Y)
    for t in range(3):
        rows = ~np.isnan(Y[:, t])
        x, y = X[rows].astype(np.float64), Y[rows, t]
        chosen = cross_validation_error(x, y, model.penalty[t])
        others = model.penalty[t] * np.logspace(-2, 2, 41)
        norm = np.sum((x - x.mean(axis=0)) ** 2) / len(x)
        others = others[(others > 1e-4 * norm) & (others < 1e4 * norm)]
        assert len(others) > 10
        assert chosen <= min(cross_validation_error(x, y, o) for o in others) * (1 + 1e-6)


@pytest.mark.parametrize("shape", [(400, 9), (400, 600)], ids=["few loci", "many loci"])
def test_the_cross_validated_r2_foretells_that_of_new_samples(shape: tuple[int, int]) -> None:
    X, Y = cross(2 * shape[0], shape[1], 3, missing=0.1, seed=6)
    train, test = slice(0, shape[0]), slice(shape[0], None)
    model = fitted(X[train], Y[train])
    error = Y[test] - model.predict(X[test])
    found = 1 - np.nanmean(error**2, axis=0) / np.nanvar(Y[test], axis=0)
    np.testing.assert_allclose(model.gcv_r2, found, atol=0.1)
    assert model.gcv_r2.min() > 0.05


@settings(max_examples=25, deadline=None)
@example(n=4, n_loci=1, missing=0.5, seed=8)  # the genotypes that are left are equal
@given(
    n=st.integers(4, 40),
    n_loci=st.integers(1, 40),
    missing=st.floats(0, 0.8),
    seed=st.integers(0, 2**32 - 1),
)
def test_holes_of_any_pattern_leave_the_other_traits_exact(
    n: int, n_loci: int, missing: float, seed: int
) -> None:
    X, Y = cross(n, n_loci, 3, missing=missing, seed=seed)
    together = fitted(X, Y)
    for t in range(3):
        rows = ~np.isnan(Y[:, t])
        alone, x, y = fitted(X, Y[:, [t]]), X[rows].astype(np.float64), Y[rows, t]
        if np.isinf(alone.penalty[0]):
            assert np.isinf(together.penalty[t])
            continue
        # The error can be flat around its minimum, so equally good penalties need not be equal.
        errors = [cross_validation_error(x, y, m) for m in (together.penalty[t], alone.penalty[0])]
        np.testing.assert_allclose(*errors, rtol=1e-5)
        exact = Ridge(alpha=together.penalty[t], solver="svd").fit(x, y)
        np.testing.assert_allclose(together.coef[t], exact.coef_, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(together.intercept[t], exact.intercept_, rtol=1e-6)


def test_a_large_offset_of_a_trait_does_not_cost_precision() -> None:
    X, Y = cross(80, 20, 1, missing=0, seed=8)
    near, far = fitted(X, Y), fitted(X, Y + 1e6)
    np.testing.assert_allclose(far.coef, near.coef, rtol=1e-4, atol=1e-6)


def test_pure_noise_is_predicted_by_its_mean() -> None:
    rng = np.random.default_rng(9)
    X = rng.choice(np.array([-1, 1], dtype=np.float32), size=(300, 100))
    y = rng.normal(size=(300, 1))
    predicted = fitted(X, y).predict(X)
    assert predicted.std() < 0.3
    assert predicted.mean() == pytest.approx(y.mean(), abs=1e-6)


@pytest.mark.parametrize("n_loci", [10, 50])
def test_a_part_of_a_gram_matrix_equals_a_new_one(n_loci: int) -> None:
    X, _ = cross(40, n_loci, 1, missing=0, seed=10)
    samples = np.arange(2, 40)
    missing = np.array([3, 8, 30])
    observed = np.setdiff1d(samples, missing)
    part, whole = Gram(X, samples).only(observed, missing=missing), Gram(X, observed)
    np.testing.assert_allclose(part.matrix, whole.matrix, atol=1e-10)
    np.testing.assert_allclose(part.mean, whole.mean, atol=1e-12)


def test_ridge_is_registered_and_has_nothing_to_set() -> None:
    assert parse_model({"type": "ridge"}) == RidgeConfig()
    assert RidgeConfig.deterministic


@pytest.mark.parametrize(("seed", "expected"), [(0, 0.7335), (1, 0.7250), (2, 0.7456)])
def test_lithium_reaches_the_published_r2(real_data: Path, seed: int, expected: float) -> None:
    table = pd.read_csv(real_data / "bbq_li" / "qtls_li_hq.csv.gz")
    letters = np.array([list(sequence) for sequence in table["seq"]])
    X = np.where(letters == "A", 1, -1).astype(np.float32)
    y = table["y"].to_numpy()[:, None]
    order = np.random.default_rng(seed).permutation(len(y))
    train, test = order[:15866], order[15866:]
    error = y[test] - fitted(X[train], y[train]).predict(X[test])
    assert 1 - (error**2).mean() / y[test].var() == pytest.approx(expected, abs=0.001)
