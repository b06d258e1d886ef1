"""Figures of scores: each function takes tables and returns a matplotlib figure.

Colours follow the model, never its rank. A figure is exactly as wide as it is asked to be, in
millimetres; its text and lines are as large at any width, so a narrow one has more rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from crosstrait.evaluation.comparison import difference_rows
from crosstrait.evaluation.leaderboard import MEAN, LeaderboardRow, leaderboard_rows
from crosstrait.report.numbers import MINUS, fixed, interval_text, spread
from crosstrait.report.style import (
    BLUE,
    FONT_POINTS,
    INK,
    MUTED,
    PAGE_HEIGHT_MM,
    PAPER,
    LegendShape,
    figure_style,
    folded,
    light_grid,
    model_colours,
    new_figure,
    text_mm,
)
from crosstrait.report.svg import TIP

_LOWEST_R2 = -0.25
_THICKEST_MM = 7.0
_ROWS_MM = ((1.7, 38.0), (1.2, 30.0), (0.9, 26.0))  # thinnest bar, lowest row: the first that fits
_LEAST_SLOT_MM = 8.0  # that a name in three lines stands under
_ROW_MM = (50.0, 62.0)  # highest row, and that of one row alone


def r2_by_trait(
    leaderboard: pd.DataFrame,
    *,
    published: pd.DataFrame | None = None,
    traits: Sequence[str] | None = None,
    colours: Mapping[str, str] | None = None,
    width_mm: float = 180,
) -> Figure:
    """Draw R2 by trait as grouped bars with the SD of replicates.

    Parameters
    ----------
    leaderboard
        The leaderboard; where no model has an SD (one replicate) the 95 % intervals are drawn.
    published
        Columns ``model, trait, r2``: marked by a line across the bar of that model and trait.
    traits
        Their order; where not given, the published one if some are published, otherwise by the
        best model's R2.
    colours
        model -> colour, where they are not the models' own.
    width_mm
        Width; the height follows from the number of traits and models.

    Notes
    -----
    Bars stop at R2 = -0.25; what lies lower is written at the bar. A thin line that goes on below
    it ends in an arrowhead.
    """
    rows = [
        row
        for row in leaderboard_rows(leaderboard, metric="r2")
        if row.trait != MEAN and math.isfinite(row.mean)
    ]
    models = list(dict.fromkeys(row.model for row in rows))
    known = _published(published)
    names = list(traits) if traits is not None else _trait_order(rows, known)
    every = colours or model_colours(leaderboard["model"].unique())
    shades = {model: every[model] for model in models}
    table = {(row.model, row.trait): row for row in rows}
    marked = bool(set(known) & set(table))
    slot = len(models) + 1
    legend = LegendShape(labels=[*models, *(["published value"] if marked else [])])
    legend_mm = legend.height_mm(width_mm)
    per_row, row_mm = _rows_of_bars(
        len(names), slot=slot, inner_mm=width_mm - 16, room_mm=PAGE_HEIGHT_MM - legend_mm
    )
    n_rows = math.ceil(len(names) / per_row)
    of_sd = any(math.isfinite(row.sd) for row in rows)
    low, high = _r2_limits(rows, of_sd=of_sd)
    with figure_style():
        figure = new_figure(width_mm=width_mm, height_mm=legend_mm + n_rows * row_mm)
        grid = figure.subplots(n_rows, 1, squeeze=False, sharey=True)[:, 0]
        for axes, start in zip(grid, range(0, len(names), per_row), strict=True):
            shown = names[start : start + per_row]
            for m, model in enumerate(models):
                offset = (m - (len(models) - 1) / 2) / slot
                bars = {
                    place + offset: table[model, trait]
                    for place, trait in enumerate(shown)
                    if (model, trait) in table
                }
                _draw_bars(axes, bars, width=1 / slot, colour=shades[model], of_sd=of_sd)
                for x, row in bars.items():
                    if (model, row.trait) in known:
                        _published_mark(axes, x, 1 / slot, known[model, row.trait])
            # Few bars stay in the middle rather than grow fat.
            beside = max(0.6, 0.5 * ((width_mm - 16) / (slot * _THICKEST_MM) - per_row) + 0.5)
            axes.set_xlim(-beside, per_row - 1 + beside)
            axes.set_ylim(low, high)
            axes.set_ylabel("R²")
            light_grid(axes, axis="y")
            axes.axhline(0, color=MUTED, linewidth=0.6)
            _trait_ticks(axes, shown, slot_mm=(width_mm - 16) / (per_row - 1 + 2 * beside))
        _legend(figure, shades, published=marked, columns=legend.columns(width_mm))
    return figure


def _rows_of_bars(
    n_traits: int, *, slot: int, inner_mm: float, room_mm: float
) -> tuple[int, float]:
    """Return how many traits stand in a row, and its height: as a page has room for."""
    for thinnest, lowest in _ROWS_MM:
        per_row = max(1, min(n_traits, int(inner_mm / (slot * thinnest))))
        n_rows = math.ceil(n_traits / per_row)
        if n_rows * lowest <= room_mm:
            break
    height = _ROW_MM[1] if n_rows == 1 else max(lowest, min(_ROW_MM[0], room_mm / n_rows))
    return math.ceil(n_traits / n_rows), height


def trait_differences(
    comparison: pd.DataFrame,
    *,
    model: str,
    other: str,
    colour: str = BLUE,
    width_mm: float = 180,
) -> Figure:
    """Draw how much better ``model`` is than ``other`` on each trait, with paired intervals.

    Parameters
    ----------
    comparison
        The table of `crosstrait.evaluation.compare`, which has this pair in either order.
    model, other
        The pair; differences are R2 of ``model`` minus R2 of ``other``.
    colour
        Of the marks.
    """
    found = difference_rows(comparison, model=model, other=other, metric="r2")
    rows = sorted(
        (row for row in found if row.trait != MEAN), key=lambda row: (-row.difference, row.trait)
    )
    columns = 1 if len(rows) <= 24 or width_mm < 120 else 2
    per_column = math.ceil(len(rows) / columns)
    with figure_style():
        figure = new_figure(width_mm=width_mm, height_mm=18 + 4.6 * per_column)
        grid = figure.subplots(1, columns, squeeze=False, sharex=True)[0]
        for k, axes in enumerate(grid):
            part = rows[k * per_column : (k + 1) * per_column]
            light_grid(axes, axis="x")
            axes.axvline(0, color=INK, linewidth=0.8)
            for y, row in enumerate(part):
                sure = row.ci_low > 0 or row.ci_high < 0
                (line,) = axes.plot(
                    [row.ci_low, row.ci_high], [-y, -y], color=colour, linewidth=1.4
                )
                axes.plot(
                    [row.difference],
                    [-y],
                    "o",
                    markersize=4,
                    color=colour,
                    markerfacecolor=colour if sure else PAPER,
                    markeredgewidth=1.0,
                )
                text = interval_text(row.ci_low, row.ci_high, sign=True)
                line.set_gid(f"{TIP}{row.trait}: {fixed(row.difference, sign=True)} ({text})")
            axes.set_yticks([-y for y in range(len(part))], [row.trait for row in part])
            axes.set_ylim(-per_column + 0.4, 0.6)
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        figure.supxlabel(f"R² of {model} {MINUS} R² of {other}", fontsize=FONT_POINTS)
    return figure


def _published(table: pd.DataFrame | None) -> dict[tuple[str, str], float]:
    if table is None:
        return {}
    columns = (table[name] for name in ("model", "trait", "r2"))
    return {(model, trait): float(r2) for model, trait, r2 in zip(*columns, strict=True)}


def _trait_order(rows: list[LeaderboardRow], known: dict[tuple[str, str], float]) -> list[str]:
    traits = dict.fromkeys(row.trait for row in rows)
    published = list(dict.fromkeys(trait for _, trait in known))
    if set(published) & set(traits):
        last = len(published)
        return sorted(traits, key=lambda t: published.index(t) if t in published else last)
    best = dict.fromkeys(traits, -math.inf)
    for row in rows:
        if row.mean > best[row.trait]:
            best[row.trait] = row.mean
    return sorted(traits, key=lambda trait: -best[trait])


def _r2_limits(rows: list[LeaderboardRow], *, of_sd: bool) -> tuple[float, float]:
    means = [row.mean for row in rows]
    ends = [end for row in rows for end in (row.mean, *_whisker(row, of_sd=of_sd)) if end == end]
    low, high = min([0.0, *means, *ends]), max([0.1, *ends])
    return max(_LOWEST_R2, 1.1 * low), min(1.0, 1.05 * high)


def any_beyond(rows: Sequence[LeaderboardRow]) -> bool:
    """Whether the thin line of a bar in `r2_by_trait` goes on below the lowest axis."""
    of_sd = any(math.isfinite(row.sd) for row in rows)
    return any(row.mean >= _LOWEST_R2 > _whisker(row, of_sd=of_sd)[0] for row in rows)


def _whisker(row: LeaderboardRow, *, of_sd: bool) -> tuple[float, float]:
    if of_sd:
        return row.mean - row.sd, row.mean + row.sd
    return row.ci_low, row.ci_high


def _draw_bars(
    axes: Axes, bars: dict[float, LeaderboardRow], *, width: float, colour: str, of_sd: bool
) -> None:
    """Draw one model's bars, by their places on the x axis."""
    heights = [max(row.mean, _LOWEST_R2) for row in bars.values()]
    drawn = axes.bar(list(bars), heights, width * 0.94, color=colour)
    for x, row, bar in zip(bars, bars.values(), drawn, strict=True):
        value = f"{fixed(row.mean)} {spread(row.sd)}".strip()
        interval = interval_text(row.ci_low, row.ci_high)
        bar.set_gid(f"{TIP}{row.trait}, {row.model}: R\u00b2 {value} ({interval})")
        if row.mean < _LOWEST_R2:
            axes.annotate(
                fixed(row.mean, digits=1),
                (x, _LOWEST_R2),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=5,
                rotation=90,
            )
    ends = {x: _whisker(row, of_sd=of_sd) for x, row in bars.items() if row.mean >= _LOWEST_R2}
    ends = {x: pair for x, pair in ends.items() if math.isfinite(pair[0])}
    if ends:
        axes.vlines(list(ends), *zip(*ends.values(), strict=True), color=INK, linewidth=0.8)
    if beyond := [x for x, (low, _) in ends.items() if low < _LOWEST_R2]:
        axes.plot(
            beyond,
            [_LOWEST_R2] * len(beyond),
            linestyle="none",
            marker="v",
            markersize=3,
            color=INK,
            clip_on=False,
        )


def _published_mark(axes: Axes, x: float, width: float, value: float) -> None:
    axes.hlines(value, x - 0.62 * width, x + 0.62 * width, color=PAPER, linewidth=2.4)
    (mark,) = axes.plot(
        [x - 0.62 * width, x + 0.62 * width], [value, value], color=INK, linewidth=1.2
    )
    mark.set_gid(f"{TIP}published: {fixed(value)}")


def _trait_ticks(axes: Axes, traits: list[str], *, slot_mm: float) -> None:
    points = FONT_POINTS - (1 if slot_mm > 14 else 2)
    names = [folded(name, width_mm=slot_mm - 0.5, points=points, lines=3) for name in traits]
    widest = max(text_mm(name, points=points) for name in traits)
    slanted = slot_mm < _LEAST_SLOT_MM and widest > slot_mm
    axes.set_xticks(
        range(len(traits)),
        traits if slanted else names,
        fontsize=points,
        rotation=35 if slanted else 0,
        ha="right" if slanted else "center",
        rotation_mode="anchor" if slanted else "default",
    )
    axes.tick_params(axis="x", length=0)


def _legend(figure: Figure, colours: dict[str, str], *, published: bool, columns: int) -> None:
    handles: list[Patch | Line2D] = [
        Patch(color=colour, label=model) for model, colour in colours.items()
    ]
    if published:
        handles.append(Line2D([], [], color=INK, linewidth=1.2, label="published value"))
    # matplotlib fills columns first; people read rows, and bars stand in that order.
    by_column = [handle for k in range(columns) for handle in handles[k::columns]]
    figure.legend(handles=by_column, loc="outside upper left", ncols=columns)
