"""What is wrong with a panel, or may be, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np

from crosstrait.errors import listed
from crosstrait.panel.inspect.duplicates import DuplicateGroup
from crosstrait.panel.inspect.genotypes import GenotypeSummary
from crosstrait.panel.inspect.structure import StructureSummary
from crosstrait.panel.inspect.traits import OUTLIER_SD, JointSummary, TraitSummary

MUCH_MISSING = 0.2
"""Share of missing genotypes from which a sample or a locus is worth a warning."""

MANY_LOST = 0.1
"""Share of samples lost to a rule that drops incomplete rows that is worth a warning."""

STRONG_STRUCTURE = 0.15
"""Variance along one principal component that speaks of groups of samples."""

SAME_TRAIT = 0.98
"""Correlation from which two traits may be the same measurement."""

FEW_MEASURED = 50
"""Measured values below which scores are hardly worth their name."""

FEW_VALUES = 10
"""Different values up to which a trait is taken for a class."""

COMMON_SHARE = 0.05
"""Share of samples with the very same value that a continuous trait should not have."""

TAIL_SHARE = 0.01
"""Share of outliers from which they are a tail and no mistakes."""


def genotype_advice(genotypes: GenotypeSummary) -> Iterator[str]:
    """Yield warnings about samples and loci."""
    for share, worst, kind in (
        (genotypes.sample_missing, genotypes.worst_samples, "sample/samples"),
        (genotypes.locus_missing, genotypes.worst_loci, "locus/loci"),
    ):
        if n_bad := int(np.count_nonzero(share > MUCH_MISSING)):
            named = [f"{name} ({part:.0%})" for name, part in worst(most=n_bad)]
            yield (
                f"{_count(n_bad, kind)} with more than {MUCH_MISSING:.0%} of the genotypes "
                f"missing, the worst first: {listed(named)}; holes are filled with the mean of "
                f"the locus, so remove what is mostly holes"
            )
    if genotypes.n_monomorphic:
        names = genotypes.variant_id[genotypes.monomorphic]
        yield (
            f"{_count(len(names), 'locus/loci')} with the same call in every sample: "
            f"{listed(names)}; they carry no information, remove them"
        )
    if groups := genotypes.duplicate_samples:
        n_samples = sum(len(group) for group in groups)
        shown = listed((" = ".join(group[:5]) for group in groups), most=5)
        yield (
            f"{n_samples:,} samples have the genotype of another: {shown}; a model "
            f"that saw one knows the other, so keep them on one side of the split (scheme group, "
            f"with their groups from crosstrait import --groups) or remove all but one"
        )


def duplicate_advice(
    groups: tuple[DuplicateGroup, ...], *, same: tuple[tuple[str, ...], ...]
) -> Iterator[str]:
    """Yield a warning about samples with nearly the genotype of another.

    Groups in ``same``, whose missing calls agree too, have a warning of their own.
    """
    alike = [group for group in groups if group.samples not in same]
    if alike:
        n_samples = sum(len(group.samples) for group in alike)
        shown = listed(
            (
                f"{' ~ '.join(group.samples[:5])} "
                f"({'but for missing calls' if group.share == 1 else f'{group.share:.1%}'})"
                for group in alike
            ),
            most=5,
        )
        yield (
            f"{n_samples:,} samples have nearly the genotype of another: {shown}; clones, "
            f"replicates or a swapped tube: keep them on one side of the split (scheme group, with "
            f"their groups from crosstrait import --groups) or remove all but one"
        )


def structure_advice(structure: StructureSummary) -> Iterator[str]:
    """Yield a warning where the samples seem to fall into groups."""
    first, clusters = float(structure.variance_share[0]), structure.clusters
    if first > STRONG_STRUCTURE:
        signs = (
            f"the first principal component of the genotypes has {first:.0%} of their variance: "
            f"the samples may be families or populations"
        )
    elif clusters:
        signs = (
            f"the relationships of the samples show {len(clusters)} clusters of relatives, of "
            f"{clusters[-1]} to {clusters[0]} of {structure.n_samples:,} samples: these may be "
            f"families"
        )
    else:
        return
    if (structure.sample_group != "").any():
        remedy = "split by the groups of the panel (scheme group)"
    else:
        remedy = "name the groups (crosstrait import --groups) and split by them (scheme group)"
    yield f"{signs}, and a random split then flatters every model; {remedy}"


def trait_advice(trait: TraitSummary) -> Iterator[str]:
    """Yield warnings about one trait."""
    name, n = trait.name, trait.n_measured
    if n < FEW_MEASURED:
        yield f"trait {name!r} has only {n} measured values: scores on it will be very uncertain"
    if len(trait.outliers) > TAIL_SHARE * n:
        yield (
            f"trait {name!r} has {len(trait.outliers):,} of {n:,} values more than {OUTLIER_SD:g} "
            f"robust SD from its median, the farthest in samples {listed(trait.outliers)}: a "
            f"heavy tail or a second group, which squared errors will follow; look at its "
            f"histogram before you transform it"
        )
    elif trait.outliers:
        yield (
            f"trait {name!r} has {_count(len(trait.outliers), 'value/values')} more than "
            f"{OUTLIER_SD:g} robust SD from its median: in {listed(trait.outliers)}; check them: "
            f"a code for missing, such as -9 or 999, looks like this"
        )
    if trait.n_distinct <= min(FEW_VALUES, n // 2):
        yield (
            f"trait {name!r} has only {trait.n_distinct} different values: it is a class or a "
            f"score, which models here take for a quantity"
        )
    elif trait.common_count > max(COMMON_SHARE * n, 5):
        yield (
            f"trait {name!r} is {trait.common_value:g} in {trait.common_count:,} of {n:,} samples: "
            f"if that stands for a missing value or a limit of detection, make it missing"
        )
    yield from _noise_advice(trait)


def _noise_advice(trait: TraitSummary) -> Iterator[str]:
    lacking = trait.n_measured - trait.n_standard_errors
    if trait.n_standard_errors and lacking:
        yield (
            f"trait {trait.name!r} lacks a standard error in {lacking:,} of its "
            f"{trait.n_measured:,} measured samples: its noise ceiling rests on the others"
        )
    if trait.noise_share >= 1:
        yield (
            f"the standard errors of trait {trait.name!r} claim {trait.noise_share:.0%} of its "
            f"variance: check that they are standard errors, in the trait's unit, and not "
            f"variances"
        )


def joint_advice(joint: JointSummary, *, n_samples: int) -> Iterator[str]:
    """Yield warnings about the traits together."""
    n_traits = len(joint.trait_name)
    if joint.without_any:
        yield (
            f"{_count(len(joint.without_any), 'sample/samples')} with no trait at all: "
            f"{listed(joint.without_any)}; nothing is learned from them"
        )
    lost = 1 - joint.n_complete / n_samples
    if n_traits > 1 and lost > MANY_LOST:
        yield (
            f"only {joint.n_complete:,} of {n_samples:,} samples have all {n_traits} traits: a "
            f"method that drops incomplete rows (protocol complete-cases) loses {lost:.0%} of the "
            f"samples; the default protocol loses the missing cells only"
        )
    i, j = np.triu_indices(n_traits, 1)
    with np.errstate(invalid="ignore"):
        same = np.flatnonzero(np.abs(joint.correlation[i, j]) > SAME_TRAIT)
    if same.size:
        pairs = [
            f"{joint.trait_name[i[k]]} and {joint.trait_name[j[k]]} "
            f"(r = {joint.correlation[i[k], j[k]]:.3f})"
            for k in same
        ]
        yield (
            f"{_count(len(pairs), 'pair/pairs')} of traits nearly the same: {listed(pairs)}; if "
            f"one was computed from the other, drop one"
        )


def advice(
    *,
    genotypes: GenotypeSummary,
    duplicates: tuple[DuplicateGroup, ...],
    structure: StructureSummary,
    traits: tuple[TraitSummary, ...],
    joint: JointSummary,
) -> tuple[str, ...]:
    """Return every warning, each naming what it is about and what to do."""
    return tuple(
        chain(
            genotype_advice(genotypes),
            duplicate_advice(duplicates, same=genotypes.duplicate_samples),
            structure_advice(structure),
            joint_advice(joint, n_samples=len(genotypes.sample_id)),
            chain.from_iterable(map(trait_advice, traits)),
        )
    )


def _count(n: int, words: str) -> str:
    one, many = words.split("/")
    return f"{n:,} {one if n == 1 else many}"
