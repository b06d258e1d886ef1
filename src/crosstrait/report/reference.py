"""One's own scores beside the published ones, for the traits of the same names."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from crosstrait.evaluation.leaderboard import MEAN, LeaderboardRow, leaderboard_rows
from crosstrait.evaluation.published import published_means, published_r2


def known_traits(leaderboard: pd.DataFrame) -> pd.DataFrame | None:
    """Return the published values of this leaderboard's traits, None if there are none."""
    table = published_r2()
    found = table[table["trait"].isin(set(leaderboard["trait"]))]
    return found.reset_index(drop=True) if len(found) else None


def beside_published(leaderboard: pd.DataFrame) -> dict[str, Any] | None:
    """Return the tables of published values beside one's own, None if no trait is known.

    ``means`` is empty unless the leaderboard's traits are all 18 of the article.
    """
    table = known_traits(leaderboard)
    if table is None:
        return None
    own = {(row.model, row.trait): row for row in leaderboard_rows(leaderboard, metric="r2")}
    sources = table.drop_duplicates("model")
    names = [str(name) for name in sources["model"]]
    ours = {model for model, _ in own}
    lines = [
        {
            "trait": trait,
            "cells": [
                value
                for name, r2 in zip(part["model"], part["r2"], strict=True)
                for value in (
                    [float(r2), _mean(own.get((name, str(trait))))] if name in ours else [float(r2)]
                )
            ],
        }
        for trait, part in table.groupby("trait", sort=False)
    ]
    columns = ("model", "source", "doi", "missing_rule")
    return {
        "headings": [
            heading
            for name in names
            for heading in ([f"{name}, published"] + [f"{name}, here"] * (name in ours))
        ],
        "lines": lines,
        "means": _means(own),
        "sources": [
            dict(zip(columns, values, strict=True))
            for values in sources[list(columns)].itertuples(index=False, name=None)
        ],
    }


def _means(own: dict[tuple[str, str], LeaderboardRow]) -> list[dict[str, Any]]:
    traits = {trait for _, trait in own} - {MEAN}
    if traits != set(published_r2()["trait"]):
        return []
    table = published_means()
    names = [str(name) for name in table.columns]
    rows = [dict(zip(names, values, strict=True)) for values in table.itertuples(index=False)]
    return [{**row, "here": own.get((row["model"], MEAN))} for row in rows]


def _mean(row: LeaderboardRow | None) -> float:
    return math.nan if row is None else row.mean
