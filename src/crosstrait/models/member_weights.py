"""What the samples that each member of an ensemble has not seen make of the members."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosstrait.models.base import Array
from crosstrait.models.nonnegative import minimise_nonnegative

Float64 = NDArray[np.float64]

# Share of the members' variances that draws their weights together.
_EVEN = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOutFolds:
    """K members that each learned without the samples of one fold.

    Attributes
    ----------
    fold
        (N,) fold of each sample, from 0 to K - 1; member k has not seen fold k.
    left
        (K, N, T) what the additive effects of a member leave of the traits; NaN in holes.
    """

    fold: NDArray[np.intp]
    left: Float64

    @property
    def unseen(self) -> NDArray[np.bool_]:
        """(K, N) whether a member has not seen a sample."""
        return np.equal(self.fold, np.arange(len(self.left))[:, None])

    def own(self, outputs: Array) -> Array:
        """Return the rows (N, T) of outputs (K, N, T) whose member has not seen the sample."""
        chosen: Array = outputs[self.fold, np.arange(len(self.fold))]
        return chosen


def weigh_members(outputs: Array, wanted: Array, *, unseen: NDArray[np.bool_]) -> Float64:
    r"""Return the weights (K,) w >= 0 that minimise :math:`w^\top C w - 2 a^\top w`.

    C holds the mean products of the members' outputs; a is a member's variance times its
    regression slope on the samples that it has not seen. Both are drawn towards the best equal
    weights, so that members as good as one another share.

    Parameters
    ----------
    outputs
        (K, N, T) of the members.
    wanted
        (N, T) what they are to predict, as left by effects that have not seen the sample; NaN
        costs its cell.
    unseen
        (K, N) whether a member has not seen a sample.
    """
    cells = outputs[:, ~np.isnan(wanted)]  # (K, C)
    products = cells @ cells.T / cells.shape[1]
    slope = np.zeros(len(outputs))
    for k, (output, own) in enumerate(zip(outputs, unseen, strict=True)):
        power = np.where(np.isnan(wanted[own]), 0.0, output[own] ** 2).sum()
        slope[k] = np.nansum(output[own] * wanted[own]) / power if power > 0 else 0.0
    variance = np.diag(products)
    alive = np.flatnonzero(variance > 0)
    weight = np.zeros(len(outputs))
    if len(alive):
        products, variance = products[np.ix_(alive, alive)], variance[alive]
        target = slope[alive] * variance
        equal = max(0.0, target.sum() / products.sum())
        weight[alive] = minimise_nonnegative(
            products + _EVEN * np.diag(variance), target + _EVEN * variance * equal
        )
    return weight
