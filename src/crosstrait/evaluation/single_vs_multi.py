"""Whether learning across traits helps: a model of all traits against one of each trait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pandas as pd

from crosstrait.evaluation.comparison import difference_rows
from crosstrait.evaluation.leaderboard import MEAN, leaderboard_rows


class ScopeRow(NamedTuple):
    """One row of the table: a model and a trait."""

    model: str
    single: str
    trait: str
    r2_multi: float
    r2_single: float
    difference: float
    ci_low: float
    ci_high: float
    share_better: float
    n_traits: int
    n_cells: int


SINGLE_VS_MULTI_COLUMNS = ScopeRow._fields


def single_vs_multi(
    leaderboard: pd.DataFrame, *, comparison: pd.DataFrame, pairs: Iterable[tuple[str, str]]
) -> pd.DataFrame:
    """Tabulate what learning all traits together gains, on identical cells.

    Parameters
    ----------
    leaderboard, comparison
        The tables of the experiment.
    pairs
        (model, its single-trait version), labels of the experiment.

    Returns
    -------
    pandas.DataFrame
        Columns `SINGLE_VS_MULTI_COLUMNS`, a row a pair and trait, the first of each pair being the
        "mean" over the traits that both predict. ``difference`` is R2 of the multi-trait model
        minus R2 of ``single``, paired, with the interval of the comparison. A pair with missing
        runs is left out.
    """
    r2 = {(row.model, row.trait): row.mean for row in leaderboard_rows(leaderboard, metric="r2")}
    rows = [row for pair in pairs for row in _rows(comparison, r2, *pair)]
    return pd.DataFrame(rows, columns=list(SINGLE_VS_MULTI_COLUMNS))


def _rows(
    comparison: pd.DataFrame, r2: dict[tuple[str, str], float], multi: str, single: str
) -> Iterator[ScopeRow]:
    rows = difference_rows(comparison, model=multi, other=single, metric="r2")
    shared = [row.trait for row in rows if row.trait != MEAN]
    for row in rows:
        traits = shared if row.trait == MEAN else [row.trait]
        r2_multi, r2_single = (
            sum(r2[model, trait] for trait in traits) / len(traits) for model in (multi, single)
        )
        yield ScopeRow(
            model=multi,
            single=single,
            trait=row.trait,
            r2_multi=r2_multi,
            r2_single=r2_single,
            difference=row.difference,
            ci_low=row.ci_low,
            ci_high=row.ci_high,
            share_better=row.share_better,
            n_traits=row.n_traits,
            n_cells=row.n_cells,
        )
