"""Engines: what carries the groups of runs to processors, behind one small protocol.

An engine only decides where a group runs. What a run is, its key, its folder and its lock are the
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
from crosstrait.experiments.storage import make_folder, storage_errors, write_text
from crosstrait.training.progress import EpochDone


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a group.

    Attributes
    ----------
    status
        ``finished``: trained now; ``cached``: another process had trained it; ``busy``: another
        process is training it; ``failed``.
    seconds
        Time it took here.
    lost
        The runs that failed: of a group's replicates, some may have ended well.
    message
        Why it failed, in one line.
    log
        The file with the whole story of the failure.
    """

    group: Group
    status: Literal["finished", "cached", "busy", "failed"]
    seconds: float = 0.0
    lost: tuple[Run, ...] = ()
    message: str = ""
    log: Path | None = None


class Listener(Protocol):
    """Who is told how the groups get on."""

    def started(self, group: Group) -> None:
        """Hear that ``group`` is being trained."""

    def epoch(self, group: Group, done: EpochDone) -> None:
        """Hear of an epoch, where the engine can tell."""


class Engine(Protocol):
    """Carries out groups of runs; the order and place of the work are its own."""

    def run(
        self, groups: Sequence[Group], *, at: Workplace, listener: Listener, wait: bool
    ) -> Iterator[Outcome]:
        """Yield the outcome of every group as it is known.

        Parameters
        ----------
        groups
            What to train.
        at
            The data and the cache.
        listener
            Who is told.
        wait
            Whether to wait for groups that another process is training, which else are ``busy``.

        Raises
        ------
        StorageError
            If results cannot be written: every other group would fail in the same way.
        """


def carry_out(group: Group, *, at: Workplace, listener: Listener, wait: bool) -> Outcome:
    """Train what is missing of ``group``; a failure becomes an outcome and a log file.

    The body of every engine's task.

    Raises
    ------
    StorageError
        If results cannot be written.
    """
    start = time.perf_counter()
    with at.cache.locked(group, wait=wait) as free:
        if not free:
            return Outcome(group=group, status="busy")
        at.cache.recover(group)
        missing = Group(tuple(run for run in group.runs if at.cache.find(run) is None))
        if not missing.runs:
            at.cache.drop_work(group)
            return Outcome(group=group, status="cached", seconds=time.perf_counter() - start)
        listener.started(group)
        try:
            train_group(missing, at=at, progress=lambda done: listener.epoch(group, done))
        except StorageError:
            raise
        except Exception as error:
            return Outcome(
                group=group,
                status="failed",
                seconds=time.perf_counter() - start,
                lost=tuple(run for run in missing.runs if at.cache.find(run) is None),
                message=_one_line(error),
                log=_write_log(group, at=at),
            )
        return Outcome(group=group, status="finished", seconds=time.perf_counter() - start)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, CrosstraitError) else f"{type(error).__name__}: {text}"


def _write_log(group: Group, *, at: Workplace) -> Path:
    folder = at.cache.folder.parent / "logs"
    make_folder(folder)
    path = folder / f"{group.name}.log"
    with storage_errors(path):
        write_text(path, f"{group}\n\n{traceback.format_exc()}")
    return path
