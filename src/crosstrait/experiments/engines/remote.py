"""A task on another machine: in a folder of its own, going on from what an earlier try had left.

The same for every engine whose machines share no disk with the one where the experiment was
started. Such an engine only says how bytes travel: see `Post`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from crosstrait.errors import CrosstraitError
from crosstrait.experiments.cache import RunCache
from crosstrait.experiments.engines.courier import Courier
from crosstrait.experiments.engines.engine import Outcome, Task, carry_out
from crosstrait.experiments.engines.processors import Share, take
from crosstrait.experiments.engines.reply import Reply, write_reply
from crosstrait.experiments.engines.same_versions import check_versions
from crosstrait.experiments.engines.stores import Files, FileStore
from crosstrait.experiments.provenance import versions
from crosstrait.experiments.run import Workplace
from crosstrait.experiments.searches import Search
from crosstrait.panel.schema import Panel
from crosstrait.split.manifest import Split
from crosstrait.training.progress import EpochDone


class Post(Protocol):
    """How a running task reaches the place where the experiment was started."""

    @property
    def store_seconds(self) -> float:
        """Shortest time between two calls of `store`."""

    @property
    def tell_seconds(self) -> float:
        """Shortest time between two calls of `tell`."""

    def fetch(self, task: Task) -> Files:
        """Return what earlier tries of ``task`` have stored, by name."""

    def store(self, files: Files) -> None:
        """Keep files of an unfinished task, where they outlive this machine."""

    def tell(self, task: Task, done: EpochDone) -> None:
        """Pass on that an epoch has ended; it may get lost."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The process that sends the tasks.

    Attributes
    ----------
    versions
        Of crosstrait and the packages that make the numbers.
    arguments
        Its command line, which is what a run's provenance records.
    """

    versions: Mapping[str, str] = field(default_factory=lambda: dict(versions()))
    arguments: Sequence[str] = field(default_factory=lambda: tuple(sys.argv))


def carry_out_remotely(
    task: Task,
    *,
    panel: Panel,
    splits: tuple[Split, ...],
    post: Post,
    threads: int,
    origin: Origin,
    here: str,
) -> Reply:
    """Carry out ``task`` in a new folder of this machine.

    Parameters
    ----------
    task
        What to search or train.
    panel, splits
        The data of the experiment.
    post
        How to reach the process that sent the task.
    threads
        CPU threads of the training.
    origin
        Which process that is.
    here
        What to call this machine in messages.
    """
    try:
        check_versions(origin.versions, here=here)
        sys.argv[:] = origin.arguments
        take(Share(threads=threads))
        with tempfile.TemporaryDirectory(prefix="crosstrait-") as name:
            at = Workplace(panel=panel, splits=splits, cache=RunCache(Path(name) / "runs"))
            FileStore(Path(name)).store(post.fetch(task))
            folders = [Path(name) / folder for folder in kept_folders(task)]
            with Courier(
                folders, root=Path(name), send=post.store, between_seconds=post.store_seconds
            ):
                outcome = carry_out(task, at=at, listener=_Teller(post), wait=True)
            return write_reply(outcome, task=task, at=at)
    except CrosstraitError as error:
        failed = Outcome(group=task, status="failed", lost=task.runs, message=str(error))
        return Reply(outcome=failed)


def kept_folders(task: Task) -> list[str]:
    """Return where an unfinished task keeps what it goes on from, below the experiment's folder."""
    folders = [f"runs/.work/{task.name}"]
    return [*folders, f"tuning/{task.name}"] if isinstance(task, Search) else folders


class _Teller:
    """A listener that posts epochs."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._told = 0.0

    def started(self, group: Task) -> None:
        """Say nothing, as the sender started it."""

    def epoch(self, group: Task, done: EpochDone) -> None:
        """Tell now and then."""
        if time.monotonic() - self._told >= self._post.tell_seconds:
            self._told = time.monotonic()
            self._post.tell(group, done)
