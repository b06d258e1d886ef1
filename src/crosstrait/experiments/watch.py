"""What a person sees while an experiment runs: done, running, failed, left, and time left."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from crosstrait.experiments.engine import Outcome, Task
from crosstrait.experiments.searches import Search
from crosstrait.training.progress import EpochDone


class Watch:
    """Shows live bars in a terminal, and one line a group of runs everywhere else.

    Parameters
    ----------
    n_runs, n_done
        Runs of the experiment, and how many of them were finished before.
    groups
        What is to be trained.
    console
        Where to show it.
    """

    def __init__(
        self, *, n_runs: int, n_done: int, groups: Sequence[Task], console: Console
    ) -> None:
        self.n_runs = n_runs
        self.n_done = n_done
        self.n_failed = 0
        self.console = console
        self.left = {group.name: group for group in groups}
        self._began: dict[str, float] = {}
        self._epochs: dict[str, dict[tuple[int, str], float]] = defaultdict(dict)
        self._seconds: dict[str, list[float]] = defaultdict(list)
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
        self._began[group.name] = time.monotonic()
        self._tasks[group.name] = self._bars.add_task(escape(str(group)), total=None, note="")
        self._show_total()

    def epoch(self, group: Task, done: EpochDone) -> None:
        """Move the bar of ``group``."""
        shares = self._epochs[group.name]
        shares[done.seed, done.member] = done.epoch / done.n_epochs
        unit = "trial" if isinstance(group, Search) else "epoch"
        note = f"{unit} {done.epoch}/{done.n_epochs}  validation R2 {done.val_r2:.3f}"
        self._bars.update(
            self._tasks[group.name],
            total=1.0,
            completed=sum(shares.values()) / len(shares),
            note=note,
        )
        self._show_total()

    def ended(self, outcome: Outcome) -> None:
        """Take the bar of a group away, and print its line."""
        group = outcome.group
        self._remove_bar(group)
        self._began.pop(group.name, None)
        if outcome.status == "busy":
            return
        del self.left[group.name]
        self.n_failed += len(outcome.lost)
        self.n_done += len(group.runs) - len(outcome.lost)
        if outcome.status == "failed":
            where = f" (log: {outcome.log})" if outcome.log else ""
            self.console.print(
                f"[red]failed[/]  {escape(f'{group}: {outcome.message}{where}')}", soft_wrap=True
            )
        else:
            if outcome.status == "finished":
                self._seconds[group.first.label].append(outcome.seconds / len(group.runs))
            self.console.print(
                f"[green]{outcome.status}[/]  {escape(str(group))}  "
                f"{outcome.seconds:.1f} s  [dim]{self.n_done} of {self.n_runs}[/]",
                soft_wrap=True,
            )
        self._show_total()

    def seconds_left(self) -> float | None:
        """Estimate the time left from runs of the same model; None if there is no clue."""
        known = [seconds for values in self._seconds.values() for seconds in values]
        total = 0.0
        for name, group in self.left.items():
            own = self._seconds.get(group.first.label) or known
            share = self._share(name)
            if name in self._began and share:
                total += (time.monotonic() - self._began[name]) * (1 - share) / share
            elif own:
                total += sum(own) / len(own) * len(group.runs)
            else:
                return None
        return total / max(1, len(self._tasks))

    def _remove_bar(self, group: Task) -> None:
        if group.name in self._tasks:
            self._bars.remove_task(self._tasks.pop(group.name))

    def _share(self, name: str) -> float:
        shares = self._epochs.get(name)
        return sum(shares.values()) / len(shares) if shares else 0.0

    def _show_total(self) -> None:
        left = self.n_runs - self.n_done - self.n_failed
        note = (
            f"{self.n_done} done, {len(self._tasks)} running, {self.n_failed} failed, {left} left"
        )
        seconds = self.seconds_left()
        if seconds is not None:
            note += f", about {_duration(seconds)} to go"
        self._bars.update(self._total, completed=self.n_done, note=note)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
