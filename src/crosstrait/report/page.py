"""``report.html``: one file that needs no network, and no JavaScript to be read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from crosstrait import __version__
from crosstrait.evaluation.ceiling import above_ceiling
from crosstrait.evaluation.leaderboard import MEAN, LeaderboardRow
from crosstrait.experiments.storage import write_text
from crosstrait.report import numbers
from crosstrait.report.belief import reasons, unfinished
from crosstrait.report.calibration import (
    PERHAPS_ABOVE,
    SURELY_ABOVE,
    Coverage,
    coverages,
    noise_lines,
)
from crosstrait.report.folder import RunFolder
from crosstrait.report.gallery import ENTRIES, Selection
from crosstrait.report.html import render_template
from crosstrait.report.leads import bargain_text, scopes_text, wins_text
from crosstrait.report.reference import beside_published
from crosstrait.report.resampling import WITHIN, resampling
from crosstrait.report.scopes import gains
from crosstrait.report.settings_list import settings_parts
from crosstrait.report.standings import Standing, standings
from crosstrait.report.svg import THEMED

REPORT = "report.html"


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a folder that ``crosstrait run`` left, from its files alone.

    The same files give the same bytes.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    StorageError
        If the folder holds no leaderboard or cannot be written.
    DataError
        If one of its files does not hold what its name says.
    """
    page = render(RunFolder.read(folder))
    write_text(folder / REPORT, page)
    return folder / REPORT


def render(folder: RunFolder) -> str:
    """Return the page."""
    return render_template("report.html", page=_content(folder))


def _content(folder: RunFolder) -> dict[str, Any]:
    leaderboard, experiment = folder.leaderboard, folder.experiment
    shown = Selection(folder=folder)
    answer, colours, rows = shown.answer, shown.colours, shown.rows
    lines = standings(leaderboard, comparison=folder.comparison)
    plates = {name: entry.plates(shown) for name, entry in ENTRIES.items()}
    figures: dict[str, Any] = {name: next(iter(found), None) for name, found in plates.items()}
    figures["differences"] = plates["differences"]  # to the runner-up and to ridge
    figures["density"] = figures["observed-predicted"]
    return {
        "title": _title(experiment),
        "version": __version__,
        "answer": answer,
        "unscored": "" if lines else _unscored(folder),
        "reasons": reasons(
            answer,
            comparison=folder.comparison,
            calibration=folder.calibration,
            runs=folder.runs,
            experiment=experiment,
        ),
        "wins": wins_text(rows),
        "bargain": bargain_text(lines),
        "unfinished": unfinished(folder.runs),
        "standings": lines,
        "axis": _axis(lines),
        "colours": {model: THEMED.get(colour, colour) for model, colour in colours.items()},
        "units": shown.units,
        "with_sd": any(math.isfinite(line.sd) for line in lines),
        "with_within": any(math.isfinite(line.r_within) for line in lines),
        "within": WITHIN,
        "resampling": resampling(experiment),
        "with_ceiling": any(math.isfinite(line.ceiling_share) for line in lines),
        "above_ceiling": {
            PERHAPS_ABOVE: _above_ceiling(leaderboard, sure=False),
            SURELY_ABOVE: _above_ceiling(leaderboard, sure=True),
        },
        "by_trait": _by_trait(rows, shown.traits, [line.model for line in lines]),
        "published": beside_published(leaderboard),
        "figures": figures,
        "gains": gains(folder.single_vs_multi),
        "scopes": scopes_text(gains(folder.single_vs_multi)),
        "coverages": _in_order(coverages(folder.calibration), lines),
        "noise": noise_lines(folder.noise, leaderboard=leaderboard),
        "noise_sources": list(dict.fromkeys(folder.noise["source"])),
        "runs": folder.runs,
        "experiment": experiment,
        "settings": settings_parts(experiment.get("experiment", {})),
        "used": _used(experiment.get("panel", {})),
        "complete_cases": experiment.get("protocol") == "complete-cases",
    }


def _title(experiment: Mapping[str, Any]) -> str:
    return str(experiment.get("experiment", {}).get("name") or "an experiment")


def _unscored(folder: RunFolder) -> str:
    models = " and ".join(dict.fromkeys(run.model for run in folder.runs))
    return f"{models} has no score here: it was imported without a panel that could test it."


def _used(panel: Mapping[str, Any]) -> dict[str, int] | None:
    """Return the counts of the experiment's traits, or of all where it does not say which."""
    if "n_measured" not in panel:
        return None
    counts: Mapping[str, int] = panel.get(
        "used",
        {
            "n_traits": panel["n_traits"],
            "n_measured": sum(panel["n_measured"]),
            "n_complete_samples": panel["n_complete_samples"],
        },
    )
    n_cells = panel["n_samples"] * counts["n_traits"]
    return {**counts, "n_cells": n_cells, "n_missing": n_cells - counts["n_measured"]}


def _in_order(found: list[Coverage], lines: list[Standing]) -> list[Coverage]:
    place = {line.model: k for k, line in enumerate(lines)}
    return sorted(found, key=lambda one: place.get(one.model, len(place)))


def _axis(lines: list[Standing]) -> tuple[float, float] | None:
    """Return the common scale of the leaderboard's interval marks."""
    lows = [line.ci_low for line in lines if math.isfinite(line.ci_low)]
    highs = [line.ci_high for line in lines if math.isfinite(line.ci_high)]
    if not lows:
        return None
    low, high = max(min(lows), max(highs) - 1.0), max(highs)
    margin = 0.04 * (high - low) or 0.01
    return low - margin, high + margin


def _above_ceiling(leaderboard: pd.DataFrame, *, sure: bool) -> list[str]:
    rows = above_ceiling(leaderboard)
    rows = rows[rows["sure"] == sure]
    if leaderboard["trait"].nunique() == 2:  # one trait and the mean, which is the same
        rows = rows[rows["trait"] != MEAN]
    return [
        f"{model} on {'average' if trait == MEAN else trait} ({numbers.share(mean)})"
        for model, trait, mean in zip(rows["model"], rows["trait"], rows["mean"], strict=True)
    ]


def _by_trait(
    rows: list[LeaderboardRow], traits: list[str], models: list[str]
) -> list[dict[str, Any]]:
    table = {(row.trait, row.model): row for row in rows}
    lines = []
    for trait in traits:
        cells = [table.get((trait, model)) for model in models]
        values = [row.mean for row in cells if row and math.isfinite(row.mean)]
        some = next(row for row in cells if row)
        lines.append(
            {
                "trait": trait,
                "n_cells": some.n_cells,
                "cells": cells,
                "best": max(values, default=None),
            }
        )
    return lines
