"""Accuracy against cost."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from crosstrait.evaluation.leaderboard import MEAN, LeaderboardRow, leaderboard_rows
from crosstrait.report.numbers import duration, fixed, interval_text
from crosstrait.report.style import MUTED, figure_style, light_grid, model_colours, new_figure
from crosstrait.report.svg import TIP

_TIME_TICKS = [
    *(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
    *(60, 180, 600, 1800, 3600, 3 * 3600, 10 * 3600, 30 * 3600, 100 * 3600),
]


def frontier(leaderboard: pd.DataFrame, *, width_mm: float = 120) -> Figure:
    """Draw mean R2 against training time, with the models that none beats on both joined."""
    rows = [
        row
        for row in leaderboard_rows(leaderboard, metric="r2")
        if row.trait == MEAN and row.train_seconds > 0 and math.isfinite(row.mean)
    ]
    rows.sort(key=lambda row: (row.train_seconds, row.model))
    front = [row for row in rows if not any(_beats(other, row) for other in rows)]
    colours = model_colours(leaderboard["model"].unique())
    with figure_style():
        figure = new_figure(width_mm=width_mm, height_mm=min(85, 0.62 * width_mm))
        axes = figure.subplots()
        axes.set_xscale("log")
        light_grid(axes, axis="y")
        axes.spines["bottom"].set_visible(True)
        axes.step(
            [row.train_seconds for row in front],
            [row.mean for row in front],
            where="post",
            color=MUTED,
            linewidth=0.8,
            zorder=1,
        )
        for row in rows:
            axes.vlines(
                row.train_seconds, row.ci_low, row.ci_high, color=colours[row.model], linewidth=1.4
            )
            (point,) = axes.plot(
                [row.train_seconds], [row.mean], "o", color=colours[row.model], markersize=6
            )
            point.set_gid(
                f"{TIP}{row.model}: mean R² {fixed(row.mean)} "
                f"({interval_text(row.ci_low, row.ci_high)}), {duration(row.train_seconds)}"
            )
            axes.annotate(
                row.model,
                (row.train_seconds, row.mean),
                xytext=(6, -10 if _crowded(row, rows) else 4),
                textcoords="offset points",
                fontweight="bold" if row in front else "normal",
            )
        low, high = rows[0].train_seconds, rows[-1].train_seconds
        axes.set_xlim(low / 1.8, high * 3.5)
        ticks = [t for t in _TIME_TICKS if low / 1.8 <= t <= high * 3.5]
        axes.set_xticks(ticks, [duration(t) for t in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("Time of one training")
        axes.set_ylabel("R²" if leaderboard["trait"].nunique() <= 2 else "Mean R²")
    return figure


def _crowded(row: LeaderboardRow, rows: Sequence[LeaderboardRow]) -> bool:
    """Whether a better model stands so close that its name would cover this one's."""
    reach = max(r.ci_high for r in rows) - min(r.ci_low for r in rows)
    return any(
        0 < other.mean - row.mean < 0.06 * reach
        and 0.25 < row.train_seconds / other.train_seconds < 4
        for other in rows
    )


def _beats(row: LeaderboardRow, other: LeaderboardRow) -> bool:
    """Whether ``row`` is as cheap and as good as ``other``, and better in one of them."""
    cheaper, better = row.train_seconds <= other.train_seconds, row.mean >= other.mean
    return cheaper and better and (row.train_seconds, row.mean) != (other.train_seconds, other.mean)
