"""How long the groups of runs that are left will take, from those that ended and from epochs."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from crosstrait.experiments.engines.engine import Outcome, Task
from crosstrait.experiments.searches import Search
from crosstrait.training.progress import EpochDone


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Time left.

    Attributes
    ----------
    seconds
        Until the last of what can be estimated ends.
    at_least
        Whether something else is left of which nothing is known yet.
    """

    seconds: float
    at_least: bool = False

    def __str__(self) -> str:
        minutes, rest = divmod(round(self.seconds), 60)
        hours, minutes = divmod(minutes, 60)
        if hours:
            text = f"{hours} h {minutes:02d} min"
        else:
            text = f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
        return f"{'at least' if self.at_least else 'about'} {text} to go"


@dataclass
class _Training:
    """A group that is being trained.

    Attributes
    ----------
    began
        When it was started here.
    before
        Seconds that it had been trained before, by a process that was stopped.
    shares
        Of each network, by seed and member, the share of its epochs that is done.
    told
        When the last epoch was heard of.
    """

    began: float
    before: float | None = None
    shares: dict[tuple[int, str], float] = field(default_factory=dict)
    told: float = 0.0


class TimeLeft:
    """Hears what a listener hears, and estimates.

    Parameters
    ----------
    groups
        What is to be trained.
    known
        By model, seconds that runs of it took before.
    """

    def __init__(
        self, groups: Sequence[Task], *, known: Mapping[str, Sequence[float]] | None = None
    ) -> None:
        self.left = {group.name: group for group in groups}
        self._seconds: dict[str, list[float]] = defaultdict(list)
        for label, seconds in (known or {}).items():
            self._seconds[label] += seconds
        self._running: dict[str, _Training] = {}
        self._workers = 1

    def started(self, group: Task) -> None:
        """Hear that ``group`` is being trained, perhaps again, after its worker died."""
        self._running[group.name] = _Training(began=time.monotonic())
        self._workers = max(self._workers, len(self._running))

    def epoch(self, group: Task, done: EpochDone) -> None:
        """Hear of an epoch."""
        training = self._running[group.name]
        training.told = time.monotonic()
        training.shares[done.seed, done.member] = done.epoch / done.n_epochs
        if training.before is None:
            training.before = max(0.0, done.seconds - (training.told - training.began))

    def ended(self, outcome: Outcome) -> None:
        """Hear what became of a group."""
        group = outcome.group
        self._running.pop(group.name, None)
        if outcome.status == "busy":
            return
        del self.left[group.name]
        if outcome.status == "finished":
            self._seconds[group.first.label].append(outcome.seconds / len(group.runs))

    def share(self, group: Task) -> float:
        """Return how much of a group is done, of 1; 0 where nothing was heard."""
        training = self._running.get(group.name)
        return sum(training.shares.values()) / _n_networks(group) if training else 0.0

    def estimate(self) -> Estimate | None:
        """Return the time until all is trained; None where nothing is known.

        What is waiting is taken by whoever is free first, in its order. There are as many workers
        as trained at once so far.
        """
        ends: list[float] = []
        unknown = 0
        for name, group in self.left.items():
            if name in self._running:
                seconds = self._rest(group)
                ends.append(seconds or 0.0)
                unknown += seconds is None
        ends += [0.0] * (self._workers - len(ends))
        for name, group in self.left.items():
            if name not in self._running:
                whole = self._whole(group)
                ends[ends.index(min(ends))] += whole or 0.0
                unknown += whole is None
        if unknown and unknown == len(self.left):
            return None
        return Estimate(seconds=max(ends), at_least=unknown > 0)

    def _whole(self, group: Task) -> float | None:
        """Return how long a group takes, from others of its model."""
        own = self._seconds.get(group.first.label)
        return sum(own) / len(own) * len(group.runs) if own else None

    def _rest(self, group: Task) -> float | None:
        """Return what is left of a group that is being trained."""
        training, now = self._running[group.name], time.monotonic()
        share = self.share(group)
        if share > 0:
            spent = training.told - training.began + (training.before or 0.0)
            return max(0.0, spent * (1 - share) / share - (now - training.told))
        whole = self._whole(group)
        return None if whole is None else max(0.0, whole - (now - training.began))


def _n_networks(task: Task) -> int:
    """Return how many networks tell of their epochs while a task is carried out."""
    if isinstance(task, Search):
        return 1
    first = task.first
    single = first.config.single_trait or first.train.scope == "single"
    return len(task.runs) * (len(first.traits) if single else 1)
