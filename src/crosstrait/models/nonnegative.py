"""Weights of models that are averaged: a quadratic programme with w >= 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

Float64 = NDArray[np.float64]


def minimise_nonnegative(
    quadratic: Float64, linear: Float64, *, total: float | None = None
) -> Float64:
    r"""Return the w (K,) >= 0 that minimises :math:`w^\top A w - 2 b^\top w`.

    Parameters
    ----------
    quadratic
        A, (K, K), positive definite.
    linear
        b, (K,).
    total
        What w must sum to, above 0; anything where not given.
    """
    root = linalg.cholesky(quadratic)
    target = linalg.solve_triangular(root, linear, trans="T")
    if total is not None:
        # A row of large numbers holds the sum; the division leaves none of its rounding.
        row = np.full((1, len(linear)), 1e4 * np.sqrt(np.diag(quadratic).max()))
        root, target = np.vstack([root, row]), np.append(target, total * row[0, 0])
    weights: Float64 = optimize.nnls(root, target)[0]
    return weights if total is None else weights * (total / weights.sum())
