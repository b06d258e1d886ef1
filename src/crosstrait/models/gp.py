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
from crosstrait.models.gp_held_out import fold_errors, left_out_spread, spread
from crosstrait.models.gp_inducing import solve_inducing
from crosstrait.models.gp_kernel import Kernel
from crosstrait.models.gp_learning import additive_effects, learn_kernel
from crosstrait.models.gp_tied import learn_tied_kernels

Float64 = NDArray[np.float64]
Rows = NDArray[np.intp]

# Up to here double precision costs seconds; above, single gives the same predictions to 4 digits.
_DOUBLE_PRECISION_SAMPLES = 4096
# Leave-one-out errors of more samples would say the same at the cost of the factor itself.
_MOST_LEFT_OUT = 4000
# With fewer, the weights of the loci cannot be learned one by one.
_SAMPLES_A_LOCUS = 20


class GpConfig(ModelConfig):
    """A Gaussian process a trait, whose kernel is learned.

    Attributes
    ----------
    subset
        Samples in each random subset that the kernel is learned from.
    steps
        Number of those subsets.
    exact_up_to
        Most samples of a trait that are conditioned on exactly, with N^2 numbers in memory: 2.5 GB
        at the default, in single precision.
    inducing
        Genotypes that carry the predictions of a trait with more samples.
    """

    type: Literal["gp"] = "gp"
    subset: int = Field(default=1000, ge=2)
    steps: int = Field(default=80, ge=10)
    exact_up_to: int = Field(default=25_000, ge=1)
    inducing: int = Field(default=8_000, ge=1)

    def build(self, *, n_loci: int, n_traits: int) -> GpEstimator:
        """Return the unfitted estimator."""
        return GpEstimator(self, n_loci=n_loci, n_traits=n_traits)


class GpEstimator(Estimator):
    r"""One Gaussian process a trait, over its own measured samples.

    The measurement of sample i is :math:`\mu + f(x_i)` plus noise, f drawn with the covariance of
    `Kernel`. Where there are 20 samples a locus, each locus' weights are learned, by the marginal
    likelihood of random subsets (`learn_kernel`); with fewer, lasso effects tie them
    (`learn_tied_kernels`). Then all samples are conditioned on at once, exactly, or through
    inducing genotypes where the matrix would not fit.

    Attributes
    ----------
    kernels
        The learned kernel of each trait.
    mean
        (T,) :math:`\mu`, the mean of the samples that learned.
    basis
        (M, L) coded genotypes that carry the predictions: the samples that learned.
    carries
        (T, M) which of them carry those of a trait.
    dual
        (T, M) their weights: :math:`\hat y_t(x) = \mu_t + \sum_i k_t(x, x_i) \mathrm{dual}_{ti}`.

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
        self.carries: NDArray[np.bool_] = np.zeros((n_traits, 0), dtype=bool)
        self.dual: Float64 = np.zeros((n_traits, 0))
        self.dtype = torch.float64

    @property
    def locus_weight(self) -> Float64:
        """(T, L) weights w of the loci in interactions, near 0 where a locus acts in none."""
        return self._numbers("log_weight")

    @property
    def noise_variance(self) -> Float64:
        """(T,) variance of the noise, in the units of Y squared."""
        return self._numbers("log_noise")

    @property
    def variance_shares(self) -> Float64:
        """(T, 2) additive and epistatic shares of the predicted variance; NaN where that is 0.

        Among new genotypes whose loci are drawn independently of one another from the samples
        that learned: what a regression on the loci explains of their predictions, and the rest.
        """
        n_loci = self.basis.shape[1]
        shares = np.full((len(self.kernels), 2), np.nan)
        if not len(self.basis):
            return shares
        rng = np.random.default_rng(0)
        n = 2000 + 2 * n_loci
        X = self.basis[rng.integers(len(self.basis), size=(n, n_loci)), np.arange(n_loci)]
        predicted = self.predict(X)
        predicted -= predicted.mean(axis=0)
        terms = np.column_stack([np.ones(n), X])
        left = predicted - terms @ np.linalg.lstsq(terms, predicted, rcond=None)[0]
        varied = np.ptp(predicted, axis=0) > 0
        total = (predicted[:, varied] ** 2).sum(axis=0) / (n - 1)
        epistatic = (left[:, varied] ** 2).sum(axis=0) / (n - n_loci - 1) / total
        shares[varied] = np.column_stack([1 - epistatic, epistatic])
        return shares

    def _numbers(self, name: str) -> Float64:
        found = [getattr(kernel, name).exp().double() for kernel in self.kernels]
        return np.asarray(torch.stack(found).numpy())

    def fit(
        self, X: Array, Y: Array, *, X_validation: Array, Y_validation: Array, seed: int
    ) -> None:
        """Learn from training and validation samples together."""
        X, Y = np.concatenate([X, X_validation]), np.concatenate([Y, Y_validation])
        double = len(X) <= _DOUBLE_PRECISION_SAMPLES
        self.dtype = torch.float64 if double else torch.float32
        self.held_out = np.full(Y.shape, np.nan)
        dual = np.zeros(Y.shape[::-1])
        self.basis, self.carries = X, np.zeros(dual.shape, dtype=bool)
        measured = ~np.isnan(Y)
        self.mean = np.where(measured, Y, 0).sum(axis=0) / np.maximum(measured.sum(axis=0), 1)
        Y = Y - self.mean
        tied = None
        if len(X) < _SAMPLES_A_LOCUS * X.shape[1]:
            tied = learn_tied_kernels(X, Y, seed=seed)
            self.kernels = tied.kernels
        for t in range(len(self.kernels)):
            rows = np.flatnonzero(measured[:, t])
            if not len(rows) or np.ptp(Y[rows, t]) == 0:
                self.held_out[rows, t] = 0
                continue
            A, y = self._tensor(X[rows]), self._tensor(Y[rows, t])
            if tied is None:
                self.kernels[t] = self._learned(A, y, seed=seed)
            basis, weights, left_out, errors = self._condition(
                self.kernels[t].to(self.dtype), A, y, seed=seed
            )
            self.carries[t, rows[basis]], dual[t, rows[basis]] = True, weights
            if tied is None:
                self.held_out[rows[left_out], t] = errors
            else:
                kernels = [of_traits[t] for of_traits in tied.fold_kernels]
                fold = tied.fold[rows]
                self.held_out[rows, t] = fold_errors(kernels, A.float(), y.float(), fold=fold)
        for kernel in self.kernels:
            kernel.to(self.dtype)
        used = self.carries.any(axis=0)
        self.basis, self.carries, self.dual = X[used], self.carries[:, used], dual[:, used]

    def _learned(self, A: Tensor, y: Tensor, *, seed: int) -> Kernel:
        kernel = Kernel(additive_effects(A, y))
        learn_kernel(kernel, A, y, subset=self.config.subset, steps=self.config.steps, seed=seed)
        return kernel

    def _condition(
        self, kernel: Kernel, A: Tensor, y: Tensor, *, seed: int
    ) -> tuple[Rows, Array, Rows, Float64]:
        """Return which samples carry the predictions, and their weights.

        And which samples were left out, and their errors over their spread.
        """
        n, limit = len(A), self.config.exact_up_to
        order = np.arange(n)
        if n > min(limit, _MOST_LEFT_OUT):
            order = np.random.default_rng(seed).permutation(n)
        if n <= limit:
            last = order[-_MOST_LEFT_OUT:]
            exact = solve(kernel, A[order], y[order], n_left_out=len(last))
            return order, exact.dual, last, exact.residual / left_out_spread(kernel, A, of=last)
        basis = np.sort(order[: min(self.config.inducing, limit)])
        others = order[len(basis) :][:_MOST_LEFT_OUT]
        given = A[basis]
        bounded = solve_inducing(kernel, A, y, given)
        errors = bounded.residual[others] / spread(kernel, A[others], given=given)
        return basis, bounded.dual, others, errors

    def predict(self, X: Array) -> Float64:
        """Return predictions (n, T) for coded genotypes (n, L)."""
        predicted = np.tile(self.mean, (len(X), 1))
        for t, kernel in enumerate(self.kernels):
            rows = self.carries[t]
            basis, dual = self._tensor(self.basis[rows]), self._tensor(self.dual[t, rows])
            for part in blocks(len(X), len(basis)):
                predicted[part, t] += (kernel(self._tensor(X[part]), basis) @ dual).numpy()
        return predicted

    def spread(self, X: Array) -> Float64:
        """Return the standard deviation (n, T) that the model expects of new measurements."""
        found = np.ones((len(X), len(self.kernels)))
        for t, kernel in enumerate(self.kernels):
            if self.carries[t].any():
                given = self._tensor(self.basis[self.carries[t]])
                found[:, t] = spread(kernel, self._tensor(X), given=given)
        return found

    def _tensor(self, values: Array) -> Tensor:
        return torch.from_numpy(np.require(values, requirements=["C", "W"])).to(self.dtype)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return ``mean``, ``basis``, ``dual`` and the kernels' parameters, stacked."""
        state: dict[str, NDArray[Any]] = {
            "mean": self.mean,
            "basis": self.basis,
            "carries": self.carries.astype(np.uint8),
            "dual": self.dual,
        }
        tensors = [kernel.state_dict() for kernel in self.kernels]
        for name in tensors[0]:
            state[f"kernel.{name}"] = torch.stack([t[name] for t in tensors]).numpy()
        return state

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what ``state`` returned."""
        self.mean, self.basis, self.dual = state["mean"], state["basis"], state["dual"]
        self.carries = state["carries"].astype(bool)
        kernel_state = {
            name.removeprefix("kernel."): torch.from_numpy(np.array(array))
            for name, array in state.items()
            if name.startswith("kernel.")
        }
        self.dtype = kernel_state["log_noise"].dtype
        for t, kernel in enumerate(self.kernels):
            kernel.to(self.dtype)
            kernel.load_state_dict({name: array[t] for name, array in kernel_state.items()})
            kernel.requires_grad_(False)
