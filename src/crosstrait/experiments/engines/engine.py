"""Engines: what carries searches and groups of runs to processors, behind one small protocol.

An engine only decides where a task runs. What a run is, its key, its folder and its lock are the
same everywhere, so that any engine goes on where another one stopped.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from crosstrait.errors import CrosstraitError, StorageError
from crosstrait.experiments.plan import Group, Run
from crosstrait.experiments.run import Workplace, train_group
from crosstrait.experiments.search import carry_out_search, search_folder
from crosstrait.experiments.searches import Search
from crosstrait.experiments.storage import make_folder, storage_errors, write_text
from crosstrait.experiments.trials import best_of, read_trials
from crosstrait.training.progress import EpochDone, Progress

Task = Group | Search
"""Something to carry out: ``runs`` depend on it, ``locks`` keep others off it."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a task.

    Attributes
    ----------
    status
        ``finished``: trained now; ``cached``: another process had trained it; ``busy``: another
        process is training it; ``failed``.
    seconds
        Time it took here.
    lost
        The runs that failed: of a group's replicates, some may have ended well. Those of a search
        that failed have no settings to be trained with.
    message
        Why it failed, in one line.
    log
        The file with the whole story of the failure.
    """

    group: Task
    status: Literal["finished", "cached", "busy", "failed"]
    seconds: float = 0.0
    lost: tuple[Run, ...] = ()
    message: str = ""
    log: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A run that could not be trained.

    Attributes
    ----------
    message
        Why, in one line.
    log
        The file with the whole story, where there is one.
    """

    run: Run
    message: str
    log: Path | None


class Listener(Protocol):
    """Who is told how the tasks get on."""

    def started(self, group: Task) -> None:
        """Hear that ``group`` is being trained."""

    def epoch(self, group: Task, done: EpochDone) -> None:
        """Hear of an epoch, or of a trial of a search, where the engine can tell."""


class Engine(Protocol):
    """Carries out tasks; the order and place of the work are its own."""

    def run(
        self, groups: Sequence[Task], *, at: Workplace, listener: Listener, wait: bool
    ) -> Iterator[Outcome]:
        """Yield the outcome of every task as it is known.

        Parameters
        ----------
        groups
            What to search or train.
        at
            The data and the cache.
        listener
            Who is told.
        wait
            Whether to wait for tasks that another process works on, which else are ``busy``.

        Raises
        ------
        StorageError
            If results cannot be written: every other group would fail in the same way.
        """


def carry_out(group: Task, *, at: Workplace, listener: Listener, wait: bool) -> Outcome:
    """Do what is missing of a task; a failure becomes an outcome and a log file.

    The body of every engine's task.

    Raises
    ------
    StorageError
        If results cannot be written.
    """
    start = time.perf_counter()
    with at.cache.locked(group.locks, wait=wait) as free:
        if not free:
            return Outcome(group=group, status="busy")
        missing = missing_of(group, at=at)
        if missing is None:
            return Outcome(group=group, status="cached", seconds=time.perf_counter() - start)
        listener.started(group)
        try:
            _do(missing, at=at, progress=lambda done: listener.epoch(group, done))
        except StorageError:
            raise
        except Exception as error:
            left = missing if isinstance(missing, Search) else missing_of(missing, at=at)
            return Outcome(
                group=group,
                status="failed",
                seconds=time.perf_counter() - start,
                lost=left.runs if left else (),
                message=one_line(error),
                log=_write_log(group, at=at),
            )
        return Outcome(group=group, status="finished", seconds=time.perf_counter() - start)


def both_passes(
    engine: Engine, groups: Sequence[Task], *, at: Workplace, listener: Listener
) -> Iterator[Outcome]:
    """Carry out ``groups``, and wait at the end for what another process works on."""
    busy: list[Task] = []
    for outcome in engine.run(groups, at=at, listener=listener, wait=False):
        if outcome.status == "busy":
            busy.append(outcome.group)
        yield outcome
    if busy:
        yield from engine.run(busy, at=at, listener=listener, wait=True)


def missing_of(task: Task, *, at: Workplace) -> Task | None:
    """Return what is left to do of a task whose locks are held."""
    if isinstance(task, Search):
        trials = read_trials(search_folder(task, at=at))
        best = best_of(task.within_budget(trials))
        return None if task.ended(trials) and best else task
    at.cache.recover(task)
    runs = tuple(run for run in task.runs if at.cache.find(run) is None)
    if not runs:
        at.cache.drop_work(task)
    return Group(runs) if runs else None


def _do(task: Task, *, at: Workplace, progress: Progress) -> None:
    if isinstance(task, Search):
        carry_out_search(task, at=at, progress=progress)
    else:
        train_group(task, at=at, progress=progress)


def one_line(error: Exception) -> str:
    """Say what went wrong in one line, with the kind of an error that is not crosstrait's own."""
    text = " ".join(str(error).split())
    return text if isinstance(error, CrosstraitError) else f"{type(error).__name__}: {text}"


def _write_log(group: Task, *, at: Workplace) -> Path:
    folder = at.cache.folder.parent / "logs"
    make_folder(folder)
    path = folder / f"{group.name}.log"
    with storage_errors(path):
        write_text(path, f"{group}\n\n{traceback.format_exc()}")
    return path
