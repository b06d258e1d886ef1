"""Accuracy within groups: whether a model tells the members of a family apart.

The r of all test samples mixes two things: how well the means of groups are predicted, and how
well members of one group are ranked, which is what selection within families uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crosstrait.evaluation.groups import GroupedRows

FloatArray = NDArray[np.floating[Any]]

WITHIN_METRIC = "r_within"
LEAST_CELLS = 5
"""Groups with fewer measured cells of a trait have no r worth averaging."""

# Share of the trait's SD: predictions of equal genotypes differ so by single precision.
_ROUNDING = 1e-6


def r_within(observed: ArrayLike, *, predicted: ArrayLike, groups: Sequence[str]) -> FloatArray:
    """Return the mean over groups of the Pearson r within each, weighted by measured cells.

    The weighted mean of r, not of Fisher's z: it is less biased where groups differ in their
    true r (Hunter & Schmidt 2004, *Methods of Meta-Analysis*), defined where r is 1, and says what
    to expect in the group of a sample drawn at random.

    Parameters
    ----------
    observed
        (n, T) trait values; NaN where a trait was not measured.
    predicted
        (n, T) predictions.
    groups
        n labels. A group counts for a trait of which it has at least `LEAST_CELLS` measured cells
        that are not all equal; where its predictions are, its r is 0, as a constant says nothing
        about who is above whom. Values are equal that differ by a millionth of the trait's SD.

    Returns
    -------
    numpy.ndarray
        (T,), in [-1, 1]; NaN for a trait for which no group counts.

    Examples
    --------
    >>> observed = [[1.0], [2.0], [3.0], [4.0], [5.0], [21.0], [22.0], [23.0], [24.0], [25.0]]
    >>> predicted = [[5.0], [4.0], [3.0], [2.0], [1.0], [25.0], [24.0], [23.0], [22.0], [21.0]]
    >>> r_within(observed, predicted=predicted, groups=5 * ["a"] + 5 * ["b"])
    array([-1.])
    """
    y, p = np.asarray(observed, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if y.ndim != 2 or not y.shape == p.shape == (len(groups), y.shape[1]):
        raise ValueError(
            f"observed and predicted must both be (samples, traits), of one group a sample; "
            f"got {y.shape}, {p.shape} and {len(groups)} groups"
        )
    names, member = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    rows = GroupedRows(member, len(names))
    cells = cells_that_count(y, rows=rows)
    return mean_r(r_by_group(y, predicted=p, rows=rows), cells=cells)


def cells_that_count(observed: FloatArray, *, rows: GroupedRows) -> FloatArray:
    """Return (G, T) measured cells of (n, T) ``observed``, 0 where a group does not count."""
    measured = ~np.isnan(observed)
    n = rows.total(measured)
    spread = rows.total(_centred(observed, measured, rows) ** 2)
    return np.where((n >= LEAST_CELLS) & (spread > _rounding(observed, measured, n)), n, 0.0)


def r_by_group(observed: FloatArray, *, predicted: FloatArray, rows: GroupedRows) -> FloatArray:
    """Return (G, T) Pearson r within groups, 0 where either side is constant or absent."""
    measured = ~np.isnan(observed)
    y, p = _centred(observed, measured, rows), _centred(predicted, measured, rows)
    ss_y, ss_p = rows.total(y**2), rows.total(p**2)
    least = _rounding(observed, measured, rows.total(measured))
    varies = (ss_y > least) & ~(ss_p <= least)
    r = np.divide(rows.total(y * p), np.sqrt(ss_y * ss_p), out=np.zeros_like(ss_y), where=varies)
    return np.clip(r, -1.0, 1.0)


def mean_r(r: FloatArray, *, cells: FloatArray, counts: FloatArray | None = None) -> FloatArray:
    """Return the mean of (G, T) ``r`` weighted by ``cells``, NaN where none counts.

    ``counts`` (b, G), how often each group is drawn, give (b, T) means, else it is (T,).
    """
    some = cells.any(axis=1)
    drawn = np.ones((1, some.sum())) if counts is None else counts[:, some]
    weight = drawn @ cells[some]
    mean = np.full(weight.shape, np.nan)
    np.divide(drawn @ (cells * r)[some], weight, out=mean, where=weight > 0)
    return mean[0] if counts is None else mean


def _centred(values: FloatArray, measured: NDArray[np.bool_], rows: GroupedRows) -> FloatArray:
    """Return (n, T) distances to the means of the groups, 0 in cells that were not measured."""
    values = np.where(measured, values, 0.0)
    mean = rows.total(values) / np.maximum(rows.total(measured), 1)
    return np.where(measured, values - mean[rows.member], 0.0)


def _rounding(observed: FloatArray, measured: NDArray[np.bool_], n: FloatArray) -> FloatArray:
    """Return (G, T) sums of squares, of ``n`` cells, up to which values are equal."""
    low = np.min(observed, axis=0, where=measured, initial=np.inf)
    high = np.max(observed, axis=0, where=measured, initial=-np.inf)
    n_cells = np.maximum(measured.sum(axis=0), 1)
    mean = np.sum(observed, axis=0, where=measured) / n_cells
    variance = np.sum((observed - mean) ** 2, axis=0, where=measured) / n_cells
    return np.maximum(n, 1) * _ROUNDING**2 * np.where(low < high, variance, np.inf)
