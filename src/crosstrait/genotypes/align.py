"""New genotypes brought into the loci and the coding of a fitted model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosstrait.errors import DataError, listed
from crosstrait.genotypes.ids import explain_mismatch
from crosstrait.genotypes.table import Genotypes, StringArray

_CHUNK_CELLS = 1 << 24
_SIDES = ("unmatched model loci", "unmatched file loci")


@dataclass(frozen=True, kw_only=True, eq=False)
class Aligned:
    """Genotypes of n samples at the K loci of a model.

    Attributes
    ----------
    dosage
        (n, K) float32 copies of the model's second allele; NaN where a call or a locus is missing.
    missing
        Ids of the model's loci that the new genotypes lack.
    flipped
        Ids of the loci whose alleles were the other way round.
    moved
        Loci whose position is known and another than the model's: id and both places.
    n_unused
        Loci of the new genotypes that the model does not use.
    n_unchecked
        Loci whose alleles are unknown on either side, so that only their ids were compared.
    """

    dosage: NDArray[np.float32]
    missing: tuple[str, ...]
    flipped: tuple[str, ...]
    moved: tuple[str, ...]
    n_unused: int
    n_unchecked: int


def align(
    genotypes: Genotypes,
    *,
    variant_id: StringArray,
    variant_allele: StringArray,
    ploidy: int,
    variant_contig: StringArray | None = None,
    variant_position: NDArray[np.int64] | None = None,
    max_missing: float = 0.1,
) -> Aligned:
    """Match the loci of new genotypes to those of a model by id, whatever their order.

    Parameters
    ----------
    genotypes
        What ``genotypes.read`` returned.
    variant_id, variant_allele
        (K,) ids and (K, 2) alleles of the model's loci; ``""`` where an allele is unknown.
    ploidy
        Gene copies that a sample of the model carries.
    variant_contig, variant_position
        (K,) where the model's loci lie, to tell which lie elsewhere; ``""`` and -1 are unknown.
    max_missing
        The largest share of the model's loci that may be missing, in [0, 1]. Missing ones become
        NaN, which the model fills with the means of its training samples.

    Returns
    -------
    Aligned
        The dosages, and what had to be done for them.

    Raises
    ------
    DataError
        If the ploidy differs, a locus has other alleles than the model's, or more than
        ``max_missing`` of the loci are missing; with the count and examples.
    """
    if genotypes.ploidy != ploidy:
        raise DataError(
            f"{genotypes.source} has ploidy {genotypes.ploidy}, the model was trained on ploidy "
            f"{ploidy}: dosages of the two do not mean the same"
        )
    place = {str(name): j for j, name in enumerate(genotypes.variant_id)}
    column = np.array([place.get(str(name), -1) for name in variant_id], dtype=np.intp)  # (K,)
    here = np.flatnonzero(column >= 0)
    missing = [str(name) for name in variant_id[column < 0]]
    if len(missing) > max_missing * len(variant_id):
        raise DataError(_too_many_missing(genotypes, variant_id, missing, max_missing))
    given, wanted = genotypes.variant_allele[column[here]], variant_allele[here]  # (k, 2)
    unlike, swapped, unchecked = _compare(given, wanted)
    other = here[unlike & ~swapped]
    if other.size:
        examples = (
            f"{variant_id[k]}: {_pair(genotypes.variant_allele[column[k]])} where the model has "
            f"{_pair(variant_allele[k])}"
            for k in other
        )
        raise DataError(
            f"{genotypes.source}: {other.size} loci have other alleles than the model's, so "
            f"their dosages do not mean the same: {listed(examples, most=3)}{_both_alleles(given)}"
        )
    dosage = np.full((len(genotypes.sample_id), len(variant_id)), np.nan, dtype=np.float32)
    step = max(1, _CHUNK_CELLS // max(1, here.size))
    for start in range(0, len(dosage), step):
        calls = genotypes.dosage[start : start + step, column[here]].astype(np.float32)
        calls[:, swapped] = ploidy - calls[:, swapped]
        dosage[start : start + step, here] = calls
    return Aligned(
        dosage=dosage,
        missing=tuple(missing),
        flipped=tuple(str(name) for name in variant_id[here[swapped]]),
        moved=_moved(genotypes, variant_id, variant_contig, variant_position, column=column),
        n_unused=len(genotypes.variant_id) - here.size,
        n_unchecked=int(unchecked.sum()),
    )


def _compare(
    given: StringArray, wanted: StringArray
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which (k,) loci have other alleles, which of these only swapped, which are unknown.

    Where the allele that is not counted is unknown on a side, the counted ones decide.
    """
    same = (given == wanted) | (given == "") | (wanted == "")
    crossed = (given == wanted[:, ::-1]) | (given == "") | (wanted[:, ::-1] == "")
    counted = (given[:, 1] != "") & (wanted[:, 1] != "")
    # Two counted alleles that differ are each other's alternative only if one side says so.
    said = (given[:, 0] != "") | (wanted[:, 0] != "")
    unlike = counted & ~same.all(axis=1)
    return unlike, unlike & said & crossed.all(axis=1), ~counted


def _pair(alleles: StringArray) -> str:
    return "/".join(str(allele) or "?" for allele in alleles)


def _both_alleles(given: StringArray) -> str:
    if (given[:, 0] != "").all():
        return ""
    return "; ? is an allele that the file does not name (plink --recode A include-alt does)"


def _moved(
    genotypes: Genotypes,
    variant_id: StringArray,
    variant_contig: StringArray | None,
    variant_position: NDArray[np.int64] | None,
    *,
    column: NDArray[np.intp],
) -> tuple[str, ...]:
    if variant_contig is None or variant_position is None:
        return ()
    here = np.flatnonzero(column >= 0)
    there = column[here]
    known = (genotypes.variant_position[there] >= 0) & (variant_position[here] >= 0)
    # Contigs are not compared: sources name them differently, as chr1, chrI and 1.
    unlike = genotypes.variant_position[there] != variant_position[here]
    return tuple(
        f"{variant_id[k]} ({genotypes.variant_contig[j]}:{genotypes.variant_position[j]}, not "
        f"{variant_contig[k]}:{variant_position[k]})"
        for k, j in zip(here[known & unlike], there[known & unlike], strict=True)
    )


def _too_many_missing(
    genotypes: Genotypes, variant_id: StringArray, missing: list[str], max_missing: float
) -> str:
    n_loci = len(variant_id)
    text = (
        f"{genotypes.source} lacks {len(missing)} of the {n_loci} loci that the model uses "
        f"({len(missing) / n_loci:.0%}; at most {max_missing:.0%} may be missing)"
    )
    used = set(variant_id.tolist())
    unused = [str(name) for name in genotypes.variant_id if name not in used]
    if not unused:
        return f"{text}, such as {listed(missing)}"
    return f"{text}: {explain_mismatch(missing, unused, sides=_SIDES)}"
