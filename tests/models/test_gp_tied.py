"""Kernels of few samples: what ties their weights, and why fifths are held out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from crosstrait.models.gp_exact import dual_weights
from crosstrait.models.gp_learning import likelihood_slope
from crosstrait.models.gp_tied import _covariance, _held_out_slope, _kernel, learn_tied_kernels

Float = NDArray[np.float64]


def a_cross(n: int = 120, n_loci: int = 60, n_traits: int = 2) -> tuple[Float, Float]:
    """Locus 0 acts on all traits, locus 5 interacts with it; the others do nothing."""
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 1.0], size=(n, n_loci))
    genetic = X[:, 0] + 0.5 * X[:, 5] + X[:, 0] * X[:, 5]
    return X, genetic[:, None] + 0.5 * rng.normal(size=(n, n_traits))


def test_a_tied_kernel_is_its_formula() -> None:
    rng = np.random.default_rng(1)
    effects, importance = rng.normal(size=6), rng.random(6)
    effects[2] = 0
    theta = torch.log(torch.tensor([0.1, 0.2, 0.3, 1.5, 0.7, 0.4, 2.0], dtype=torch.float64))
    kernel = _kernel(theta, effects, importance)
    share = 0.9 * importance**2 / (importance**2).sum() + 0.1 / 6
    np.testing.assert_allclose(kernel.log_weight.exp(), 1.5 * share)
    linear = 0.1 / 6 + 0.2 * effects**2 / (effects**2).sum()
    np.testing.assert_allclose(kernel.log_linear.exp(), linear)
    curve = kernel.curve_sign * kernel.log_curve.exp()
    np.testing.assert_allclose(curve, 0.7 * effects / np.linalg.norm(effects), atol=1e-12)

    A = torch.from_numpy(rng.choice([-1, 0, 1.0], size=(10, 6)))
    distance = ((A[:, None] - A) ** 2 / 4) @ torch.from_numpy(share)
    focused = (A * torch.from_numpy(effects**2 / (effects**2).sum())) @ A.T
    score = A @ torch.from_numpy(effects / np.linalg.norm(effects)) / 2
    made = _covariance(theta, A @ A.T / 6, distance, focused, score)
    np.testing.assert_allclose(made, kernel(A, A), rtol=1e-10, atol=1e-12)


def test_the_held_out_slope_is_that_of_one_parts_likelihood_given_the_others() -> None:
    rng = np.random.default_rng(2)
    root = torch.from_numpy(rng.normal(size=(12, 12)))
    covariance = (root @ root.T).requires_grad_()
    y, noise = torch.from_numpy(rng.normal(size=12)), 0.5
    out = torch.arange(12) % 3 == 0
    K = covariance + noise * torch.eye(12)
    between, inner = K[out][:, ~out], K[~out][:, ~out]
    mean = between @ torch.linalg.solve(inner, y[~out])
    left = K[out][:, out] - between @ torch.linalg.solve(inner, between.T)
    error = y[out] - mean
    loss = 0.5 * (error @ torch.linalg.solve(left, error) + torch.logdet(left)) / 4
    loss.backward()
    found = _held_out_slope(covariance.detach(), y, out, noise=noise)
    assert covariance.grad is not None
    symmetric = (covariance.grad + covariance.grad.T) / 2
    np.testing.assert_allclose(found, symmetric, rtol=1e-8, atol=1e-10)


def test_a_trait_without_genetics_is_predicted_by_its_mean() -> None:
    X, Y = a_cross(n=240)
    Y[:, 1] = np.random.default_rng(3).normal(size=len(Y))
    train, test = slice(0, 120), slice(120, None)
    learned = learn_tied_kernels(X[train], Y[train], seed=0)
    A, Z = torch.from_numpy(X[train]), torch.from_numpy(X[test])
    deviation = []
    for t, kernel in enumerate(learned.kernels):
        y = torch.from_numpy(Y[train, t] - Y[train, t].mean())
        predicted = kernel(Z, A).numpy() @ dual_weights(kernel, A, y)
        deviation.append(predicted.std() / Y[:, t].std())
    assert deviation[0] > 0.7
    assert deviation[1] < 0.35


def test_loci_that_act_on_any_trait_weigh_more_in_interactions() -> None:
    X, Y = a_cross()
    learned = learn_tied_kernels(X, Y, seed=0)
    for kernel in learned.kernels:
        assert int(kernel.log_weight.argmax()) == 0
        assert float(kernel.log_weight[0] - kernel.log_weight.median()) > 2


def test_every_fold_has_kernels_of_effects_without_it() -> None:
    X, Y = a_cross()
    learned = learn_tied_kernels(X, Y, seed=0)
    assert np.bincount(learned.fold).tolist() == [24] * 5
    assert [len(kernels) for kernels in learned.fold_kernels] == [2] * 5


def test_traits_with_holes_or_without_values_are_survived() -> None:
    X, Y = a_cross()
    Y[:, 1] = np.nan
    Y[::2, 0] = np.nan
    learned = learn_tied_kernels(X, Y, seed=0)
    for kernel in learned.kernels:
        assert all(bool(torch.isfinite(value).all()) for value in kernel.state_dict().values())


def test_the_slope_of_everything_held_out_is_the_likelihoods() -> None:
    covariance, y = torch.eye(4, dtype=torch.float64), torch.arange(4.0, dtype=torch.float64)
    out = torch.tensor([True, True, True, False])
    found = _held_out_slope(covariance, y, out, noise=1.0) * 3
    whole = likelihood_slope(covariance, y, noise=1.0)
    np.testing.assert_allclose(found[:3], whole[:3])
