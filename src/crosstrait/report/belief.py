"""Whether the answer can be believed: what a careful reader would ask of a comparison of models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from crosstrait.evaluation.comparison import ComparisonRow, difference_rows
from crosstrait.evaluation.leaderboard import MEAN, LeaderboardRow
from crosstrait.experiments.audit import leaks
from crosstrait.report.answer import Answer
from crosstrait.report.coverage import Covered, farthest, judge_coverage
from crosstrait.report.curves import best_epoch
from crosstrait.report.folder import RunRecord
from crosstrait.report.numbers import count, digits_of, fixed, interval_text, listed, share, spaced
from crosstrait.report.resampling import resampling


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
        # Which of models that predict nothing is ahead says nothing for any of them.
        _of_mean(answer),
        *(
            [_of_lead(answer, experiment), _of_traits(answer, comparison)]
            if answer.above_mean
            else []
        ),
        _of_seeds(answer, runs, experiment),
        _of_split(experiment),
        _of_intervals(answer.best, calibration),
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


def _of_mean(answer: Answer) -> Reason | None:
    best = answer.best
    if best is None or answer.predicts:
        return None
    interval = interval_text(best.ci_low, best.ci_high)
    held = "zero lies in it" if best.ci_low <= 0 <= best.ci_high else "it lies below zero"
    text = f"R² of {best.model} is {fixed(best.mean)}"
    if math.isfinite(best.ci_low):
        text += f", 95\u00a0% interval {interval}: {held}"
    return Reason(
        kind="caution",
        claim=answer.no_better,
        text=f"{text}. The mean of the test values itself has R² 0.",
        section="leaderboard",
    )


def _of_lead(answer: Answer, experiment: Mapping[str, Any]) -> Reason | None:
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
            text=f"{numbers}: other {resampling(experiment).others} would hardly turn it.",
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
    wins = []
    for lead in dict.fromkeys(
        row.other for row in (answer.over_runner_up, answer.over_baseline) if row
    ):
        rows = difference_rows(comparison, model=answer.best.model, other=lead, metric="r2")
        wins.append(_won([row for row in rows if row.trait != MEAN], lead))
    if not wins:
        return None
    kind: Literal["for", "caution"]
    if any(won.lower for won in wins):
        kind, claim = "caution", "It does not win on every trait"
    elif all(won.higher == won.n_traits for won in wins):
        kind, claim = "for", "No trait speaks against it"
    elif all(won.surely for won in wins):
        kind, claim = "for", "No trait surely speaks against it"
    else:
        kind, claim = "caution", "No single trait decides for it"
    return Reason(
        kind=kind, claim=claim, text=f"Above {'; above '.join(map(str, wins))}.", section="traits"
    )


@dataclass(frozen=True, kw_only=True)
class _Won:
    """On how many traits a model stands above another: at all, and surely; or surely below."""

    other: str
    n_traits: int
    higher: int
    surely: int
    lower: int

    def __str__(self) -> str:
        text = f"{self.other} on {self.higher} of {self.n_traits} traits, surely on {self.surely}"
        return text + (f", surely below on {self.lower}" if self.lower else "")


def _won(rows: Sequence[ComparisonRow], other: str) -> _Won:
    return _Won(
        other=other,
        n_traits=len(rows),
        higher=sum(row.difference > 0 for row in rows),
        surely=sum(row.ci_low > 0 for row in rows),
        lower=sum(row.ci_high < 0 for row in rows),
    )


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
    text = f"Split {splits[0]['scheme']}: {shown}; the test cells are the same for every model."
    known = leaks(experiment.get("audit", []))
    if known:
        return Reason(
            kind="caution",
            claim="Tested on what is close to what it learned from",
            text=" ".join([text, *(spaced(sentence) for sentence in known)]),
            section="split",
        )
    return Reason(kind="for", claim="Tested on samples it never saw", text=text, section="split")


def _of_intervals(best: LeaderboardRow, calibration: pd.DataFrame) -> Reason | None:
    rows = calibration[calibration["model"] == best.model]
    found = judge_coverage(rows, n_units=best.n_replicates)
    means = sorted((one for one in found if one.trait == MEAN), key=lambda one: -one.level)
    worst = farthest(found)
    if not means or worst is None:
        return None
    held = listed([share(one.coverage) for one in means])
    text = f"{held} of the test cells lie in its {listed([_level(one) for one in means])} intervals"
    text += ", in this order." if len(means) > 1 else "."
    if len({one.trait for one in found}) > 2:
        text += (
            f" Farthest off is {worst.trait}, with {share(worst.coverage)} in those of "
            f"{_level(worst)}{', more than the sampling of its cells explains' * worst.is_off}."
        )
    sides = ["wide" if one.gap > 0 else "narrow" for one in means if one.is_off]
    if len(set(sides)) > 1:
        claim = "Its intervals are wide at one level and narrow at another"
    elif sides:
        claim = f"Its intervals are {sides[0]}"
    elif worst.is_off:
        claim = "Its intervals do not hold on every trait"
    else:
        claim = "Its intervals hold"
    return Reason(
        kind="caution" if sides or worst.is_off else "for",
        claim=claim,
        text=text,
        section="calibration",
    )


def _level(one: Covered) -> str:
    return f"{one.level:.0%}".replace("%", "\u00a0%")


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
