"""How wrong a Gaussian process is, and says it is, where it has not learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crosstrait.models.gp_exact import blocks, dual_weights, left_out_variances, variances
from crosstrait.models.gp_kernel import Kernel

Float64 = NDArray[np.float64]
Rows = NDArray[np.intp]

_MOST_ANCHORS = 2000


def anchors(n: int) -> Rows:
    """Return which of n samples the spread is conditioned on: at most 2,000, evenly chosen.

    The factor of all samples is too large to keep. Given fewer, the spread is a little larger,
    nearly in proportion (on lithium by 2.2 +- 0.3 % against 5,000 samples), and held-out errors
    are divided by the same.
    """
    return np.arange(n)[:: max(1, -(-n // _MOST_ANCHORS))]


def spread(kernel: Kernel, A: Tensor, *, given: Tensor) -> Float64:
    """Return the standard deviation (n,) of new measurements, given those of samples (N, L)."""
    chosen = given[torch.from_numpy(anchors(len(given)))]
    return np.asarray(variances(kernel, A, given=chosen).double().sqrt().numpy())


def left_out_spread(kernel: Kernel, A: Tensor, *, of: Rows) -> Float64:
    """Return the spread of samples ``of`` (n,) of A (N, L), each as if it were not among them."""
    chosen = anchors(len(A))
    found = np.empty(len(of))
    own = np.isin(of, chosen)
    if own.any():
        left_out = left_out_variances(kernel, A[torch.from_numpy(chosen)])
        found[own] = np.sqrt(left_out[np.searchsorted(chosen, of[own])])
    if not own.all():
        found[~own] = spread(kernel, A[torch.from_numpy(of[~own])], given=A)
    return found


def fold_errors(kernels: list[Kernel], A: Tensor, y: Tensor, *, fold: NDArray[Any]) -> Float64:
    """Return the error over the spread (N,) of each fold, from the others and its own kernel.

    NaN where there are no others.
    """
    errors = np.full(len(A), np.nan)
    for k, kernel in enumerate(kernels):
        out = torch.from_numpy(fold == k)
        if not out.any() or out.all():
            continue
        kernel = kernel.to(A.dtype)
        given = A[~out]
        dual = torch.from_numpy(dual_weights(kernel, given, y[~out]))
        left = y[out]
        for rows in blocks(len(left), len(given)):
            left[rows] -= kernel(A[out][rows], given) @ dual
        errors[fold == k] = left.double().numpy() / spread(kernel, A[out], given=given)
    return errors
