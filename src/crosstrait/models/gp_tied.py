"""Learning kernels where samples are few: additive effects tie the weights of the loci."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR

from crosstrait.models.base import Array
from crosstrait.models.gp_kernel import Kernel
from crosstrait.models.gp_learning import likelihood_slope
from crosstrait.models.lasso import draw_folds, fit_lasso

Float64 = NDArray[np.float64]
Rows = NDArray[np.intp]

_FOLDS = 5
_STEPS = 30
_AVERAGED = 10
_LEARNING_RATE = 0.25
_MOST_SAMPLES = 2000
# Share of the loci's weights that is spread evenly.
_EVEN = 0.1
# even, focused, variance, scale, curve, noise, shape
_START = (0.05, 0.2, 0.3, 1.0, 0.7, 0.5, 1.0)


@dataclass(frozen=True, kw_only=True)
class TiedKernels:
    """Kernels of all traits, learned from their samples and a part of them.

    Attributes
    ----------
    kernels
        (T) the kernels to predict with.
    fold
        (N,) the part of each sample.
    fold_kernels
        K times (T): the same, of effects that were estimated without part k.
    """

    kernels: list[Kernel]
    fold: Rows
    fold_kernels: list[list[Kernel]]


def learn_tied_kernels(X: Array, Y: Array, *, seed: int) -> TiedKernels:
    r"""Return kernels with seven free numbers a trait.

    Of lasso effects b of the trait and importances :math:`m_l = \sum_t |b_{tl}|` over all traits,
    the additive weights of `Kernel` are :math:`v_l = \theta_1 / L + \theta_2 b_l^2 / \sum b^2`,
    the interaction weights :math:`w_l = \theta_3 (0.9 m_l^2 / \sum m^2 + 0.1 / L)` and the score is
    :math:`c = \theta_4 b / |b|_2`; so interactions are looked for where loci act on any trait
    (effect heredity). The marginal likelihood would trust effects that come from the same
    samples. The numbers therefore maximise the likelihood of each fifth of the samples given the
    others, :math:`\sum_k \log p(y_k | y_{-k})`, with effects estimated without it.

    Parameters
    ----------
    X
        (N, L) coded genotypes.
    Y
        (N, T) traits; NaN is a cell without a measurement. Traits that do not vary are allowed.
    seed
        Of the folds.

    References
    ----------
    Effect heredity: Chipman 1996, Canadian Journal of Statistics 24:17.
    """
    fold = draw_folds(len(X), folds=min(_FOLDS, len(X)), seed=seed)
    lasso = fit_lasso(X, Y, fold=fold)
    effects = [*lasso.fold_coef, lasso.fold_coef.mean(axis=0)]  # K + 1 of (T, L)
    importance = [np.abs(e).sum(axis=0) for e in lasso.fold_coef]
    importance.append(np.mean(importance, axis=0))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(X))[:_MOST_SAMPLES])
    genotypes = torch.from_numpy(np.asarray(X[chosen], dtype=np.float32))
    distances = [
        _distance(genotypes, torch.from_numpy(_share(m**2, even=_EVEN)).float())
        for m in importance[:-1]
    ]
    part = torch.from_numpy(fold[chosen])

    def one(t: int) -> list[Kernel]:
        y = torch.from_numpy(np.asarray(Y[chosen, t], dtype=np.float32))
        theta = _learn(
            genotypes, y, part, distances=distances, effects=[e[t] for e in effects[:-1]]
        )
        return [_kernel(theta, e[t], m) for e, m in zip(effects, importance, strict=True)]

    threads = torch.get_num_threads()
    # Hundreds of small factorisations: one thread each, a trait a core.
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1), ThreadPoolExecutor(threads) as pool:
            kernels = list(pool.map(one, range(Y.shape[1])))
    finally:
        torch.set_num_threads(threads)
    by_fold = [list(of_traits) for of_traits in zip(*kernels, strict=True)]
    return TiedKernels(kernels=by_fold[-1], fold=fold, fold_kernels=by_fold[:-1])


def _learn(
    A: Tensor, y: Tensor, fold: Tensor, *, distances: list[Tensor], effects: list[Float64]
) -> Tensor:
    """Return the logarithms (7,) of the free numbers of a trait."""
    measured = ~torch.isnan(y)
    theta = torch.tensor(_START).log().requires_grad_()
    n_measured = int(measured.sum())
    folds = [k for k in range(len(effects)) if 0 < int((measured & (fold == k)).sum()) < n_measured]
    if not folds or bool((y[measured] == y[measured][0]).all()):
        return theta.detach()
    A, y, fold = A[measured], y[measured], fold[measured]
    y = y - y.mean()
    pieces = {k: (distances[k][measured][:, measured], *_pieces(A, effects[k])) for k in folds}
    even = A @ A.T / A.shape[1]
    optimizer = torch.optim.Adam([theta], lr=_LEARNING_RATE, betas=(0.9, 0.95))
    schedule = OneCycleLR(optimizer, _LEARNING_RATE, total_steps=_STEPS, pct_start=0.2)
    average = torch.zeros_like(theta)
    for step in range(_STEPS):
        k = folds[step % len(folds)]
        covariance = _covariance(theta, even, *pieces[k])
        noise = theta[5].exp()
        slope = _held_out_slope(covariance.detach(), y, fold == k, noise=float(noise.detach()))
        loss = (slope * covariance).sum() + slope.diagonal().sum() * noise
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step >= _STEPS - _AVERAGED:
            average += theta.detach() / _AVERAGED
    return average


def _held_out_slope(covariance: Tensor, y: Tensor, held_out: Tensor, *, noise: float) -> Tensor:
    """Return the derivative (n, n) of -log p(y_k | y_-k) / n_k = log p(y_-k) - log p(y), over n_k.

    By the covariance.
    """
    others = torch.nonzero(~held_out)[:, 0]
    slope = likelihood_slope(covariance, y, noise=noise)
    inner = likelihood_slope(covariance[others][:, others], y[others], noise=noise)
    slope[others[:, None], others] -= inner
    return slope / (len(y) - len(others))


def _covariance(
    theta: Tensor, even: Tensor, distance: Tensor, focused: Tensor, score: Tensor
) -> Tensor:
    """Return `Kernel` (n, n) of the tied parameters, from its parts for theta = 1."""
    first, second, variance, scale, curve, _, shape = theta.exp()
    gap = ((score[:, None] - score) * curve) ** 2
    decay = -shape * torch.log1p(distance * (scale / shape))
    covariance: Tensor = first * even + second * focused + variance * torch.exp(decay - gap)
    return covariance


def _pieces(A: Tensor, effects: Float64) -> tuple[Tensor, Tensor]:
    """Return the focused additive covariance (n, n) and half the scores (n,)."""
    weight = torch.from_numpy(_share(effects**2)).to(A.dtype)
    return (A * weight) @ A.T, A @ torch.from_numpy(_direction(effects)).to(A.dtype) / 2


def _distance(A: Tensor, weight: Tensor) -> Tensor:
    length = (A * A) @ weight
    squared = length[:, None] + length - 2 * (A * weight) @ A.T
    return squared.clamp_min_(0).div_(4)


def _kernel(theta: Tensor, effects: Float64, importance: Float64) -> Kernel:
    """Return the kernel that theta (7,) and the effects (L,) of a trait stand for."""
    even, focused, variance, scale, curve, noise, shape = theta.double().exp().tolist()
    kernel = Kernel(torch.from_numpy(effects))
    with torch.no_grad():
        for parameter, value in (
            (kernel.log_linear, even / len(effects) + focused * _share(effects**2)),
            (kernel.log_weight, scale * _share(importance**2, even=_EVEN)),
            (kernel.log_curve, np.maximum(curve * np.abs(_direction(effects)), 1e-20)),
            (kernel.log_variance, variance),
            (kernel.log_noise, noise),
            (kernel.log_shape, shape),
        ):
            parameter.copy_(torch.as_tensor(np.log(value)))
    return kernel.requires_grad_(False)


def _share(importance: Float64, *, even: float = 0.0) -> Float64:
    """Return weights (L,) of sum 1, in proportion to ``importance`` but for an even part."""
    total, n_loci = importance.sum(), len(importance)
    if not total > 0:
        return np.full(n_loci, 1 / n_loci)
    weights: Float64 = (1 - even) * importance / total + even / n_loci
    return weights


def _direction(effects: Float64) -> Float64:
    norm = np.linalg.norm(effects)
    direction: Float64 = effects / norm if norm > 0 else effects
    return direction
