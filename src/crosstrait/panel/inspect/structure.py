"""Whether the samples are relatives or fall into groups: estimates from a subset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.linalg import eigh

from crosstrait.genotypes.table import StringArray
from crosstrait.panel.inspect.linkage import some_samples, standardised
from crosstrait.panel.schema import Panel

FloatArray = NDArray[np.floating[Any]]

_MOST_LOCI = 2000
_N_COMPONENTS = 10
_N_BINS = 60
_N_CLOSEST = 10
_ONE_SD_BELOW = 0.1587  # of a normal distribution, this share lies more than one SD below the mean
_RELATED_SD = 5
_FEWEST_RELATIVES = 3
_FEWEST_SAMPLES = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class StructureSummary:
    """How alike the samples are, from the genomic relationship matrix G = Z Z' / K.

    Z (n, K) holds dosages standardised locus by locus over the samples, so that a sample has 1
    with itself on average and the average pair of samples has about 0.

    Attributes
    ----------
    variance_share
        (k,) share of the variance along the first principal components.
    scores
        (n, k) samples on these components, in units of the standardised dosage's variance; the
        sign of a component is such that its largest score is positive.
    sample_id, sample_group
        (n,) names, and groups where the panel names any ("" otherwise), of the rows of ``scores``.
    relationship_edges, relationship_counts
        (B + 1,), (B,) histogram of the relationships of all pairs of different samples.
    closest
        The most related pairs: sample, sample, relationship.
    clusters
        Sizes of the clusters of relatives, such as families, largest first; none where the
        samples do not fall into clusters, as those of one cross.
    n_samples, n_loci
        The subset that this was estimated on: at most 2,000 samples and 2,000 loci, always the
        same.
    """

    variance_share: FloatArray
    scores: FloatArray
    sample_id: StringArray
    sample_group: StringArray
    relationship_edges: FloatArray
    relationship_counts: NDArray[np.intp]
    closest: tuple[tuple[str, str, float], ...]
    clusters: tuple[int, ...]
    n_samples: int
    n_loci: int


def summarise_structure(panel: Panel) -> StructureSummary:
    """Estimate relationships and principal components of the genotypes."""
    calls, rows = panel["call_dosage"].values, some_samples(panel)
    loci = np.unique(np.linspace(0, calls.shape[1] - 1, _MOST_LOCI).astype(np.intp))
    unit = standardised(calls, rows, loci)
    unit = unit[:, ~np.isnan(unit).any(axis=0)]
    names = panel["sample_id"].values[rows].astype(np.str_)
    groups = panel["sample_group"].values[rows] if "sample_group" in panel else [""] * len(rows)
    share, scores = principal_components(unit, most=_N_COMPONENTS)
    edges, counts, closest, clusters = _relationships(unit, names)
    return StructureSummary(
        variance_share=share,
        scores=scores,
        sample_id=names,
        sample_group=np.asarray(groups, dtype=np.str_),
        relationship_edges=edges,
        relationship_counts=counts,
        closest=closest,
        clusters=clusters,
        n_samples=len(rows),
        n_loci=unit.shape[1],
    )


def principal_components(unit: NDArray[np.float32], *, most: int) -> tuple[FloatArray, FloatArray]:
    """Return the first principal components of standardised dosages.

    Parameters
    ----------
    unit
        (n, K) centred columns of unit length.
    most
        How many components.

    Returns
    -------
    variance_share
        (k,) share of the variance of each, k at most ``most``.
    scores
        (n, k) scores, whose squares sum to n times the share.
    """
    n, n_loci = unit.shape
    if not n_loci:
        return np.zeros(1), np.zeros((n, 1))
    wide = n < n_loci
    small = (unit @ unit.T if wide else unit.T @ unit).astype(np.float64)
    size, k = len(small), min(most, len(small))
    values, vectors = eigh(small, subset_by_index=(size - k, size - 1))
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    share = values / max(float(np.trace(small)), 1e-12)
    scores = vectors * np.sqrt(values) if wide else unit @ vectors
    scores = scores * np.sqrt(n / n_loci)
    largest = scores[np.abs(scores).argmax(axis=0), np.arange(k)]
    return share, scores * np.where(largest < 0, -1.0, 1.0)


def _relationships(
    unit: NDArray[np.float32], names: StringArray
) -> tuple[FloatArray, NDArray[np.intp], tuple[tuple[str, str, float], ...], tuple[int, ...]]:
    n, n_loci = unit.shape
    if not n_loci:
        return np.zeros(1), np.zeros(0, dtype=np.intp), (), ()
    relationship = unit @ unit.T
    relationship *= n / n_loci
    first, second = np.triu_indices(n, 1)
    pairs = relationship[first, second]
    low, high = float(pairs.min()), float(pairs.max())
    margin = 0.05 if high - low < 0.01 else 0.0  # a few samples may all be as related
    counts, edges = np.histogram(pairs, bins=_N_BINS, range=(low - margin, high + margin))
    most = min(_N_CLOSEST, len(pairs))
    top = np.argpartition(-pairs, most - 1)[:most]
    top = top[np.argsort(-pairs[top], kind="stable")]
    closest = tuple((str(names[first[k]]), str(names[second[k]]), float(pairs[k])) for k in top)
    return edges, counts, closest, clusters_of_relatives(pairs, n_samples=n)


def clusters_of_relatives(pairs: FloatArray, *, n_samples: int) -> tuple[int, ...]:
    """Return the sizes of clusters of relatives, largest first.

    Pairs count as related from 5 SD above the median relationship on, the SD being that of the
    lower half, which relatives do not reach. Average linkage joins samples down to there. There
    are clusters if those of three samples or more hold half of the samples and half of the
    related pairs; the samples of one cross have a tail of close pairs, but no clusters.

    Parameters
    ----------
    pairs
        (n (n - 1) / 2,) relationships of all pairs, in the order of ``numpy.triu_indices(n, 1)``.
    n_samples
        n; fewer than 20 are not judged.
    """
    if n_samples < _FEWEST_SAMPLES:
        return ()
    low, middle = np.quantile(pairs, [_ONE_SD_BELOW, 0.5])
    related = float(middle + _RELATED_SD * (middle - low))
    most = float(pairs.max())
    n_related = int(np.count_nonzero(pairs > related))
    if n_related * 2 < n_samples or most <= related:  # too few to hold half of the samples
        return ()
    label = fcluster(linkage(most - pairs, "average"), most - related, criterion="distance")
    first, second = np.triu_indices(n_samples, 1)
    sizes = np.bincount(label)
    large = sizes >= _FEWEST_RELATIVES
    inside = (label[first] == label[second]) & large[label[first]] & (pairs > related)
    found = np.sort(sizes[large])[::-1]
    if len(found) < 2 or 2 * found.sum() < n_samples or 2 * inside.sum() < n_related:
        return ()
    return tuple(found.tolist())
