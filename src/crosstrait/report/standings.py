"""The leaderboard as people read it: one line a model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from crosstrait.evaluation.comparison import ComparisonRow, difference_rows
from crosstrait.evaluation.leaderboard import MEAN, LeaderboardRow, leaderboard_rows
from crosstrait.evaluation.within import WITHIN_METRIC


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One model's means over traits and its distance to the best.

    Attributes
    ----------
    rank
        From 1; None for a model that cannot be ranked, ``note`` says why.
    r2, sd, ci_low, ci_high, pearson_r, r_within, rmse, ceiling_share
        Means over all traits; NaN where there is none.
    to_best
        Its paired R2 difference to the best model, on the traits that both predict; None for
        the best itself.
    n_traits, n_replicates, n_cells
        Traits it predicts, units its SD is over, cells one replicate is scored on.
    """

    model: str
    rank: int | None
    r2: float
    sd: float
    ci_low: float
    ci_high: float
    pearson_r: float
    r_within: float
    rmse: float
    ceiling_share: float
    train_seconds: float
    to_best: ComparisonRow | None
    n_traits: int
    n_replicates: int
    n_cells: int
    note: str


def standings(leaderboard: pd.DataFrame, *, comparison: pd.DataFrame) -> list[Standing]:
    """Return one line a model, in the leaderboard's order."""
    by_metric = {
        metric: {
            (row.model, row.trait): row for row in leaderboard_rows(leaderboard, metric=metric)
        }
        for metric in leaderboard["metric"].unique()
    }
    r2 = by_metric.get("r2", {})
    models = list(dict.fromkeys(leaderboard["model"]))
    all_traits = {trait for _, trait in r2} - {MEAN}
    best: str | None = None
    lines: list[Standing] = []
    for model in models:
        mine = [row for (name, _), row in r2.items() if name == model]
        mean = r2.get((model, MEAN))
        ranked = mean is not None and math.isfinite(mean.mean)
        best = best or (model if ranked else None)
        traits = [row for row in mine if row.trait != MEAN]
        lines.append(
            Standing(
                model=model,
                rank=len([line for line in lines if line.rank]) + 1 if ranked else None,
                r2=mean.mean if mean else math.nan,
                sd=mean.sd if mean else math.nan,
                ci_low=mean.ci_low if mean else math.nan,
                ci_high=mean.ci_high if mean else math.nan,
                pearson_r=_mean_of(by_metric, "pearson_r", model),
                r_within=_mean_of(by_metric, WITHIN_METRIC, model),
                rmse=_mean_of(by_metric, "rmse", model),
                ceiling_share=_mean_of(by_metric, "r2_of_ceiling", model),
                train_seconds=mine[0].train_seconds,
                to_best=_to_best(comparison, model, best),
                n_traits=len(traits),
                n_replicates=mine[0].n_replicates,
                n_cells=sum(row.n_cells for row in traits),
                note=_why_unranked(mean, len(traits), len(all_traits)),
            )
        )
    return lines


def _mean_of(
    by_metric: dict[str, dict[tuple[str, str], LeaderboardRow]], metric: str, model: str
) -> float:
    row = by_metric.get(metric, {}).get((model, MEAN))
    return row.mean if row else math.nan


def _to_best(comparison: pd.DataFrame, model: str, best: str | None) -> ComparisonRow | None:
    if best is None or model == best:
        return None
    rows = difference_rows(comparison, model=model, other=best, metric="r2")
    return next((row for row in rows if row.trait == MEAN), None)


def _why_unranked(mean: LeaderboardRow | None, n_traits: int, n_all: int) -> str:
    if mean is None:
        return f"predicts {n_traits} of {n_all} traits, so it has no mean to be ranked by"
    if math.isnan(mean.mean):
        return "runs are missing, and an average over those that ended would flatter it"
    return ""
