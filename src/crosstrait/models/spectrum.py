"""Eigendecompositions that serve every ridge regression on the same genotypes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from crosstrait.models.base import Array

Float64 = NDArray[np.float64]
Rows = NDArray[np.intp]

_BLOCK_CELLS = 1 << 23


class Gram:
    """The Gram matrix of the centred genotypes of some samples, over loci or over samples.

    Attributes
    ----------
    samples
        (N,) rows of X, ascending.
    mean
        (L,) mean coded genotype of those samples.
    over_loci
        Whether the matrix is the smaller one over loci, as it is where L < N.
    matrix
        (L, L) or (N, N).
    scale
        Size of the numbers that the matrix was made of, whose rounding errors are in it: 1, as
        of genotypes, or the trace of the matrix that it is a part of.
    """

    def __init__(self, X: Array, samples: Rows) -> None:
        n_samples, n_loci = len(samples), X.shape[1]
        self.X, self.samples = X, samples
        self.over_loci = n_loci < n_samples
        self.mean = np.zeros(n_loci)
        for _, rows in row_blocks(X, samples=samples):
            self.mean += rows.sum(axis=0) / n_samples
        self.matrix = np.zeros(2 * (min(n_samples, n_loci),))
        self.scale = 1.0
        if self.over_loci:
            for _, rows in row_blocks(X, samples=samples, mean=self.mean):
                self.matrix += rows.T @ rows
        else:
            step = max(1, _BLOCK_CELLS // n_samples)
            for start in range(0, n_loci, step):
                loci = slice(start, start + step)
                columns = X[samples, loci] - self.mean[loci]
                self.matrix += columns @ columns.T

    def only(self, observed: Rows, *, missing: Rows) -> Gram:
        """Return the Gram matrix of ``observed``: these samples but ``missing``."""
        n_observed = len(observed)
        if self.over_loci != (len(self.mean) < n_observed):
            return Gram(self.X, observed)
        if self.over_loci and len(missing) > n_observed:
            return Gram(self.X, observed)
        part = copy.copy(self)
        part.samples = observed
        part.scale = max(self.scale, float(np.trace(self.matrix)))
        if self.over_loci:
            part.matrix = self.matrix.copy()
            total = np.zeros(len(self.mean))
            for _, rows in row_blocks(self.X, samples=missing, mean=self.mean):
                part.matrix -= rows.T @ rows
                total -= rows.sum(axis=0)
            part.matrix -= np.outer(total, total / n_observed)
            part.mean = self.mean + total / n_observed
        else:
            at = np.searchsorted(self.samples, observed)
            part.matrix = self.matrix[np.ix_(at, at)]
            mean = part.matrix.mean(axis=0)
            part.matrix = part.matrix - mean - mean[:, None] + mean.mean()
            part.mean = self.X[observed].mean(axis=0, dtype=np.float64)
        return part

    def spectrum(self) -> Spectrum:
        """Return the eigenvalues above rounding error and their eigenvectors."""
        values, vectors = linalg.eigh(self.matrix, driver="evd")
        floor = max(len(self.samples), len(self.mean)) * np.finfo(np.float64).eps
        kept = values > floor * max(values[-1], self.scale)
        return Spectrum(gram=self, values=values[kept], vectors=vectors[:, kept])


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """The relationship matrix K = U diag(d) U' of N samples.

    Attributes
    ----------
    gram
        What was decomposed.
    values
        (r,) the nonzero eigenvalues d, ascending.
    vectors
        (N, r) U itself; (L, r) the eigenvectors V over loci, U = X V / sqrt(d), where
        ``gram.over_loci``.
    """

    gram: Gram
    values: Float64
    vectors: Float64

    def left(self, samples: Rows) -> Float64:
        """Return the rows (n, r) of U that belong to ``samples``."""
        if not self.gram.over_loci:
            return self.vectors[np.searchsorted(self.gram.samples, samples)]
        centred = self.gram.X[samples] - self.gram.mean
        return (centred @ self.vectors) / np.sqrt(self.values)

    def project(self, values: Float64) -> Float64:
        """Return U' values (r, T) of ``values`` (N, T)."""
        if not self.gram.over_loci:
            return self.vectors.T @ values
        products = np.zeros((len(self.gram.mean), values.shape[1]))
        blocks = row_blocks(self.gram.X, samples=self.gram.samples, mean=self.gram.mean)
        for part, rows in blocks:
            products += rows.T @ values[part]
        return (self.vectors.T @ products) / np.sqrt(self.values)[:, None]

    def expand(self, weights: Float64) -> Float64:
        """Return U weights (N, T) of ``weights`` (r, T)."""
        if not self.gram.over_loci:
            return self.vectors @ weights
        loci = self.vectors @ (weights / np.sqrt(self.values)[:, None])
        expanded = np.empty((len(self.gram.samples), weights.shape[1]))
        blocks = row_blocks(self.gram.X, samples=self.gram.samples, mean=self.gram.mean)
        for part, rows in blocks:
            expanded[part] = rows @ loci
        return expanded

    def effects(self, weights: Float64) -> Float64:
        """Return X' U weights (L, T) of ``weights`` (r, T)."""
        if self.gram.over_loci:
            return self.vectors @ (np.sqrt(self.values)[:, None] * weights)
        dual = self.vectors @ weights
        effects = np.zeros((len(self.gram.mean), weights.shape[1]))
        blocks = row_blocks(self.gram.X, samples=self.gram.samples, mean=self.gram.mean)
        for part, rows in blocks:
            effects += rows.T @ dual[part]
        return effects


def row_blocks(
    X: Array, *, samples: Rows | None = None, mean: Any = 0.0
) -> Iterator[tuple[slice, Float64]]:
    """Yield (place, rows - mean) in double precision, so that no copy grows with N."""
    n_rows = len(X) if samples is None else len(samples)
    step = max(1, _BLOCK_CELLS // max(1, X.shape[1]))
    for start in range(0, n_rows, step):
        part = slice(start, start + step)
        rows = X[part] if samples is None else X[samples[part]]
        yield part, rows.astype(np.float64) - mean
