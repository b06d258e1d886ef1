"""What the genotypes of a panel look like: holes, allele frequencies, duplicates."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstrait.genotypes.table import StringArray
from crosstrait.panel.schema import Panel, row_blocks

FloatArray = NDArray[np.floating[Any]]

MAF_EDGES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Bounds of the classes of minor allele frequency; each class holds its upper bound."""

_CELLS = 1 << 23
_HOLE = np.float32(-1)  # no dosage is negative


@dataclass(frozen=True, kw_only=True, eq=False)
class GenotypeSummary:
    """Genotypes in numbers.

    Attributes
    ----------
    sample_id, variant_id
        (N,) and (L,) names, in the order of the arrays below.
    sample_missing, locus_missing
        (N,) share of loci at which a sample has no call; (L,) share of samples without a call.
    minor_allele_frequency
        (L,) in [0, 0.5], over the samples with a call.
    monomorphic
        (L,) whether all calls of a locus are the same.
    uncertain_share
        Share of calls that are no whole number of copies, such as genotype probabilities.
    duplicate_samples
        Groups of samples with the same call, or the same hole, at every locus.
    n_duplicate_loci
        Loci with the same calls as an earlier locus in every sample.
    """

    sample_id: StringArray
    variant_id: StringArray
    sample_missing: FloatArray
    locus_missing: FloatArray
    minor_allele_frequency: FloatArray
    monomorphic: NDArray[np.bool_]
    uncertain_share: float
    duplicate_samples: tuple[tuple[str, ...], ...]
    n_duplicate_loci: int

    @property
    def missing_share(self) -> float:
        """Share of all genotypes that are missing."""
        return float(self.sample_missing.mean())

    def worst_samples(self, *, most: int = 5) -> list[tuple[str, float]]:
        """Return the samples that miss most genotypes, and the share they miss."""
        return _worst(self.sample_id, self.sample_missing, most)

    def worst_loci(self, *, most: int = 5) -> list[tuple[str, float]]:
        """Return the loci that miss most genotypes, and the share they miss."""
        return _worst(self.variant_id, self.locus_missing, most)

    @property
    def n_monomorphic(self) -> int:
        """Loci at which every call is the same."""
        return int(self.monomorphic.sum())

    @property
    def maf_counts(self) -> NDArray[np.intp]:
        """Polymorphic loci in each class of minor allele frequency (``MAF_EDGES``)."""
        classes = np.searchsorted(MAF_EDGES[1:-1], self.minor_allele_frequency[~self.monomorphic])
        return np.bincount(classes, minlength=len(MAF_EDGES) - 1)


def summarise_genotypes(panel: Panel) -> GenotypeSummary:
    """Summarise the genotypes of a panel, block by block."""
    calls = panel["call_dosage"].values
    n_samples, n_loci = calls.shape
    samples = panel["sample_id"].values.astype(np.str_)
    sample_missing = np.empty(n_samples)
    locus_missing = np.zeros(n_loci, dtype=np.intp)
    total = np.zeros(n_loci)
    lowest, highest = np.full(n_loci, np.inf), np.full(n_loci, -np.inf)
    uncertain = 0
    row_digests: list[bytes] = []
    for start, rows in row_blocks(calls):
        block = rows.astype(np.float32, order="C")
        missing = np.isnan(block)
        sample_missing[start : start + len(block)] = missing.mean(axis=1)
        locus_missing += missing.sum(axis=0)
        np.fmin(lowest, np.fmin.reduce(block, axis=0), out=lowest)
        np.fmax(highest, np.fmax.reduce(block, axis=0), out=highest)
        block[missing] = 0
        total += block.sum(axis=0, dtype=np.float64)
        uncertain += int(np.count_nonzero(block != np.rint(block)))
        block[missing] = _HOLE
        row_digests.extend(_digests(block))
    n_called = n_samples - locus_missing
    frequency = total / (n_called * panel.attrs["ploidy"])
    return GenotypeSummary(
        sample_id=samples,
        variant_id=panel["variant_id"].values.astype(np.str_),
        sample_missing=sample_missing,
        locus_missing=locus_missing / n_samples,
        minor_allele_frequency=np.minimum(frequency, 1 - frequency),
        monomorphic=lowest == highest,
        uncertain_share=uncertain / int(n_called.sum()),
        duplicate_samples=_same(row_digests, samples),
        n_duplicate_loci=n_loci - len(_locus_digests(calls)),
    )


def _worst(names: StringArray, share: FloatArray, most: int) -> list[tuple[str, float]]:
    order = np.argsort(-share, kind="stable")[:most]
    return [(str(names[i]), float(share[i])) for i in order if share[i] > 0]


def _locus_digests(calls: NDArray[Any]) -> set[bytes]:
    found: set[bytes] = set()
    step = max(1, _CELLS // calls.shape[0])
    for start in range(0, calls.shape[1], step):
        block = calls[:, start : start + step].T.astype(np.float32, order="C")
        block[np.isnan(block)] = _HOLE
        found.update(_digests(block))
    return found


def _digests(rows: NDArray[np.float32]) -> Iterable[bytes]:
    rows += np.float32(0)  # -0.0 and 0.0 are the same call
    return (hashlib.blake2b(row, digest_size=16).digest() for row in rows)


def _same(digests: list[bytes], names: StringArray) -> tuple[tuple[str, ...], ...]:
    groups: dict[bytes, list[str]] = {}
    for digest, name in zip(digests, names, strict=True):
        groups.setdefault(digest, []).append(str(name))
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)
