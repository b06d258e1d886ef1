"""The test scores that a model carries along, for its card."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crosstrait.evaluation.calibration import LEVELS
from crosstrait.evaluation.metrics import pearson_r, r2, rmse
from crosstrait.training.facts import TestScores, scores_or_none

Float64 = NDArray[np.float64]


def score_test_cells(
    observed: Float64, *, predicted: Float64, half_widths: Sequence[Float64] = ()
) -> TestScores | None:
    """Score predictions of test cells; None where there are no cells.

    Parameters
    ----------
    observed, predicted
        (n, T) in trait units; NaN in ``observed`` where a cell was not measured or not tested.
    half_widths
        For each of `LEVELS`, how far (n, T) the intervals reach either way; none where the model
        has no intervals.
    """
    measured = ~np.isnan(observed)
    n_cells = measured.sum(axis=0)
    if not measured.any():
        return None
    coverage = []
    for level, half in zip(LEVELS, half_widths, strict=False):
        held = (np.abs(observed - predicted) <= half) & measured
        share = held.sum(axis=0)[n_cells > 0] / n_cells[n_cells > 0]
        coverage.append((level, float(share.mean())))
    return TestScores(
        n_samples=int(measured.any(axis=1).sum()),
        n_cells=tuple(n_cells.tolist()),
        r2=scores_or_none(r2(observed, predicted=predicted)),
        pearson_r=scores_or_none(pearson_r(observed, predicted=predicted)),
        rmse=scores_or_none(rmse(observed, predicted=predicted)),
        coverage=tuple(coverage),
    )
