"""What the marginal likelihood teaches a kernel, and its derivative."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from crosstrait.models.gp_kernel import Kernel
from crosstrait.models.gp_learning import additive_effects, learn_kernel, likelihood_slope


def a_cross(n: int = 300, n_loci: int = 10, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Loci 0 and 1 act together alone, locus 2 additively, the others not at all."""
    rng = np.random.default_rng(seed)
    A = rng.choice([-1.0, 1.0], size=(n, n_loci))
    y = A[:, 0] * A[:, 1] + A[:, 2] + 0.5 * rng.normal(size=n)
    return torch.from_numpy(A), torch.from_numpy(y - y.mean())


def negative_log_likelihood(kernel: Kernel, A: Tensor, y: Tensor) -> Tensor:
    """Rasmussen and Williams 2006, equation 2.30, but for a constant."""
    covariance = kernel(A, A) + kernel.log_noise.exp() * torch.eye(len(A))
    return 0.5 * (y @ torch.linalg.solve(covariance, y) + torch.logdet(covariance))


def learned(A: Tensor, y: Tensor, *, subset: int, steps: int = 60) -> Kernel:
    kernel = Kernel(additive_effects(A, y))
    learn_kernel(kernel, A, y, subset=subset, steps=steps, seed=0)
    return kernel


def test_the_slope_is_that_of_the_log_likelihood() -> None:
    A, y = a_cross(40)
    kernel = Kernel(additive_effects(A, y))
    negative_log_likelihood(kernel, A, y).backward()
    expected = [parameter.grad for parameter in kernel.parameters()]
    kernel.zero_grad()
    covariance, noise = kernel(A, A), kernel.log_noise.exp()
    slope = likelihood_slope(covariance.detach(), y, noise=float(noise.detach()))
    ((slope * covariance).sum() + slope.diagonal().sum() * noise).backward()
    for found, gradient in zip(kernel.parameters(), expected, strict=True):
        torch.testing.assert_close(found.grad, gradient, rtol=1e-6, atol=1e-8)


def test_additive_effects_are_those_of_ridge_regression() -> None:
    from sklearn.linear_model import Ridge

    A, y = a_cross(100)
    penalty = float((A - A.mean(dim=0)).square().sum() / len(A))
    ridge = Ridge(alpha=penalty).fit(A.numpy(), y.numpy())
    np.testing.assert_allclose(additive_effects(A, y), ridge.coef_, rtol=1e-8)


def test_learning_raises_the_likelihood_and_finds_the_loci_and_the_noise() -> None:
    A, y = a_cross()
    before = negative_log_likelihood(Kernel(additive_effects(A, y)), A, y)
    kernel = learned(A, y, subset=300)
    assert negative_log_likelihood(kernel, A, y) < before - 20
    weight = kernel.log_weight.exp()
    assert set(weight.argsort(descending=True)[:2].tolist()) == {0, 1}
    assert weight[:2].min() > 3 * weight[3:].max()
    assert 0.15 < float(kernel.log_noise.exp()) < 0.4


def test_random_subsets_learn_much_the_same_kernel() -> None:
    A, y = a_cross(600)
    whole = learned(A, y, subset=600)
    parts = learned(A, y, subset=200)
    assert parts.log_noise.exp() / whole.log_noise.exp() < 1.5
    assert set(parts.log_weight.argsort(descending=True)[:2].tolist()) == {0, 1}


def test_a_kernel_is_learned_where_nothing_varies() -> None:
    kernel = learned(torch.ones(20, 3), torch.arange(20.0) / 6 - 1.6, subset=20, steps=10)
    assert all(bool(torch.isfinite(value).all()) for value in kernel.state_dict().values())


def test_what_needs_no_gradient_stays() -> None:
    A, y = a_cross(60)
    kernel = Kernel(additive_effects(A, y))
    kernel.log_shape.requires_grad_(False)
    before = kernel.log_shape.clone()
    learn_kernel(kernel, A, y, subset=60, steps=10, seed=0)
    assert torch.equal(kernel.log_shape, before)
    assert not any(parameter.requires_grad for parameter in kernel.parameters())
