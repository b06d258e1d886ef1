"""How far linkage reaches, and whether the samples fall into groups: estimates from a subset."""

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
_MOST_PC_LOCI = 500
_N_COMPONENTS = 10


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
    unlinked_r2
        The same for loci on different chromosomes; NaN if there is but one.
    n_samples
        Samples that this was estimated on.
    """

    distance_from: FloatArray
    distance_to: FloatArray
    n_pairs: NDArray[np.intp]
    mean_r2: FloatArray
    unlinked_r2: float
    n_samples: int

    def reach(self, r2: float) -> float:
        """Return the distance in base pairs from which on the mean r2 stays below ``r2``."""
        above = np.flatnonzero(self.mean_r2 >= r2)
        return float(self.distance_to[above[-1]]) if above.size else 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class StructureSummary:
    """How much of the genetic variance lies along few directions.

    Attributes
    ----------
    variance_share
        (k,) share of the variance of the standardised dosages along the first principal
        components.
    n_samples, n_loci
        The subset that this was estimated on.
    """

    variance_share: FloatArray
    n_samples: int
    n_loci: int


def summarise_linkage(panel: Panel) -> LinkageSummary | None:
    """Estimate the decay of linkage with distance; None where no two loci have a place."""
    contigs, positions = panel["variant_contig"].values, panel["variant_position"].values
    placed = np.flatnonzero(positions >= 0)
    if len(placed) < 2:
        return None
    calls, rows = panel["call_dosage"].values, _some_samples(panel)
    anchors = placed[np.unique(np.linspace(0, len(placed) - 1, _MOST_ANCHORS).astype(np.intp))]
    sums, n_pairs = np.zeros(len(DISTANCE_EDGES)), np.zeros(len(DISTANCE_EDGES), dtype=np.intp)
    for contig in np.unique(contigs[anchors]):
        here, there = anchors[contigs[anchors] == contig], placed[contigs[placed] == contig]
        r2 = _r2(calls, rows, here, there)
        distance = np.abs(positions[here][:, None] - positions[there][None, :])
        usable = ~np.isnan(r2) & (here[:, None] != there[None, :])
        classes = np.searchsorted(DISTANCE_EDGES, np.maximum(distance, 1)[usable], side="right") - 1
        sums += np.bincount(classes, weights=r2[usable], minlength=len(sums))
        n_pairs += np.bincount(classes, minlength=len(sums))
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
        unlinked_r2=float(across.mean()) if across.size else float("nan"),
        n_samples=len(rows),
    )


def summarise_structure(panel: Panel) -> StructureSummary:
    """Estimate the variance along the first principal components of the genotypes."""
    calls, rows = panel["call_dosage"].values, _some_samples(panel)
    n_loci = calls.shape[1]
    loci = np.unique(np.linspace(0, n_loci - 1, _MOST_PC_LOCI).astype(np.intp))
    unit = _unit(calls, rows, loci)
    unit = unit[:, ~np.isnan(unit).any(axis=0)]
    small = unit @ unit.T if len(unit) < unit.shape[1] else unit.T @ unit
    variance = np.linalg.eigvalsh(small)[::-1] if small.size else np.zeros(1)
    total = max(float(variance.sum()), 1e-12)
    return StructureSummary(
        variance_share=np.maximum(variance[:_N_COMPONENTS], 0) / total,
        n_samples=len(rows),
        n_loci=unit.shape[1],
    )


def _some_samples(panel: Panel) -> NDArray[np.intp]:
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
    r = _unit(calls, rows, here).T @ _unit(calls, rows, there)
    squared: FloatArray = np.square(r, dtype=np.float64)
    return squared


def _unit(
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
