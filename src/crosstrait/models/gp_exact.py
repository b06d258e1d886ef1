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

# Temporaries of this size stay in the caches and in the allocator.
_BLOCK_CELLS = 1 << 21


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """What a Gaussian process learned from N samples.

    Attributes
    ----------
    dual
        (N,) weights: a genotype x is predicted as sum_i k(x, x_i) dual_i.
    residual, variance
        (n,) of samples, each predicted from all others: the error, observed less predicted, and
        the variance that the model expects of such errors.
    """

    dual: NDArray[Any]
    residual: NDArray[Any]
    variance: NDArray[Any]


def solve(kernel: Kernel, A: Tensor, y: Tensor, *, n_left_out: int) -> Posterior:
    r"""Condition on all samples A (N, L), y (N,), with the last ones' leave-one-out errors.

    With :math:`C = (K + \sigma^2 I)^{-1}`, the weights are :math:`C y`, the leave-one-out error
    is :math:`(C y)_i / C_{ii}` and its variance :math:`1 / C_{ii}`, exactly. Of the Cholesky
    factor, the last rows and columns alone make those of C, which spares inverting the rest: all
    :math:`C_{ii}` cost as much as the factor itself. The covariance and its factor take turns in
    the same memory, in the precision of A.

    Raises
    ------
    TrainingError
        If the covariance is not positive definite in this precision.

    References
    ----------
    Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, equations 2.25 and 5.12.
    """
    factor = factorise(kernel, A, noise=kernel.log_noise.exp())
    dual = _solve_factored(factor, y)
    last = slice(len(A) - n_left_out, None)
    precision = _inverse_diagonal(np.ascontiguousarray(factor[last, last]))
    return Posterior(dual=dual, residual=dual[last] / precision, variance=1 / precision)


def dual_weights(kernel: Kernel, A: Tensor, y: Tensor) -> NDArray[Any]:
    """Return the weights (N,) alone."""
    return _solve_factored(factorise(kernel, A, noise=kernel.log_noise.exp()), y)


def left_out_variances(kernel: Kernel, A: Tensor) -> NDArray[Any]:
    """Return the variance (N,) of a new measurement of each sample, given the other N - 1."""
    variance: NDArray[Any] = 1 / _inverse_diagonal(
        factorise(kernel, A, noise=kernel.log_noise.exp())
    )
    return variance


def variances(kernel: Kernel, A: Tensor, *, given: Tensor) -> Tensor:
    """Return the variances (n,) of new measurements of genotypes A (n, L).

    Given measurements of genotypes ``given`` (m, L); Rasmussen and Williams' equation 2.26, noise
    added.
    """
    noise = kernel.log_noise.exp()
    factor = torch.from_numpy(factorise(kernel, given, noise=noise)).tril_()
    found = kernel.diagonal(A) + noise
    for rows in blocks(len(A), len(given)):
        explained = torch.linalg.solve_triangular(factor, kernel(given, A[rows]), upper=False)
        found[rows] -= (explained**2).sum(dim=0)
    return found


def factorise(kernel: Kernel, A: Tensor, *, noise: Tensor) -> NDArray[Any]:
    """Return the Cholesky factor (N, N) of K + noise; above its diagonal stands anything."""
    n = len(A)
    covariance = torch.empty(n, n, dtype=A.dtype)
    for rows in blocks(n, n):
        covariance[rows, : rows.stop] = kernel(A[rows], A[: rows.stop])
    covariance.diagonal().add_(noise)
    return cholesky_in_place(covariance.numpy())


def _solve_factored(factor: NDArray[Any], y: Tensor) -> NDArray[Any]:
    (potrs,) = linalg.get_lapack_funcs(("potrs",), (factor,))
    solution: NDArray[Any]
    solution, _ = potrs(factor.T, y.numpy(), lower=0)
    return solution


def _inverse_diagonal(factor: NDArray[Any]) -> NDArray[Any]:
    """Return the diagonal (N,) of the inverse of what was factorised, and lose the factor."""
    n = len(factor)
    (trtri,) = linalg.get_lapack_funcs(("trtri",), (factor,))
    trtri(factor.T, lower=0, overwrite_c=1)
    diagonal = np.zeros(n, dtype=factor.dtype)
    for rows in blocks(n, n):
        part = np.tril(factor[rows, : rows.stop], k=rows.start)
        diagonal[: rows.stop] += np.einsum("ij,ij->j", part, part)
    return diagonal


def cholesky_in_place(matrix: NDArray[Any]) -> NDArray[Any]:
    """Overwrite the lower triangle of a symmetric matrix by its factor; the rest is not read.

    Raises
    ------
    TrainingError
        If it is not positive definite in its precision.
    """
    (potrf,) = linalg.get_lapack_funcs(("potrf",), (matrix,))
    # LAPACK counts by columns: the transpose of rows needs no copy.
    _, info = potrf(matrix.T, lower=0, clean=0, overwrite_a=1)
    if info:
        raise TrainingError(
            f"gp: the covariance of {len(matrix)} samples is not positive definite in "
            f"{matrix.dtype}; are there traits on a scale far from 1?"
        )
    return matrix


def blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Yield slices of rows that hold a bounded number of cells."""
    step = max(1, _BLOCK_CELLS // max(1, n_columns))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))
