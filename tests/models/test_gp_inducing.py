"""Conditioning through inducing genotypes, against the exact solution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from crosstrait.models.gp_exact import dual_weights, solve
from crosstrait.models.gp_inducing import solve_inducing
from crosstrait.models.gp_kernel import Kernel


def a_cross(n: int, n_loci: int = 8) -> tuple[Kernel, Tensor, Tensor]:
    rng = np.random.default_rng(0)
    A = rng.choice([-1.0, 1.0], size=(n, n_loci))
    y = A[:, 0] * A[:, 1] + A[:, 2] + 0.3 * rng.normal(size=n)
    kernel = Kernel(torch.from_numpy(rng.normal(size=n_loci))).requires_grad_(False)
    return kernel, torch.from_numpy(A), torch.from_numpy(y - y.mean())


def test_with_every_genotype_inducing_it_is_the_exact_solution() -> None:
    kernel, A, y = a_cross(100)
    exact, found = solve(kernel, A, y, n_left_out=100), solve_inducing(kernel, A, y, A)
    Z = -A[:20]
    np.testing.assert_allclose(
        kernel(Z, A).numpy() @ found.dual, kernel(Z, A).numpy() @ exact.dual, atol=2e-3
    )
    np.testing.assert_allclose(found.residual, exact.residual, atol=5e-3)


def test_leave_one_out_errors_are_those_of_fits_without_the_sample() -> None:
    kernel, A, y = a_cross(80)
    basis = A[:25] * 0.9
    found = solve_inducing(kernel, A, y, basis)
    for i in (0, 30, 79):
        others = np.delete(np.arange(len(A)), i)
        left_out = solve_inducing(kernel, A[others], y[others], basis)
        predicted = kernel(A[[i]], basis).numpy() @ left_out.dual
        np.testing.assert_allclose(found.residual[i], float(y[i]) - predicted[0], rtol=1e-6)


def test_all_samples_through_few_genotypes_predict_better_than_those_few_samples() -> None:
    kernel, A, y = a_cross(1500, n_loci=12)
    train, test, few = slice(0, 1200), slice(1200, None), slice(0, 150)
    truth = A[test, 0] * A[test, 1] + A[test, 2]

    def error(dual: np.ndarray, basis: Tensor) -> float:
        predicted = kernel(A[test], basis).numpy() @ dual
        return float(np.square(predicted - truth.numpy()).mean())

    through = error(solve_inducing(kernel, A[train], y[train], A[few]).dual, A[few])
    alone = error(dual_weights(kernel, A[few], y[few]), A[few])
    exact = error(dual_weights(kernel, A[train], y[train]), A[train])
    assert through < 0.6 * alone
    assert through < 2.5 * exact


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, A, y = a_cross(60)
    whole = solve_inducing(kernel, A, y, A[:20])
    monkeypatch.setattr("crosstrait.models.gp_exact._BLOCK_CELLS", 7 * 20)
    parts = solve_inducing(kernel, A, y, A[:20])
    np.testing.assert_allclose(parts.dual, whole.dual, rtol=1e-6)
    np.testing.assert_allclose(parts.residual, whole.residual, rtol=1e-6)
