"""The ``[tune]`` table of an experiment file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from crosstrait.settings import Settings


class TuneConfig(Settings):
    """How settings are searched, with the same budget for every model on every split.

    The samples that learn of a split, training and validation together, are cut into parts; a
    setting is scored on a part after training without it. Test samples are in none of this.

    Attributes
    ----------
    trials
        Settings to try a model and split; the first are those of the file.
    seconds
        Training time after which no further trial of a search begins; None: no limit. What is
        found then depends on the machine's speed.
    folds
        Parts that are held out and scored in turn, the score being their mean; 1 holds out a
        fifth once.
    metric
        The score, averaged over traits.
    seed
        Of the parts, the trainings and the choice of what to try.
    """

    trials: int = Field(default=20, ge=1)
    seconds: float | None = Field(default=None, gt=0)
    folds: int = Field(default=1, ge=1)
    metric: Literal["r2", "pearson_r"] = "r2"
    seed: int = Field(default=0, ge=0)
