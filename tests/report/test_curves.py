"""Learning curves."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crosstrait.report.curves import best_epoch, learning_curves


def history(best: int, *, n_epochs: int = 10, level: float = 0.5) -> pd.DataFrame:
    epochs = np.arange(1, n_epochs + 1)
    return pd.DataFrame(
        {
            "epoch": epochs,
            "train_loss": 1 / epochs,
            "val_loss": level + 0.01 * np.abs(epochs - best),
        }
    )


def points(axes) -> list[tuple[float, float]]:
    marked = [line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]
    return sorted((line.get_xdata()[0], line.get_ydata()[0]) for line in marked)


def test_the_best_epoch_of_every_network_is_marked() -> None:
    figure = learning_curves({"canonical": [history(3), history(7)], "rijal": [history(5)]})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["canonical", "rijal"]
    assert points(figure.axes[0]) == [(3, 0.5), (7, 0.5)]
    assert points(figure.axes[1]) == [(5, 0.5)]


def test_many_networks_become_a_median_and_a_band() -> None:
    tables = [history(5, level=0.5 + 0.01 * k) for k in range(31)]
    (axes,) = learning_curves({"rijal": tables}).axes
    assert len(axes.collections) == 2
    assert points(axes) == [(5, 0.65)]


def test_training_without_validation_has_a_curve_and_no_best_epoch() -> None:
    table = history(3).assign(val_loss=np.nan)
    (axes,) = learning_curves({"canonical": [table]}).axes
    assert points(axes) == []
    assert any(len(line.get_xdata()) == 10 for line in axes.lines)


def test_networks_that_stopped_early_share_the_axes_of_the_others() -> None:
    (axes,) = learning_curves({"rijal": [history(3, n_epochs=4), history(8)]}).axes
    assert points(axes) == [(3, 0.5), (8, 0.5)]


def test_the_best_epoch_is_counted_as_the_history_counts() -> None:
    assert best_epoch(history(4)) == (4, 0.5)
