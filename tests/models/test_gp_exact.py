"""Conditioning on all samples, against the textbook and against fits without a sample."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from crosstrait.errors import TrainingError
from crosstrait.models.gp_exact import (
    blocks,
    cholesky_in_place,
    left_out_variances,
    solve,
    variances,
)
from crosstrait.models.gp_kernel import Kernel

Float = NDArray[np.float64]


def a_cross(n: int = 60, n_loci: int = 8) -> tuple[Kernel, Tensor, Tensor]:
    rng = np.random.default_rng(0)
    A = rng.choice([-1.0, 0.3, 1.0], size=(n, n_loci))
    y = A[:, 0] * A[:, 1] + A[:, 2] + 0.3 * rng.normal(size=n)
    kernel = Kernel(torch.from_numpy(rng.normal(size=n_loci))).requires_grad_(False)
    return kernel, torch.from_numpy(A), torch.from_numpy(y - y.mean())


def textbook(kernel: Kernel, A: Tensor, y: Tensor, Z: Tensor) -> tuple[Float, Float]:
    """Mean and variance of new measurements: Rasmussen and Williams 2006, 2.25 and 2.26."""
    noise = float(kernel.log_noise.exp())
    K, Kz = kernel(A, A).numpy() + noise * np.eye(len(A)), kernel(Z, A).numpy()
    inverse = np.linalg.inv(K)
    variance = kernel(Z, Z).numpy() - Kz @ inverse @ Kz.T
    return Kz @ inverse @ y.numpy(), np.diag(variance) + noise


def test_predictions_and_variances_are_the_textbooks() -> None:
    kernel, A, y = a_cross()
    Z = A[:10] * 0.7
    mean, variance = textbook(kernel, A, y, Z)
    np.testing.assert_allclose(
        kernel(Z, A).numpy() @ solve(kernel, A, y, n_left_out=len(A)).dual, mean, rtol=1e-9
    )
    np.testing.assert_allclose(variances(kernel, Z, given=A), variance, rtol=1e-9)


def test_leave_one_out_errors_are_those_of_fits_without_the_sample() -> None:
    kernel, A, y = a_cross()
    found = solve(kernel, A, y, n_left_out=len(A))
    for i in range(len(A)):
        others = np.delete(np.arange(len(A)), i)
        mean, variance = textbook(kernel, A[others], y[others], A[[i]])
        np.testing.assert_allclose(found.residual[i], float(y[i]) - mean[0], rtol=1e-8)
        np.testing.assert_allclose(found.variance[i], variance[0], rtol=1e-8)
    np.testing.assert_allclose(left_out_variances(kernel, A), found.variance, rtol=1e-12)


def test_the_last_samples_errors_need_only_the_last_rows_of_the_factor() -> None:
    kernel, A, y = a_cross()
    whole = solve(kernel, A, y, n_left_out=len(A))
    part = solve(kernel, A, y, n_left_out=7)
    np.testing.assert_allclose(part.residual, whole.residual[-7:], rtol=1e-9)
    np.testing.assert_allclose(part.variance, whole.variance[-7:], rtol=1e-9)
    np.testing.assert_array_equal(part.dual, whole.dual)


def test_blocks_of_the_matrix_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, A, y = a_cross()
    whole, whole_variance = solve(kernel, A, y, n_left_out=len(A)), variances(kernel, -A, given=A)
    monkeypatch.setattr("crosstrait.models.gp_exact._BLOCK_CELLS", 7 * len(A))
    parts = solve(kernel, A, y, n_left_out=len(A))
    np.testing.assert_allclose(parts.dual, whole.dual, rtol=1e-9)
    np.testing.assert_allclose(parts.residual, whole.residual, rtol=1e-9)
    np.testing.assert_allclose(variances(kernel, -A, given=A), whole_variance, rtol=1e-9)


def test_blocks_cover_every_row_once() -> None:
    for n_rows, n_columns in [(0, 5), (1, 1), (10, 1 << 22), (10, 1 << 30)]:
        rows = [i for part in blocks(n_rows, n_columns) for i in range(part.start, part.stop)]
        assert rows == list(range(n_rows))


def test_single_precision_predicts_like_double() -> None:
    kernel, A, y = a_cross(n=400)
    double = solve(kernel, A, y, n_left_out=len(A))
    single = solve(kernel.float(), A.float(), y.float(), n_left_out=400)
    assert single.dual.dtype == np.float32
    scale = double.residual.std()
    np.testing.assert_allclose(single.residual, double.residual, atol=1e-4 * scale)
    np.testing.assert_allclose(single.variance, double.variance, rtol=1e-4)


def test_a_matrix_that_is_no_covariance_is_refused() -> None:
    with pytest.raises(TrainingError, match="covariance of 2 samples is not positive definite"):
        cholesky_in_place(np.array([[1.0, 0.0], [2.0, 1.0]]))
