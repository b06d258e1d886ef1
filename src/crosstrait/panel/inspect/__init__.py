"""What is in a panel, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crosstrait.panel.inspect.advice import advice
from crosstrait.panel.inspect.duplicates import DuplicateGroup, summarise_duplicates
from crosstrait.panel.inspect.genotypes import GenotypeSummary, summarise_genotypes
from crosstrait.panel.inspect.linkage import LinkageSummary, summarise_linkage
from crosstrait.panel.inspect.structure import StructureSummary, summarise_structure
from crosstrait.panel.inspect.table import render
from crosstrait.panel.inspect.traits import (
    JointSummary,
    TraitSummary,
    summarise_jointly,
    summarise_traits,
)
from crosstrait.panel.schema import Panel

__all__ = ["PanelSummary", "inspect", "render"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PanelSummary:
    """A panel in numbers.

    Attributes
    ----------
    source, digest
        What the panel was made of, and the hash of its contents.
    n_samples, n_loci, n_traits, ploidy
        Its sizes.
    n_contigs
        Named chromosomes.
    groups
        Family or group -> number of samples, where the panel names groups.
    split
        Part (``train``, ``validation``, ``test``) -> number of samples, where the panel brings
        its own split.
    genotypes, linkage, structure, traits, joint
        The details; ``linkage`` is None where the loci have no places.
    duplicates
        Groups of samples with nearly the same genotype.
    warnings
        What is wrong or may be: each names the samples, loci or traits and what to do.
    """

    source: str
    digest: str
    n_samples: int
    n_loci: int
    n_traits: int
    ploidy: int
    n_contigs: int
    groups: dict[str, int]
    split: dict[str, int]
    genotypes: GenotypeSummary
    linkage: LinkageSummary | None
    duplicates: tuple[DuplicateGroup, ...]
    structure: StructureSummary
    traits: tuple[TraitSummary, ...]
    joint: JointSummary
    warnings: tuple[str, ...]


def inspect(panel: Panel) -> PanelSummary:
    """Look a panel over.

    Genotypes are read block by block. Linkage and structure are estimates from at most 2,000
    samples, always the same ones.

    Parameters
    ----------
    panel
        A validated panel.

    Returns
    -------
    PanelSummary
        What is in it; `render` makes it a page for the terminal.

    Examples
    --------
    >>> from crosstrait.panel import from_arrays
    >>> panel = from_arrays([[0, 1], [1, 1], [0, 1]], trait_value=[[1.0], [2.0], [1.5]],
    ...                     trait_names=["height"])
    >>> inspect(panel).genotypes.n_monomorphic
    1
    """
    genotypes, structure = summarise_genotypes(panel), summarise_structure(panel)
    duplicates = summarise_duplicates(panel, genotypes=genotypes)
    traits, joint = summarise_traits(panel), summarise_jointly(panel)
    contigs = np.unique(panel["variant_contig"].values)
    return PanelSummary(
        source=str(panel.attrs["source"]),
        digest=str(panel.attrs["digest"]),
        n_samples=panel.sizes["samples"],
        n_loci=panel.sizes["variants"],
        n_traits=panel.sizes["traits"],
        ploidy=int(panel.attrs["ploidy"]),
        n_contigs=int(np.count_nonzero(contigs != "")),
        groups=_counts(panel, "sample_group"),
        split=_counts(panel, "sample_split"),
        genotypes=genotypes,
        linkage=summarise_linkage(panel),
        duplicates=duplicates,
        structure=structure,
        traits=traits,
        joint=joint,
        warnings=advice(
            genotypes=genotypes,
            duplicates=duplicates,
            structure=structure,
            traits=traits,
            joint=joint,
        ),
    )


def _counts(panel: Panel, name: str) -> dict[str, int]:
    if name not in panel:
        return {}
    values, counts = np.unique(panel[name].values, return_counts=True)
    return {str(value): int(count) for value, count in zip(values, counts, strict=True)}
