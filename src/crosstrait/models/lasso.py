"""The lasso of every trait on all loci: additive effects, most of them zero."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy import linalg
from threadpoolctl import threadpool_limits

from crosstrait.models.base import Array, Estimator, ModelConfig

Float64 = NDArray[np.float64]

# Penalties step down by a fifth, a few at a time, until the cross-validated error has risen.
_STEP = 0.8
_CHUNK = 5
_MOST_CHUNKS = 9
_TOLERANCE = 1e-4


class LassoConfig(ModelConfig):
    """Lasso regression, one penalty a trait, learned by cross-validation inside training.

    Attributes
    ----------
    folds
        Parts of the training samples; each is predicted from the others to choose the penalty.
    """

    type: Literal["lasso"] = "lasso"
    folds: int = Field(default=5, ge=2, le=20)

    def build(self, *, n_loci: int, n_traits: int) -> LassoEstimator:
        """Return the unfitted estimator."""
        return LassoEstimator(self, n_loci=n_loci, n_traits=n_traits)


@dataclass(frozen=True, kw_only=True, eq=False)
class LassoFit:
    """What cross-validated lasso regressions learned.

    Attributes
    ----------
    coef, intercept
        (T, L) effects per unit of coded genotype and (T,) predictions at coded genotype 0.
    penalty
        (T,) weight of the sum of absolute effects, per sample; infinite where nothing was learned.
    fold_coef, fold_intercept
        (K, T, L) and (K, T): the same without the samples of fold k, at the same penalty.
    """

    coef: Float64
    intercept: Float64
    penalty: Float64
    fold_coef: Float64
    fold_intercept: Float64

    def errors(self, X: Array, Y: Array, *, fold: NDArray[np.intp]) -> Float64:
        """Return the errors (N, T) of the effects that have not seen a sample's fold."""
        left = np.asarray(Y, dtype=np.float64).copy()
        for k, (coef, intercept) in enumerate(
            zip(self.fold_coef, self.fold_intercept, strict=True)
        ):
            left[fold == k] -= X[fold == k] @ coef.T + intercept
        return left


class LassoEstimator(Estimator):
    r"""One lasso a trait, over its own measured samples.

    Trait t minimises
    :math:`\frac{1}{2 n_t} \sum_{i \in O_t} (y_{it} - a_t - x_i b_t)^2 + \lambda_t |b_t|_1`. Where
    few loci carry most of a trait, as in a cross with large QTL, this predicts better than ridge,
    which spreads every effect over all linked loci.

    Attributes
    ----------
    coef, intercept, penalty
        As in `LassoFit`.

    References
    ----------
    Tibshirani 1996, J. R. Stat. Soc. B 58:267; for genomic prediction, Usai, Goddard and Hayes
    2009, Genetics Research 91:427.
    """

    def __init__(self, config: LassoConfig, *, n_loci: int, n_traits: int) -> None:
        self.config = config
        self.coef: Float64 = np.zeros((n_traits, n_loci))
        self.intercept: Float64 = np.zeros(n_traits)
        self.penalty: Float64 = np.full(n_traits, np.inf)

    def fit(
        self, X: Array, Y: Array, *, X_validation: Array, Y_validation: Array, seed: int
    ) -> None:
        """Learn from training and validation samples together."""
        X, Y = np.concatenate([X, X_validation]), np.concatenate([Y, Y_validation])
        fold = draw_folds(len(X), folds=self.config.folds, seed=seed)
        learned = fit_lasso(X, Y, fold=fold)
        self.coef, self.intercept = learned.coef, learned.intercept
        self.penalty = learned.penalty
        self.held_out = learned.errors(X, Y, fold=fold)

    def predict(self, X: Array) -> Float64:
        """Return predictions (n, T) for coded genotypes (n, L)."""
        return X @ self.coef.T + self.intercept

    def state(self) -> dict[str, NDArray[Any]]:
        """Return ``coef``, ``intercept`` and ``penalty``."""
        return {"coef": self.coef, "intercept": self.intercept, "penalty": self.penalty}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what ``state`` returned."""
        self.coef, self.intercept = state["coef"], state["intercept"]
        self.penalty = state["penalty"]


def draw_folds(n_samples: int, *, folds: int, seed: int) -> NDArray[np.intp]:
    """Return the fold (N,) of every sample; sizes differ by at most one."""
    order = np.random.default_rng(seed).permutation(n_samples)
    fold = np.empty(n_samples, dtype=np.intp)
    fold[order] = np.arange(n_samples) % folds
    return fold


def fit_lasso(X: Array, Y: Array, *, fold: NDArray[np.intp]) -> LassoFit:
    """Fit every trait, its penalty chosen by the error on held-out folds.

    Parameters
    ----------
    X
        (N, L) coded genotypes.
    Y
        (N, T) standardised traits; NaN is a cell without a measurement.
    fold
        (N,) fold of each sample, from 0.
    """
    n_traits = Y.shape[1]
    shared = _fold_moments(X, fold)
    threads = torch.get_num_threads()  # a worker's share of the cores

    def one(t: int) -> tuple[Float64, Float64, float]:
        return _fit_trait(X, np.asarray(Y[:, t], dtype=np.float64), fold, shared)

    # Coordinate descent leaves the interpreter lock; one matrix thread each is enough then.
    with threadpool_limits(limits=1), ThreadPoolExecutor(threads) as pool:
        done = list(pool.map(one, range(n_traits)))
    coef = np.stack([coef for coef, _, _ in done], axis=1)  # (K + 1, T, L)
    intercept = np.stack([intercept for _, intercept, _ in done], axis=1)
    return LassoFit(
        coef=coef[-1],
        intercept=intercept[-1],
        penalty=np.array([penalty for _, _, penalty in done]),
        fold_coef=coef[:-1],
        fold_intercept=intercept[:-1],
    )


@dataclass(frozen=True, eq=False)
class _Moments:
    """Sums over samples that a regression on them needs: n, X'1 (L,) and X'X (L, L)."""

    n: float
    total: Float64
    gram: Float64

    def __add__(self, other: _Moments) -> _Moments:
        return _Moments(self.n + other.n, self.total + other.total, self.gram + other.gram)

    def __sub__(self, other: _Moments) -> _Moments:
        return _Moments(self.n - other.n, self.total - other.total, self.gram - other.gram)


def _moments(X: Array) -> _Moments:
    rows = X.astype(np.float64)
    return _Moments(float(len(rows)), rows.sum(axis=0), rows.T @ rows)


def _fold_moments(X: Array, fold: NDArray[np.intp]) -> list[_Moments]:
    return [_moments(X[fold == k]) for k in range(int(fold.max()) + 1)]


def _fit_trait(
    X: Array, y: Float64, fold: NDArray[np.intp], shared: list[_Moments]
) -> tuple[Float64, Float64, float]:
    """Return effects (K + 1, L) and intercepts (K + 1,), the last of all folds, and the penalty."""
    measured = ~np.isnan(y)
    n_folds, n_loci = len(shared), X.shape[1]
    # Without two folds to compare there is no penalty to choose.
    if len(np.unique(fold[measured])) < 2 or np.ptp(y[measured]) == 0:
        level = float(y[measured].mean()) if measured.any() else 0.0
        return np.zeros((n_folds + 1, n_loci)), np.full(n_folds + 1, level), np.inf
    own = shared
    if not measured.all():
        own = [shared[k] - _moments(X[(fold == k) & ~measured]) for k in range(n_folds)]
    target = np.where(measured, y, 0.0)
    products = np.stack([target[fold == k] @ X[fold == k] for k in range(n_folds)])
    sums = np.array([target[fold == k].sum() for k in range(n_folds)])
    everyone = own[0]
    for part in own[1:]:
        everyone = everyone + part
    whole = _Path(everyone, products.sum(axis=0), sums.sum(), X, y, measured)
    paths = []
    for k, part in enumerate(own):
        if part.n == 0:
            paths.append(whole)
            continue
        product, total = products.sum(axis=0) - products[k], sums.sum() - sums[k]
        paths.append(_Path(everyone - part, product, total, X, y, measured & (fold != k)))
    coef, intercept = np.zeros((n_folds + 1, n_loci)), np.zeros(n_folds + 1)
    best_error, best_penalty = np.inf, np.inf
    penalties = whole.largest * _STEP ** np.arange(_CHUNK * _MOST_CHUNKS)
    for chunk in np.split(penalties, _MOST_CHUNKS):
        held_out = np.empty((len(y), _CHUNK))
        solved = [path.descend(chunk) for path in paths]
        for k, (effects, levels) in enumerate(solved):
            held_out[fold == k] = X[fold == k] @ effects + levels
        errors = ((held_out - target[:, None])[measured] ** 2).mean(axis=0)
        least = int(errors.argmin())
        if errors[least] < best_error:
            best_error, best_penalty = errors[least], chunk[least]
            for k, (effects, levels) in enumerate(solved):
                coef[k], intercept[k] = effects[:, least], levels[least]
        if least < _CHUNK - 1 and errors[-1] > best_error:
            break
    effects, levels = whole.descend(penalties[penalties >= best_penalty])
    coef[-1], intercept[-1] = effects[:, -1], levels[-1]
    return coef, intercept, float(best_penalty)


class _Path:
    """Lasso solutions at falling penalties, each started from the last."""

    def __init__(
        self,
        moments: _Moments,
        product: Float64,
        total: float,
        X: Array,
        y: Float64,
        samples: NDArray[np.bool_],
    ) -> None:
        self.n = moments.n
        self.mean, self.level = moments.total / moments.n, total / moments.n
        self.gram = moments.gram - np.outer(moments.total, self.mean)
        self.product = product - moments.total * self.level
        self.largest = max(float(np.abs(self.product).max()) / self.n, np.finfo(float).tiny)
        self.coef: Float64 | None = None
        if self.n <= len(self.mean):
            self.rows, self.target = X[samples] - self.mean, y[samples] - self.level
        else:
            # L rows with the moments of all N: the path is the same, N times cheaper.
            np.fill_diagonal(self.gram, self.gram.diagonal() * (1 + 1e-9) + 1e-12 * self.n)
            self.rows = linalg.cholesky(self.gram)
            self.target = linalg.solve_triangular(self.rows, self.product, trans="T")

    def descend(self, penalties: Array) -> tuple[Float64, Float64]:
        """Return effects (L, P) and intercepts (P,) at P falling penalties."""
        from sklearn.linear_model import lasso_path

        _, coef, _ = lasso_path(
            self.rows,
            self.target,
            alphas=penalties * self.n / len(self.rows),
            precompute=self.gram,
            Xy=self.product,
            coef_init=self.coef,
            tol=_TOLERANCE,
            max_iter=10_000,
        )
        self.coef = coef[:, -1].copy()
        return coef, self.level - self.mean @ coef
