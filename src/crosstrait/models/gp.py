"""Exact Gaussian-process regression with additive effects and interactions of all orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from crosstrait.models.base import Array, Estimator, ModelConfig
from crosstrait.models.gp_exact import blocks, solve
from crosstrait.models.gp_kernel import Kernel
from crosstrait.models.gp_learning import learn_kernel

Float64 = NDArray[np.float64]

# Up to here double precision costs seconds; above, single gives the same predictions to 4 digits.
_DOUBLE_PRECISION_SAMPLES = 4096


class GpConfig(ModelConfig):
    """A Gaussian process a trait, whose kernel is learned.

    Attributes
    ----------
    subset
        Samples in each random subset that the kernel is learned from.
    steps
        Number of those subsets.
    """

    type: Literal["gp"] = "gp"
    subset: int = Field(default=1500, ge=2)
    steps: int = Field(default=120, ge=1)

    def build(self, *, n_loci: int, n_traits: int) -> GpEstimator:
        """Return the unfitted estimator."""
        return GpEstimator(self, n_loci=n_loci, n_traits=n_traits)


class GpEstimator(Estimator):
    r"""One Gaussian process a trait, over its own measured samples.

    The measurement of sample i is :math:`\mu + f(x_i)` plus noise, f drawn with the covariance of
    `Kernel`, whose parameters maximise the marginal likelihood of random subsets; then all
    samples are conditioned on at once, exactly.

    Attributes
    ----------
    kernels
        The learned kernel of each trait.
    mean
        (T,) :math:`\mu`, the mean of the samples that learned.
    basis
        (N, L) coded genotypes that learned.
    dual
        (T, N) their weights: :math:`\hat y_t(x) = \mu_t + \sum_i k_t(x, x_i) \mathrm{dual}_{ti}`.

    References
    ----------
    Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, MIT Press; automatic
    relevance determination: Neal 1996, Bayesian Learning for Neural Networks; product kernels of
    genotypes: Morota and Gianola 2014, Frontiers in Genetics 5:363.
    """

    def __init__(self, config: GpConfig, *, n_loci: int, n_traits: int) -> None:
        self.config = config
        self.kernels = [Kernel(torch.zeros(n_loci)).requires_grad_(False) for _ in range(n_traits)]
        self.mean: Float64 = np.zeros(n_traits)
        self.basis: Array = np.zeros((0, n_loci), dtype=np.float32)
        self.dual: Array = np.zeros((n_traits, 0), dtype=np.float32)

    @property
    def locus_weight(self) -> Float64:
        """(T, L) weights w of the loci in interactions, near 0 where a locus acts in none."""
        return self._numbers("log_weight")

    @property
    def noise_variance(self) -> Float64:
        """(T,) variance of the noise, in the units of Y squared."""
        return self._numbers("log_noise")

    def _numbers(self, name: str) -> Float64:
        found = [getattr(kernel, name).exp().double() for kernel in self.kernels]
        return np.asarray(torch.stack(found).numpy())

    def fit(
        self, X: Array, Y: Array, *, X_validation: Array, Y_validation: Array, seed: int
    ) -> None:
        """Learn from training and validation samples together."""
        X, Y = np.concatenate([X, X_validation]), np.concatenate([Y, Y_validation])
        self.basis = np.asarray(X, dtype=np.float32)
        self.held_out = np.full(Y.shape, np.nan)
        double = len(X) <= _DOUBLE_PRECISION_SAMPLES
        self.dual = np.zeros((Y.shape[1], len(X)), dtype=np.float64 if double else np.float32)
        for kernel in self.kernels:
            kernel.to(torch.float64 if double else torch.float32)
        for t in range(Y.shape[1]):
            rows = np.flatnonzero(~np.isnan(Y[:, t]))
            if not len(rows):
                continue
            y = Y[rows, t].astype(np.float64)
            self.mean[t] = y.mean()
            if np.ptp(y) == 0:
                self.held_out[rows, t] = 0
                continue
            A = torch.from_numpy(X[rows].astype(self.dual.dtype))
            target = torch.from_numpy((y - self.mean[t]).astype(self.dual.dtype))
            self.kernels[t] = learn_kernel(
                A, target, subset=self.config.subset, steps=self.config.steps, seed=seed
            )
            learned = solve(self.kernels[t], A, target)
            self.dual[t, rows] = learned.dual
            self.held_out[rows, t] = learned.residual

    def predict(self, X: Array) -> Float64:
        """Return predictions (n, T) for coded genotypes (n, L)."""
        predicted = np.tile(self.mean, (len(X), 1))
        for t, kernel in enumerate(self.kernels):
            rows = np.flatnonzero(self.dual[t])
            basis, dual = self._tensor(self.basis[rows]), torch.from_numpy(self.dual[t, rows])
            for part in blocks(len(X), len(rows)):
                predicted[part, t] += (kernel(self._tensor(X[part]), basis) @ dual).numpy()
        return predicted

    def _tensor(self, X: Array) -> Tensor:
        return torch.from_numpy(np.asarray(X, dtype=self.dual.dtype))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return ``mean``, ``basis``, ``dual`` and the kernels' parameters, stacked."""
        state: dict[str, NDArray[Any]] = {
            "mean": self.mean,
            "basis": self.basis,
            "dual": self.dual,
        }
        tensors = [kernel.state_dict() for kernel in self.kernels]
        for name in tensors[0]:
            state[f"kernel.{name}"] = torch.stack([t[name] for t in tensors]).numpy()
        return state

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what ``state`` returned."""
        self.mean, self.basis, self.dual = state["mean"], state["basis"], state["dual"]
        kernel_state = {
            name.removeprefix("kernel."): torch.from_numpy(np.array(array))
            for name, array in state.items()
            if name.startswith("kernel.")
        }
        for t, kernel in enumerate(self.kernels):
            kernel.to(kernel_state["log_noise"].dtype)
            kernel.load_state_dict({name: array[t] for name, array in kernel_state.items()})
            kernel.requires_grad_(False)
