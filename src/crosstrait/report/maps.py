"""Figures of cells: densities, holes and correlations, each a small picture that scales.

Pictures are transparent where there is nothing, so that they stand on a light and a dark page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from crosstrait.report.numbers import MINUS, fixed
from crosstrait.report.style import (
    BLUE,
    INK,
    MUTED,
    PAGE_HEIGHT_MM,
    VERMILLION,
    figure_style,
    folded,
    light_grid,
    new_figure,
    text_mm,
)

FloatArray = NDArray[np.floating[Any]]

_BINS = 30
_REACH = 3.5
_TICK_LABELS = [f"{MINUS}2", "0", "2"]
_PANEL_MM = 28.0
_LABEL_MM = 2.1  # a line of small text
_CELL_MM = 12.0
_SMALLEST_MM = 17.0
_FULL = 0.75  # opacity of r = 1, on which numbers can still be read in either theme


def observed_against_predicted(
    cells: pd.DataFrame, *, model: str, traits: Sequence[str], width_mm: float = 180
) -> Figure:
    """Draw the density of observed against predicted values, a panel a trait.

    Parameters
    ----------
    cells
        A predictions table; predictions are averaged over replicates and folds.
    model
        Whose predictions.
    traits
        The traits to show, in order.

    Notes
    -----
    Both axes are in units of the trait's SD about its mean; darker is more samples, on a square
    root scale within a trait. The line is where they are equal.
    """
    mine = cells[cells["model"] == model]
    by_trait = dict(iter(mine.groupby(mine["trait"].astype(str), observed=True)))
    width = width_mm
    columns = max(1, min(len(traits), int(width // _PANEL_MM)))
    while _grid_mm(len(traits), columns, width) > PAGE_HEIGHT_MM and width / columns > _SMALLEST_MM:
        columns += 1
    panel = (width - 10) / columns
    n_rows = math.ceil(len(traits) / columns)
    height = _grid_mm(len(traits), columns, width)
    names = [folded(trait, width_mm=panel - 3, points=6) for trait in traits]
    above = 4 if not any("\n" in name for name in names) else 6.3
    with figure_style():
        figure = new_figure(width_mm=width, height_mm=height, constrained=False)
        for k, trait in enumerate(traits):
            row, column = divmod(k, columns)
            left = (10 + column * panel + 1) / width
            bottom = 1 - ((row + 1) * panel - 1) / height
            axes = figure.add_axes(
                (left, bottom, (panel - 2) / width, (panel - 2 - above) / height)
            )
            samples = by_trait[trait].groupby("sample", observed=True)[["observed", "predicted"]]
            y, p = samples.mean().to_numpy().T
            centre, scale = y.mean(), y.std() or 1.0
            counts, _, _ = np.histogram2d(
                (y - centre) / scale,
                (p - centre) / scale,
                bins=_BINS,
                range=[[-_REACH, _REACH]] * 2,
            )
            limits = (-_REACH, _REACH)
            _picture(axes, np.sqrt(counts / max(1.0, counts.max())), BLUE, (*limits, *limits))
            axes.plot([-_REACH, _REACH], [-_REACH, _REACH], color=MUTED, linewidth=0.6)
            axes.set_title(names[k], fontsize=6, pad=2, linespacing=0.95)
            axes.set_xticks([-2, 0, 2], _TICK_LABELS if row == n_rows - 1 else [""] * 3)
            axes.set_yticks([-2, 0, 2], _TICK_LABELS if column == 0 else [""] * 3)
            axes.tick_params(labelsize=6, length=1.5)
        figure.supxlabel("Predicted (SD)", fontsize=8, y=0.002)
        figure.supylabel("Observed (SD)", fontsize=8, x=0.002)
    return figure


def _grid_mm(n_panels: int, columns: int, width: float) -> float:
    """Return the height of a grid of square panels."""
    return math.ceil(n_panels / columns) * (width - 10) / columns + 8


def missing_map(
    measured: NDArray[np.bool_], *, traits: Sequence[str], width_mm: float = 180
) -> Figure:
    """Draw which cells were not measured, samples by traits.

    Parameters
    ----------
    measured
        (n, T) whether a sample has the trait; drawn with the fullest samples and traits first.
    """
    sample_order = np.argsort(-measured.sum(axis=1), kind="stable")
    trait_order = np.argsort(-measured.sum(axis=0), kind="stable")
    holes = ~measured[np.ix_(sample_order, trait_order)]
    shrunk = _fewer_rows(holes.astype(np.float64), most=400).T
    missing = 100 * holes.mean(axis=0)
    names = [traits[j] for j in trait_order]
    n = len(names)
    with figure_style():
        figure = new_figure(width_mm=width_mm, height_mm=18 + max(3.2 * n, 10))
        axes, side = figure.subplots(1, 2, sharey=True, width_ratios=[3, 1])
        _picture(axes, shrunk, VERMILLION, (0, len(measured), -0.5, n - 0.5))
        axes.set_ylim(n - 0.5, -0.5)
        axes.set_xlabel("Samples, fullest first")
        axes.set_yticks(range(n), names, fontsize=6.5)
        axes.tick_params(axis="y", length=0)
        light_grid(side, axis="x")
        side.barh(range(n), missing, color=VERMILLION, height=0.75)
        side.set_xlabel("% missing")
        side.tick_params(axis="y", length=0, labelleft=False)
    return figure


def trait_correlation_map(
    observed: pd.DataFrame, predicted: pd.DataFrame | None = None, *, width_mm: float = 180
) -> Figure:
    """Draw trait correlations: as observed below the diagonal, as predicted above it.

    Parameters
    ----------
    observed, predicted
        (T, T) correlations by trait name, of `crosstrait.evaluation.trait_correlations`. Without
        ``predicted`` both halves are as observed.

    Notes
    -----
    Traits are ordered so that alike ones are neighbours (average linkage on 1 - r observed).
    """
    names = [str(name) for name in observed.index]
    order = _alike_together(observed.to_numpy())
    names = [names[j] for j in order]
    above = observed if predicted is None else predicted
    r = np.where(
        np.tril(np.ones(observed.shape, dtype=bool), -1),
        observed.to_numpy()[np.ix_(order, order)],
        above.to_numpy()[np.ix_(order, order)],
    )
    np.fill_diagonal(r, np.nan)
    n = len(names)
    longest = max(text_mm(name, points=5.5) for name in names)
    cell = (width_mm - longest - 16) / n
    crowded = cell < _LABEL_MM  # then rows alone are named, and are higher than columns are wide
    points = 7 if n <= 24 and cell >= 3 else 5.5
    row = _LABEL_MM if crowded else min(cell, _CELL_MM)
    below = 8 if crowded else 8 + max(text_mm(name, points=points) for name in names)
    with figure_style():
        figure = new_figure(width_mm=width_mm, height_mm=n * row + below)
        axes = figure.subplots()
        extent = (-0.5, n - 0.5, n - 0.5, -0.5)
        axes.imshow(_diverging(r), interpolation="none", extent=extent, aspect="auto")
        if n <= 12 and cell >= 6:
            for i, j in np.argwhere(np.isfinite(r)):
                text = fixed(r[i, j], digits=2)
                axes.text(j, i, text, ha="center", va="center", fontsize=6)
        axes.set_xticks(range(n), [""] * n if crowded else names, rotation=90, fontsize=points)
        axes.set_yticks(range(n), names, fontsize=points)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        key = "" if predicted is None else "predicted above the diagonal, observed below"
        axes.set_title(key, loc="right" if width_mm < 110 else "left", color=INK, fontsize=7)
        if crowded:
            axes.set_xlabel("columns as rows", fontsize=7)
        bar = axes.inset_axes((1.02, 0.3, 0.025, 0.4))
        scale = np.linspace(1, -1, 101)[:, None]
        bar.imshow(_diverging(scale), aspect="auto", interpolation="none", extent=(0, 1, -1, 1))
        bar.set_xticks([])
        bar.set_yticks([-1, 0, 1], [f"{MINUS}1", "0", "1"])
        bar.yaxis.tick_right()
        bar.set_title("r", fontsize=7)
    return figure


def _picture(
    axes: Axes, strength: FloatArray, colour: str, extent: tuple[float, float, float, float]
) -> None:
    """Show (rows, columns) ``strength`` in [0, 1] as opacity, rows upwards from the first."""
    rgba = np.empty((*strength.shape, 4))
    rgba[..., :3] = to_rgb(colour)
    rgba[..., 3] = strength
    axes.imshow(rgba, origin="lower", interpolation="none", extent=extent, aspect="auto")


def _diverging(r: FloatArray) -> FloatArray:
    """Blue for positive, orange for negative, transparent for none."""
    rgba = np.empty((*r.shape, 4))
    rgba[..., :3] = np.where((r < 0)[..., None], to_rgb(VERMILLION), to_rgb(BLUE))
    rgba[..., 3] = _FULL * np.nan_to_num(np.abs(r))
    return rgba


def _fewer_rows(holes: FloatArray, *, most: int) -> FloatArray:
    """Average neighbouring rows, so that a large panel stays a small picture."""
    if len(holes) <= most:
        return holes
    starts = np.linspace(0, len(holes), most, endpoint=False).astype(np.intp)
    sizes = np.diff([*starts, len(holes)])[:, None]
    mean: FloatArray = np.add.reduceat(holes, starts, axis=0) / sizes
    return mean


def _alike_together(r: FloatArray) -> NDArray[np.intp]:
    if len(r) < 3:
        return np.arange(len(r))
    distance = 1 - np.nan_to_num(r)
    np.fill_diagonal(distance, 0)
    symmetric = np.clip((distance + distance.T) / 2, 0, 2)
    order: NDArray[np.intp] = leaves_list(
        linkage(squareform(symmetric, checks=False), "average", optimal_ordering=True)
    )
    return order
