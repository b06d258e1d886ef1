"""Predicting genotypes of another source: loci matched by id, results as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crosstrait.errors import listed
from crosstrait.genotypes.align import align
from crosstrait.genotypes.coding import GenotypeEncoder
from crosstrait.genotypes.table import Genotypes, StringArray


class LociWarning(UserWarning):
    """The loci of new genotypes match those of a model only in part, or only by name."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Matched:
    """New genotypes at the K loci that a model uses.

    Attributes
    ----------
    dosage
        (n, K), NaN where a call or a locus is missing.
    encoder
        The model's coding of these K columns.
    notes
        What had to be done to the genotypes, in words.
    doubts
        Those notes that may make predictions worse.
    """

    dosage: NDArray[np.float32]
    encoder: GenotypeEncoder
    notes: tuple[str, ...]
    doubts: tuple[str, ...]


def match_loci(encoder: GenotypeEncoder, genotypes: Genotypes) -> Matched:
    """Bring new genotypes to the loci of a model, by id, or refuse.

    Raises
    ------
    DataError
        If the ploidy differs, a locus has other alleles, or too many loci are missing; with
        examples.
    """
    n_used = len(encoder.columns)
    aligned = align(
        genotypes,
        variant_id=encoder.variant_id,
        variant_allele=encoder.variant_allele,
        variant_contig=encoder.variant_contig,
        variant_position=encoder.variant_position,
        ploidy=encoder.ploidy,
    )
    notes, doubts = [], []
    if aligned.missing:
        notes.append(
            f"{len(aligned.missing)} of {n_used} loci are not in the new genotypes and take their "
            f"training means: {listed(aligned.missing)}"
        )
    if aligned.moved:
        notes.append(
            f"{len(aligned.moved)} of {n_used} loci lie elsewhere in the new genotypes than in "
            f"those of the model, as on another reference: {listed(aligned.moved, most=3)}"
        )
    doubts += notes
    if aligned.flipped:
        notes.append(
            f"the alleles of {len(aligned.flipped)} loci were the other way round: "
            f"{listed(aligned.flipped)}"
        )
    if aligned.n_unchecked:
        notes.append(
            f"{aligned.n_unchecked} loci were matched by id alone, as their alleles are unknown on "
            f"one side"
        )
        if _any_allele(encoder.variant_allele) != _any_allele(genotypes.variant_allele):
            doubts.append(notes[-1])
    return Matched(
        dosage=aligned.dosage,
        encoder=replace(encoder, columns=np.arange(n_used), n_loci=n_used),
        notes=tuple(notes),
        doubts=tuple(doubts),
    )


def prediction_table(
    predicted: NDArray[np.float64],
    *,
    sample_id: StringArray,
    trait_names: Sequence[str],
    half_width: NDArray[np.float64] | None = None,
) -> pd.DataFrame:
    """Return a row a sample: column ``sample``, then a column a trait.

    With half widths (n, T) of intervals, each trait is followed by ``<trait> lower`` and
    ``<trait> upper``.
    """
    columns: dict[str, Any] = {"sample": sample_id.tolist()}
    for t, name in enumerate(trait_names):
        centre = columns[name] = predicted[:, t]
        if half_width is not None:
            columns[f"{name} lower"] = centre - half_width[:, t]
            columns[f"{name} upper"] = centre + half_width[:, t]
    return pd.DataFrame(columns)


def _any_allele(variant_allele: StringArray) -> bool:
    return bool((variant_allele != "").any())
