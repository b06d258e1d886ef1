"""Paired differences between models: the same cells, the same resamples."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crosstrait.evaluation.bootstrap import interval
from crosstrait.evaluation.leaderboard import MEAN, ranked
from crosstrait.evaluation.metrics import LOWER_IS_BETTER
from crosstrait.evaluation.scores import CEILING_METRIC, Scores, nan_mean

FloatArray = NDArray[np.floating[Any]]


class ComparisonRow(NamedTuple):
    """One row of the comparison."""

    model: str
    other: str
    trait: str
    metric: str
    difference: float
    ci_low: float
    ci_high: float
    share_better: float
    n_traits: int
    n_cells: int


COMPARISON_COLUMNS = ComparisonRow._fields


def compare(scores: Scores, *, confidence: float = 0.95) -> pd.DataFrame:
    """Tabulate the difference of every two models on the traits that both predict.

    Parameters
    ----------
    scores
        What `crosstrait.evaluation.score` returned.
    confidence
        Share of the resamples inside an interval.

    Returns
    -------
    pandas.DataFrame
        Columns `COMPARISON_COLUMNS`, a row a pair, trait (and "mean") and metric; ``model`` stands
        above ``other`` on the leaderboard. ``difference`` is model minus other, so above zero
        means better for R2 and r, worse for RMSE; its interval resamples the test samples, or the
        test groups of scores that have them, the same for both. ``share_better`` is the share of
        resamples in which ``model`` is better. ``n_traits`` counts the traits that both predict.
        Models with missing runs are left out.
    """
    models = [model for model in ranked(scores) if scores.is_complete(model)]
    rows = [
        row
        for model, other in combinations(models, 2)
        for metric in scores.metrics
        if metric != CEILING_METRIC
        for row in _pair_rows(scores, model, other, metric, confidence)
    ]
    return pd.DataFrame(rows, columns=list(COMPARISON_COLUMNS))


def difference_rows(
    comparison: pd.DataFrame, *, model: str, other: str, metric: str
) -> list[ComparisonRow]:
    """Return the rows of ``model`` minus ``other``, turned round if the table has the reverse.

    Empty if the two were not compared.
    """
    table = comparison.loc[comparison["metric"] == metric, list(COMPARISON_COLUMNS)]
    rows = [ComparisonRow(*row) for row in table.itertuples(index=False, name=None)]
    straight = [row for row in rows if (row.model, row.other) == (model, other)]
    return straight or [
        row._replace(
            model=model,
            other=other,
            difference=-row.difference,
            ci_low=-row.ci_high,
            ci_high=-row.ci_low,
            share_better=np.nan if row.difference == 0 else 1 - row.share_better,
        )
        for row in rows
        if (row.model, row.other) == (other, model)
    ]


def _pair_rows(
    scores: Scores, model: str, other: str, metric: str, confidence: float
) -> Iterator[ComparisonRow]:
    a, b = scores.models.index(model), scores.models.index(other)
    cells = scores.cells_of(metric)
    shared = np.flatnonzero(scores.covers[a] & scores.covers[b] & (cells > 0))
    if not shared.size:
        return
    measured = _unit_mean(scores, model, metric) - _unit_mean(scores, other, metric)
    resampled = scores.resampled[metric][:, a, :-1] - scores.resampled[metric][:, b, :-1]
    names = [MEAN, *(scores.traits[j] for j in shared)]
    differences = _mean_first(measured[None, shared])[0]
    draws = _mean_first(resampled[:, shared])
    n_cells = [int(cells[shared].sum()), *cells[shared].tolist()]
    low, high = interval(draws, confidence=confidence)
    better = draws < 0 if metric in LOWER_IS_BETTER else draws > 0
    share = nan_mean(np.where(np.isnan(draws), np.nan, better), axis=0)
    for k, name in enumerate(names):
        yield ComparisonRow(
            model=model,
            other=other,
            trait=name,
            metric=metric,
            difference=differences[k],
            ci_low=low[k],
            ci_high=high[k],
            share_better=share[k],
            n_traits=shared.size if k == 0 else 1,
            n_cells=n_cells[k],
        )


def _unit_mean(scores: Scores, model: str, metric: str) -> FloatArray:
    return nan_mean(scores.by_unit[metric][model], axis=0)


def _mean_first(values: FloatArray) -> FloatArray:
    """Put the mean over traits before the (b, T) values of the traits."""
    return np.column_stack([nan_mean(values, axis=1), values])
