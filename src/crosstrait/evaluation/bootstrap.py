"""Scores of resampled test samples, from sums that are linear in the resampling counts.

Whole samples are drawn, or whole groups of samples, the same for all models and traits: cells of
one sample stay together and differences between models are paired. A resample is a vector of
counts w, and every metric is a function of sums over cells of w, w y, w y^2, w p, w p^2 and
w (y - p)^2, which one matrix product gives for all traits and many resamples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstrait.evaluation.ceiling import ceiling_from_sums
from crosstrait.evaluation.groups import GroupedRows

FloatArray = NDArray[np.floating[Any]]

# Below this share of the raw sum of squares, variance is rounding: all drawn values are equal.
_ROUNDING = 1e-12
_CHUNK_COUNTS = 1 << 22


def resample_counts(n_samples: int, *, resamples: int, seed: int) -> Iterator[FloatArray]:
    """Yield (b, n_samples) counts of how often each sample is drawn, ``resamples`` rows in all.

    Groups of samples are drawn like samples.

    The rows do not depend on how they are chunked.
    """
    rng = np.random.default_rng(seed)
    step = max(1, min(resamples, _CHUNK_COUNTS // max(1, n_samples)))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(n_samples, size=(size, n_samples))
        drawn += n_samples * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * n_samples)
        yield counts.reshape(size, n_samples).astype(np.float64)


def interval(resampled: FloatArray, *, confidence: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Return the percentile interval over the first axis, NaN where every resample is undefined.

    Parameters
    ----------
    resampled
        (B, ...) scores of B resamples; NaN where a resample does not define one.
    confidence
        Share of the resamples inside the interval.
    """
    flat = resampled.reshape(len(resampled), -1)
    defined = ~np.isnan(flat).all(axis=0)
    bounds = np.full((2, flat.shape[1]), np.nan)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    if defined.any():
        some = flat[:, defined]
        quantile = np.nanquantile if np.isnan(some).any() else np.quantile
        bounds[:, defined] = quantile(some, tails, axis=0)
    low, high = bounds.reshape(2, *resampled.shape[1:])
    return low, high


@dataclass(frozen=True, eq=False)
class ObservedSums:
    """Sums over the observed cells of a block, for b resamples.

    Attributes
    ----------
    n, y, yy
        (b, T) sums of w, w y and w y^2 over measured cells, y in units of ``scale`` about
        ``centre``.
    centre, scale
        (T,) mean and SD of the block's observed values, which keep the sums well conditioned.
    groups
        The rows' groups if whole groups are drawn, and counts are theirs; None: counts are those
        of the n rows.
    """

    n: FloatArray
    y: FloatArray
    yy: FloatArray
    centre: FloatArray
    scale: FloatArray
    groups: GroupedRows | None = None

    @classmethod
    def over(
        cls, counts: FloatArray, observed: FloatArray, *, groups: GroupedRows | None = None
    ) -> ObservedSums:
        """Sum (n, T) ``observed`` under (b, n) ``counts``, or (b, G) counts of ``groups``."""
        measured = ~np.isnan(observed)
        n = np.maximum(measured.sum(axis=0), 1)
        centre = np.sum(observed, axis=0, where=measured) / n
        variance = np.sum((observed - centre) ** 2, axis=0, where=measured) / n
        scale = np.where(variance > 0, np.sqrt(variance), 1.0)
        y = np.where(measured, (observed - centre) / scale, 0.0)
        return cls(
            _drawn(counts, measured.astype(np.float64), groups),
            _drawn(counts, y, groups),
            _drawn(counts, y**2, groups),
            centre,
            scale,
            groups,
        )

    @property
    def ss_tot(self) -> FloatArray:
        """(b, T) sums of squares about the resample's own mean; NaN where nothing varies."""
        with np.errstate(invalid="ignore", divide="ignore"):
            total = self.yy - self.y**2 / self.n
        return np.where(total > _ROUNDING * self.yy, total, np.nan)

    def ceiling(self, counts: FloatArray, standard_error: FloatArray) -> FloatArray:
        """(b, T) noise ceilings; ``standard_error`` is (n, T), NaN where there is none."""
        known = ~np.isnan(standard_error)
        noise = self._drawn(counts, np.where(known, (standard_error / self.scale) ** 2, 0.0))
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = np.nan_to_num(self.ss_tot / self.n)
        return ceiling_from_sums(
            noise, n_noise=self._drawn(counts, known.astype(np.float64)), variance=variance
        )

    def scores(
        self, counts: FloatArray, observed: FloatArray, predicted: FloatArray
    ) -> dict[str, FloatArray]:
        """Return (b, T) scores by metric of (n, T) ``predicted``."""
        measured = ~np.isnan(observed)
        p = np.where(measured, (predicted - self.centre) / self.scale, 0.0)
        residual = np.where(measured, (predicted - observed) / self.scale, 0.0)
        p_sum, pp, ee = (self._drawn(counts, values) for values in (p, p**2, residual**2))
        ss_tot = self.ss_tot
        with np.errstate(invalid="ignore", divide="ignore"):
            p_spread = pp - p_sum**2 / self.n
            covariance = (self.yy + pp - ee) / 2 - self.y * p_sum / self.n
            varied = p_spread > _ROUNDING * pp
            r = covariance / np.sqrt(np.where(varied, p_spread, np.nan) * ss_tot)
            constant = ~varied & ~np.isnan(pp) & ~np.isnan(ss_tot)
            return {
                "r2": 1.0 - ee / ss_tot,
                "pearson_r": np.where(constant, 0.0, np.clip(r, -1, 1)),
                "rmse": np.sqrt(np.where(self.n > 0, ee / self.n, np.nan)) * self.scale,
            }

    def _drawn(self, counts: FloatArray, values: FloatArray) -> FloatArray:
        return _drawn(counts, values, self.groups)


def _drawn(counts: FloatArray, values: FloatArray, groups: GroupedRows | None) -> FloatArray:
    """Return (b, T) sums of (n, T) ``values`` over what ``counts`` drew."""
    total: FloatArray = counts @ (values if groups is None else groups.total(values))
    return total
