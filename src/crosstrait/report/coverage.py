"""Whether predictive intervals hold what they promise, or miss it by more than chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import pandas as pd

from crosstrait.evaluation.leaderboard import MEAN

WELL_COVERED = 0.03
"""A coverage no farther than this from its level is good enough, however surely it is off."""


@dataclass(frozen=True, kw_only=True)
class Covered:
    """The coverage of a model's intervals at one level, on a trait or on average.

    Attributes
    ----------
    trait
        A trait, or "mean".
    level, coverage
        The share of the test cells that should lie in the intervals, and the share that does.
    is_off
        Whether they differ by more than `WELL_COVERED` and by more than the sampling of the
        cells explains.
    """

    trait: str
    level: float
    coverage: float
    is_off: bool

    @property
    def gap(self) -> float:
        """Coverage minus level."""
        return self.coverage - self.level


def judge_coverage(rows: pd.DataFrame, *, n_units: int) -> list[Covered]:
    """Judge every level of every trait, and of their mean.

    Parameters
    ----------
    rows
        One model's rows of the table of `crosstrait.evaluation.calibration`.
    n_units
        How often its test cells are counted in them: replicates of a cell are no new cells.

    Returns
    -------
    list of Covered
        One a row. A model whose intervals hold has none that is off in 95 of 100 such tables:
        the limits, normal ones for a binomial share, allow for the number of rows.
    """
    z = NormalDist().inv_cdf(1 - 0.025 / max(1, len(rows)))
    columns = (rows[name] for name in ("trait", "level", "coverage", "n_cells"))
    return [
        Covered(
            trait=str(trait),
            level=float(level),
            coverage=float(coverage),
            is_off=abs(coverage - level)
            > max(WELL_COVERED, z * math.sqrt(level * (1 - level) * n_units / n_cells)),
        )
        for trait, level, coverage, n_cells in zip(*columns, strict=True)
    ]


def farthest(found: list[Covered]) -> Covered | None:
    """Return the trait that is farthest from its level, one that is off before any other."""
    traits = [one for one in found if one.trait != MEAN]
    return max(traits, key=lambda one: (one.is_off, abs(one.gap)), default=None)
