"""The covariance of the Gaussian process against a sum and a product over loci."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crosstrait.models.gp_kernel import Kernel

Float = NDArray[np.float64]


def a_kernel(n_loci: int, seed: int = 0) -> Kernel:
    """A kernel with unlike parameters at every locus, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    kernel = Kernel(torch.randn(n_loci, generator=generator, dtype=torch.float64))
    with torch.no_grad():
        for parameter in kernel.parameters():
            parameter += 0.5 * torch.randn(parameter.shape, generator=generator)
    return kernel.requires_grad_(False)


def genotypes(n: int, n_loci: int, *, values: tuple[float, ...] = (-1, 1), seed: int = 0) -> Tensor:
    return torch.from_numpy(
        np.random.default_rng(seed).choice(values, size=(n, n_loci)).astype(float)
    )


def pair_by_pair(kernel: Kernel, A: Tensor, B: Tensor) -> Float:
    """The documented formula, one pair of genotypes at a time."""
    v, w, p, a = (
        getattr(kernel, f"log_{name}").exp().numpy()
        for name in ("linear", "weight", "variance", "shape")
    )
    c = (kernel.curve_sign * kernel.log_curve.exp()).numpy()
    found = np.empty((len(A), len(B)))
    for i, x in enumerate(A.numpy()):
        for j, z in enumerate(B.numpy()):
            d = sum(w * (x - z) ** 2) / 4
            s = sum(c * (x - z)) / 2
            found[i, j] = sum(v * x * z) + p * (1 + d / a) ** -a * np.exp(-(s**2))
    return found


def test_it_is_the_documented_formula_on_hard_and_soft_genotypes() -> None:
    kernel = a_kernel(7)
    for values in [(-1, 1), (-1, 0, 1), (-0.9, -0.3, 0.2, 0.95)]:
        A, B = genotypes(9, 7, values=values), genotypes(6, 7, values=values, seed=1)
        np.testing.assert_allclose(kernel(A, B), pair_by_pair(kernel, A, B), rtol=1e-12)
        np.testing.assert_allclose(kernel.diagonal(A), kernel(A, A).diagonal(), rtol=1e-12)


def test_without_curve_and_of_large_shape_it_is_a_product_over_loci() -> None:
    kernel = a_kernel(5)
    kernel.log_curve.fill_(-40)
    kernel.log_shape.fill_(18)
    A, B = genotypes(8, 5), genotypes(8, 5, seed=1)
    differ = (A[:, None] != B[None]).double()
    product = torch.exp(-differ * kernel.log_weight.exp()).prod(dim=-1)
    found = kernel.interactions(A, B) / kernel.log_variance.exp()
    np.testing.assert_allclose(found, product, rtol=1e-6)


def test_it_is_positive_semidefinite() -> None:
    for seed in range(5):
        kernel = a_kernel(6, seed=seed)
        A = genotypes(40, 6, values=(-1, 0, 0.5, 1), seed=seed)
        eigenvalues = torch.linalg.eigvalsh(kernel(A, A))
        assert eigenvalues.min() > -1e-10 * eigenvalues.max()


def test_a_score_of_zeros_starts_from_even_weights() -> None:
    kernel = Kernel(torch.zeros(4))
    for name in ("log_linear", "log_weight", "log_curve"):
        value = getattr(kernel, name)
        assert torch.isfinite(value).all()
        assert torch.equal(value, value[:1].expand(4))
