"""The leaderboard: one row a model, trait and metric."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crosstrait.errors import DataError
from crosstrait.evaluation.bootstrap import interval
from crosstrait.evaluation.metrics import METRICS
from crosstrait.evaluation.scores import Scores, nan_mean

FloatArray = NDArray[np.floating[Any]]

MEAN = "mean"
"""The ``trait`` of rows that average over all traits."""


class LeaderboardRow(NamedTuple):
    """One row of the leaderboard; numbers that do not exist are NaN."""

    model: str
    trait: str
    metric: str
    mean: float
    sd: float
    ci_low: float
    ci_high: float
    n_replicates: int
    n_cells: int
    train_seconds: float


LEADERBOARD_COLUMNS = LeaderboardRow._fields


def leaderboard(
    scores: Scores, *, costs: pd.DataFrame | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """Tabulate the scores, the best mean R2 first.

    Parameters
    ----------
    scores
        What `crosstrait.evaluation.score` returned.
    costs
        Columns ``model, replicate, fold, train_seconds``, a row a run.
    confidence
        Share of the resamples inside an interval.

    Returns
    -------
    pandas.DataFrame
        Columns `LEADERBOARD_COLUMNS`. ``mean`` and ``sd`` (n - 1) are over units: replicates, or
        replicates times folds where folds are not scored together; a row with ``trait`` "mean"
        averages over traits within each unit first. The interval is the percentile interval of
        ``mean`` under resampling of the test samples, or of whole test groups if the scores have
        groups: what other test samples or groups would give, not what other seeds would, which is
        ``sd``. ``n_replicates`` counts units, ``n_cells`` the cells one replicate is scored on,
        ``train_seconds`` is the mean over runs.

        A model with missing runs keeps its rows, without numbers: an average over the runs that
        happened to end would flatter it. A model of some of the traits has no "mean" rows, which
        would not compare with the others'. Both stand below the models that can be ranked.
    """
    seconds = _seconds(costs)
    rows = [
        row
        for model in ranked(scores)
        for row in _model_rows(scores, model, confidence, seconds.get(model, np.nan))
    ]
    return pd.DataFrame(rows, columns=list(LEADERBOARD_COLUMNS))


def ranked(scores: Scores) -> list[str]:
    """Return the models by mean R2, then those of some traits, then those with missing runs."""

    def place(model: str) -> tuple[bool, bool, float, int]:
        mean = float(unit_scores(scores, model, "r2")[:, -1].mean()) if _ended(scores, model) else 0
        return (
            not scores.is_complete(model),
            not scores.is_full(model),
            np.inf if np.isnan(mean) else -mean,
            scores.models.index(model),
        )

    return sorted(scores.models, key=place)


def leaderboard_rows(table: pd.DataFrame, *, metric: str) -> list[LeaderboardRow]:
    """Return a leaderboard's rows of one metric, in its order."""
    rows = table.loc[table["metric"] == metric, list(LEADERBOARD_COLUMNS)]
    return [LeaderboardRow(*row) for row in rows.itertuples(index=False, name=None)]


def unit_scores(scores: Scores, model: str, metric: str) -> FloatArray:
    """Return (U, T + 1) scores of a model's units, the last column the mean over traits."""
    by_trait = scores.by_unit[metric][model]
    return np.column_stack([by_trait, nan_mean(by_trait, axis=1)])


def _ended(scores: Scores, model: str) -> bool:
    return scores.is_complete(model) and len(scores.by_unit["r2"][model]) > 0


def _seconds(costs: pd.DataFrame | None) -> dict[str, float]:
    if costs is None:
        return {}
    absent = {"model", "train_seconds"} - set(costs.columns)
    if absent:
        raise DataError(f"the table of costs lacks the columns {', '.join(sorted(absent))}")
    means = costs.groupby("model", observed=True)["train_seconds"].mean()
    return {str(model): float(value) for model, value in means.items()}


def _model_rows(
    scores: Scores, model: str, confidence: float, train_seconds: float
) -> Iterator[LeaderboardRow]:
    m = scores.models.index(model)
    complete = scores.is_complete(model)
    n_units = len(scores.by_unit["r2"][model])
    has_mean = scores.is_full(model) or not complete
    mean_column = len(scores.traits)
    columns = [mean_column] if has_mean else []
    for column in (*columns, *np.flatnonzero(scores.covers[m])):
        is_mean = column == mean_column
        for metric in scores.metrics:
            n_cells = scores.cells_of(metric)
            cells = int(n_cells.sum() if is_mean else n_cells[column])
            if metric not in METRICS and cells == 0:
                continue
            name = MEAN if is_mean else scores.traits[column]
            values = unit_scores(scores, model, metric)[:, column]
            values = values[~np.isnan(values)] if complete else values[:0]
            low, high = interval(scores.resampled[metric][:, m, column], confidence=confidence)
            yield LeaderboardRow(
                model=model,
                trait=name,
                metric=metric,
                mean=values.mean() if values.size else np.nan,
                sd=values.std(ddof=1) if values.size > 1 else np.nan,
                ci_low=float(low),
                ci_high=float(high),
                n_replicates=n_units,
                n_cells=cells,
                train_seconds=train_seconds,
            )
