"""Densities, holes and correlations as pictures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from crosstrait.report.maps import missing_map, observed_against_predicted, trait_correlation_map
from support.browser import contrast
from support.predictions import predictions, trait_values


def test_a_perfect_prediction_lies_on_the_diagonal() -> None:
    values = trait_values(200, n_traits=2, seed=1)
    cells = predictions(values, accuracy={"ridge": 0.5})
    cells["predicted"] = cells["observed"]
    figure = observed_against_predicted(cells, model="ridge", traits=["trait_1", "trait_0"])
    assert [axes.get_title() for axes in figure.axes] == ["trait_1", "trait_0"]
    opacity = figure.axes[0].images[0].get_array()[..., 3]
    assert opacity.max() == 1
    assert opacity[~np.eye(len(opacity), dtype=bool)].max() == 0


def test_predicted_runs_along_x_and_observed_along_y() -> None:
    values = trait_values(300, n_traits=1, seed=1)
    cells = predictions(values, accuracy={"ridge": 0.5})
    cells["predicted"] = 0.2 * cells["observed"]
    (axes,) = observed_against_predicted(cells, model="ridge", traits=["trait_0"]).axes
    rows, columns = np.nonzero(axes.images[0].get_array()[..., 3])
    assert np.ptp(rows) > 2 * np.ptp(columns)


def test_holes_are_opaque_and_the_fullest_come_first() -> None:
    measured = np.array([[True, False], [True, True], [False, False]])
    figure = missing_map(measured, traits=["a", "b"])
    axes, side = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    np.testing.assert_allclose([bar.get_width() for bar in side.patches], [100 / 3, 200 / 3])
    opacity = axes.images[0].get_array()[..., 3]
    assert opacity.tolist() == [[0, 0, 1], [0, 1, 1]]
    low, high = axes.get_ylim()
    assert low > high  # the fullest trait is on top, though a picture's rows run upwards


def test_a_large_panel_stays_a_small_picture() -> None:
    measured = np.random.default_rng(0).random((99_950, 18)) > 0.1
    picture = missing_map(measured, traits=[f"t{j}" for j in range(18)]).axes[0].images[0]
    opacity = picture.get_array()[..., 3]
    assert opacity.shape == (18, 400)
    assert abs(opacity.mean() - 0.1) < 0.01


def test_observed_is_below_the_diagonal_and_predicted_above() -> None:
    names = ["a", "b", "c"]
    observed = pd.DataFrame([[1, 0.9, 0.1], [0.9, 1, 0.2], [0.1, 0.2, 1]], names, names)
    predicted = -observed
    axes = trait_correlation_map(observed, predicted).axes[0]
    order = [label.get_text() for label in axes.get_xticklabels()]
    written = {text.get_position()[::-1]: text.get_text() for text in axes.texts}
    i, j = order.index("a"), order.index("b")
    assert abs(i - j) == 1
    assert written[max(i, j), min(i, j)] == "0.90"
    assert written[min(i, j), max(i, j)] == "\u22120.90"
    assert len(written) == 6


def test_an_undefined_correlation_is_blank() -> None:
    names = ["a", "b"]
    r = pd.DataFrame([[1, np.nan], [np.nan, 1]], names, names)
    axes = trait_correlation_map(r, r).axes[0]
    assert axes.images[0].get_array()[..., 3].sum() == 0
    assert len(axes.texts) == 0


@pytest.mark.parametrize("r", [-1.0, 1.0])
@pytest.mark.parametrize(
    ("ink", "paper"), [((27, 32, 39), (255, 255, 255)), ((233, 237, 242), (18, 22, 27))]
)
def test_a_number_can_be_read_on_the_strongest_correlation(
    r: float, ink: tuple[int, ...], paper: tuple[int, ...]
) -> None:
    same = pd.DataFrame([[1.0, r], [r, 1.0]], index=["a", "b"], columns=["a", "b"])
    figure = trait_correlation_map(same, same, width_mm=100)
    *colour, opacity = figure.axes[0].images[0].get_array()[0, 1]
    assert 0.5 < opacity < 1
    ground = opacity * 255 * np.array(colour) + (1 - opacity) * np.array(paper)
    assert contrast(np.array(ink), ground) > 4.5
