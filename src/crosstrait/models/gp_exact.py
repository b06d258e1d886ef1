"""Exact Gaussian-process regression with one N x N matrix in memory, factorised in place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import linalg
from torch import Tensor

from crosstrait.errors import TrainingError
from crosstrait.models.gp_kernel import Kernel

_BLOCK_CELLS = 1 << 23


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """What a Gaussian process learned from N samples.

    Attributes
    ----------
    dual
        (N,) weights: a genotype x is predicted as sum_i k(x, x_i) dual_i.
    residual, variance
        (N,) of each sample, predicted from the other N - 1: the error, observed less predicted,
        and the variance that the model expects of it, noise included.
    """

    dual: NDArray[Any]
    residual: NDArray[Any]
    variance: NDArray[Any]


def solve(kernel: Kernel, A: Tensor, y: Tensor) -> Posterior:
    r"""Condition on all samples A (N, L), y (N,), with exact leave-one-out errors.

    With :math:`C = (K + \sigma^2 I)^{-1}`, the weights are :math:`C y`, the leave-one-out error
    is :math:`(C y)_i / C_{ii}` and its variance :math:`1 / C_{ii}`. The covariance, its factor
    and the inverse of that take turns in the same memory, in the precision of A.

    Raises
    ------
    TrainingError
        If the covariance is not positive definite in this precision.

    References
    ----------
    Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, equations 2.25 and 5.12.
    """
    factor = factorise(kernel, A)
    solve_factored, invert = linalg.get_lapack_funcs(("potrs", "trtri"), (factor,))
    dual, _ = solve_factored(factor.T, y.numpy(), lower=0)
    invert(factor.T, lower=0, overwrite_c=1)
    precision = np.zeros(len(factor), dtype=factor.dtype)
    for rows in blocks(len(factor), len(factor)):
        stop = rows.stop
        part = np.tril(factor[rows, :stop], k=rows.start)
        precision[:stop] += np.einsum("ij,ij->j", part, part)
    return Posterior(dual=dual, residual=dual / precision, variance=1 / precision)


def factorise(kernel: Kernel, A: Tensor) -> NDArray[Any]:
    """Return the Cholesky factor (N, N) of K + noise; above its diagonal stands anything."""
    n = len(A)
    covariance = torch.empty(n, n, dtype=A.dtype)
    with torch.no_grad():
        for rows in blocks(n, n):
            covariance[rows, : rows.stop] = kernel(A[rows], A[: rows.stop])
        covariance.diagonal().add_(kernel.log_noise.exp())
    matrix: NDArray[Any] = covariance.numpy()
    (potrf,) = linalg.get_lapack_funcs(("potrf",), (matrix,))
    # LAPACK counts by columns: the transpose needs no copy.
    _, info = potrf(matrix.T, lower=0, clean=0, overwrite_a=1)
    if info:
        raise TrainingError(
            f"gp: the covariance of {n} samples is not positive definite in {A.dtype}"
        )
    return matrix


def blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Yield slices of rows that hold a bounded number of cells."""
    step = max(1, _BLOCK_CELLS // max(1, n_columns))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))
