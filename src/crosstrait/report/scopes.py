"""Whether learning across traits helps: the section on models of all traits against one a trait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from crosstrait.evaluation.leaderboard import MEAN
from crosstrait.evaluation.single_vs_multi import SINGLE_VS_MULTI_COLUMNS, ScopeRow
from crosstrait.report.numbers import MINUS, fixed, interval_text
from crosstrait.report.plates import Plate
from crosstrait.report.style import FONT_POINTS, INK, PAPER, figure_style, light_grid, new_figure
from crosstrait.report.svg import TIP

_ROW_MM = 13.0
_SPREAD = 0.3


@dataclass(frozen=True, kw_only=True)
class Gain:
    """What learning all traits together gains one model.

    Attributes
    ----------
    mean
        The row of the mean over traits.
    better, worse
        How many traits' intervals lie above, and below, zero.
    """

    mean: ScopeRow
    better: int
    worse: int


def gains(table: pd.DataFrame) -> list[Gain]:
    """Return a line a model of the table of `crosstrait.evaluation.single_vs_multi`."""
    lines = []
    for rows in _by_pair(table):
        traits = [row for row in rows if row.trait != MEAN]
        lines.append(
            Gain(
                mean=next(row for row in rows if row.trait == MEAN),
                better=sum(row.ci_low > 0 for row in traits),
                worse=sum(row.ci_high < 0 for row in traits),
            )
        )
    return lines


def scope_plate(table: pd.DataFrame, *, colours: Mapping[str, str]) -> Plate | None:
    """Draw what each trait gains, a line a model."""
    if table.empty:
        return None
    caption = (
        "R² of each model that learned all traits together minus R² of the same model fitted one "
        "trait at a time, on identical cells. A circle is a trait, hollow where its 95 % interval "
        "contains zero; the bar is the mean over traits with its interval."
    )
    return Plate(
        name="scopes",
        title="What learning across traits gains",
        caption=caption,
        width_mm=180,
        draw=partial(scope_gains, table, colours=colours),
    )


def scope_gains(
    table: pd.DataFrame, *, colours: Mapping[str, str], width_mm: float = 180
) -> Figure:
    """Draw the gain of each trait as a circle and that of the mean as a bar with its interval."""
    pairs = _by_pair(table)
    with figure_style():
        figure = new_figure(width_mm=width_mm, height_mm=14 + _ROW_MM * len(pairs))
        axes = figure.subplots()
        light_grid(axes, axis="x")
        axes.axvline(0, color=INK, linewidth=0.8)
        for y, rows in enumerate(pairs):
            colour = colours.get(rows[0].model, INK)
            traits = sorted((r for r in rows if r.trait != MEAN), key=lambda r: r.difference)
            # Neighbours in size stand apart, so that no circle hides another.
            offsets = _SPREAD * (np.arange(len(traits)) * 0.618 % 1 - 0.5)
            for row, offset in zip(traits, offsets, strict=True):
                sure = row.ci_low > 0 or row.ci_high < 0
                (point,) = axes.plot(
                    [row.difference],
                    [-y + 0.12 + offset],
                    "o",
                    markersize=4,
                    color=colour,
                    markerfacecolor=colour if sure else PAPER,
                    markeredgewidth=1.0,
                )
                text = interval_text(row.ci_low, row.ci_high, sign=True)
                point.set_gid(f"{TIP}{row.trait}: {fixed(row.difference, sign=True)} ({text})")
            mean = next(row for row in rows if row.trait == MEAN)
            at = -y - 0.3
            axes.plot([mean.ci_low, mean.ci_high], [at, at], color=INK, linewidth=1.6)
            (mark,) = axes.plot([mean.difference], [at], "|", color=INK, markersize=9)
            text = interval_text(mean.ci_low, mean.ci_high, sign=True)
            mark.set_gid(f"{TIP}mean: {fixed(mean.difference, sign=True)} ({text})")
        axes.set_yticks([-y for y in range(len(pairs))], [rows[0].model for rows in pairs])
        axes.set_ylim(-len(pairs) + 0.45, 0.55)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        minus = f"{MINUS} R² learning each alone"
        label = f"R² learning all traits together{' ' if width_mm > 110 else chr(10)}{minus}"
        figure.supxlabel(label, fontsize=FONT_POINTS)
    return figure


def _by_pair(table: pd.DataFrame) -> list[list[ScopeRow]]:
    rows = [
        ScopeRow(*row)
        for row in table[list(SINGLE_VS_MULTI_COLUMNS)].itertuples(index=False, name=None)
    ]
    pairs = dict.fromkeys((row.model, row.single) for row in rows)
    return [[row for row in rows if (row.model, row.single) == pair] for pair in pairs]
