"""Genetic and residual covariance of many traits, by REML, and the precision that they make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from crosstrait.models.spectrum import Float64

_LEAST_VARIANCE = 1e-8  # of a standardised trait, so that every covariance has a factor
_MOST_STEPS = 300
_STEP_TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True, eq=False)
class TraitCovariance:
    r"""The two covariances of :math:`Y = 1\mu^\top + G + E` with K = U diag(d) U'.

    :math:`\mathrm{vec}(G) \sim N(0, \Sigma_g \otimes K)` and
    :math:`\mathrm{vec}(E) \sim N(0, \Sigma_e \otimes I)`.

    Attributes
    ----------
    genetic, residual
        (T, T) :math:`\Sigma_g` and :math:`\Sigma_e`.
    to_canonical
        (T, T) A, with :math:`A \Sigma_e A^\top = I` and :math:`A \Sigma_g A^\top` diagonal: the
        traits that A makes of the measured ones are independent of one another.
    ratio
        (T,) that diagonal, the ratios of genetic to residual variance of the canonical traits.
    """

    genetic: Float64
    residual: Float64
    to_canonical: Float64
    ratio: Float64

    @classmethod
    def of(cls, genetic: Float64, residual: Float64) -> TraitCovariance:
        """Find the canonical traits of two covariances."""
        n_traits = len(residual)
        residual = residual + _LEAST_VARIANCE * np.eye(n_traits)
        lower = linalg.cholesky(residual, lower=True)
        half = linalg.solve_triangular(lower, genetic, lower=True)
        whitened = linalg.solve_triangular(lower, half.T, lower=True)
        ratio, axes = linalg.eigh((whitened + whitened.T) / 2)
        to_canonical = linalg.solve_triangular(lower, axes, lower=True, trans="T").T
        return cls(
            genetic=genetic,
            residual=residual,
            to_canonical=to_canonical,
            ratio=np.maximum(ratio, 0.0),
        )

    def shrinkage(self, values: Float64) -> Float64:
        """Return (r, T) shares of the canonical traits' variance, at eigenvalues d, of G."""
        product = np.outer(values, self.ratio)
        return product / (product + 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """Second moments of completely measured traits, all that their likelihood depends on.

    Attributes
    ----------
    values
        (r,) eigenvalues d of K.
    rotated, weight
        (R, r, T) projections U'Y and the (R,) weights of R tables of traits: the expected squares
        and products are the weighted sums over tables.
    outside
        (T, T) squares and products of Y about its mean that lie outside the columns of U.
    degrees
        n - 1, of all squares and products.
    """

    values: Float64
    rotated: Float64
    weight: Float64
    outside: Float64
    degrees: int


def estimate(
    moments: Moments, start: TraitCovariance, *, prior: float, steps: int = _MOST_STEPS
) -> TraitCovariance:
    r"""Raise the restricted likelihood from ``start``, by EM.

    Correlations are drawn to 0 in each step: :math:`\Sigma = (S + \nu \, \mathrm{diag}(S) / n) /
    (n + \nu)` where EM alone has S / n, so that the variances stay and correlations that the data
    say little about vanish. Without this, as many covariances as 46 traits have fit the noise.

    Parameters
    ----------
    moments
        Second moments of the traits.
    start
        Where to begin.
    prior
        :math:`\nu`, in samples; 0 is plain REML.
    steps
        At most so many.

    References
    ----------
    Meyer 2006, Genetics Selection Evolution 38:107 (EM for many traits); Meyer and Kirkpatrick
    2010, Genetics 185:1097 (penalties on genetic correlations).
    """
    found = start
    for _ in range(steps):
        before, found = found, _step(moments, found, prior)
        if change(before, found) < _STEP_TOLERANCE:
            break
    return found


def change(before: TraitCovariance, after: TraitCovariance) -> float:
    """Return the root mean square change of a covariance, in units of the traits' variances."""
    scale = np.sqrt(np.diag(after.genetic) + np.diag(after.residual))
    changes = np.stack([after.genetic - before.genetic, after.residual - before.residual])
    return float(np.sqrt(((changes / np.outer(scale, scale)) ** 2).mean()))


def _step(moments: Moments, at: TraitCovariance, prior: float) -> TraitCovariance:
    """Return the covariances after a step of EM."""
    d, n_traits = moments.values, len(at.ratio)
    A = at.to_canonical
    z = moments.rotated @ A.T  # (R, r, T)
    share = at.shrinkage(d)
    weight = np.sqrt(moments.weight)[:, None, None]
    genetic = (weight * share * z).reshape(-1, n_traits)
    residual = (weight * z).reshape(-1, n_traits) - genetic
    # The posterior variance of a canonical trait's genetic value, and of its residual, is share.
    standard = (genetic / np.tile(d, len(z))[:, None]).T @ genetic
    standard += np.diag((share / d[:, None]).sum(axis=0))
    noise = residual.T @ residual + np.diag(share.sum(axis=0)) + A @ moments.outside @ A.T
    back = linalg.inv(A)
    return TraitCovariance.of(
        _shrunk(back @ standard @ back.T, len(d), prior),
        _shrunk(back @ noise @ back.T, moments.degrees, prior),
    )


def _shrunk(total: Float64, degrees: int, prior: float) -> Float64:
    """Return the covariance whose ``degrees`` samples sum to ``total``, correlations shrunk."""
    covariance = (total + total.T) / (2 * (degrees + prior))
    np.fill_diagonal(covariance, np.diag(total) / degrees)
    return covariance
