"""Epochs told across processes, in small files that are replaced whole.

A queue would do the same, but a process killed while it holds a queue's lock stops all others.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

from crosstrait.experiments.engines.engine import Task
from crosstrait.experiments.storage import write_text
from crosstrait.training.progress import EpochDone

_BETWEEN_SECONDS = 0.5


class EpochFile:
    """A listener that leaves the latest epoch of every network in a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._latest: dict[str, dict[str, object]] = {}
        self._written = 0.0

    def started(self, group: Task) -> None:
        """Forget the networks of the group before ``group``."""
        del group
        self._latest.clear()

    def epoch(self, group: Task, done: EpochDone) -> None:
        """Note the epoch, and write now and then."""
        self._latest[f"{done.seed} {done.member}"] = asdict(done)
        if time.monotonic() - self._written >= _BETWEEN_SECONDS:
            # Not write_json: without validation samples there are scores that are not a number.
            text = json.dumps(list(self._latest.values()))
            write_text(self.folder / f"{group.name}.json", text)
            self._written = time.monotonic()


def read_epochs(folder: Path, group: Task) -> list[EpochDone]:
    """Return the latest epoch of every network of ``group``, as far as it was told."""
    try:
        text = (folder / f"{group.name}.json").read_text()
    except FileNotFoundError:  # not told yet, or deleted by another driver that heard of the end
        return []
    return [EpochDone(**values) for values in json.loads(text)]
