"""Figures of a panel: each function takes arrays or summaries and returns a matplotlib figure.

As in `crosstrait.report.figures`, a figure is exactly as wide as it is asked to be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from crosstrait.panel.inspect.linkage import LinkageSummary
from crosstrait.panel.inspect.structure import StructureSummary
from crosstrait.panel.inspect.traits import TraitSummary
from crosstrait.report.numbers import count, fixed, share, significant
from crosstrait.report.style import (
    BLUE,
    FONT_POINTS,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PAGE_HEIGHT_MM,
    PURPLE,
    SKY,
    VERMILLION,
    LegendShape,
    figure_style,
    folded,
    light_grid,
    new_figure,
)
from crosstrait.report.svg import TIP

FloatArray = NDArray[np.floating[Any]]

_GROUP_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
MOST_GROUPS = len(_GROUP_COLOURS)
"""Groups of samples that colours can tell apart."""

_HEIGHT_MM = 55.0
_MOST_BARS = 40


def allele_frequencies(frequency: FloatArray, *, width_mm: float = 180) -> Figure:
    """Draw how many loci have which minor allele frequency.

    Parameters
    ----------
    frequency
        (L,) in [0, 0.5]; loci without variation are left out.
    """
    with figure_style():
        figure = new_figure(width_mm=width_mm, height_mm=_HEIGHT_MM)
        axes = figure.subplots()
        counts, edges = np.histogram(frequency[frequency > 0], bins=50, range=(0, 0.5))
        _bars(axes, counts, edges, unit="loci", digits=2)
        axes.set_xlim(0, 0.5)
        axes.set_xlabel("Minor allele frequency")
        axes.set_ylabel("Loci")
    return figure


def missing_shares(samples: FloatArray, loci: FloatArray, *, width_mm: float = 180) -> Figure:
    """Draw the share of missing genotypes by sample and by locus.

    Parameters
    ----------
    samples, loci
        (N,) and (L,) shares in [0, 1].
    """
    with figure_style():
        figure = new_figure(width_mm=width_mm, height_mm=_HEIGHT_MM)
        grid = figure.subplots(1, 2)
        parts = ((samples, len(loci), "Samples"), (loci, len(samples), "Loci"))
        for axes, (values, out_of, kind) in zip(grid, parts, strict=True):
            # Bars that hold whole numbers of genotypes leave no gaps between them.
            most = max(1, round(float(values.max()) * out_of))
            step = math.ceil((most + 1) / _MOST_BARS)
            edges = 100 * (np.arange(0, most + step + 1, step) - 0.5).clip(0) / out_of
            counts, _ = np.histogram(100 * values, bins=edges)
            _bars(axes, counts, edges, unit=kind.lower(), digits=1)
            _logarithmic(axes, most=int(counts.max()))
            axes.set_ylabel(kind)
            axes.set_xlabel("Genotypes missing (%)")
    return figure


def linkage_decay(linkage: LinkageSummary, *, width_mm: float = 180) -> Figure:
    """Draw r2 of loci against their distance: the mean, the middle 80 %, and of unlinked loci."""
    low = np.where(linkage.distance_from == 0, linkage.distance_to / 10, linkage.distance_from)
    high = np.where(np.isinf(linkage.distance_to), 10 * low, linkage.distance_to)
    middle = np.sqrt(np.maximum(low, 1) * high)
    with figure_style():
        figure = new_figure(width_mm=width_mm, height_mm=_HEIGHT_MM + 8)
        axes = figure.subplots()
        axes.set_xscale("log")
        light_grid(axes, axis="y")
        axes.spines["bottom"].set_visible(True)
        axes.fill_between(
            middle,
            linkage.low_r2,
            linkage.high_r2,
            color=BLUE,
            alpha=0.18,
            linewidth=0,
            label="middle 80 % of pairs",
        )
        axes.plot(middle, linkage.mean_r2, color=BLUE, linewidth=1.4, label="mean")
        for x, r2, pairs in zip(middle, linkage.mean_r2, linkage.n_pairs, strict=True):
            (point,) = axes.plot([x], [r2], "o", color=BLUE, markersize=4)
            point.set_gid(f"{TIP}about {base_pairs(x)}: mean r² {fixed(r2)}, {count(pairs)} pairs")
        if math.isfinite(linkage.unlinked_r2):
            axes.axhline(
                linkage.unlinked_r2,
                color=MUTED,
                linewidth=1,
                dashes=(3, 2),
                label="other chromosome",
            )
        axes.set_ylim(0, 1.02)
        ticks = [t for t in 10.0 ** np.arange(0, 10) if middle[0] / 2 <= t <= 2 * middle[-1]]
        axes.set_xticks(ticks, [base_pairs(t) for t in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("Distance on a chromosome")
        axes.set_ylabel("r² of dosages")
        figure.legend(loc="outside upper left", ncols=3 if width_mm > 110 else 2)
    return figure


def components(structure: StructureSummary, *, width_mm: float = 180) -> Figure:
    """Draw samples on the principal components 1 and 2, and 3 and 4, coloured by group."""
    n_plots = 2 if structure.scores.shape[1] >= 4 else 1
    groups = list(dict.fromkeys(structure.sample_group))
    coloured = 1 < len(groups) <= MOST_GROUPS
    legend = LegendShape(labels=[group or "no group" for group in groups])
    above = legend.height_mm(width_mm) if coloured else 2.0
    with figure_style():
        side = (width_mm - 14) / 2
        figure = new_figure(width_mm=width_mm, height_mm=above + min(82.0, side + 6))
        grid = figure.subplots(1, n_plots, squeeze=False)[0]
        for k, axes in enumerate(grid):
            for g, group in enumerate(groups if coloured else [None]):
                mine = structure.sample_group == group if coloured else slice(None)
                x, y = structure.scores[mine, 2 * k], structure.scores[mine, 2 * k + 1]
                axes.plot(
                    x,
                    y,
                    "o",
                    color=_GROUP_COLOURS[g],
                    alpha=0.7,
                    markersize=3,
                    markeredgewidth=0,
                    label=(group or "no group") if coloured and not k else None,
                )
            for axis, place in ((axes.xaxis, 2 * k), (axes.yaxis, 2 * k + 1)):
                axis.set_label_text(f"PC{place + 1} ({share(structure.variance_share[place])})")
                axis.set_major_locator(MaxNLocator(5))
        if coloured:
            figure.legend(loc="outside upper left", ncols=legend.columns(width_mm), markerscale=2.5)
    return figure


def relationships(structure: StructureSummary, *, width_mm: float = 180) -> Figure:
    """Draw how many pairs of samples have which genomic relationship."""
    with figure_style():
        figure = new_figure(width_mm=width_mm, height_mm=_HEIGHT_MM)
        axes = figure.subplots()
        _bars(
            axes,
            structure.relationship_counts,
            structure.relationship_edges,
            unit="pairs",
            digits=2,
        )
        _logarithmic(axes, most=int(structure.relationship_counts.max()))
        axes.set_xlabel("Genomic relationship of two samples")
        axes.set_ylabel("Pairs of samples")
    return figure


def trait_histograms(traits: Sequence[TraitSummary], *, width_mm: float = 180) -> Figure:
    """Draw the distribution of each trait, in its own unit."""
    panel_mm = 40.0 if len(traits) > 8 else 56.0
    columns = max(1, min(len(traits), int(width_mm // panel_mm)))
    n_rows = math.ceil(len(traits) / columns)
    row_mm = max(19.0, min(34.0, PAGE_HEIGHT_MM / n_rows))
    with figure_style():
        figure = new_figure(width_mm=width_mm, height_mm=n_rows * row_mm + 4)
        grid = figure.subplots(n_rows, columns, squeeze=False).ravel()
        for axes in grid[len(traits) :]:
            axes.set_visible(False)
        for axes, trait in zip(grid, traits, strict=False):
            axes.stairs(trait.bin_counts, trait.bin_edges, fill=True, color=BLUE)
            name = folded(trait.name, width_mm=width_mm / columns - 6, points=7)
            title = axes.set_title(name, fontsize=7, pad=2, linespacing=0.95)
            title.set_gid(
                f"{TIP}{trait.name}: {count(trait.n_measured)} samples, mean "
                f"{significant(trait.mean)}, SD {significant(trait.sd)}"
            )
            axes.spines["left"].set_visible(False)
            axes.set_yticks([])
            axes.xaxis.set_major_locator(MaxNLocator(3))
            axes.tick_params(labelsize=6, length=1.5)
        figure.supylabel("Samples", fontsize=FONT_POINTS)
    return figure


def base_pairs(distance: float) -> str:
    """Return a distance in the unit that suits it.

    Examples
    --------
    >>> base_pairs(3e6), base_pairs(10_000), base_pairs(5)
    ('3 Mb', '10 kb', '5 bp')
    """
    for size, unit in ((1e6, "Mb"), (1e3, "kb")):
        if distance >= size:
            return f"{distance / size:.3g} {unit}"
    return f"{distance:.3g} bp"


def _bars(
    axes: Axes, counts: NDArray[np.intp], edges: FloatArray, *, unit: str, digits: int
) -> None:
    light_grid(axes, axis="y")
    drawn = axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color=BLUE, linewidth=0)
    for bar, low, high, n in zip(drawn, edges, edges[1:], counts, strict=False):
        span = f"{fixed(low, digits=digits)} to {fixed(high, digits=digits)}"
        bar.set_gid(f"{TIP}{span}: {count(n)} {unit}")
    axes.axhline(0, color=INK, linewidth=0.6)


def _logarithmic(axes: Axes, *, most: int) -> None:
    """Count up to ``most`` on a logarithmic scale that has a zero."""
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(0, 2 * most)
    ticks = [0, *(10**k for k in range(10) if 10**k <= 2 * most)]
    if len(ticks) > 6:
        ticks = [0, *ticks[1::2]]
    axes.set_yticks(ticks, [count(tick) for tick in ticks])
    axes.yaxis.set_minor_locator(NullLocator())
