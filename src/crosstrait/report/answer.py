"""The answer in one sentence: which model, by how much, how sure, at what cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from crosstrait.evaluation.comparison import ComparisonRow, difference_rows
from crosstrait.evaluation.leaderboard import MEAN, LeaderboardRow, leaderboard_rows
from crosstrait.report.numbers import (
    MINUS,
    count,
    digits_of,
    duration,
    fixed,
    interval_text,
    listed,
    times,
)

BASELINE = "ridge"
"""The model that every other must beat to be worth its cost."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a report says first.

    Attributes
    ----------
    best, runner_up, baseline
        Mean R2 rows of the best model, the next, and ridge; None where there is none.
    over_runner_up, over_baseline
        The best model's paired differences to them.
    ties
        Ranked models whose difference to the best may be zero, by its 95 % interval.
    traits
        The traits that the mean is over.
    scored
        Whether any model has a score on any trait; where every model misses a run none has.
    above_mean
        Ranked models whose R2 is surely above 0, which predicting the mean has, by its interval.
    """

    best: LeaderboardRow | None
    runner_up: LeaderboardRow | None
    baseline: LeaderboardRow | None
    over_runner_up: ComparisonRow | None
    over_baseline: ComparisonRow | None
    ties: tuple[str, ...]
    traits: tuple[str, ...]
    scored: bool
    above_mean: tuple[str, ...]

    @property
    def predicts(self) -> bool:
        """Whether the best model is surely better than predicting the mean."""
        return self.best is not None and self.best.model in self.above_mean

    @property
    def no_better(self) -> str:
        """That the best model, or none, predicts better than the mean; "" where it does."""
        if self.best is None or self.predicts:
            return ""
        better = f"{'surely ' if self.best.mean > 0 else ''}better than predicting the mean"
        if self.above_mean or self.runner_up is None:
            return f"{self.best.model} is not {better}"
        return f"No model is {better}"

    @property
    def is_clear(self) -> bool:
        """Whether the interval of the lead over every other model lies above zero."""
        return self.over_runner_up is not None and not self.ties

    @property
    def sentence(self) -> str:
        """The sentence."""
        return self.verdict + self.evidence

    @property
    def verdict(self) -> str:
        """Its beginning: which model, and how accurate it is."""
        best = self.best
        if best is None and not self.scored:
            return "Every model misses runs, so none has a score and none can be called the best."
        if best is None:
            return "No model has a score over all traits, so none can be called the best."
        r2 = fixed(best.mean)
        reach = (
            f"R² {r2} on {self.traits[0]}"
            if len(self.traits) == 1
            else f"mean R² {r2} over {count(len(self.traits))} traits"
        )
        if not self.above_mean:
            highest = f"{best.model} scores highest, " if self.runner_up else ""
            interval = interval_text(best.ci_low, best.ci_high)
            return f"{self.no_better}: {highest}{reach} (95\u00a0% interval {interval})"
        if self.runner_up is None:
            place = "is alone"
        elif self.is_clear:
            place = "predicts best"
        else:
            others = self.ties or (self.runner_up.model,)
            place = f"scores highest, but not surely higher than {listed(others, joint='or')}"
        return f"{best.model} {place}: {reach}"

    @property
    def evidence(self) -> str:
        """Its end: by how much, how sure, at what cost."""
        best = self.best
        if best is None:
            return ""
        text = ""
        runner_up, baseline = self.over_runner_up, self.over_baseline
        if runner_up:
            only = baseline is not None and baseline.other == runner_up.other
            role = "the runner-up and linear baseline" if only else "the runner-up"
            text += f", {_lead(runner_up, f'{role} {runner_up.other}')}"
            if baseline and not only:
                text += f" and {_lead(baseline, f'the linear baseline {baseline.other}')}"
        if math.isfinite(best.train_seconds):
            text += f", at {duration(best.train_seconds)} a training{self._cost_ratio()}"
        return f"{text}."

    def _cost_ratio(self) -> str:
        base, best = self.baseline, self.best
        if base is None or best is None or base.model == best.model:
            return ""
        if not (math.isfinite(base.train_seconds) and base.train_seconds > 0):
            return ""
        return f", {times(best.train_seconds / base.train_seconds)} times the time of {base.model}"


def find_answer(leaderboard: pd.DataFrame, *, comparison: pd.DataFrame) -> Answer:
    """Find the best model, its rivals and its lead over them."""
    rows = leaderboard_rows(leaderboard, metric="r2")
    ranked = [row for row in rows if row.trait == MEAN and math.isfinite(row.mean)]
    best = ranked[0] if ranked else None
    runner_up = ranked[1] if len(ranked) > 1 else None
    baseline = next((row for row in ranked if row.model == BASELINE), None)
    return Answer(
        best=best,
        runner_up=runner_up,
        baseline=baseline,
        over_runner_up=_over(comparison, best, runner_up),
        over_baseline=_over(comparison, best, baseline),
        ties=tuple(
            row.model
            for row in ranked[1:]
            if (lead := _over(comparison, best, row)) and lead.ci_low <= 0
        ),
        traits=tuple(dict.fromkeys(row.trait for row in rows if row.trait != MEAN)),
        scored=any(math.isfinite(row.mean) for row in rows),
        above_mean=tuple(row.model for row in ranked if _above_zero(row)),
    )


def _above_zero(row: LeaderboardRow) -> bool:
    return row.mean > 0 and not row.ci_low <= 0  # without an interval, the mean decides


def _over(
    comparison: pd.DataFrame, best: LeaderboardRow | None, other: LeaderboardRow | None
) -> ComparisonRow | None:
    if best is None or other is None or best.model == other.model:
        return None
    found = difference_rows(comparison, model=best.model, other=other.model, metric="r2")
    return next((row for row in found if row.trait == MEAN), None)


def _lead(row: ComparisonRow, whom: str) -> str:
    digits = digits_of(row.ci_low, row.ci_high)
    interval = interval_text(row.ci_low, row.ci_high, digits=digits)
    lead = fixed(row.difference, digits=digits)
    above = "level with" if float(lead.replace(MINUS, "-")) == 0 else f"{lead} above"
    return f"{above} {whom} (95\u00a0% interval {interval})"
