"""Genotypes and traits of the same samples, brought together by id and never by order."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstrait.errors import DataError, listed
from crosstrait.genotypes.ids import explain_mismatch, likely_cause
from crosstrait.genotypes.table import Genotypes
from crosstrait.panel.groups import Groups
from crosstrait.panel.schema import Panel, from_arrays, row_blocks
from crosstrait.panel.traits import Traits

_SIDES = ("genotypes", "traits")
_ROWS_AT_ONCE = 1024


class PartialOverlapWarning(UserWarning):
    """Some samples have genotypes but no row of traits, or the other way round."""


class PloidyWarning(UserWarning):
    """The dosages look like those of another ploidy than the one that was given."""


class UncalledLocusWarning(UserWarning):
    """Some loci have no genotype in any sample and were left out."""


def join(genotypes: Genotypes, traits: Traits, groups: Groups | None = None) -> Panel:
    """Make a panel of the samples that are in both, in the order of the genotypes.

    A sample that has a row of traits in which all are missing is kept: it costs nothing, and its
    genotype stays available for prediction. A locus that none of the samples has a call for is
    left out: there is nothing to learn from it. The panel takes the dosages over: where samples
    or loci are left out, the rest of ``genotypes.dosage`` is moved up in place, so that the
    matrix is never held twice.

    Raises
    ------
    DataError
        If no id is in both, with ids of both sides and the likely cause, if one of these samples
        is not in ``groups``, or if the panel breaks a rule.

    Warns
    -----
    PartialOverlapWarning
        If only some ids are in both, with the counts and examples.
    UncalledLocusWarning
        If loci were left out, with their ids.
    PloidyWarning
        If the ploidy is above 2 and no dosage is.
    """
    row = {str(name): i for i, name in enumerate(traits.sample_id)}
    trait_row = np.array([row.get(str(name), -1) for name in genotypes.sample_id], dtype=np.intp)
    kept = np.flatnonzero(trait_row >= 0)
    if kept.size == 0:
        left, right = genotypes.sample_id.tolist(), traits.sample_id.tolist()
        if set(right) & set(genotypes.variant_id.tolist()):
            cause = (
                "the ids of the traits are column names of the genotypes: transpose that table, "
                "samples belong in rows"
            )
        else:
            cause = explain_mismatch(left, right, sides=_SIDES)
        raise DataError(f"no sample of {genotypes.source} is in {traits.source}: {cause}")
    if kept.size < max(len(genotypes.sample_id), len(traits.sample_id)):
        warnings.warn(
            _partial_overlap(genotypes, traits, trait_row), PartialOverlapWarning, stacklevel=2
        )
    dosage = _keep_rows(genotypes.dosage, kept)
    called = _called(dosage)
    if not called.all():
        lost = genotypes.variant_id[~called]
        warnings.warn(
            f"{genotypes.source}: {len(lost)} of {len(called)} loci have no genotype in any of "
            f"the {kept.size} samples and were left out: {listed(lost)}",
            UncalledLocusWarning,
            stacklevel=2,
        )
        dosage = _keep_columns(dosage, np.flatnonzero(called))
    if genotypes.ploidy > 2 and (highest := _highest(dosage)) <= 2:
        warnings.warn(
            f"{genotypes.source}: the highest dosage is {highest:g}, although samples were said "
            f"to carry {genotypes.ploidy} copies; if they are diploids, give --ploidy 2",
            PloidyWarning,
            stacklevel=2,
        )
    rows = trait_row[kept]
    optional: dict[str, Any] = {}
    if traits.standard_error is not None:
        optional["trait_se"] = traits.standard_error[rows]
    if traits.sample_split is not None:
        optional["sample_split"] = traits.sample_split[rows]
    if groups is not None:
        optional["sample_group"] = groups.for_samples(genotypes.sample_id[kept])
    try:
        return from_arrays(
            dosage,
            trait_value=traits.value[rows],
            trait_names=traits.name.tolist(),
            ploidy=genotypes.ploidy,
            sample_id=genotypes.sample_id[kept],
            variant_id=genotypes.variant_id[called],
            variant_contig=genotypes.variant_contig[called],
            variant_position=genotypes.variant_position[called],
            variant_allele=genotypes.variant_allele[called],
            source=genotypes.source,
            **optional,
        )
    except DataError as error:
        sources = dict.fromkeys((genotypes.source, traits.source))
        raise DataError(f"{' with '.join(sources)}: {error}") from None


def _keep_rows(dosage: NDArray[Any], kept: NDArray[np.intp]) -> NDArray[Any]:
    """Move the kept rows (ascending) to the top of the same array and return that part."""
    if kept.size == len(dosage):
        return dosage
    for start in range(0, kept.size, _ROWS_AT_ONCE):
        rows = kept[start : start + _ROWS_AT_ONCE]
        dosage[start : start + len(rows)] = dosage[rows]  # no row moves down
    return dosage[: kept.size]


def _called(dosage: NDArray[Any]) -> NDArray[np.bool_]:
    """Return (L,) whether any sample has a call."""
    called = np.zeros(dosage.shape[1], dtype=bool)
    for _, rows in row_blocks(dosage):
        called |= ~np.isnan(rows).all(axis=0)
        if called.all():
            break
    return called


def _highest(dosage: NDArray[Any]) -> float:
    return float(np.nanmax([np.nanmax(rows) for _, rows in row_blocks(dosage)]))


def _keep_columns(dosage: NDArray[Any], kept: NDArray[np.intp]) -> NDArray[Any]:
    """Move the kept columns (ascending) to the front of the same memory and return that part."""
    if not dosage.flags.c_contiguous:
        return dosage[:, kept]
    flat, n = dosage.reshape(-1), kept.size
    for start, rows in row_blocks(dosage):
        chosen = rows[:, kept]  # a copy, and no value moves down
        flat[start * n : start * n + chosen.size] = chosen.reshape(-1)
    return flat[: len(dosage) * n].reshape(-1, n)


def _partial_overlap(genotypes: Genotypes, traits: Traits, trait_row: NDArray[np.intp]) -> str:
    matched = set(trait_row.tolist())
    lost = [
        genotypes.sample_id[trait_row < 0].tolist(),
        [str(name) for i, name in enumerate(traits.sample_id) if i not in matched],
    ]
    text = f"{int((trait_row >= 0).sum())} samples are in both files; left out: " + " and ".join(
        f"{len(names)} with {has} only ({listed(names)})"
        for has, names in zip(_SIDES, lost, strict=True)
        if names
    )
    if all(lost):
        cause, n_more = likely_cause(*lost, sides=_SIDES)
        if n_more:
            text += f"; {cause}, {n_more} more would match"
    return text
