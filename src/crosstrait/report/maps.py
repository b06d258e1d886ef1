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
from crosstrait.report.style import BLUE, INK, MUTED, VERMILLION, figure_style, new_figure

FloatArray = NDArray[np.floating[Any]]

_BINS = 30
_REACH = 3.5
_TICK_LABELS = [f"{MINUS}2", "0", "2"]
_PANEL_MM = 28.0


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
    columns = max(1, min(len(traits), int(width_mm // _PANEL_MM)))
    n_rows = math.ceil(len(traits) / columns)
    width = min(width_mm, 10 + columns * (70 if len(traits) <= 3 else 44))
    panel = (width - 10) / columns
    height = n_rows * panel + 8
    with figure_style():
        figure = new_figure(width_mm=width, height_mm=height, constrained=False)
        for k, trait in enumerate(traits):
            row, column = divmod(k, columns)
            left = (10 + column * panel + 1) / width
            bottom = 1 - ((row + 1) * panel - 1) / height
            axes = figure.add_axes((left, bottom, (panel - 2) / width, (panel - 6) / height))
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
            axes.set_title(trait, fontsize=7, pad=2)
            axes.set_xticks([-2, 0, 2], _TICK_LABELS if row == n_rows - 1 else [""] * 3)
            axes.set_yticks([-2, 0, 2], _TICK_LABELS if column == 0 else [""] * 3)
            axes.tick_params(labelsize=6, length=1.5)
        figure.supxlabel("Predicted (SD of the trait)", fontsize=8, y=0.002)
        figure.supylabel("Observed (SD of the trait)", fontsize=8, x=0.002)
    return figure


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
    shrunk = _fewer_rows(holes.astype(np.float64), most=400)
    missing = 100 * holes.mean(axis=0)
    names = [traits[j] for j in trait_order]
    with figure_style():
        figure = new_figure(width_mm=min(width_mm, 30 + 9 * len(names)), height_mm=88)
        top, axes = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2.2])
        top.bar(range(len(names)), missing, color=VERMILLION, width=0.8)
        top.set_ylabel("% missing")
        top.tick_params(axis="x", length=0)
        _picture(axes, shrunk, VERMILLION, (-0.5, len(names) - 0.5, 0, len(measured)))
        axes.set_ylim(len(measured), 0)
        axes.set_ylabel("Samples, fullest first")
        axes.set_xticks(
            range(len(names)),
            names,
            rotation=90 if len(names) > 12 else 35,
            ha="center" if len(names) > 12 else "right",
            fontsize=6,
        )
        axes.tick_params(axis="x", length=0)
    return figure


def trait_correlation_map(
    observed: pd.DataFrame, predicted: pd.DataFrame, *, width_mm: float = 180
) -> Figure:
    """Draw trait correlations: as observed below the diagonal, as predicted above it.

    Parameters
    ----------
    observed, predicted
        (T, T) correlations by trait name, of `crosstrait.evaluation.trait_correlations`.

    Notes
    -----
    Traits are ordered so that alike ones are neighbours (average linkage on 1 - r observed).
    """
    names = [str(name) for name in observed.index]
    order = _alike_together(observed.to_numpy())
    names = [names[j] for j in order]
    r = np.where(
        np.tril(np.ones(observed.shape, dtype=bool), -1),
        observed.to_numpy()[np.ix_(order, order)],
        predicted.to_numpy()[np.ix_(order, order)],
    )
    np.fill_diagonal(r, np.nan)
    n = len(names)
    size = min(width_mm - 30, max(50.0, 8.0 * n))
    with figure_style():
        figure = new_figure(width_mm=size + 45, height_mm=size + 22)
        axes = figure.subplots()
        rgba = _diverging(r)
        axes.imshow(rgba, interpolation="none", extent=(-0.5, n - 0.5, n - 0.5, -0.5))
        if n <= 12:
            for i in range(n):
                for j in range(n):
                    if np.isfinite(r[i, j]):
                        axes.text(
                            j, i, fixed(r[i, j], digits=2), ha="center", va="center", fontsize=6
                        )
        small = 7 if n <= 24 else 5.5
        axes.set_xticks(range(n), names, rotation=90, fontsize=small)
        axes.set_yticks(range(n), names, fontsize=small)
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_title("predicted above the diagonal, observed below", loc="left", color=INK)
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
    rgba[..., 3] = np.nan_to_num(np.abs(r))
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
