"""Accuracy against cost."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from matplotlib.transforms import Bbox, BboxBase

from crosstrait.evaluation.leaderboard import MEAN, LeaderboardRow, leaderboard_rows
from crosstrait.report.numbers import duration, fixed, interval_text
from crosstrait.report.style import MUTED, figure_style, light_grid, model_colours, new_figure
from crosstrait.report.svg import TIP

_TIME_TICKS = [
    *(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
    *(60, 180, 600, 1800, 3600, 3 * 3600, 10 * 3600, 30 * 3600, 100 * 3600),
]

# Right (1) or left (-1) of the point, and how far up, in order of preference.
_SIDES = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
_PLACES = [
    *_SIDES,
    *((right, up) for far in (2, 3, 5, 7, 9) for right in (0, 1, -1) for up in (far, -far)),
]


_LEADER = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 4}


def frontier(
    leaderboard: pd.DataFrame, *, colours: Mapping[str, str] | None = None, width_mm: float = 120
) -> Figure:
    """Draw mean R2 against training time, with the models that none beats on both joined."""
    rows = [
        row
        for row in leaderboard_rows(leaderboard, metric="r2")
        if row.trait == MEAN and row.train_seconds > 0 and math.isfinite(row.mean)
    ]
    rows.sort(key=lambda row: (row.train_seconds, row.model))
    front = [row for row in rows if not any(_beats(other, row) for other in rows)]
    colours = colours or model_colours(leaderboard["model"].unique())
    with figure_style():
        figure = new_figure(width_mm=width_mm, height_mm=max(60, min(85, 0.62 * width_mm)))
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
        low, high = rows[0].train_seconds, rows[-1].train_seconds
        axes.set_xlim(low / 1.8, high * 3.5)
        ticks = [t for t in _TIME_TICKS if low / 1.8 <= t <= high * 3.5]
        ticks = ticks[:: max(1, math.ceil(13 * len(ticks) / (width_mm - 20)))]
        axes.set_xticks(ticks, [_tick(t) for t in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("Time of one training")
        axes.set_ylabel("R²" if leaderboard["trait"].nunique() <= 2 else "Mean R²")
        _name(figure, axes, rows, bold=front)
    return figure


def _tick(seconds: float) -> str:
    """Return a round time without the zeros that a measured one has."""
    return re.sub(r"\.?0+(?=\s)", "", text) if "." in (text := duration(seconds)) else text


def _name(
    figure: Figure, axes: Axes, rows: Sequence[LeaderboardRow], *, bold: Sequence[LeaderboardRow]
) -> None:
    """Write each model's name beside its point, where it covers least."""
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    figure.draw_without_rendering()  # settles where the axes are
    taken = []
    for row in rows:
        ends = axes.transData.transform(
            [(row.train_seconds, row.ci_low), (row.train_seconds, row.ci_high)]
        )
        taken.append(Bbox(ends).padded(4))
    for row in sorted(rows, key=lambda row: -row.mean):
        found = []
        for place, (right, up) in enumerate(_PLACES):
            name = axes.annotate(
                row.model,
                (row.train_seconds, row.mean),
                xytext=(7 * right, 6 * up),
                textcoords="offset points",
                ha={1: "left", 0: "center", -1: "right"}[right],
                va="center",
                fontweight="bold" if row in bold else "normal",
            )
            box = name.get_window_extent(renderer)
            covered = sum(_area(box, other) for other in taken)
            outside = box.width * box.height - _area(box, axes.get_window_extent(renderer))
            found.append((covered + outside, place, name, box))
        _, place, best, box = min(found, key=lambda one: one[:2])
        if abs(_PLACES[place][1]) > 3:
            end = best.xyann
            axes.annotate("", best.xy, xytext=end, textcoords="offset points", arrowprops=_LEADER)
        for *_, name, _ in found:
            if name is not best:
                name.remove()
        taken.append(box)


def _area(box: BboxBase, other: BboxBase) -> float:
    """Return the area that two boxes share."""
    shared = Bbox.intersection(box, other)
    return 0.0 if shared is None else float(shared.width * shared.height)


def _beats(row: LeaderboardRow, other: LeaderboardRow) -> bool:
    """Whether ``row`` is as cheap and as good as ``other``, and better in one of them."""
    cheaper, better = row.train_seconds <= other.train_seconds, row.mean >= other.mean
    return cheaper and better and (row.train_seconds, row.mean) != (other.train_seconds, other.mean)
