"""What the figures of scores show."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from crosstrait.evaluation.comparison import ComparisonRow
from crosstrait.evaluation.leaderboard import LeaderboardRow
from crosstrait.report.figures import r2_by_trait, trait_differences
from crosstrait.report.plates import scores_plate
from crosstrait.report.style import MM
from crosstrait.report.svg import TIP


def board(
    scores: dict[str, list[float]], *, sd: float = 0.01, seconds: dict[str, float] | None = None
) -> pd.DataFrame:
    rows = []
    for model, values in scores.items():
        names = [f"t{j}" for j in range(len(values))]
        for trait, mean in [("mean", float(np.mean(values))), *zip(names, values, strict=True)]:
            cost = (seconds or {}).get(model, 1.0)
            rows.append(
                LeaderboardRow(model, trait, "r2", mean, sd, mean - 0.1, mean + 0.1, 3, 9, cost)
            )
    return pd.DataFrame(rows)


def bars(figure: Figure) -> dict[str, Rectangle]:
    return {
        patch.get_gid().removeprefix(TIP): patch
        for axes in figure.axes
        for patch in axes.patches
        if patch.get_gid()
    }


def gids(figure: Figure) -> list[str]:
    return [a.get_gid() for axes in figure.axes for a in axes.lines if a.get_gid()]


def test_a_bar_is_as_high_as_its_r2_and_says_so() -> None:
    shown = bars(r2_by_trait(board({"ridge": [0.4, 0.5], "trees": [0.45, 0.3]})))
    assert len(shown) == 4
    assert shown["t0, ridge: R² 0.400 ± 0.010 (0.300 to 0.500)"].get_height() == 0.4


def test_bars_of_a_trait_stand_side_by_side() -> None:
    shown = bars(r2_by_trait(board({"ridge": [0.4, 0.5], "trees": [0.45, 0.3]}))).values()
    edges = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in shown)
    assert all(left[1] < right[0] for left, right in pairwise(edges))


def test_traits_are_sorted_by_the_best_model_or_as_published() -> None:
    table = board({"ridge": [0.4, 0.5, 0.3], "trees": [0.1, 0.2, 0.6]})

    def order(figure: Figure) -> list[str]:
        return [label.get_text() for label in figure.axes[0].get_xticklabels()]

    assert order(r2_by_trait(table)) == ["t2", "t1", "t0"]
    published = pd.DataFrame({"model": "ridge", "trait": ["t1", "t0"], "r2": [0.51, 0.41]})
    figure = r2_by_trait(table, published=published)
    assert order(figure) == ["t1", "t0", "t2"]
    assert f"{TIP}published: 0.510" in gids(figure)
    assert "published value" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_score_far_below_zero_is_cut_and_written() -> None:
    figure = r2_by_trait(board({"ridge": [0.4, 0.5], "canonical": [-7.3, 0.3]}))
    assert figure.axes[0].get_ylim()[0] == pytest.approx(-0.25)
    assert [text.get_text() for text in figure.axes[0].texts] == ["\u22127.3"]


def test_a_model_without_numbers_has_no_bar_and_no_place_in_the_legend() -> None:
    figure = r2_by_trait(board({"ridge": [0.4, 0.5], "canonical": [math.nan, math.nan]}))
    assert len(bars(figure)) == 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ridge"]


def test_whiskers_are_the_sd_or_else_the_intervals_but_never_both() -> None:
    table = board({"ridge": [0.4], "trees": [0.5]})
    table.loc[table["model"] == "ridge", "sd"] = math.nan

    def reach(figure: Figure) -> list[float]:
        return [
            float(np.ptp(path.vertices[:, 1]))
            for lines in figure.axes[0].collections
            for path in lines.get_paths()
            if np.isfinite(path.vertices).all()
        ]

    assert reach(r2_by_trait(table)) == pytest.approx([0.02])
    assert reach(r2_by_trait(table.assign(sd=math.nan))) == pytest.approx([0.2, 0.2])


def test_many_traits_take_more_rows_and_no_more_width() -> None:
    scores = {f"m{k}": [0.4] * 46 for k in range(8)}
    figure = r2_by_trait(board(scores), width_mm=180)
    assert len(figure.axes) > 3
    assert len(bars(figure)) == 46 * 8
    assert figure.get_figwidth() / MM <= 180


def comparison() -> pd.DataFrame:
    rows = [
        ComparisonRow("trees", "ridge", trait, "r2", d, d - 0.02, d + 0.02, 0.9, 1, 9)
        for trait, d in [("mean", 0.02), ("t0", 0.01), ("t1", 0.03), ("t2", -0.03)]
    ]
    return pd.DataFrame(rows)


def test_differences_are_sorted_and_hollow_where_they_may_be_zero() -> None:
    figure = trait_differences(comparison(), model="trees", other="ridge")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["t1", "t0", "t2"]
    points = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in points] == [0.03, 0.01, -0.03]
    hollow = [line.get_markerfacecolor() != line.get_color() for line in points]
    assert hollow == [False, True, False]


def test_a_pair_can_be_looked_at_from_either_side() -> None:
    figure = trait_differences(comparison(), model="ridge", other="trees")
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in points] == [0.03, -0.01, -0.03]


def test_a_line_that_goes_on_below_the_axis_ends_in_an_arrowhead() -> None:
    table = board({"ridge": [0.4, -0.2], "trees": [0.45, 0.05]}, sd=math.nan)
    axes = r2_by_trait(table).axes[0]
    assert axes.get_ylim()[0] == pytest.approx(-0.25)
    marks = [line for line in axes.lines if line.get_marker() == "v"]
    assert [len(line.get_xdata()) for line in marks] == [1]
    assert "arrowhead" in scores_plate(table, units="replicates").caption


def test_the_axis_reaches_the_end_of_every_line_above_its_lowest_place() -> None:
    table = board({"ridge": [0.4, -0.02], "trees": [0.45, 0.05]}, sd=math.nan)
    axes = r2_by_trait(table).axes[0]
    assert -0.25 < axes.get_ylim()[0] < -0.12
    assert not [line for line in axes.lines if line.get_marker() == "v"]
    assert "arrowhead" not in scores_plate(table, units="replicates").caption


def test_the_legend_is_read_in_rows_in_the_order_of_the_bars() -> None:
    models = [f"m{k}" for k in range(8)]
    figure = r2_by_trait(board({model: [0.4] for model in models}), width_mm=85)
    (legend,) = figure.legends
    FigureCanvasAgg(figure).draw()
    at = {text.get_text(): text.get_window_extent() for text in legend.get_texts()}
    assert sorted(at, key=lambda name: (-round(at[name].y0), at[name].x0)) == models
