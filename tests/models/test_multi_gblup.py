"""Multi-trait GBLUP against brute force, single traits and simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import linalg, optimize
from sklearn.linear_model import Ridge

from crosstrait.models.base import ModelConfig
from crosstrait.models.mixed_model import MixedModel
from crosstrait.models.multi_gblup import MultiGblupConfig, MultiGblupEstimator
from crosstrait.models.spectrum import Gram
from crosstrait.models.trait_covariance import TraitCovariance
from crosstrait.panel.simulate import SimulationConfig, simulate
from support.model_contract import ModelContract, r2

Float = NDArray[np.float64]
Genotypes = NDArray[np.float32]


class TestMultiGblup(ModelContract):
    traits_are_independent = False
    tolerance = 2e-3  # the likelihood is climbed to a hundredth of a log unit

    def config(self) -> ModelConfig:
        return MultiGblupConfig()


def fitted(X: Genotypes, Y: Float, *, shrinkage: float = 0.0) -> MultiGblupEstimator:
    model = MultiGblupConfig(shrinkage=shrinkage).build(n_loci=X.shape[1], n_traits=Y.shape[1])
    model.fit(X, Y, X_validation=X[:0], Y_validation=Y[:0], seed=0)
    return model


def cross(
    n: int, n_loci: int, n_traits: int, *, missing: float = 0.0, seed: int = 0
) -> tuple[Genotypes, Float]:
    """Traits that share their loci and part of their noise."""
    rng = np.random.default_rng(seed)
    X = rng.choice(np.array([-1, 1], dtype=np.float32), size=(n, n_loci))
    common = rng.normal(size=(n_loci, 1))
    effect = (common + rng.normal(size=(n_loci, n_traits))) / np.sqrt(2 * n_loci)
    noise = (rng.normal(size=(n, 1)) + rng.normal(size=(n, n_traits))) / np.sqrt(2)
    Y = X @ effect + noise
    holes = rng.random(Y.shape) < missing
    holes[np.arange(n), rng.integers(n_traits, size=n)] &= n_traits == 1  # a sample has a trait
    Y[holes] = np.nan
    return X, Y


def relationship(X: Genotypes) -> Float:
    centred = X - X.mean(axis=0, dtype=np.float64)
    K: Float = centred @ centred.T
    return K / np.trace(K) * len(X)


def blup(model: MultiGblupEstimator, X: Genotypes, Y: Float, X_new: Genotypes) -> Float:
    """The same predictions from the covariance of all measured cells, written out."""
    n, n_traits = Y.shape
    centred = np.concatenate([X, X_new]) - X.mean(axis=0, dtype=np.float64)
    K = centred @ centred.T / np.trace((centred @ centred.T)[:n, :n]) * n
    at = np.argwhere(~np.isnan(Y))
    i, t = at.T
    V = K[np.ix_(i, i)] * model.genetic_covariance[np.ix_(t, t)]
    V += (i[:, None] == i) * model.residual_covariance[np.ix_(t, t)]
    B = np.eye(n_traits)[t]
    V_inverse = linalg.inv(V)
    y = Y[i, t]
    mean = linalg.solve(B.T @ V_inverse @ B, B.T @ V_inverse @ y)
    dual = V_inverse @ (y - B @ mean)
    return np.stack(
        [mean[s] + (K[n:, i] * model.genetic_covariance[s, t]) @ dual for s in range(n_traits)], 1
    )


@pytest.mark.parametrize("n_loci", [20, 150], ids=["few loci", "many loci"])
@pytest.mark.parametrize("missing", [0.0, 0.1, 0.7], ids=["whole", "few holes", "many holes"])
def test_the_predictions_are_the_blup_of_the_covariances_given_every_measured_cell(
    n_loci: int, missing: float
) -> None:
    X, Y = cross(80, n_loci, 3, missing=missing)
    X_new, _ = cross(10, n_loci, 3, seed=9)
    model = fitted(X, Y)
    expected = blup(model, X, Y, X_new)
    np.testing.assert_allclose(model.predict(X_new), expected, atol=1e-4)


def restricted_likelihood(X: Genotypes, Y: Float, genetic: Float, residual: Float) -> float:
    n_traits = Y.shape[1]
    i, t = np.argwhere(~np.isnan(Y)).T
    V = relationship(X)[np.ix_(i, i)] * genetic[np.ix_(t, t)]
    V += (i[:, None] == i) * residual[np.ix_(t, t)]
    B = np.eye(n_traits)[t]
    V_inverse = linalg.inv(V)
    BVB = B.T @ V_inverse @ B
    P = V_inverse - V_inverse @ B @ linalg.solve(BVB, B.T @ V_inverse)
    y = Y[i, t]
    return float(-0.5 * (np.linalg.slogdet(V)[1] + np.linalg.slogdet(BVB)[1] + y @ P @ y))


@pytest.mark.parametrize("missing", [0.0, 0.15, 0.5], ids=["whole", "few holes", "many holes"])
def test_no_direction_raises_the_restricted_likelihood(missing: float) -> None:
    X, Y = cross(150, 40, 2, missing=missing, seed=3)
    model = fitted(X, Y)
    lower = np.tril_indices(2)

    def negative(values: Float) -> float:
        factors = np.zeros((2, 2, 2))
        factors[0][lower], factors[1][lower] = values[:3], values[3:]
        genetic, residual = (L @ L.T + 1e-9 * np.eye(2) for L in factors)
        return -restricted_likelihood(X, Y, genetic, residual)

    start = [
        np.linalg.cholesky(c + 1e-6 * np.eye(2))[lower]
        for c in (model.genetic_covariance, model.residual_covariance)
    ]
    best = optimize.minimize(negative, np.concatenate(start), method="L-BFGS-B")
    reached = restricted_likelihood(X, Y, model.genetic_covariance, model.residual_covariance)
    assert reached > -best.fun - (0.2 if missing else 0.02)


def test_known_genetic_correlations_are_recovered() -> None:
    correlation = ((1.0, 0.8, -0.5), (0.8, 1.0, 0.0), (-0.5, 0.0, 1.0))
    panel, truth = simulate(
        SimulationConfig(
            n_samples=3000,
            n_loci=200,
            n_traits=3,
            n_causal=100,
            additive=(0.5,),
            genetic_correlation=correlation,
            missing={"traits": 0.3},
            seed=4,
        )
    )
    X = (2 * panel["call_dosage"].values - 1).astype(np.float32)
    model = fitted(X, panel["trait_value"].values.astype(np.float64))
    sd = np.sqrt(np.diag(model.genetic_covariance))
    found = model.genetic_covariance / np.outer(sd, sd)
    np.testing.assert_allclose(found, correlation, atol=0.15)
    np.testing.assert_allclose(model.noise_variance, truth.noise_variance, atol=0.06)


def test_one_trait_alone_is_single_trait_gblup() -> None:
    X, Y = cross(120, 40, 1, missing=0.2)
    model = fitted(X, Y)
    rows = ~np.isnan(Y[:, 0])
    alone = fitted(X[rows], Y[rows])
    np.testing.assert_allclose(model.predict(X), alone.predict(X), atol=0.02)


def test_a_correlated_trait_helps_one_with_few_values() -> None:
    X, Y = cross(400, 100, 2, seed=1)
    X_new, Y_new = cross(200, 100, 2, seed=2)
    Y[40:, 0] = np.nan
    genetic = X_new @ (np.linalg.lstsq(X_new, Y_new, rcond=None)[0])
    together = r2(genetic, fitted(X, Y).predict(X_new))[0]
    alone = r2(genetic, fitted(X, Y[:, :1]).predict(X_new))[0]
    assert together > alone


def test_the_order_of_the_traits_changes_nothing() -> None:
    X, Y = cross(100, 30, 4)
    order = [2, 0, 3, 1]
    straight, turned = fitted(X, Y), fitted(X, Y[:, order])
    np.testing.assert_allclose(turned.predict(X), straight.predict(X)[:, order], atol=2e-3)


def test_held_out_errors_are_those_of_samples_that_were_left_out() -> None:
    X, Y = cross(60, 30, 2, missing=0.2, seed=5)
    model = fitted(X, Y)
    part = np.arange(60) % 5 == 1
    expected = Y[part] - blup_without(model, X, Y, part)
    assert model.held_out is not None
    np.testing.assert_allclose(model.held_out[part], expected, atol=5e-3)


def blup_without(
    model: MultiGblupEstimator, X: Genotypes, Y: Float, part: NDArray[np.bool_]
) -> Float:
    n_traits = Y.shape[1]
    i, t = np.argwhere(~np.isnan(Y) & ~part[:, None]).T
    K = relationship(X)
    V = K[np.ix_(i, i)] * model.genetic_covariance[np.ix_(t, t)]
    V += (i[:, None] == i) * model.residual_covariance[np.ix_(t, t)]
    B = np.eye(n_traits)[t]
    W = linalg.inv(V)
    mean = linalg.solve(B.T @ W @ B, B.T @ W @ Y[i, t])
    dual = W @ (Y[i, t] - B @ mean)
    return np.stack(
        [
            mean[s] + (K[np.ix_(part, i)] * model.genetic_covariance[s, t]) @ dual
            for s in range(n_traits)
        ],
        1,
    )


@pytest.mark.parametrize("missing", [0.0, 0.2], ids=["whole", "holes"])
def test_uncorrelated_traits_are_ridge_regressions(missing: float) -> None:
    X, Y = cross(70, 30, 2, missing=missing)
    genetic, residual = np.array([0.3, 0.8]), np.array([0.7, 0.2])
    model = MixedModel(Gram(X, np.arange(70)).spectrum(), Y)
    model.covariance = TraitCovariance.of(np.diag(genetic), np.diag(residual))
    model.complete()
    coef, intercept = model.effects()
    for t in range(2):
        rows = ~np.isnan(Y[:, t])
        alone = Ridge(alpha=residual[t] / genetic[t] * model.scale, solver="svd")
        alone.fit(X[rows].astype(np.float64), Y[rows, t])
        np.testing.assert_allclose(coef[t], alone.coef_, atol=1e-5)
        assert intercept[t] == pytest.approx(alone.intercept_, abs=1e-5)
