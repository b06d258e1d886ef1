from __future__ import annotations

import numpy as np
import pytest

from crosstrait.evaluation.calibration import LEVELS
from crosstrait.experiments.scoring import score_test_cells

NAN = np.nan
OBSERVED = np.array([[1.0, NAN, NAN], [2.0, 5.0, NAN], [3.0, 9.0, NAN], [NAN, NAN, NAN]])
PREDICTED = np.array([[1.5, 0.0, 1.0], [2.0, 5.0, 1.0], [2.5, 8.0, 1.0], [0.0, 0.0, 1.0]])


def test_every_score_is_over_the_measured_cells_of_its_trait() -> None:
    half = [np.full(OBSERVED.shape, width) for width in (0.4, 0.6, np.inf)]
    scores = score_test_cells(OBSERVED, predicted=PREDICTED, half_widths=half)
    assert scores is not None
    assert scores.n_samples == 3
    assert scores.n_cells == (3, 2, 0)
    assert scores.r2 == pytest.approx((1 - 0.5 / 2, 1 - 1 / 8, None))
    assert scores.rmse == pytest.approx((np.sqrt(0.5 / 3), np.sqrt(0.5), None))
    assert scores.pearson_r == pytest.approx((1, 1, None))
    # (1/3 + 1/2) / 2 within 0.4, (3/3 + 1/2) / 2 within 0.6; the third trait has no cell
    assert [level for level, _ in scores.coverage] == list(LEVELS)
    assert [share for _, share in scores.coverage] == pytest.approx([5 / 12, 3 / 4, 1])


def test_without_intervals_no_coverage_is_told_and_without_cells_nothing() -> None:
    scores = score_test_cells(OBSERVED, predicted=PREDICTED)
    assert scores is not None
    assert scores.coverage == ()
    assert score_test_cells(OBSERVED[:0], predicted=PREDICTED[:0]) is None
    assert score_test_cells(OBSERVED[3:], predicted=PREDICTED[3:]) is None
