"""The covariances of traits: their canonical form, and what EM makes of complete measurements."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstrait.models.spectrum import Gram
from crosstrait.models.trait_covariance import Moments, TraitCovariance, change, estimate

Float = NDArray[np.float64]


def covariance(n_traits: int, rank: int, seed: int) -> Float:
    half = np.random.default_rng(seed).normal(size=(n_traits, rank))
    return half @ half.T


@pytest.mark.parametrize("rank", [4, 2], ids=["full rank", "two factors"])
def test_canonical_traits_are_independent_with_residual_variance_one(rank: int) -> None:
    genetic, residual = covariance(4, rank, 0), covariance(4, 6, 1)
    at = TraitCovariance.of(genetic, residual)
    A = at.to_canonical
    np.testing.assert_allclose(A @ residual @ A.T, np.eye(4), atol=1e-6)
    np.testing.assert_allclose(A @ genetic @ A.T, np.diag(at.ratio), atol=1e-6)


def test_the_shrinkage_is_the_genetic_share_of_the_variance_at_each_eigenvalue() -> None:
    at = TraitCovariance.of(np.diag([1.0, 3.0]), np.diag([2.0, 1.0]))
    shares = np.sort(at.shrinkage(np.array([2.0]))[0])
    np.testing.assert_allclose(shares, [2 / 4, 6 / 7], rtol=1e-6)


def moments(seed: int = 0, n: int = 120, n_loci: int = 30) -> tuple[Moments, Float, Float]:
    """Two traits of genetic correlation 1 and residual correlation 0, and what they are made of."""
    rng = np.random.default_rng(seed)
    X = rng.choice([-1.0, 1.0], size=(n, n_loci))
    genetic = X @ rng.normal(size=(n_loci, 1)) / np.sqrt(n_loci)
    Y = genetic + rng.normal(size=(n, 2))
    spectrum = Gram(X, np.arange(n)).spectrum()
    d = spectrum.values / spectrum.values.sum() * n
    rotated, centred = spectrum.project(Y), Y - Y.mean(axis=0)
    outside = centred.T @ centred - rotated.T @ rotated
    found = Moments(
        values=d, rotated=rotated[None], weight=np.ones(1), outside=outside, degrees=n - 1
    )
    return found, d, Y


def likelihood(at: TraitCovariance, given: Moments) -> float:
    """The restricted log likelihood of complete traits, a rotated sample at a time."""
    total = -0.5 * (
        (given.degrees - len(given.values)) * np.linalg.slogdet(at.residual)[1]
        + np.trace(np.linalg.solve(at.residual, given.outside))
    )
    for d, y in zip(given.values, given.rotated[0], strict=True):
        V = d * at.genetic + at.residual
        total -= 0.5 * (np.linalg.slogdet(V)[1] + y @ np.linalg.solve(V, y))
    return float(total)


def test_every_step_raises_the_restricted_likelihood() -> None:
    given, _, _ = moments()
    at = TraitCovariance.of(np.eye(2) / 2, np.eye(2) / 2)
    reached = likelihood(at, given)
    for _ in range(15):
        at = estimate(given, at, prior=0, steps=1)
        before, reached = reached, likelihood(at, given)
        assert reached > before - 1e-9


def test_the_prior_shrinks_correlations_and_leaves_variances() -> None:
    given, _, _ = moments()
    start = TraitCovariance.of(np.eye(2) / 2, np.eye(2) / 2)
    free, shrunk, apart = (estimate(given, start, prior=p) for p in (0, 60, 1e9))

    def correlation(matrix: Float) -> float:
        return float(matrix[0, 1] / np.sqrt(matrix[0, 0] * matrix[1, 1]))

    assert correlation(free.genetic) > 0.9
    assert 0 < correlation(shrunk.genetic) < correlation(free.genetic)
    assert abs(correlation(apart.genetic)) < 1e-5
    alone = Moments(
        values=given.values,
        rotated=given.rotated[:, :, :1],
        weight=given.weight,
        outside=given.outside[:1, :1],
        degrees=given.degrees,
    )
    single = estimate(alone, TraitCovariance.of(np.eye(1) / 2, np.eye(1) / 2), prior=0)
    assert apart.genetic[0, 0] == pytest.approx(single.genetic[0, 0], rel=0.02)
    assert apart.residual[0, 0] == pytest.approx(single.residual[0, 0], rel=0.02)


def test_change_is_in_units_of_the_traits_variances() -> None:
    before = TraitCovariance.of(np.eye(2), np.eye(2))
    after = TraitCovariance.of(2 * np.eye(2), np.eye(2))
    scaled = [TraitCovariance.of(9 * c.genetic, 9 * c.residual) for c in (before, after)]
    assert change(before, before) == 0
    assert change(before, after) == pytest.approx(change(*scaled), rel=1e-6)
