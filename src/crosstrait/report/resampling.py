"""What the intervals of an experiment resampled, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crosstrait.evaluation.groups import FEW_GROUPS
from crosstrait.evaluation.within import LEAST_CELLS
from crosstrait.report.numbers import count

WITHIN = (
    f"r within groups is the Pearson r of observed and predicted values among the members of one "
    f"test group, averaged over groups with at least {LEAST_CELLS} measured cells, by their cells. "
    f"It says how well a model tells relatives apart; Pearson r over all test samples holds the "
    f"differences between groups and folds too."
)
"""What the column of the leaderboard holds, in sentences."""


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """What was drawn, the same for every model.

    Attributes
    ----------
    n_groups
        Of how many test groups whole ones were drawn; None where samples were.
    """

    n_groups: int | None

    @property
    def drawn(self) -> str:
        """What a resample consists of."""
        if self.n_groups is None:
            return "the test samples"
        return f"whole test groups ({count(self.n_groups)} of them)"

    @property
    def others(self) -> str:
        """What would be drawn again."""
        return "test samples" if self.n_groups is None else "test groups"

    @property
    def caution(self) -> str:
        """A sentence where the intervals promise too much, else nothing."""
        if self.n_groups is None or self.n_groups >= FEW_GROUPS:
            return ""
        return (
            f"Intervals from {count(self.n_groups)} groups are too narrow: so few do not show how "
            f"much groups differ. Take a difference for real only if its interval is far from zero."
        )


def resampling(experiment: Mapping[str, Any]) -> Resampling:
    """Read ``experiment.json``; files of before groups were drawn resampled samples."""
    drawn = experiment.get("resampled", {})
    return Resampling(n_groups=int(drawn["n"]) if drawn.get("unit") == "group" else None)
