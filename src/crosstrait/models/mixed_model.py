"""The mixed model of many traits with holes: covariances, effects and held-out errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from crosstrait.models.spectrum import Float64, Spectrum
from crosstrait.models.trait_covariance import Moments, TraitCovariance, change, estimate

Cells = NDArray[np.bool_]

# Draws only make the covariance of the missing cells, which is a mean over all samples: eight give
# the likelihood of REML to a fifth of a log unit with half the cells missing.
_DRAWS = 8
_STEPS = 20  # of EM on the moments of one round
_MOST_ROUNDS = 30
_ROUND_TOLERANCE = 4e-3  # of the traits' variances, root mean square
_SOLVE_TOLERANCE = 1e-3
_FINAL_TOLERANCE = 1e-8
_MOST_SOLVE_STEPS = 500
_HELD_OUT_FOLDS = 5


class MixedModel:
    """The mixed model of `MultiGblupEstimator` on n samples and T traits that vary.

    Attributes
    ----------
    spectrum, scale
        The relationships of the samples, and what they are divided by for a mean diagonal of 1.
    d
        (r,) eigenvalues of the scaled relationships.
    missing
        (n, T), True in the cells without a measurement.
    Y
        (n, T) traits; a missing cell is 0 until `complete` fills it.
    covariance
        The present covariances; half the variance each before `estimate`.
    """

    def __init__(self, spectrum: Spectrum, Y: Float64) -> None:
        self.spectrum = spectrum
        self.scale = spectrum.values.sum() / len(Y)
        self.d = spectrum.values / self.scale
        self.missing = np.isnan(Y)
        self.Y = np.where(self.missing, 0.0, Y)
        variance = (self.Y**2).sum(axis=0) / np.maximum(1, (~self.missing).sum(axis=0))
        self.covariance = TraitCovariance.of(np.diag(variance) / 2, np.diag(variance) / 2)

    def estimate(self, *, prior: float) -> None:
        """Estimate both covariances.

        Parameters
        ----------
        prior
            How many samples of uncorrelated traits shrink their correlations.
        """
        if not self.missing.any():
            self.covariance = estimate(
                self._moments(self.Y[None], np.ones(1)),
                self.covariance,
                prior=prior,
            )
            return
        n, n_traits = self.Y.shape
        rng = np.random.default_rng(0)
        genetic = rng.standard_normal((_DRAWS, len(self.d), n_traits))
        residual = rng.standard_normal((_DRAWS, n, n_traits))
        weight = np.array([1.0] + [1 / _DRAWS] * _DRAWS)
        filled = np.zeros((1 + _DRAWS, n, n_traits))  # at the missing cells; warm starts
        for _ in range(_MOST_ROUNDS):
            before = self.covariance
            drawn = self._draw(genetic, residual)
            known = np.where(self.missing, 0.0, np.concatenate([self.Y[None], drawn]))
            filled = self._fill(known, self.missing, start=filled, tolerance=_SOLVE_TOLERANCE)
            tables = known + filled
            tables[1:] = drawn - tables[1:]  # what the measured cells leave unknown
            self.covariance = estimate(
                self._moments(tables, weight), before, prior=prior, steps=_STEPS
            )
            if change(before, self.covariance) < _ROUND_TOLERANCE:
                break

    def complete(self) -> None:
        """Put their means, given all measured cells, into the missing cells of Y."""
        if self.missing.any():
            known = np.where(self.missing, 0.0, self.Y)[None]
            start = np.zeros_like(known)
            self.Y = (
                known + self._fill(known, self.missing, start=start, tolerance=_FINAL_TOLERANCE)
            )[0]

    def effects(self) -> tuple[Float64, Float64]:
        """Return the effects (T, L) of loci and the intercepts (T,)."""
        weights = self._genetic(self._project(self.Y[None])[0]) / self.spectrum.values[:, None]
        coef = self.spectrum.effects(weights).T
        intercept: Float64 = self.Y.mean(axis=0) - coef @ self.spectrum.gram.mean
        return coef, intercept

    def held_out(self) -> Float64:
        """Return errors (n, T) of predictions for samples none of whose traits were learned from.

        The covariances alone are those of all samples.
        """
        n = len(self.Y)
        errors = np.where(self.missing, np.nan, self.Y)
        folds = min(n, _HELD_OUT_FOLDS)
        for fold in range(folds):
            unknown = self.missing.copy()
            unknown[fold::folds] = True
            known = np.where(unknown, 0.0, self.Y)[None]
            filled = self._fill(
                known, unknown, start=np.zeros_like(known), tolerance=_SOLVE_TOLERANCE
            )
            errors[fold::folds] -= filled[0, fold::folds]
        return errors

    def _draw(self, genetic: Float64, residual: Float64) -> Float64:
        """Turn standard normal numbers into draws (S, n, T) of Y, without intercepts."""
        at = self.covariance
        to_traits = linalg.inv(at.to_canonical).T
        values = np.sqrt(np.outer(self.d, at.ratio)) * genetic
        drawn: Float64 = (self._expand(values) + residual) @ to_traits
        return drawn

    def _fill(self, known: Float64, unknown: Cells, *, start: Float64, tolerance: float) -> Float64:
        """Return the conditional means (R, n, T) of the unknown cells of tables, elsewhere 0.

        With Q the precision of the traits they solve Q_uu m = -Q_uk y. Conjugate gradients, all
        tables in step, preconditioned by the samples' own blocks of Q, averaged over samples.
        """
        block = self._mean_block()
        both = unknown[:, :, None] & unknown[:, None, :]
        inverse = np.linalg.inv(np.where(both, block, np.eye(len(block))))  # (n, T, T)

        def precondition(residual: Float64) -> Float64:
            ready: Float64 = np.where(unknown, (inverse @ residual[..., None])[..., 0], 0.0)
            return ready

        def inner(a: Float64, b: Float64) -> Float64:
            products: Float64 = np.einsum("rnt,rnt->r", a, b)[:, None, None]
            return products

        size = -np.where(unknown, self._precision(known), 0.0)
        goal = tolerance**2 * inner(size, precondition(size))
        solution = start
        residual = -np.where(unknown, self._precision(known + solution), 0.0)
        ready = precondition(residual)
        direction, power = ready, inner(residual, ready)
        for _ in range(_MOST_SOLVE_STEPS):
            if (power <= goal).all():
                break
            product = np.where(unknown, self._precision(direction), 0.0)
            curvature = inner(direction, product)
            length = np.divide(power, curvature, out=np.zeros_like(power), where=curvature > 0)
            solution = solution + length * direction
            residual = residual - length * product
            ready = precondition(residual)
            before, power = power, inner(residual, ready)
            direction = ready + power / np.where(before > 0, before, 1) * direction
        return solution

    def _mean_block(self) -> Float64:
        """Return the mean (T, T) over samples of their diagonal blocks of Q."""
        at = self.covariance
        weight = 1 - at.shrinkage(self.d).sum(axis=0) / len(self.Y)
        mean: Float64 = (at.to_canonical.T * weight) @ at.to_canonical
        return mean

    def _precision(self, Y: Float64) -> Float64:
        """Return Q Y of tables (R, n, T): Q projects the intercept out."""
        at = self.covariance
        canonical = (Y - Y.mean(axis=1, keepdims=True)) @ at.to_canonical.T
        canonical -= self._expand(at.shrinkage(self.d) * self._project(canonical))
        product: Float64 = canonical @ at.to_canonical
        return product

    def _genetic(self, rotated: Float64) -> Float64:
        """Return the genetic part (r, T) of a projection U'Y."""
        at = self.covariance
        canonical = at.shrinkage(self.d) * (rotated @ at.to_canonical.T)
        genetic: Float64 = linalg.solve(at.to_canonical, canonical.T).T
        return genetic

    def _project(self, tables: Float64) -> Float64:
        """Return U'Y (R, r, T) of tables (R, n, T)."""
        n_tables, n, n_traits = tables.shape
        flat = tables.transpose(1, 0, 2).reshape(n, -1)
        return self.spectrum.project(flat).reshape(-1, n_tables, n_traits).transpose(1, 0, 2)

    def _expand(self, rotated: Float64) -> Float64:
        """Return U Z (R, n, T) of Z (R, r, T)."""
        n_tables, r, n_traits = rotated.shape
        flat = self.spectrum.expand(rotated.transpose(1, 0, 2).reshape(r, -1))
        return flat.reshape(-1, n_tables, n_traits).transpose(1, 0, 2)

    def _moments(self, tables: Float64, weight: Float64) -> Moments:
        rotated = self._project(tables)
        centred = tables - tables.mean(axis=1, keepdims=True)
        inside = np.einsum("r,rit,ris->ts", weight, rotated, rotated, optimize=True)
        total = np.einsum("r,rnt,rns->ts", weight, centred, centred, optimize=True)
        return Moments(
            values=self.d,
            rotated=rotated,
            weight=weight,
            outside=total - inside,
            degrees=len(self.Y) - 1,
        )
