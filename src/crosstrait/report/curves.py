"""Learning curves: how training went, and when it was best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from crosstrait.report.numbers import fixed
from crosstrait.report.style import (
    FONT_POINTS,
    INK,
    PAGE_HEIGHT_MM,
    figure_style,
    light_grid,
    model_colours,
    new_figure,
)
from crosstrait.report.svg import TIP

_MOST_CURVES = 12


def learning_curves(
    histories: Mapping[str, Sequence[pd.DataFrame]],
    *,
    colours: Mapping[str, str] | None = None,
    width_mm: float = 180,
) -> Figure:
    """Draw training and validation loss by epoch, a panel a model, the best epoch marked.

    Parameters
    ----------
    histories
        model -> histories, each with columns ``epoch, train_loss, val_loss`` of one network.
        Of more than 12 networks the median and the middle 80 % are drawn.
    colours
        model -> colour, where these are not all models of the report.
    """
    models = list(histories)
    colours = colours or model_colours(models)
    columns = max(1, min(3, len(models), int(width_mm // 50)))
    n_rows = math.ceil(len(models) / columns)
    row_mm = max(36.0, min(48.0, (PAGE_HEIGHT_MM - 6) / n_rows))
    with figure_style():
        figure = new_figure(width_mm=width_mm, height_mm=6 + row_mm * n_rows)
        grid = figure.subplots(n_rows, columns, squeeze=False).ravel()
        for axes in grid[len(models) :]:
            axes.set_visible(False)
        for axes, model in zip(grid, models, strict=False):
            _curves(axes, histories[model], colours[model])
            axes.set_title(model, loc="left", fontweight="bold")
            axes.set_xlabel("Epoch")
            light_grid(axes, axis="y")
        figure.supylabel("Loss (standardised MSE)", fontsize=FONT_POINTS)
        handles = [
            grid[0].plot([], [], color=INK, linewidth=1.4, label="validation")[0],
            grid[0].plot([], [], color=INK, linewidth=1.0, dashes=(3, 2), label="training")[0],
            grid[0].plot([], [], "o", color=INK, markersize=4, label="best epoch")[0],
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=3)
    return figure


def _curves(axes: Axes, tables: Sequence[pd.DataFrame], colour: str) -> None:
    columns: dict[str, dict[str, Any]] = {
        "val_loss": {"linewidth": 1.4},
        "train_loss": {"linewidth": 1.0, "dashes": (3, 2)},
    }
    shown = []
    for name, look in columns.items():
        wide = pd.concat([t.set_index("epoch")[name] for t in tables], axis=1).sort_index()
        wide = wide.dropna(how="all")
        if wide.empty:
            continue
        if len(tables) > _MOST_CURVES:
            quantiles = wide.quantile([0.1, 0.5, 0.9], axis=1)
            axes.fill_between(
                wide.index, *quantiles.to_numpy()[[0, 2]], color=colour, alpha=0.2, linewidth=0
            )
            axes.plot(wide.index, quantiles.loc[0.5], color=colour, **look)
        else:
            axes.plot(wide.index, wide, color=colour, alpha=0.8, **look)
        shown.append(wide.to_numpy())
    watched = [table for table in tables if table["val_loss"].notna().any()]
    if len(watched) > _MOST_CURVES:
        middle = pd.concat(watched).groupby("epoch")["val_loss"].median()
        best = round(float(np.median([best_epoch(table)[0] for table in watched])))
        points = [(best, float(middle.loc[best]))]
    else:
        points = [best_epoch(table) for table in watched]
    for epoch, loss in points:
        (point,) = axes.plot([epoch], [loss], "o", color=colour, markersize=4)
        point.set_gid(f"{TIP}best epoch {epoch}: {fixed(loss)}")
    if shown:
        values = np.concatenate([part.ravel() for part in shown])
        values = values[np.isfinite(values)]
        low, high = values.min(), np.quantile(values, 0.98)
        axes.set_ylim(low - 0.06 * (high - low), high + 0.1 * (high - low))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))


def best_epoch(table: pd.DataFrame) -> tuple[int, float]:
    """Return the epoch of the lowest validation loss, and the loss."""
    place = int(np.nanargmin(table["val_loss"]))
    return int(table["epoch"].iloc[place]), float(table["val_loss"].iloc[place])
