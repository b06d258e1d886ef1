"""Logs for TensorBoard, made from the histories of runs, whichever engine and process trains them.

Importing this module does not import TensorBoard.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from crosstrait.experiments.cache import RunCache
from crosstrait.experiments.engines.engine import Outcome, Task
from crosstrait.experiments.engines.growing import growing_name, read_history
from crosstrait.experiments.plan import Run
from crosstrait.experiments.storage import storage_errors
from crosstrait.extras import require
from crosstrait.training.model_files import HISTORY
from crosstrait.training.progress import EpochDone

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_BETWEEN_SECONDS = 1.0
_TAGS = {
    "train_loss": "loss/train",
    "val_loss": "loss/validation",
    "val_r2": "R2/validation",
    "learning_rate": "learning_rate",
}


def check_tensorboard() -> None:
    """Check that logs can be written.

    Raises
    ------
    SettingsError
        If TensorBoard is not installed.
    """
    require("torch.utils.tensorboard", extra="tensorboard", why="logs for TensorBoard need it")


class TensorBoardLogs:
    """A listener that keeps ``<folder>/<model>-<key8>`` a run up to its history, by epoch.

    What a history says is written once: a log that an earlier, interrupted experiment left is
    replaced when its run goes on, and one of a finished run is kept.

    Parameters
    ----------
    folder
        Where the logs go.
    cache
        Where the histories are.
    """

    def __init__(self, folder: Path, *, cache: RunCache) -> None:
        self.folder = folder
        self._cache = cache
        self._writers: dict[str, SummaryWriter] = {}
        self._last: dict[tuple[str, str], int] = {}
        self._looked: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def started(self, group: Task) -> None:
        """Write nothing yet."""

    def epoch(self, group: Task, done: EpochDone) -> None:
        """Write what is new of the histories of ``group``, now and then."""
        del done  # of several engines only the latest epochs are heard; the files have all
        if time.monotonic() - self._looked.get(group.name, -_BETWEEN_SECONDS) < _BETWEEN_SECONDS:
            return
        self._looked[group.name] = time.monotonic()
        for run in group.runs:
            for path in self._cache.folder.glob(f".work/*/{growing_name(run)}"):
                self._write(run, path)

    def ended(self, outcome: Outcome) -> None:
        """Complete the logs of the runs of a group that ended."""
        for run in outcome.group.runs:
            finished = self._cache.find(run)
            if finished is not None:
                self.finish(run, finished)

    def finish(self, run: Run, finished: Path) -> None:
        """Complete the log of a run whose folder is ``finished``, unless it was before."""
        history = finished / HISTORY
        if run.key not in self._writers and self._is_newer(run, history):
            return
        self._write(run, history)
        if run.key in self._writers:
            self._writers.pop(run.key).close()
            for path in self._folder(run).iterdir():
                os.utime(path)  # newer than the history, whenever its last epoch was written

    def _write(self, run: Run, history: Path) -> None:
        rows = read_history(history)
        if not rows:
            return
        writer = self._writer(run)
        for row in rows:
            epoch, member = int(row["epoch"]), row["member"]
            if epoch <= self._last.get((run.key, member), 0):
                continue
            self._last[run.key, member] = epoch
            for column, tag in _TAGS.items():
                if row[column]:
                    name = tag if member == "all" else f"{tag}/{member}"
                    writer.add_scalar(name, float(row[column]), epoch)
        writer.flush()

    def _writer(self, run: Run) -> SummaryWriter:
        if run.key not in self._writers:
            from torch.utils.tensorboard import SummaryWriter

            folder = self._folder(run)
            with storage_errors(folder):
                shutil.rmtree(folder, ignore_errors=True)
                # A TensorBoard that has read what was there forgets it.
                self._writers[run.key] = SummaryWriter(str(folder), purge_step=0)
        return self._writers[run.key]

    def _folder(self, run: Run) -> Path:
        return self.folder / f"{run.label}-{run.key[:8]}"

    def _is_newer(self, run: Run, history: Path) -> bool:
        logs: Sequence[Path] = list(self._folder(run).glob("events.*"))
        moment = history.stat().st_mtime_ns
        return any(path.stat().st_mtime_ns >= moment for path in logs)
