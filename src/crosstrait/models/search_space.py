"""What may be tuned: the range of a setting, declared beside the config that has the setting.

Keys of a ``search_space`` are settings of the model, and ``train.<name>`` for training settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Real:
    """Real numbers from ``low`` to ``high``, tried evenly on a log scale where ``log`` is set."""

    low: float
    high: float
    log: bool = False

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True, kw_only=True)
class Whole:
    """Whole numbers from ``low`` to ``high``, both included, evenly or on a log scale."""

    low: int
    high: int
    log: bool = False

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int) and self.low <= value <= self.high


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    values: tuple[str | int | float, ...]

    def __contains__(self, value: object) -> bool:
        return value in self.values


Range = Real | Whole | Choice
SearchSpace = Mapping[str, Range]

NETWORK_TRAINING: SearchSpace = {
    "train.learning_rate": Real(low=3e-4, high=2e-2, log=True),
    "train.batch_size": Choice((16, 32, 64, 128)),
    "train.schedule": Choice(("constant", "one_cycle")),
    "train.average_decay": Choice((0.0, 0.99)),
}
"""What every network may tune of its training."""
