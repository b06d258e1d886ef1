"""How far linkage reaches: an estimate from a subset of samples and loci."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstrait.panel.schema import Panel

FloatArray = NDArray[np.floating[Any]]

DISTANCE_EDGES = np.array([1, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7, 3e7, 1e8, np.inf])
"""Bounds of the distance classes in base pairs; each class holds its lower bound."""

_MOST_SAMPLES = 2000
_MOST_ANCHORS = 400
_R2_BINS = 400


@dataclass(frozen=True, kw_only=True, eq=False)
class LinkageSummary:
    """Squared correlation of dosages by distance on a chromosome.

    Attributes
    ----------
    distance_from, distance_to
        (B,) bounds of the distance classes in base pairs; classes without pairs are left out.
    n_pairs
        (B,) pairs of loci looked at.
    mean_r2
        (B,) mean squared correlation of these pairs.
    low_r2, high_r2
        (B,) 10 % and 90 % quantiles of these pairs, to 1/400.
    unlinked_r2
        The same for loci on different chromosomes; NaN if there is but one.
    n_samples
        Samples that this was estimated on.
    """

    distance_from: FloatArray
    distance_to: FloatArray
    n_pairs: NDArray[np.intp]
    mean_r2: FloatArray
    low_r2: FloatArray
    high_r2: FloatArray
    unlinked_r2: float
    n_samples: int

    def reach(self, r2: float) -> float:
        """Return the distance in base pairs from which on the mean r2 stays below ``r2``."""
        above = np.flatnonzero(self.mean_r2 >= r2)
        return float(self.distance_to[above[-1]]) if above.size else 0.0


def summarise_linkage(panel: Panel) -> LinkageSummary | None:
    """Estimate the decay of linkage with distance; None where no two loci have a place."""
    contigs, positions = panel["variant_contig"].values, panel["variant_position"].values
    placed = np.flatnonzero(positions >= 0)
    if len(placed) < 2:
        return None
    calls, rows = panel["call_dosage"].values, some_samples(panel)
    anchors = placed[np.unique(np.linspace(0, len(placed) - 1, _MOST_ANCHORS).astype(np.intp))]
    sums = np.zeros(len(DISTANCE_EDGES))
    counts = np.zeros((len(DISTANCE_EDGES), _R2_BINS), dtype=np.intp)
    for contig in np.unique(contigs[anchors]):
        here, there = anchors[contigs[anchors] == contig], placed[contigs[placed] == contig]
        r2 = _r2(calls, rows, here, there)
        distance = np.abs(positions[here][:, None] - positions[there][None, :])
        usable = ~np.isnan(r2) & (here[:, None] != there[None, :])
        classes = np.searchsorted(DISTANCE_EDGES, np.maximum(distance, 1)[usable], side="right") - 1
        sums += np.bincount(classes, weights=r2[usable], minlength=len(sums))
        bins = np.minimum((_R2_BINS * r2[usable]).astype(np.intp), _R2_BINS - 1)
        counts += np.bincount(classes * _R2_BINS + bins, minlength=counts.size).reshape(
            counts.shape
        )
    n_pairs = counts.sum(axis=1)
    seen = np.flatnonzero(n_pairs)
    if not seen.size:
        return None
    apart = contigs[anchors][:, None] != contigs[anchors][None, :]
    across = _r2(calls, rows, anchors, anchors)[apart]
    across = across[~np.isnan(across)]
    return LinkageSummary(
        distance_from=np.where(seen == 0, 0, DISTANCE_EDGES[seen]),
        distance_to=DISTANCE_EDGES[seen + 1],
        n_pairs=n_pairs[seen],
        mean_r2=sums[seen] / n_pairs[seen],
        low_r2=_quantiles(counts[seen], 0.1),
        high_r2=_quantiles(counts[seen], 0.9),
        unlinked_r2=float(across.mean()) if across.size else float("nan"),
        n_samples=len(rows),
    )


def _quantiles(counts: NDArray[np.intp], level: float) -> FloatArray:
    """Return the middle of the bin that holds the quantile, of each row of a histogram."""
    reached = np.cumsum(counts, axis=1) >= level * counts.sum(axis=1)[:, None]
    middle: FloatArray = (reached.argmax(axis=1) + 0.5) / counts.shape[1]
    return middle


def some_samples(panel: Panel) -> NDArray[np.intp]:
    """Return rows of at most 2,000 samples, always the same."""
    n_samples = panel.sizes["samples"]
    chosen = np.random.default_rng(0).permutation(n_samples)[:_MOST_SAMPLES]
    return np.sort(chosen).astype(np.intp)


def _r2(
    calls: NDArray[Any],
    rows: NDArray[np.intp],
    here: NDArray[np.intp],
    there: NDArray[np.intp],
) -> FloatArray:
    """Return (len(here), len(there)) squared correlations, NaN for loci that do not vary."""
    r = standardised(calls, rows, here).T @ standardised(calls, rows, there)
    squared: FloatArray = np.square(r, dtype=np.float64)
    return squared


def standardised(
    calls: NDArray[Any], rows: NDArray[np.intp], loci: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Return centred dosages (n, K) of unit length, holes at the mean; NaN without variance."""
    dosage = calls[np.ix_(rows, loci)].astype(np.float32)
    missing = np.isnan(dosage)
    n_called = np.maximum(len(rows) - missing.sum(axis=0), 1)
    dosage -= np.nansum(dosage, axis=0) / n_called.astype(np.float32)
    dosage[missing] = 0
    length = np.sqrt(np.sum(np.square(dosage), axis=0))
    # Rounding leaves a constant locus some 1e-7 of its dosage.
    dosage /= np.where(length > 1e-4, length, np.nan)
    return dosage
