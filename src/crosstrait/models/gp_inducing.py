"""Gaussian-process regression of more samples than one N x N matrix can hold."""

from __future__ import annotations

import torch
from torch import Tensor

from crosstrait.models.gp_exact import Posterior, blocks, cholesky_in_place, factorise
from crosstrait.models.gp_kernel import Kernel

# Of the noise variance, added to the prior's at the inducing points: genotypes can recur.
_JITTER = 1e-3


def solve_inducing(kernel: Kernel, A: Tensor, y: Tensor, basis: Tensor) -> Posterior:
    r"""Condition on all samples A (N, L), y (N,) through m inducing genotypes (m, L).

    The prior covariance becomes :math:`K_{nm} K_{mm}^{-1} K_{mn}` (the projected process, or
    deterministic training conditional). With :math:`K_{mm} = L L^\top`,
    :math:`\Phi = L^{-1} K_{mn}` and :math:`B = \Phi \Phi^\top + \sigma^2 I`, the weights of the
    inducing genotypes are :math:`L^{-\top} B^{-1} \Phi y`, and the leave-one-out error of sample
    i is its residual over :math:`1 - h_i`, :math:`h_i = \phi_i^\top B^{-1} \phi_i`. Takes two
    m x m matrices and :math:`3 N m^2` multiplications.

    Returns
    -------
    Posterior
        ``dual`` is (m,), the weights of ``basis``.

    References
    ----------
    Seeger, Williams and Lawrence 2003, AISTATS 9 (projected process); Quinonero-Candela and
    Rasmussen 2005, J. Mach. Learn. Res. 6:1939.
    """
    noise = kernel.log_noise.exp()
    prior = torch.from_numpy(factorise(kernel, basis, noise=_JITTER * noise)).tril_()
    gram = torch.eye(len(basis), dtype=A.dtype) * noise
    product = torch.zeros(len(basis), dtype=A.dtype)
    for rows in blocks(len(A), len(basis)):
        features = _features(kernel, prior, A[rows], basis)
        gram.addmm_(features, features.T)
        product += features @ y[rows]
    factor = cholesky_in_place(gram.numpy())
    posterior = torch.from_numpy(factor).tril_()
    weights = torch.cholesky_solve(product[:, None], posterior)
    residual, variance = torch.empty_like(y), torch.empty_like(y)
    for rows in blocks(len(A), len(basis)):
        features = _features(kernel, prior, A[rows], basis)
        spread = torch.linalg.solve_triangular(posterior, features, upper=False)
        left = 1 - (spread**2).sum(dim=0)
        residual[rows] = (y[rows] - features.T @ weights[:, 0]) / left
        variance[rows] = noise / left
    dual = torch.linalg.solve_triangular(prior.T, weights, upper=True)[:, 0]
    return Posterior(dual=dual.numpy(), residual=residual.numpy(), variance=variance.numpy())


def _features(kernel: Kernel, prior: Tensor, A: Tensor, basis: Tensor) -> Tensor:
    """Return phi (m, n) of genotypes A (n, L)."""
    features: Tensor = torch.linalg.solve_triangular(prior, kernel(basis, A), upper=False)
    return features
