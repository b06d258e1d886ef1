"""The covariance of a trait between genotypes: additive effects plus interactions of all orders."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Kernel(nn.Module):
    r"""The prior covariance of one trait, as a function of two coded genotypes (L,).

    .. math:: k(x, x') = \sum_l v_l x_l x'_l + p \, (1 + d / a)^{-a} \, e^{-s^2},
        \quad d = \sum_l w_l (x_l - x'_l)^2 / 4, \quad s = \sum_l c_l (x_l - x'_l) / 2

    The first term is additive. The second holds interactions of every order: it falls as two
    genotypes differ at loci of large weight w (on haploid codes d is the weighted Hamming
    distance; as :math:`a \to \infty` its factor is the product over loci of
    :math:`e^{-w_l [x_l \ne x'_l]}`, a smaller a gives higher orders more), and as their scores
    :math:`c^\top x` differ, so that a trait may be any smooth curve of an additive score (global
    epistasis).

    Attributes
    ----------
    log_linear, log_weight, log_curve
        (L,) logarithms of v, w and :math:`|c|`.
    curve_sign
        (L,) signs of c, which are not learned.
    log_variance, log_shape, log_noise
        Logarithms of p, a and the noise variance.
    """

    curve_sign: Tensor

    def __init__(self, score: Tensor) -> None:
        """Start from a score (L,) of additive effects; a locus of effect 0 keeps a small one."""
        super().__init__()
        n_loci = len(score)
        even = torch.full_like(score, 1 / n_loci)
        norm = score.norm()
        direction = score / norm if norm > 0 else even.sqrt()
        self.register_buffer("curve_sign", torch.where(direction < 0, -1.0, 1.0).to(score))
        self.log_linear = nn.Parameter((0.3 * even).log())
        self.log_weight = nn.Parameter(even.log())
        self.log_curve = nn.Parameter((1.5 * direction.abs().clamp_min(1e-3)).log())
        self.log_variance = nn.Parameter(score.new_tensor(0.5).log())
        self.log_shape = nn.Parameter(score.new_tensor(1.0).log())
        self.log_noise = nn.Parameter(score.new_tensor(0.2).log())

    def forward(self, A: Tensor, B: Tensor) -> Tensor:
        """Return the covariances (n, m) of genotypes (n, L) and (m, L)."""
        linear = (A * self.log_linear.exp()) @ B.T
        return linear + self.interactions(A, B)

    def diagonal(self, A: Tensor) -> Tensor:
        """Return the prior variances (n,) of genotypes (n, L)."""
        return (A * A) @ self.log_linear.exp() + self.log_variance.exp()

    def interactions(self, A: Tensor, B: Tensor) -> Tensor:
        """Return the second term alone."""
        weight, curve = self.log_weight.exp() / 4, self.curve_sign * self.log_curve.exp() / 2
        lengths = (A * A) @ weight, (B * B) @ weight
        distance = torch.addmm(lengths[0][:, None] + lengths[1], A * weight, B.T, alpha=-2)
        shape = self.log_shape.exp()
        scores = A @ curve, B @ curve
        power = -shape * torch.log1p(distance.clamp_min(0) / shape)
        return torch.exp(power - (scores[0][:, None] - scores[1]) ** 2 + self.log_variance)
