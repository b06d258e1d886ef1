"""Sparse attention of loci to loci: which pairs interact, and how strongly, for every trait."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from crosstrait.models.base import Array
from crosstrait.models.pair_lasso import PairEffects, Pairs, fit_pair_lasso

Float64 = NDArray[np.float64]
Indices = NDArray[np.intp]

# Above, the loci with the largest additive effects may interact: L^2 scores a trait are computed.
_MOST_LOCI = 2000
_ROWS = 4096


@dataclass(frozen=True, kw_only=True, eq=False)
class PairAttention:
    r"""Signed attention weights of pairs of loci.

    Trait t of a sample changes by
    :math:`a_t + \sum_{(l, m)} A_{t,lm} (x_l - \bar x_l)(x_m - \bar x_m)`: what locus l does
    depends on the partners m that it attends to.

    Attributes
    ----------
    centre
        (L,) mean coded genotypes.
    pairs
        (P, 2) loci of each pair, the lower first.
    weight
        (K, T, P) weights A, learned without the samples of fold k; most are 0.
    intercept
        (K, T) levels a.
    """

    centre: Float64
    pairs: Indices
    weight: Float64
    intercept: Float64

    def members(self, X: Array) -> Float64:
        """Return the outputs (K, n, T) for coded genotypes (n, L)."""
        n_folds, n_traits, n_pairs = self.weight.shape
        weight = self.weight.reshape(n_folds * n_traits, n_pairs).T
        outputs = np.empty((n_folds, len(X), n_traits))
        for start in range(0, len(X), _ROWS):
            rows = X[start : start + _ROWS] - self.centre
            block = (rows[:, self.pairs[:, 0]] * rows[:, self.pairs[:, 1]]) @ weight
            split = block.reshape(len(rows), n_folds, n_traits)
            outputs[:, start : start + _ROWS] = split.transpose(1, 0, 2)
        outputs += self.intercept[:, None]
        return outputs


def fit_pair_attention(
    X: Array, left: Array, *, fold: Indices, importance: Array, n_pairs: int
) -> PairAttention:
    r"""Learn which pairs of loci explain what additive effects leave of the traits.

    Three steps for each fold k, from the samples outside it. The ``n_pairs`` pairs with the
    largest :math:`\sum_t (\sum_i \tilde x_{il} \tilde x_{im} r_{it})^2 / n_t` are looked at. A
    lasso of each trait on their products finds those that count. A second lasso sees every pair
    in proportion to :math:`\sum_t |A_{t,lm}|` of the first, so that the traits settle together
    who attends to whom, and what is left hardly shrinks. The penalty of a trait is the one with
    the least error on the samples that were left out.

    Parameters
    ----------
    X
        (N, L) coded genotypes.
    left
        (K, N, T) what the additive effects without fold k leave of each trait; NaN in holes.
    fold
        (N,) fold of each sample, from 0 to K - 1.
    importance
        (L,) sizes of additive effects; only the 2,000 loci with the largest are paired.
    n_pairs
        Most pairs that a fold looks at; at most half as many as it has samples.

    References
    ----------
    Choice by products: Fan and Lv 2008, J. R. Stat. Soc. B 70:849. The second lasso: Zou 2006,
    J. Am. Stat. Assoc. 101:1418.
    """
    n_folds, n_samples, _ = left.shape
    loci = np.sort(np.argsort(-importance, kind="stable")[:_MOST_LOCI])
    centre = X.mean(axis=0, dtype=np.float64)
    rows = X[:, loci].astype(np.float32) - centre[loci].astype(np.float32)
    unseen = left[fold, np.arange(n_samples)]
    unseen = np.nan_to_num(unseen) / np.sqrt(np.maximum((~np.isnan(unseen)).sum(axis=0), 1))
    most = min(n_pairs, (n_samples - n_samples // n_folds) // 2)
    seen = _screen(rows, unseen.astype(np.float32), fold, most=most)
    found = fit_pair_lasso(rows, left, fold=fold, pairs=seen)
    kept = [_weighed(pairs, effects) for pairs, effects in zip(seen, found, strict=True)]
    found = fit_pair_lasso(rows, left, fold=fold, pairs=kept)
    # Every fold has its own pairs; in the end all have the pairs of all.
    union, place = np.unique(
        np.concatenate([pairs.loci for pairs in kept]), axis=0, return_inverse=True
    )
    weight = np.zeros((n_folds, left.shape[2], len(union)))
    start = 0
    for k, effects in enumerate(found):
        stop = start + effects.weight.shape[1]
        weight[k][:, place[start:stop]] = effects.weight
        start = stop
    used = np.flatnonzero((weight != 0).any(axis=(0, 1)))
    return PairAttention(
        centre=centre,
        pairs=loci[union[used]],
        weight=weight[:, :, used],
        intercept=np.stack([effects.intercept for effects in found]),
    )


def _weighed(pairs: Pairs, effects: PairEffects) -> Pairs:
    """Return the pairs that affect any trait, scaled by their effects on all."""
    size = np.abs(effects.weight).sum(axis=0)
    used = np.flatnonzero(size)
    return Pairs(loci=pairs.loci[used], scale=size[used] / size.max(initial=0.0))


def _screen(rows: Array, unseen: Array, fold: Indices, *, most: int) -> list[Pairs]:
    """Return, for each fold, the pairs that the traits point at outside it.

    ``unseen`` (N, T) is what effects learned without a sample leave of it, 0 in holes.
    """
    n_folds, n_loci = int(fold.max()) + 1, rows.shape[1]
    score = torch.zeros(n_folds, n_loci, n_loci)
    parts = [
        (torch.from_numpy(rows[fold == k]), torch.from_numpy(unseen[fold == k]))
        for k in range(n_folds)
    ]
    for t in range(unseen.shape[1]):
        own = torch.stack([part.T @ (part * target[:, t, None]) for part, target in parts])
        score += (own.sum(dim=0) - own).square_()
    lower, upper = np.triu_indices(n_loci, k=1)
    score = score[:, torch.from_numpy(lower), torch.from_numpy(upper)]
    best = score.topk(min(most, len(lower)), dim=1).indices.sort(dim=1).values.numpy()
    return [
        Pairs(loci=np.stack([lower[own], upper[own]], axis=1), scale=np.ones(len(own)))
        for own in best
    ]
