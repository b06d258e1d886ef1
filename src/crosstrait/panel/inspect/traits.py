"""What the traits of a panel look like: one by one, and together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstrait.genotypes.table import StringArray
from crosstrait.panel.schema import Panel

FloatArray = NDArray[np.floating[Any]]

OUTLIER_SD = 6.0
"""Distance from the median, in robust standard deviations, from which a value is an outlier."""

_N_BINS = 40
_MAD_TO_SD = 1.4826  # of a normal distribution


@dataclass(frozen=True, kw_only=True, eq=False)
class TraitSummary:
    """One trait in numbers, over the samples it was measured on.

    Attributes
    ----------
    name
        The trait.
    n_measured
        Samples with a value.
    mean, sd, minimum, maximum
        In the trait's unit; ``sd`` divides by n.
    skew, excess_kurtosis
        Third and fourth standardised moment; 0 for a normal distribution.
    n_distinct
        Different values.
    common_value, common_count
        The value that occurs most often, and how often.
    bin_edges, bin_counts
        (B + 1,), (B,) histogram of the values; those of outliers count in the outermost bins.
    outliers
        Samples more than ``OUTLIER_SD`` robust SD (1.4826 times the median absolute deviation,
        which outliers do not inflate; the SD where that is 0) from the median, farthest first.
    n_standard_errors
        Measured samples with a standard error.
    noise_share
        Mean squared standard error as a share of the variance; NaN without standard errors.
    """

    name: str
    n_measured: int
    mean: float
    sd: float
    minimum: float
    maximum: float
    skew: float
    excess_kurtosis: float
    n_distinct: int
    common_value: float
    common_count: int
    bin_edges: FloatArray
    bin_counts: NDArray[np.intp]
    outliers: tuple[str, ...]
    n_standard_errors: int
    noise_share: float

    @property
    def noise_ceiling(self) -> float:
        """R2 of a perfect predictor if the standard errors are right: an estimate, no bound.

        NaN without standard errors, or where they claim all of the variance.
        """
        return 1 - self.noise_share if self.noise_share < 1 else float("nan")


@dataclass(frozen=True, kw_only=True, eq=False)
class JointSummary:
    """The traits together.

    Attributes
    ----------
    n_complete
        Samples with every trait.
    without_any
        Samples without any trait.
    correlation
        (T, T) Pearson correlations over the samples that have both traits; NaN below 3 of them
        or without variance among them.
    n_shared
        (T, T) samples that have both traits.
    measured
        (N, T) whether a sample has the trait.
    """

    trait_name: StringArray
    n_complete: int
    without_any: tuple[str, ...]
    correlation: FloatArray
    n_shared: NDArray[np.intp]
    measured: NDArray[np.bool_]

    def extremes(self, *, most: int = 3) -> list[tuple[str, str, float, int]]:
        """Return the most positive and the most negative correlations.

        Returns
        -------
        list of tuple
            (trait, trait, r, shared samples) by falling r: at most ``most`` pairs of either end.
        """
        i, j = np.triu_indices(len(self.trait_name), 1)
        r = self.correlation[i, j]
        order = np.argsort(-r)[: np.count_nonzero(~np.isnan(r))]
        chosen = order if len(order) <= 2 * most else np.r_[order[:most], order[-most:]]
        return [
            (
                str(self.trait_name[i[k]]),
                str(self.trait_name[j[k]]),
                float(r[k]),
                int(self.n_shared[i[k], j[k]]),
            )
            for k in chosen
        ]


def summarise_traits(panel: Panel) -> tuple[TraitSummary, ...]:
    """Summarise each trait of a panel."""
    values = panel["trait_value"].values
    errors = panel["trait_se"].values if "trait_se" in panel else np.full_like(values, np.nan)
    samples = panel["sample_id"].values
    names = panel["trait_name"].values
    return tuple(
        _summarise(str(name), values[:, t], errors[:, t], samples) for t, name in enumerate(names)
    )


def _summarise(name: str, value: FloatArray, error: FloatArray, ids: StringArray) -> TraitSummary:
    measured = ~np.isnan(value)
    y, se, samples = value[measured], error[measured], ids[measured]
    mean, sd = float(y.mean()), float(y.std())
    z = (y - mean) / sd
    deviation = np.abs(y - np.median(y))
    spread = _MAD_TO_SD * float(np.median(deviation)) or sd
    far = np.flatnonzero(deviation > OUTLIER_SD * spread)
    far = far[np.argsort(-deviation[far], kind="stable")]
    reach = np.median(y) + OUTLIER_SD * spread * np.array([-1, 1])
    bounds = (max(float(y.min()), float(reach[0])), min(float(y.max()), float(reach[1])))
    bin_counts, bin_edges = np.histogram(np.clip(y, *bounds), bins=_N_BINS, range=bounds)
    distinct, counts = np.unique(y, return_counts=True)
    known = se[~np.isnan(se)]
    return TraitSummary(
        name=name,
        n_measured=len(y),
        mean=mean,
        sd=sd,
        minimum=float(y.min()),
        maximum=float(y.max()),
        skew=float(np.mean(z**3)),
        excess_kurtosis=float(np.mean(z**4)) - 3,
        n_distinct=len(distinct),
        common_value=float(distinct[counts.argmax()]),
        common_count=int(counts.max()),
        bin_edges=bin_edges,
        bin_counts=bin_counts,
        outliers=tuple(str(sample) for sample in samples[far]),
        n_standard_errors=len(known),
        noise_share=float(np.mean(known**2)) / sd**2 if known.size else float("nan"),
    )


def summarise_jointly(panel: Panel) -> JointSummary:
    """Summarise the traits of a panel together."""
    values = panel["trait_value"].values
    measured = ~np.isnan(values)
    has = measured.astype(np.float64)
    centre = np.nanmean(values, axis=0)
    scale = np.nanstd(values, axis=0)
    z = np.where(measured, (values - centre) / scale, 0.0)
    n = has.T @ has  # n[s, t]: samples that have both
    n_safe = np.maximum(n, 1)
    mean = (z.T @ has) / n_safe  # mean[s, t]: of trait s, where t was measured too
    variance = np.maximum((z**2).T @ has / n_safe - mean**2, 0)
    covariance = (z.T @ z) / n_safe - mean * mean.T
    spread = np.sqrt(variance * variance.T)
    defined = (n >= 3) & (spread > 1e-12)
    correlation = np.divide(covariance, spread, out=np.full_like(n, np.nan), where=defined)
    return JointSummary(
        trait_name=panel["trait_name"].values.astype(np.str_),
        n_complete=int(measured.all(axis=1).sum()),
        without_any=tuple(str(name) for name in panel["sample_id"].values[~measured.any(axis=1)]),
        correlation=np.clip(correlation, -1, 1),
        n_shared=n.astype(np.intp),
        measured=measured,
    )
