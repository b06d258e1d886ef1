"""Accuracy against cost."""

from __future__ import annotations

import math
from itertools import combinations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox

from crosstrait.evaluation.leaderboard import LeaderboardRow
from crosstrait.report.frontier import frontier


def drawn(*models: tuple[str, float, float]) -> Axes:
    rows = [
        LeaderboardRow(model, "mean", "r2", mean, 0.01, mean - 0.01, mean + 0.01, 3, 9, seconds)
        for model, mean, seconds in models
    ]
    (axes,) = frontier(pd.DataFrame(rows)).axes
    return axes


def test_it_joins_the_models_that_none_beats() -> None:
    axes = drawn(
        ("ridge", 0.40, 1.0), ("trees", 0.45, 10.0), ("canonical", 0.44, 100.0), ("slow", 0.45, 1e3)
    )
    bold = {text.get_text() for text in axes.texts if text.get_fontweight() == "bold"}
    assert bold == {"ridge", "trees"}
    assert {text.get_text() for text in axes.texts} == {"ridge", "trees", "canonical", "slow"}
    assert axes.get_xscale() == "log"


def test_of_two_models_of_one_cost_the_worse_is_not_on_it() -> None:
    axes = drawn(("ridge", 0.40, 5.0), ("trees", 0.45, 5.0))
    bold = {text.get_text() for text in axes.texts if text.get_fontweight() == "bold"}
    assert bold == {"trees"}


def test_no_name_covers_another_or_a_point() -> None:
    axes = drawn(
        *(("ridge", 0.30, 5.0), ("a", 0.499, 5.0), ("b", 0.50, 6.0), ("long_name", 0.49, 8.0)),
        *(("longer_name", 0.498, 9.0), ("last", 0.5, 30.0)),
    )
    renderer = FigureCanvasAgg(axes.figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    for first, second in combinations(boxes, 2):
        assert not first.overlaps(second)
    points = [axes.transData.transform(line.get_xydata()) for line in axes.lines[1:]]
    assert len(points) == len(boxes) == 6
    for box in boxes:
        assert not any(box.contains(*point) for [point] in points)
        assert Bbox.intersection(box, axes.get_window_extent(renderer)) is not None


def test_a_model_without_a_mean_or_a_time_is_left_out() -> None:
    axes = drawn(("ridge", 0.40, 1.0), ("lost", math.nan, 1.0), ("untimed", 0.4, math.nan))
    assert {text.get_text() for text in axes.texts} == {"ridge"}


def test_round_times_on_the_axis_have_no_zeros_to_spare() -> None:
    times = {"ridge": 0.1, "trees": 3.0, "transformer": 1900.0}
    rows = [
        LeaderboardRow(model, trait, "r2", 0.4, 0.0, 0.3, 0.5, 1, 9, seconds)
        for model, seconds in times.items()
        for trait in ("mean", "a", "b")
    ]
    axes = frontier(pd.DataFrame(rows), width_mm=300).axes[0]
    labels = [label.get_text().replace("\xa0", " ") for label in axes.get_xticklabels()]
    assert {"0.1 s", "1 s", "10 s", "60 s", "10 min", "30 min"} <= set(labels)
