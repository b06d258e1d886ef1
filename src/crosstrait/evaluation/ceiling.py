"""How much of a trait's variance is there to predict, judged by its standard errors.

The ceiling is an estimate and never a bound: standard errors may overstate the noise, and then
an honest model exceeds it. Where one does, say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from crosstrait.panel.schema import Panel

FloatArray = NDArray[np.floating[Any]]


def noise_ceiling(observed: ArrayLike, *, standard_error: ArrayLike) -> FloatArray:
    """Estimate the R2 of a perfect predictor of each trait: 1 - mean(se^2) / var(observed).

    Parameters
    ----------
    observed
        (n, T) trait values of the scored samples; NaN where a trait was not measured.
    standard_error
        (n, T) standard errors of these values; the mean is over measured cells that have one.

    Returns
    -------
    numpy.ndarray
        (T,), at most 1; NaN for a trait without standard errors, without variance, or whose
        standard errors claim at least all of its variance.

    Examples
    --------
    >>> noise_ceiling([[1.0], [3.0]], standard_error=[[0.5], [0.5]])
    array([0.75])
    """
    y = np.asarray(observed, dtype=np.float64)
    measured = ~np.isnan(y)
    squared = np.asarray(standard_error, dtype=np.float64) ** 2
    known = measured & ~np.isnan(squared)
    n = np.maximum(measured.sum(axis=0), 1)
    mean = np.sum(y, axis=0, where=measured) / n
    variance = np.sum((y - mean) ** 2, axis=0, where=measured) / n
    noise = np.sum(squared, axis=0, where=known)
    return ceiling_from_sums(noise, n_noise=known.sum(axis=0), variance=variance)


def ceiling_from_sums(
    noise: FloatArray, *, n_noise: NDArray[Any], variance: FloatArray
) -> FloatArray:
    """Return 1 - (noise / n_noise) / variance, NaN where that is not positive or not defined."""
    defined = (n_noise > 0) & (variance > 0)
    share = np.divide(noise, n_noise * variance, out=np.full(defined.shape, np.nan), where=defined)
    ceiling = 1.0 - share
    return np.where(ceiling > 0, ceiling, np.nan)


def standard_errors(panel: Panel) -> pd.DataFrame | None:
    """Return the panel's standard errors (samples by id, traits by name), None if it has none."""
    if "trait_se" not in panel:
        return None
    return pd.DataFrame(
        panel["trait_se"].values,
        index=panel["sample_id"].values.astype(str),
        columns=panel["trait_name"].values.astype(str),
    )


def above_ceiling(leaderboard: pd.DataFrame) -> pd.DataFrame:
    """Return the leaderboard's ``r2_of_ceiling`` rows where a model exceeds the ceiling.

    The column ``sure`` is added: whether the interval lies above the ceiling too. Such a row says
    that the standard errors overstate the noise, or that something leaked; any other is within
    what the sampling of the test cells explains.
    """
    share = leaderboard["metric"] == "r2_of_ceiling"
    above = leaderboard[share & (leaderboard["mean"] > 1.0)].reset_index(drop=True)
    return above.assign(sure=above["ci_low"] > 1.0)


class NoiseRow(NamedTuple):
    """One row of the table of noise: a trait and who estimated its noise."""

    trait: str
    source: str
    noise_variance: float
    noise_share: float
    ceiling: float


NOISE_COLUMNS = NoiseRow._fields
STANDARD_ERRORS = "standard errors"


def noise_table(
    cells: pd.DataFrame,
    *,
    trait_se: pd.DataFrame | None,
    learned: Mapping[str, Mapping[str, float]],
) -> pd.DataFrame:
    """Set the noise that standard errors claim beside the noise that models learned.

    Parameters
    ----------
    cells
        A predictions table, for the scored samples and their values.
    trait_se
        Standard errors by sample id and trait name.
    learned
        model -> trait -> noise variance, the mean over its runs.

    Returns
    -------
    pandas.DataFrame
        Columns `NOISE_COLUMNS`: the noise's variance in trait units, its share of the variance of
        the scored values, and the R2 of a perfect predictor, 1 - share, NaN where the noise is
        said to be all there is. What a model cannot
        explain counts as its noise, so additive models claim more than there is.
    """
    once = cells.drop_duplicates(["sample", "trait"])
    rows = []
    for trait, own in once.astype({"trait": str}).groupby("trait", sort=False):
        name = str(trait)
        variance = float(own["observed"].var(ddof=0))
        found = {model: traits[name] for model, traits in learned.items() if name in traits}
        if trait_se is not None and name in trait_se:
            errors = trait_se[name].reindex(own["sample"].astype(str)).dropna()
            if len(errors):
                found = {STANDARD_ERRORS: float((errors**2).mean()), **found}
        for source, noise in found.items():
            share = noise / variance if variance > 0 else np.nan
            rows.append(NoiseRow(name, source, noise, share, 1 - share if share < 1 else np.nan))
    return pd.DataFrame(rows, columns=list(NOISE_COLUMNS))
