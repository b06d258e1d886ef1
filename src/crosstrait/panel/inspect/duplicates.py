"""Samples with nearly the same genotype: clones, replicates, swapped tubes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crosstrait.panel.inspect.genotypes import GenotypeSummary
from crosstrait.panel.schema import Panel, row_blocks

FloatArray = NDArray[np.floating[Any]]

SAME_CALLS = 0.99
"""Share of equal calls from which two samples count as nearly the same."""

_COMMON = 0.05  # minor allele frequency; at rarer loci everyone is alike
_FEWEST_LOCI = 100
_FEWEST_LOCI_WITH_HOLES = 30
_MOST_LOCI = 2000
_BAND_LOCI = 24
_N_BANDS = 64
_HOLE = -1
_CELLS = 1 << 24


@dataclass(frozen=True, kw_only=True)
class DuplicateGroup:
    """Samples that nearly have one genotype.

    Attributes
    ----------
    samples
        Their names, in the panel's order.
    share
        Share of equal calls of the least alike two of them that were compared.
    """

    samples: tuple[str, ...]
    share: float


def summarise_duplicates(panel: Panel, *, genotypes: GenotypeSummary) -> tuple[DuplicateGroup, ...]:
    """Find samples whose calls are the same at 99 % of the loci or more.

    Calls are rounded to whole copies and compared at up to 2,000 loci with a minor allele
    frequency of at least 5 %, where both samples have one. With fewer than 100 such loci, only
    samples that agree at every one of them are returned; with fewer than 30, where agreement
    means little, only those whose missing calls agree as well.
    """
    common = np.flatnonzero(genotypes.minor_allele_frequency >= _COMMON)
    if len(common) < _FEWEST_LOCI_WITH_HOLES:
        return tuple(
            DuplicateGroup(samples=names, share=1.0) for names in genotypes.duplicate_samples
        )
    at = np.unique(np.linspace(0, len(common) - 1, _MOST_LOCI).astype(np.intp))
    codes = np.empty((panel.sizes["samples"], len(at)), dtype=np.int8)
    for start, rows in row_blocks(panel["call_dosage"].values):
        block = np.rint(rows[:, common[at]].astype(np.float32))
        codes[start : start + len(rows)] = np.where(np.isnan(block), _HOLE, block)
    least = SAME_CALLS if len(common) >= _FEWEST_LOCI else 1.0
    first, second, share = nearly_equal(codes, least=least)
    return _groups(first, second, share, names=panel["sample_id"].values)


def nearly_equal(
    codes: NDArray[np.int8], *, least: float = SAME_CALLS
) -> tuple[NDArray[np.intp], NDArray[np.intp], FloatArray]:
    """Find pairs of rows that are nearly equal, without comparing all pairs.

    Rows that agree at every locus of a random band are neighbours when the bands are sorted;
    neighbours are compared in full. Two rows that agree at 99 % of the loci agree in a band of 24
    with probability 0.79, so that of 64 bands none misses them.

    Parameters
    ----------
    codes
        (N, L) whole copies; negative is missing.
    least
        Share of equal calls, among the loci where both rows have one, at least half of all.

    Returns
    -------
    first, second, share
        (P,) rows and their share of equal calls. Of many equal rows not every pair is returned,
        but enough to connect them.
    """
    n_samples, n_loci = codes.shape
    random = np.random.default_rng(0)
    called = codes >= 0
    mean = np.where(called, codes, 0).sum(axis=0) / np.maximum(called.sum(axis=0), 1)
    del called
    usual = np.rint(mean).astype(np.int8)
    pairs: set[int] = set()
    for _ in range(_N_BANDS):
        loci = random.choice(n_loci, min(_BAND_LOCI, n_loci), replace=False)
        band = codes[:, loci]
        band = np.where(band < 0, usual[loci], band).astype(np.uint64)
        keys = band @ random.integers(1, 1 << 63, len(loci), dtype=np.uint64)
        order = np.argsort(keys, kind="stable")
        same = np.flatnonzero(np.diff(keys[order]) == 0)
        low, high = (
            np.minimum(order[same], order[same + 1]),
            np.maximum(order[same], order[same + 1]),
        )
        pairs.update((low * n_samples + high).tolist())
    flat = np.array(sorted(pairs), dtype=np.intp)
    first, second = np.divmod(flat, n_samples)
    share = _shares(codes, first, second)
    found = share >= least
    return first[found], second[found], share[found]


def _shares(
    codes: NDArray[np.int8], first: NDArray[np.intp], second: NDArray[np.intp]
) -> FloatArray:
    """Return the share of equal calls of each pair; 0 where too few are shared."""
    share = np.zeros(len(first))
    step = max(1, _CELLS // codes.shape[1])
    for start in range(0, len(first), step):
        part = slice(start, start + step)
        one, other = codes[first[part]], codes[second[part]]
        both = (one >= 0) & (other >= 0)
        n_both = both.sum(axis=1)
        n_equal = ((one == other) & both).sum(axis=1)
        share[part] = np.where(2 * n_both >= codes.shape[1], n_equal / np.maximum(n_both, 1), 0.0)
    return share


def _groups(
    first: NDArray[np.intp], second: NDArray[np.intp], share: FloatArray, *, names: NDArray[Any]
) -> tuple[DuplicateGroup, ...]:
    n = len(names)
    links = coo_array((np.ones(len(first)), (first, second)), shape=(n, n))
    _, label = connected_components(links, directed=False)
    groups = []
    for one in dict.fromkeys(label[first].tolist()):
        members = np.flatnonzero(label == one)
        groups.append(
            DuplicateGroup(
                samples=tuple(str(name) for name in names[members]),
                share=float(share[label[first] == one].min()),
            )
        )
    return tuple(groups)
