"""Genotypes as every reader returns them, before they meet any trait."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

StringArray = NDArray[np.str_]
FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Genotypes:
    """Genotype calls of N samples at L loci, with the names of both.

    Attributes
    ----------
    dosage
        (N, L) float16 or float32: copies of the second allele, in [0, ploidy]; NaN is missing.
    sample_id
        (N,) unique strings.
    variant_id
        (L,) unique strings.
    variant_contig, variant_position
        (L,) chromosome name and position in base pairs; ``""`` and -1 where unknown.
    variant_allele
        (L, 2) the allele counted as 0 and the allele counted by ``dosage``; ``""`` where unknown.
    ploidy
        Gene copies a sample carries: 1 for haploid segregants, 2 for diploids.
    source
        What was read, for messages and provenance.
    """

    dosage: FloatArray
    sample_id: StringArray
    variant_id: StringArray
    variant_contig: StringArray
    variant_position: NDArray[np.int64]
    variant_allele: StringArray
    ploidy: int
    source: str
    notes: tuple[str, ...] = field(default=())
