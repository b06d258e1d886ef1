"""What a person sees while an experiment runs: done, running, failed, to come, and time left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from crosstrait.experiments.engines.engine import Listener, Outcome, Task
from crosstrait.experiments.searches import Search
from crosstrait.experiments.time_left import TimeLeft
from crosstrait.training.progress import EpochDone


class Told:
    """A listener that tells several."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners

    def started(self, group: Task) -> None:
        """Tell all that ``group`` is being trained."""
        for listener in self._listeners:
            listener.started(group)

    def epoch(self, group: Task, done: EpochDone) -> None:
        """Tell all of an epoch."""
        for listener in self._listeners:
            listener.epoch(group, done)


class Watch:
    """Shows live bars in a terminal, and one line a group of runs everywhere.

    Parameters
    ----------
    n_runs, n_done
        Runs of the experiment, and how many of them were finished before.
    groups
        What is to be trained.
    console
        Where to show it.
    known
        By model, seconds that runs of it took before.
    """

    def __init__(
        self,
        *,
        n_runs: int,
        n_done: int,
        groups: Sequence[Task],
        console: Console,
        known: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        self.n_runs = n_runs
        self.n_done = n_done
        self.n_failed = 0
        self.console = console
        self.time_left = TimeLeft(groups, known=known)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._total = self._bars.add_task("runs", total=n_runs, completed=n_done, note="")
        self._tasks: dict[str, TaskID] = {}
        self._running: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def started(self, group: Task) -> None:
        """Show a bar for ``group``, which may have been started before and lost its worker."""
        self._remove_bar(group)
        self.time_left.started(group)
        self._running[group.name] = len(group.runs)
        self._tasks[group.name] = self._bars.add_task(escape(str(group)), total=None, note="")
        self._show_total()

    def epoch(self, group: Task, done: EpochDone) -> None:
        """Move the bar of ``group``."""
        self.time_left.epoch(group, done)
        if self._bars.disable:
            return  # epochs may be milliseconds, and the time left takes one to estimate
        unit = "trial" if isinstance(group, Search) else "epoch"
        note = f"{unit} {done.epoch}/{done.n_epochs}  validation R2 {done.val_r2:.3f}"
        self._bars.update(
            self._tasks[group.name], total=1.0, completed=self.time_left.share(group), note=note
        )
        self._show_total()

    def ended(self, outcome: Outcome) -> None:
        """Take the bar of a group away, and print its line."""
        group = outcome.group
        self._remove_bar(group)
        self.time_left.ended(outcome)
        if outcome.status == "busy":
            return
        self.n_failed += len(outcome.lost)
        self.n_done += len(group.runs) - len(outcome.lost)
        if outcome.status == "failed":
            where = f" (log: {outcome.log})" if outcome.log else ""
            line = f"[red]failed[/]  {escape(f'{_lost(outcome)}: {outcome.message}{where}')}"
        else:
            line = (
                f"[green]{outcome.status}[/]  {escape(str(group))}  "
                f"{outcome.seconds:.1f} s  [dim]{self._standing()}[/]"
            )
        self.console.print(line, soft_wrap=True)
        self._show_total()

    def _remove_bar(self, group: Task) -> None:
        self._running.pop(group.name, None)
        if group.name in self._tasks:
            self._bars.remove_task(self._tasks.pop(group.name))

    def _standing(self) -> str:
        """Return how far the experiment is, for a line that stays."""
        failed = f", {self.n_failed} failed" if self.n_failed else ""
        return f"{self.n_done} of {self.n_runs}{failed}{self._to_go()}"

    def _to_go(self) -> str:
        estimate = self.time_left.estimate() if self.time_left.left else None
        if estimate is None or (estimate.at_least and estimate.seconds < 1):
            return ""
        return f", {estimate}"

    def _show_total(self) -> None:
        running = sum(self._running.values())
        to_come = self.n_runs - self.n_done - self.n_failed - running
        note = (
            f"{self.n_done} done, {running} running, {self.n_failed} failed, {to_come} to come"
            f"{self._to_go()}"
        )
        self._bars.update(self._total, completed=self.n_done, note=note)


def _lost(outcome: Outcome) -> str:
    """Name what failed of a group, whose other replicates may have ended well."""
    group, lost = outcome.group, outcome.lost
    if isinstance(group, Search) or len(lost) in (0, len(group.runs)):
        return str(group)
    replicates = ", ".join(str(run.replicate) for run in lost)
    return f"{group.first.label} replicate {replicates} fold {group.first.fold}"
