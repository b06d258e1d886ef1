"""Learning the kernel of a trait: the marginal likelihood of random subsets of its samples."""

from __future__ import annotations

import numpy as np
import torch
from scipy import linalg
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR

from crosstrait.models.gp_exact import cholesky_in_place
from crosstrait.models.gp_kernel import Kernel

_LEARNING_RATE = 0.1
# The last steps' average is the result, as every step sees another subset.
_AVERAGED = 0.3


def learn_kernel(
    kernel: Kernel, A: Tensor, y: Tensor, *, subset: int, steps: int, seed: int
) -> None:
    r"""Fit the kernel of a trait to its samples A (N, L), y (N,) of mean 0 and variance near 1.

    Ascends the mean log marginal likelihood of ``subset`` samples, drawn anew each step, by Adam
    on the parameters of ``kernel`` that require a gradient, and leaves none that does. Its
    gradient by the covariance is :math:`(\alpha \alpha^\top - C) / 2`, with C the inverse of the
    covariance and :math:`\alpha = C y`.

    Raises
    ------
    TrainingError
        If the covariance of a subset is not positive definite.
    """
    parameters = [parameter for parameter in kernel.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=_LEARNING_RATE, betas=(0.9, 0.99))
    schedule = OneCycleLR(optimizer, _LEARNING_RATE, total_steps=steps, pct_start=0.2)
    rng = np.random.default_rng(seed)
    averages = [torch.zeros_like(parameter) for parameter in parameters]
    n_averaged = max(1, round(_AVERAGED * steps))
    for step in range(steps):
        B, b = A, y
        if len(A) > subset:
            chosen = torch.from_numpy(rng.choice(len(A), subset, replace=False))
            B, b = A[chosen], y[chosen]
        covariance = kernel(B, B)
        noise = kernel.log_noise.exp()
        slope = likelihood_slope(covariance.detach(), b, noise=float(noise.detach())) / len(b)
        loss = (slope * covariance).sum() + slope.diagonal().sum() * noise
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step >= steps - n_averaged:
            for average, parameter in zip(averages, parameters, strict=True):
                average.add_(parameter.detach(), alpha=1 / n_averaged)
    with torch.no_grad():
        for average, parameter in zip(averages, parameters, strict=True):
            parameter.copy_(average)
    kernel.requires_grad_(False)


def additive_effects(A: Tensor, y: Tensor) -> Tensor:
    """Return ridge effects (L,), penalised as where half the variance is additive."""
    centred = A - A.mean(dim=0)
    gram = centred.T @ centred
    penalty = gram.diagonal().sum() / len(A)
    gram.diagonal().add_(penalty.clamp_min(torch.finfo(A.dtype).tiny))
    effects: Tensor = torch.linalg.solve(gram, centred.T @ y)
    return effects


def likelihood_slope(covariance: Tensor, y: Tensor, *, noise: float) -> Tensor:
    r"""Return :math:`(C - \alpha \alpha^\top) / 2`, (n, n).

    The derivative of the negative log likelihood of y (n,) by its covariance (n, n).
    """
    matrix = covariance.numpy().copy()
    matrix[np.diag_indices_from(matrix)] += noise
    factor = cholesky_in_place(matrix)
    (potri,) = linalg.get_lapack_funcs(("potri",), (factor,))
    potri(factor.T, lower=0, overwrite_c=1)
    inverse = torch.from_numpy(factor).tril_()
    inverse = inverse + inverse.tril(-1).T
    dual = inverse @ y
    return torch.addr(inverse, dual, dual, alpha=-1).mul_(0.5)
