"""What training reports while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochDone:
    """One network has finished an epoch; also one row of a run's history.

    Attributes
    ----------
    seed, member
        Which network: its seed, and its trait where one network serves one trait, else ``all``.
    epoch, n_epochs
        This epoch, from 1, and the most there can be.
    train_loss
        Mean squared error over the epoch's measured training cells, in standardised units,
        each batch before its own step.
    val_loss, val_r2
        Mean squared error over the measured validation cells after the epoch, and R2 averaged
        over traits; NaN without validation samples.
    learning_rate
        The rate of the epoch's last step.
    seconds
        Training time since the start, interruptions not counted.
    """

    seed: int
    member: str
    epoch: int
    n_epochs: int
    train_loss: float
    val_loss: float
    val_r2: float
    learning_rate: float
    seconds: float


Progress = Callable[[EpochDone], None]
