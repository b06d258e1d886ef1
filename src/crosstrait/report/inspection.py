"""A panel as a page: what is in it, and what is wrong with it."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crosstrait import __version__
from crosstrait.experiments.storage import write_text
from crosstrait.panel.inspect import PanelSummary
from crosstrait.panel.inspect.linkage import LinkageSummary
from crosstrait.report.html import render_template
from crosstrait.report.maps import missing_map, trait_correlation_map
from crosstrait.report.numbers import count, fixed, share
from crosstrait.report.panel_figures import (
    MOST_GROUPS,
    allele_frequencies,
    base_pairs,
    components,
    linkage_decay,
    missing_shares,
    relationships,
    trait_histograms,
)
from crosstrait.report.plates import PAGE_MM, Plate

_WIDTH_MM = 180.0
_NARROW_MM = 110.0  # all of it fits a phone
_MOST_LISTED = 50


def write_inspection(summary: PanelSummary, *, out: Path, command: str | None = None) -> Path:
    """Write a panel's summary as a page that needs no network, and no JavaScript to be read.

    Parameters
    ----------
    summary
        What `crosstrait.panel.inspect.inspect` found; the same summary gives the same bytes.
    out
        The page.
    command
        What makes it again, where a command does.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    write_text(out, render_template("inspection.html", page=_content(summary, command)))
    return out


def _content(summary: PanelSummary, command: str | None) -> dict[str, Any]:
    genotypes, joint, linkage = summary.genotypes, summary.joint, summary.linkage
    n_cells = summary.n_samples * summary.n_traits
    return {
        "version": __version__,
        "panel": summary,
        "command": command,
        "headline": _headline(summary),
        "figures": _plates(summary),
        "missing_cells": 1 - joint.measured.sum() / n_cells,
        "worst_samples": genotypes.worst_samples(most=10),
        "worst_loci": genotypes.worst_loci(most=10),
        "duplicates": summary.duplicates[:_MOST_LISTED],
        "n_more_duplicates": max(0, len(summary.duplicates) - _MOST_LISTED),
        "decay": [] if linkage is None else _decay(linkage),
        "reach": {} if linkage is None else {r2: _reach(linkage, r2) for r2 in (0.5, 0.1)},
        "pairs": joint.extremes(most=10) if summary.n_traits > 1 else [],
        "with_ceiling": any(math.isfinite(trait.noise_ceiling) for trait in summary.traits),
    }


def _headline(summary: PanelSummary) -> str:
    n = len(summary.warnings)
    if not n:
        return "Nothing in this panel calls for attention."
    things = "One thing in this panel calls" if n == 1 else f"{n} things in this panel call"
    return f"{things} for attention."


def _plates(summary: PanelSummary) -> dict[str, Plate | None]:
    return {
        "frequencies": _frequencies_plate(summary),
        "holes": _holes_plate(summary),
        "linkage": None if summary.linkage is None else _linkage_plate(summary.linkage),
        "components": _components_plate(summary),
        "relationships": _relationships_plate(summary),
        "histograms": Plate(
            name="histograms",
            title="Distribution of each trait",
            caption=(
                "Values of each trait in its own unit; those more than 6 robust SD from the "
                "median are in the outermost bar."
            ),
            width_mm=PAGE_MM if summary.n_traits > 8 else max(90, min(180, 60 * summary.n_traits)),
            draw=partial(trait_histograms, summary.traits),
        ),
        "correlations": _correlations_plate(summary),
        "missing": _missing_plate(summary),
    }


def _frequencies_plate(summary: PanelSummary) -> Plate | None:
    frequency = summary.genotypes.minor_allele_frequency
    shown = frequency[~summary.genotypes.monomorphic]
    if not len(shown):
        return None
    rare = float((shown < 0.05).mean())
    return Plate(
        name="frequencies",
        title="Minor allele frequencies",
        caption=(
            f"Minor allele frequency of {count(len(shown))} loci that vary; {share(rare)} are "
            f"below 0.05. In a cross of two parents most are near 0.5, in a collection most are "
            f"rare."
        ),
        width_mm=_NARROW_MM,
        draw=partial(allele_frequencies, shown),
    )


def _holes_plate(summary: PanelSummary) -> Plate | None:
    genotypes = summary.genotypes
    if not genotypes.missing_share:
        return None
    return Plate(
        name="holes",
        title="Missing genotypes by sample and by locus",
        caption=(
            f"{share(genotypes.missing_share)} of all genotypes are missing: how many samples "
            f"(left) and loci (right) lack how much, counts on a logarithmic scale."
        ),
        width_mm=_WIDTH_MM,
        draw=partial(missing_shares, genotypes.sample_missing, genotypes.locus_missing),
    )


def _linkage_plate(linkage: LinkageSummary) -> Plate:
    caption = (
        f"Squared correlation of dosages against distance: mean and middle 80 % of "
        f"{count(linkage.n_pairs.sum())} pairs of loci, sampled evenly along the genome, over "
        f"{count(linkage.n_samples)} samples."
    )
    if math.isfinite(linkage.unlinked_r2):
        caption += f" Loci on different chromosomes have {fixed(linkage.unlinked_r2, digits=4)}."
    return Plate(
        name="linkage",
        title="Decay of linkage with distance",
        caption=caption,
        width_mm=_NARROW_MM,
        draw=partial(linkage_decay, linkage),
    )


def _sampled(summary: PanelSummary) -> str:
    structure = summary.structure
    which = "all" if structure.n_samples == summary.n_samples else "a fixed random sample of"
    return f"{which} {count(structure.n_samples)} samples at {count(structure.n_loci)} loci"


def _components_plate(summary: PanelSummary) -> Plate | None:
    structure = summary.structure
    if structure.n_loci < 2 or structure.scores.shape[1] < 2:
        return None
    n_groups = len(set(structure.sample_group))
    caption = f"Principal components of the genomic relationship matrix of {_sampled(summary)}"
    caption += ", with their share of the variance."
    if 1 < n_groups <= MOST_GROUPS:
        caption += " Colours are the panel's groups."
    elif n_groups > MOST_GROUPS:
        caption += f" The panel's {count(n_groups)} groups are too many to colour."
    return Plate(
        name="components",
        title="Samples on the first principal components",
        caption=caption,
        width_mm=_WIDTH_MM,
        draw=partial(components, structure),
    )


def _relationships_plate(summary: PanelSummary) -> Plate | None:
    if not summary.structure.n_loci:
        return None
    return Plate(
        name="relationships",
        title="Relationships of all pairs of samples",
        caption=(
            f"Genomic relationships of {_sampled(summary)}, from dosages standardised by locus, "
            f"counts on a logarithmic scale: about 0 for the average pair, about 1 for a sample "
            f"with itself, so a pair near 1 is one genotype twice."
        ),
        width_mm=_NARROW_MM,
        draw=partial(relationships, summary.structure),
    )


def _correlations_plate(summary: PanelSummary) -> Plate | None:
    joint = summary.joint
    if summary.n_traits < 2:
        return None
    names = [str(name) for name in joint.trait_name]
    table = pd.DataFrame(joint.correlation, names, names)
    shared = joint.n_shared[np.triu_indices(len(names), 1)]
    low, high = int(shared.min()), int(shared.max())
    n = count(low) if low == high else f"{count(low)} to {count(high)}"
    return Plate(
        name="correlations",
        title="Trait correlations",
        caption=(
            f"Pearson correlations of every two traits over the samples that have both, {n} of "
            f"{count(summary.n_samples)}; alike traits are neighbours."
        ),
        width_mm=min(200.0, 45 + max(50.0, 8.0 * len(names))),
        draw=partial(trait_correlation_map, table),
    )


def _missing_plate(summary: PanelSummary) -> Plate | None:
    joint = summary.joint
    if joint.measured.all():
        return None
    return Plate(
        name="missing",
        title="Missing trait values",
        caption=(
            f"Cells without a measurement, {share(1 - float(joint.measured.mean()))} of all. "
            f"{count(joint.n_complete)} of {count(summary.n_samples)} samples have every trait."
        ),
        width_mm=_WIDTH_MM,
        draw=partial(missing_map, joint.measured, traits=[str(name) for name in joint.trait_name]),
    )


def _decay(linkage: LinkageSummary) -> list[dict[str, Any]]:
    columns = (
        *(linkage.distance_from, linkage.distance_to, linkage.n_pairs),
        *(linkage.mean_r2, linkage.low_r2, linkage.high_r2),
    )
    return [
        {
            "distance": f"{base_pairs(low)} to {base_pairs(high)}"
            if math.isfinite(high)
            else f"from {base_pairs(low)}",
            "from": low,
            "n_pairs": n_pairs,
            "mean": mean,
            "low": bottom,
            "high": top,
        }
        for low, high, n_pairs, mean, bottom, top in zip(*columns, strict=True)
    ]


def _reach(linkage: LinkageSummary, r2: float) -> str:
    distance = linkage.reach(r2)
    if math.isinf(distance):
        return "at no distance here"
    return f"from {base_pairs(distance)}" if distance else "at any distance"
