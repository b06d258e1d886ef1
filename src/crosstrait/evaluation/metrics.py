"""Accuracy of predictions, a trait at a time, over the cells that were measured.

A cell is one (sample, trait). Only measured cells count; a prediction that is NaN where a trait
was measured is never dropped, it makes the score NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.floating[Any]]

METRICS = ("r2", "pearson_r", "rmse")
LOWER_IS_BETTER = frozenset({"rmse"})


def r2(observed: ArrayLike, *, predicted: ArrayLike) -> FloatArray:
    """Return 1 - SS_res / SS_tot of each trait, SS_tot about the mean of these very cells.

    Parameters
    ----------
    observed
        (n, T) or (n,) trait values; NaN where a trait was not measured.
    predicted
        Predictions of the same shape, in the same units.

    Returns
    -------
    numpy.ndarray
        (T,), at most 1 and unbounded below; NaN for a trait with fewer than two measured cells
        or with equal observed values, of which there is no variance to explain.

    Examples
    --------
    >>> r2([1.0, 2.0, 3.0], predicted=[1.0, 2.0, 2.0]).round(3)
    array([0.5])
    """
    y, p, measured = _cells(observed, predicted)
    y_centred = _centred(y, measured)
    ss_res = _total((y - p) ** 2, measured)
    ss_tot = _total(y_centred**2, measured)
    return _where_varied(y, measured, lambda ok: 1.0 - ss_res[ok] / ss_tot[ok])


def pearson_r(observed: ArrayLike, *, predicted: ArrayLike) -> FloatArray:
    """Return the correlation of observed and predicted values of each trait.

    Parameters
    ----------
    observed, predicted
        As for `r2`.

    Returns
    -------
    numpy.ndarray
        (T,), in [-1, 1]; NaN where `r2` is; 0 where the predictions, but not the observed
        values, are all equal: a constant says nothing about who is above whom.

    Examples
    --------
    >>> pearson_r([1.0, 2.0, 3.0], predicted=[10.0, 20.0, 30.0]).round(3)
    array([1.])
    """
    y, p, measured = _cells(observed, predicted)
    y_centred, p_centred = _centred(y, measured), _centred(p, measured)
    covariance = _total(y_centred * p_centred, measured)
    spread = np.sqrt(_total(y_centred**2, measured) * _total(p_centred**2, measured))
    constant = ~_varied(p, measured)
    r: FloatArray = _where_varied(
        y,
        measured,
        lambda ok: np.clip(covariance[ok] / np.where(spread[ok] > 0, spread[ok], np.nan), -1, 1),
    )
    finite = np.isfinite(_total(p, measured))
    r[constant & finite & _varied(y, measured)] = 0.0
    return r


def rmse(observed: ArrayLike, *, predicted: ArrayLike) -> FloatArray:
    """Return the root mean squared error of each trait, in the trait's unit.

    Parameters
    ----------
    observed, predicted
        As for `r2`.

    Returns
    -------
    numpy.ndarray
        (T,), at least 0; NaN for a trait without a measured cell.

    Examples
    --------
    >>> rmse([[1.0, 0.0], [3.0, float("nan")]], predicted=[[1.0, 2.0], [1.0, 2.0]]).round(3)
    array([1.414, 2.   ])
    """
    y, p, measured = _cells(observed, predicted)
    n = measured.sum(axis=0)
    score = np.full(n.shape, np.nan)
    some = n > 0
    score[some] = np.sqrt(_total((y - p) ** 2, measured)[some] / n[some])
    return score


def _cells(
    observed: ArrayLike, predicted: ArrayLike
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    y, p = np.asarray(observed, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if y.shape != p.shape or y.ndim not in (1, 2):
        raise ValueError(
            f"observed and predicted must both be (samples, traits) or (samples,); "
            f"got {y.shape} and {p.shape}"
        )
    if y.ndim == 1:
        y, p = y[:, None], p[:, None]
    return y, p, ~np.isnan(y)


def _total(values: FloatArray, measured: NDArray[np.bool_]) -> FloatArray:
    total: FloatArray = np.sum(values, axis=0, where=measured)
    return total


def _centred(values: FloatArray, measured: NDArray[np.bool_]) -> FloatArray:
    n = np.maximum(measured.sum(axis=0), 1)
    centred: FloatArray = values - _total(values, measured) / n
    return centred


def _varied(values: FloatArray, measured: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether a trait has two measured cells that differ (exactly: a mean would round)."""
    low = np.min(values, axis=0, where=measured, initial=np.inf)
    high = np.max(values, axis=0, where=measured, initial=-np.inf)
    varied: NDArray[np.bool_] = low < high
    return varied


def _where_varied(
    y: FloatArray, measured: NDArray[np.bool_], formula: Callable[[NDArray[np.bool_]], FloatArray]
) -> FloatArray:
    ok = _varied(y, measured)
    score: FloatArray = np.full(ok.shape, np.nan)
    score[ok] = formula(ok)
    return score
