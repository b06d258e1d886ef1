"""The lasso of every trait on products of two loci, from sums that grow with pairs, not samples."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import linalg
from threadpoolctl import threadpool_limits

from crosstrait.models.base import Array

Float64 = NDArray[np.float64]
Indices = NDArray[np.intp]

_ROWS = 4096
# Penalties step down by a fifth, a few at a time, until the cross-validated error has risen.
_STEP = 0.8
_CHUNK = 5
_MOST_CHUNKS = 6
_TOLERANCE = 1e-3
# Part of its mean square that is added to each pair's variance, since linked pairs can be copies.
_RIDGE = 1e-4


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Pairs of loci, each with a scale of its own.

    Attributes
    ----------
    loci
        (P, 2) loci of each pair.
    scale
        (P,) factors of the products: the larger, the less a lasso's penalty weighs on the pair.
    """

    loci: Indices
    scale: Float64

    def products(self, rows: Array) -> Array:
        """Return the scaled products (n, P) for centred genotypes (n, L)."""
        made: Array = rows[:, self.loci[:, 0]] * rows[:, self.loci[:, 1]]
        return made * self.scale.astype(made.dtype)


@dataclass(frozen=True, kw_only=True, eq=False)
class PairEffects:
    """What the lassos of one fold learned without its samples.

    Attributes
    ----------
    weight, intercept
        (T, P) effects per unit of the product, the pair's scale included, and (T,) levels.
    """

    weight: Float64
    intercept: Float64


def fit_pair_lasso(
    rows: Array, left: Array, *, fold: Indices, pairs: list[Pairs]
) -> list[PairEffects]:
    """Fit every trait on the products of pairs, its penalty chosen by the held-out folds together.

    Parameters
    ----------
    rows
        (N, L) centred genotypes.
    left
        (K, N, T) target of the lassos that do not see fold k; NaN in holes.
    fold
        (N,) fold of each sample, from 0 to K - 1.
    pairs
        K sets of pairs.
    """
    n_folds, _, n_traits = left.shape
    learn = [np.flatnonzero(fold != k) for k in range(n_folds)]
    held = [np.flatnonzero(fold == k) for k in range(n_folds)]
    sums = [
        (_Sums.of(rows, own, learn[k]), _Sums.of(rows, own, held[k])) for k, own in enumerate(pairs)
    ]
    filled = np.nan_to_num(left)
    targets = [
        (_Targets.of(rows, own, learn[k], filled[k]), _Targets.of(rows, own, held[k], filled[k]))
        for k, own in enumerate(pairs)
    ]
    hole = np.isnan(left[0])  # (N, T)
    threads = torch.get_num_threads()  # a worker's share of the cores

    def path(k: int, t: int) -> _Path:
        within, without = (
            every.where_measured(rows, pairs[k], samples, hole[samples, t])
            for every, samples in zip(sums[k], (learn[k], held[k]), strict=True)
        )
        return _Path(within, targets[k][0], without, targets[k][1], trait=t)

    def one(t: int) -> list[tuple[Float64, float]]:
        return _least_error([path(k, t) for k in range(n_folds)])

    # Coordinate descent leaves the interpreter lock; one matrix thread each is enough then.
    with threadpool_limits(limits=1), ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(one, range(n_traits)))
    return [
        PairEffects(
            weight=np.stack([trait[k][0] for trait in found]) * own.scale,
            intercept=np.array([trait[k][1] for trait in found]),
        )
        for k, own in enumerate(pairs)
    ]


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over n samples of the products (P,) of pairs, and of those times each other (P, P)."""

    n: int
    total: Float64
    gram: Float64

    @classmethod
    def of(cls, rows: Array, pairs: Pairs, samples: Indices) -> _Sums:
        n_pairs = len(pairs.loci)
        total, gram = np.zeros(n_pairs), np.zeros((n_pairs, n_pairs))
        for some in _blocks(samples):
            block = pairs.products(rows[some])
            total += block.sum(axis=0, dtype=np.float64)
            gram += block.T @ block
        return cls(len(samples), total, gram)

    def where_measured(
        self, rows: Array, pairs: Pairs, samples: Indices, hole: NDArray[np.bool_]
    ) -> _Sums:
        """Return the sums over those of ``samples`` that are no hole; these are over all."""
        if 2 * hole.sum() > len(samples):  # a small difference of large sums would be noise
            return _Sums.of(rows, pairs, samples[~hole])
        if not hole.any():
            return self
        gone = _Sums.of(rows, pairs, samples[hole])
        return _Sums(self.n - gone.n, self.total - gone.total, self.gram - gone.gram)


@dataclass(frozen=True, eq=False)
class _Targets:
    """Sums over samples of traits r: of r (T,), of r r (T,), and of r times the products (T, P)."""

    total: Float64
    square: Float64
    product: Float64

    @classmethod
    def of(cls, rows: Array, pairs: Pairs, samples: Indices, traits: Array) -> _Targets:
        product = np.zeros((traits.shape[1], len(pairs.loci)))
        for some in _blocks(samples):
            product += traits[some].T.astype(rows.dtype) @ pairs.products(rows[some])
        own = traits[samples]
        return cls(own.sum(axis=0), (own**2).sum(axis=0), product)


def _blocks(samples: Indices) -> list[Indices]:
    return np.split(samples, range(_ROWS, len(samples), _ROWS))


class _Path:
    """Lasso solutions of a trait at falling penalties, and their errors on held-out samples."""

    def __init__(
        self, sums: _Sums, targets: _Targets, held: _Sums, held_targets: _Targets, *, trait: int
    ) -> None:
        self.n = max(sums.n, 1)
        self.mean, self.level = sums.total / self.n, float(targets.total[trait]) / self.n
        self.product = targets.product[trait] - sums.total * self.level
        self.gram = sums.gram - np.outer(sums.total, self.mean)
        ridge = _RIDGE * sums.gram.diagonal() + 1e-9
        np.fill_diagonal(self.gram, self.gram.diagonal() + ridge)
        self.largest = float(np.abs(self.product).max(initial=0.0)) / self.n
        self.held, self.held_targets, self.trait = held, held_targets, trait
        self.coef: Float64 | None = None

    @cached_property
    def root(self) -> Float64:
        """P rows with the moments of all samples: the path is the same, and cheaper."""
        return np.asfortranarray(linalg.cholesky(self.gram))

    def descend(self, penalties: Array) -> tuple[Float64, Float64]:
        """Return effects (P, S) and levels (S,) at S falling penalties."""
        from sklearn.linear_model import lasso_path

        if not len(self.mean):
            return np.zeros((0, len(penalties))), np.full(len(penalties), self.level)
        _, coef, _ = lasso_path(
            self.root,
            linalg.solve_triangular(self.root, self.product, trans="T"),
            alphas=penalties * self.n / len(self.root),
            precompute=self.gram,
            Xy=self.product,
            coef_init=self.coef,
            tol=_TOLERANCE,
            max_iter=10_000,
            check_input=False,  # would copy the P^2 numbers at every penalty
        )
        self.coef = coef[:, -1].copy()
        return coef, self.level - self.mean @ coef

    def error(self, coef: Float64, level: Float64) -> Float64:
        """Return the sums of squared errors (S,) on the held-out samples."""
        held, targets, t = self.held, self.held_targets, self.trait
        squared: Float64 = (
            targets.square[t]
            - 2 * (level * targets.total[t] + targets.product[t] @ coef)
            + held.n * level**2
            + 2 * level * (held.total @ coef)
            + ((held.gram @ coef) * coef).sum(axis=0)
        )
        return squared


def _least_error(paths: list[_Path]) -> list[tuple[Float64, float]]:
    """Return the effects (P,) and the level of each fold at the penalty that predicts best."""
    largest = max(path.largest for path in paths)
    solved = [(np.zeros((len(path.mean), 1)), np.array([path.level])) for path in paths]
    best = [(coef[:, 0], path.level) for path, (coef, _) in zip(paths, solved, strict=True)]
    if largest == 0:
        return best
    least = sum(float(path.error(*own)[0]) for path, own in zip(paths, solved, strict=True))
    penalties = largest * _STEP ** np.arange(1, 1 + _CHUNK * _MOST_CHUNKS)
    for chunk in np.split(penalties, _MOST_CHUNKS):
        solved = [path.descend(chunk) for path in paths]
        errors = np.sum([path.error(*own) for path, own in zip(paths, solved, strict=True)], axis=0)
        lowest = int(np.argmin(errors))
        if errors[lowest] < least:
            least = float(errors[lowest])
            best = [(coef[:, lowest], float(level[lowest])) for coef, level in solved]
        if lowest < _CHUNK - 1 and errors[-1] > least:
            break
    return best
