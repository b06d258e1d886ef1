"""Whether the answer can be believed: what a careful reader would ask of a comparison of models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from crosstrait.evaluation.comparison import ComparisonRow, difference_rows
from crosstrait.evaluation.leaderboard import MEAN
from crosstrait.report.answer import Answer
from crosstrait.report.curves import best_epoch
from crosstrait.report.folder import RunRecord
from crosstrait.report.numbers import count, digits_of, fixed, interval_text, listed, share

_WELL_COVERED = 0.03


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One reason to believe the answer, or to doubt it.

    Attributes
    ----------
    kind
        ``"for"`` or ``"caution"``.
    claim
        In a few words.
    text
        The numbers behind it, a sentence.
    section
        The id of the section of the page that shows more.
    """

    kind: Literal["for", "caution"]
    claim: str
    text: str
    section: str


def reasons(
    answer: Answer,
    *,
    comparison: pd.DataFrame,
    calibration: pd.DataFrame,
    runs: Sequence[RunRecord],
    experiment: Mapping[str, Any],
) -> list[Reason]:
    """Return the reasons that the files of a run give, the lead over the others first."""
    if answer.best is None:
        return []
    found = [
        _of_lead(answer),
        _of_traits(answer, comparison),
        _of_seeds(answer, runs, experiment),
        _of_split(experiment),
        _of_intervals(answer.best.model, calibration),
        _of_stopping(runs),
    ]
    return [reason for reason in found if reason]


def unfinished(runs: Sequence[RunRecord]) -> list[str]:
    """Return the models of which most networks were best at the last epoch of several."""
    watched: dict[str, list[bool]] = {}
    for run in runs:
        for _, member in run.history.groupby("member", sort=False):
            if member["val_loss"].notna().any() and len(member) > 1:
                last = best_epoch(member)[0] == int(member["epoch"].max())
                watched.setdefault(run.model, []).append(last)
    return [model for model, last in watched.items() if 2 * sum(last) > len(last)]


def _of_lead(answer: Answer) -> Reason | None:
    row = answer.over_runner_up
    if row is None:
        return None
    digits = digits_of(row.ci_low, row.ci_high)
    lead = fixed(row.difference, digits=digits, sign=True)
    interval = interval_text(row.ci_low, row.ci_high, digits=digits, sign=True)
    numbers = f"{lead} over {row.other}, 95\u00a0% interval {interval}"
    if answer.is_clear:
        return Reason(
            kind="for",
            claim="The lead is more than chance",
            text=f"{numbers}: other test samples would hardly turn it.",
            section="leaderboard",
        )
    return Reason(
        kind="caution",
        claim="The lead may be chance",
        text=f"{numbers}: zero lies in it. Of models that are level, prefer the cheaper.",
        section="leaderboard",
    )


def _of_traits(answer: Answer, comparison: pd.DataFrame) -> Reason | None:
    if answer.best is None or len(answer.traits) < 2:
        return None
    parts, worse = [], 0
    for lead in dict.fromkeys(
        row.other for row in (answer.over_runner_up, answer.over_baseline) if row
    ):
        rows = difference_rows(comparison, model=answer.best.model, other=lead, metric="r2")
        traits = [row for row in rows if row.trait != MEAN]
        parts.append(_won(traits, lead))
        worse += sum(row.ci_high < 0 for row in traits)
    if not parts:
        return None
    return Reason(
        kind="caution" if worse else "for",
        claim="It does not win on every trait" if worse else "No trait speaks against it",
        text=f"Above {'; above '.join(parts)}.",
        section="traits",
    )


def _won(rows: Sequence[ComparisonRow], other: str) -> str:
    higher = sum(row.difference > 0 for row in rows)
    surely = sum(row.ci_low > 0 for row in rows)
    lower = sum(row.ci_high < 0 for row in rows)
    text = f"{other} on {higher} of {len(rows)} traits, surely on {surely}"
    return text + (f", surely below on {lower}" if lower else "")


def _of_seeds(
    answer: Answer, runs: Sequence[RunRecord], experiment: Mapping[str, Any]
) -> Reason | None:
    best = answer.best
    if best is None:
        return None
    splits = experiment.get("splits", [])
    apart = len(splits) > 1 and not splits[0]["pooled"]
    if math.isfinite(best.sd):
        over = "runs on different splits" if apart else "trainings with different seeds"
        return Reason(
            kind="for",
            claim="It was repeated",
            text=f"R² has an SD of {fixed(best.sd)} over {best.n_replicates} {over}.",
            section="leaderboard",
        )
    if any(len(run.history) for run in runs):
        return Reason(
            kind="caution",
            claim="Trained once",
            text="What other seeds would give networks is not known here: raise train.replicates.",
            section="provenance",
        )
    return None


def _of_split(experiment: Mapping[str, Any]) -> Reason | None:
    splits = experiment.get("splits", [])
    panel = experiment.get("panel", {})
    if not splits or "n_samples" not in panel:
        return None
    n_test = sum(split["n_test"] for split in splits)
    whole = n_test == panel["n_samples"] and splits[0]["pooled"]
    shown = (
        f"each of the {count(n_test)} samples was tested once, in {len(splits)} folds"
        if whole
        else f"{count(n_test / len(splits))} of {count(panel['n_samples'])} samples were tested"
        + (f" in each of {len(splits)} splits" if len(splits) > 1 else "")
    )
    return Reason(
        kind="for",
        claim="Tested on samples it never saw",
        text=f"Split {splits[0]['scheme']}: {shown}; the test cells are the same for every model.",
        section="split",
    )


def _of_intervals(model: str, calibration: pd.DataFrame) -> Reason | None:
    rows = calibration[(calibration["model"] == model) & (calibration["trait"] == MEAN)]
    if rows.empty:
        return None
    row = rows.sort_values("level").iloc[-1]
    off = float(row["coverage"] - row["level"])
    level = f"{row['level']:.0%}".replace("%", "\u00a0%")
    claims = {0: "Its intervals hold", 1: "Its intervals are wide", -1: "Its intervals are narrow"}
    sign = 0 if abs(off) <= _WELL_COVERED else int(math.copysign(1, off))
    return Reason(
        kind="for" if sign == 0 else "caution",
        claim=claims[sign],
        text=f"{share(float(row['coverage']))} of the test cells lie in its {level} intervals.",
        section="calibration",
    )


def _of_stopping(runs: Sequence[RunRecord]) -> Reason | None:
    models = unfinished(runs)
    if not models:
        return None
    return Reason(
        kind="caution",
        claim="Not every network was trained to its end",
        text=f"Best at the last epoch: {listed(models)}. More epochs may raise the R².",
        section="training",
    )
