"""Correlations between traits: as observed, and as a model predicts them."""

from __future__ import annotations

import pandas as pd

_FEWEST_SAMPLES = 3


def trait_correlations(cells: pd.DataFrame, *, model: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Correlate traits over the test samples that have both.

    Parameters
    ----------
    cells
        A predictions table (see `crosstrait.evaluation.cells`).
    model
        The model whose predictions, averaged over replicates and folds, are correlated.

    Returns
    -------
    observed, predicted
        (T, T) Pearson correlations by trait name, over the same cells; NaN for two traits that
        fewer than three samples share. Predictions are less noisy than measurements, so their
        correlations tend to be larger: they approach the genetic correlation that the model
        found.
    """
    mine = cells[cells["model"] == model]
    return _correlations(mine, "observed"), _correlations(mine, "predicted")


def _correlations(cells: pd.DataFrame, side: str) -> pd.DataFrame:
    wide = cells.pivot_table(
        index="sample", columns="trait", values=side, aggfunc="mean", observed=True, sort=False
    )
    wide.columns = wide.columns.astype(str)
    return wide.corr(min_periods=_FEWEST_SAMPLES).rename_axis(index=None, columns=None)
