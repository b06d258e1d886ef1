"""The folder ``slurm`` of an experiment, through which its driver and its jobs speak.

Everything is written whole under its final name. The panel and the splits are named by their
contents, so that they are written once, whatever else is done in the experiment's folder. What
is told of one submission is named by its ticket: the number of a job is known too late.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosstrait.errors import StorageError
from crosstrait.experiments.cache import RunCache
from crosstrait.experiments.engines.engine import Outcome, Task, one_line
from crosstrait.experiments.engines.epochs import read_epochs
from crosstrait.experiments.engines.same_versions import check_versions
from crosstrait.experiments.engines.task_files import read_task, task_values
from crosstrait.experiments.provenance import versions
from crosstrait.experiments.run import Workplace
from crosstrait.experiments.storage import make_folder, storage_errors, write_json
from crosstrait.files import beside
from crosstrait.panel.schema import Panel
from crosstrait.panel.storage import open_panel, save_panel
from crosstrait.split.manifest import Split
from crosstrait.training.progress import EpochDone

_PARTS = ("tasks", "submitted", "outcomes", "epochs", "jobs")


@dataclass(frozen=True, kw_only=True)
class Submission:
    """One time that a task was given to the cluster.

    Attributes
    ----------
    job
        What the cluster calls it, such as ``17_3`` for element 3 of the array 17.
    ticket
        What its outcome is filed under.
    """

    job: str
    ticket: str


class SlurmFolder:
    """The folder ``slurm`` beside the folder ``runs`` of a cache.

    Its parts are ``tasks`` (what is to be done), ``submitted`` (by which job), ``outcomes``,
    ``epochs`` (how far the networks are), ``drivers`` (which wait for what) and ``jobs``
    (submitit's own files and the logs). They are the user's alone: what submitit keeps are pickles.
    """

    def __init__(self, runs: Path) -> None:
        self.runs = runs.absolute()
        self.folder = self.runs.parent / "slurm"
        for part in ("", *_PARTS):
            make_folder(self.folder / part)
        with storage_errors(self.folder):
            self.folder.chmod(0o700)

    @property
    def jobs(self) -> Path:
        """Where submitit's files and the logs of jobs are."""
        return self.folder / "jobs"

    @property
    def drivers(self) -> Path:
        """Where drivers say what they wait for."""
        return self.folder / "drivers"

    @property
    def epochs(self) -> Path:
        """Where jobs tell how far they are."""
        return self.folder / "epochs"

    def data(self, at: Workplace) -> dict[str, Any]:
        """Write the data, where they are not there yet; return how a task names them."""
        return {
            "panel": self._panel(at.panel),
            "splits": [self._split(split) for split in at.splits],
            "versions": versions(),
        }

    def describe(self, task: Task, *, ticket: str, data: Mapping[str, Any]) -> None:
        """Write what the submission of that ticket is to do."""
        write_json(self._of("tasks", ticket), {**data, **task_values(task)})

    def open(self, ticket: str, *, here: str) -> tuple[Task, Workplace]:
        """Return the task of a submission, with its data and cache.

        Raises
        ------
        DataError
            If the panel or a split is not what was written.
        SettingsError
            If ``here``, this machine, has other versions than the driver has, or a run another key.
        """
        values = json.loads(self._of("tasks", ticket).read_text(encoding="utf-8"))
        check_versions(values["versions"], here=here)
        panel = open_panel(self.folder / values["panel"])
        splits = tuple(Split.load(self.folder / split) for split in values["splits"])
        task = read_task(values, panel=panel, splits=splits)
        return task, Workplace(panel=panel, splits=splits, cache=RunCache(self.runs))

    def note(self, task: Task, submission: Submission) -> None:
        """Write down which job carries ``task`` out, for a driver after this one."""
        values = {"job": submission.job, "ticket": submission.ticket}
        write_json(self._of("submitted", task.name), values)

    def noted(self, task: Task) -> Submission | None:
        """Return which job carried ``task`` out when that was last written down."""
        values = _read(self._of("submitted", task.name))
        return None if values is None else Submission(job=values["job"], ticket=values["ticket"])

    def settle(self, ticket: str, outcome: Outcome | Exception) -> None:
        """Write what became of a submission; to be called by its job."""
        if isinstance(outcome, Outcome):
            values: dict[str, Any] = {
                "status": outcome.status,
                "seconds": outcome.seconds,
                "lost": [run.key for run in outcome.lost],
                "message": outcome.message,
                "log": str(outcome.log) if outcome.log else None,
            }
        else:
            storage = isinstance(outcome, StorageError)
            values = {
                "status": "storage" if storage else "failed",
                "message": one_line(outcome),
            }
        write_json(self._of("outcomes", ticket), values)

    def settled(self) -> set[str]:
        """Return the tickets of the submissions whose jobs have said what became of them."""
        return self._named("outcomes")

    def begun(self) -> set[str]:
        """Return the names of the tasks that have told of epochs."""
        return self._named("epochs")

    def outcome(self, task: Task, submission: Submission) -> Outcome | None:
        """Return what became of a submission, once its job has said so.

        Raises
        ------
        StorageError
            If the job could not write results.
        """
        values = _read(self._of("outcomes", submission.ticket))
        if values is None:
            return None
        if values["status"] == "storage":
            raise StorageError(values["message"])
        log = values.get("log") or self.log(submission.job)
        lost = set(values.get("lost", [run.key for run in task.runs]))
        return Outcome(
            group=task,
            status=values["status"],
            seconds=values.get("seconds", 0.0),
            lost=tuple(run for run in task.runs if run.key in lost),
            message=values["message"],
            log=Path(log) if log and values["status"] == "failed" else None,
        )

    def told(self, task: Task) -> list[EpochDone]:
        """Return the latest epoch of every network of ``task``."""
        return read_epochs(self.epochs, task)

    def forget(self, task: Task, submission: Submission) -> None:
        """Delete what was written for a submission that is settled, but for its logs."""
        paths = [self._of(part, submission.ticket) for part in ("outcomes", "tasks")]
        if self.noted(task) == submission:
            paths += [self._of(part, task.name) for part in ("submitted", "epochs")]
        for path in [*paths, *self.jobs.glob(f"{submission.job}_*.pkl")]:
            with suppress(OSError):
                path.unlink()

    def log(self, job: str) -> Path | None:
        """Return what a job wrote to its standard error, if it came as far as that."""
        path = self.jobs / f"{job}_0_log.err"
        return path if path.is_file() else None

    def _named(self, part: str) -> set[str]:
        return {path.stem for path in (self.folder / part).glob("[!.]*.json")}

    def _of(self, part: str, name: str) -> Path:
        return self.folder / part / f"{name}.json"

    def _panel(self, panel: Panel) -> str:
        name = f"panel-{str(panel.attrs['digest'])[:16]}.zarr"
        path = self.folder / name
        if not path.is_dir():
            try:
                save_panel(panel, path)
            except StorageError:
                if not path.is_dir():  # else another driver was faster
                    raise
            with storage_errors(path):
                for file in path.rglob("*"):
                    if file.is_file():
                        file.chmod(0o444)
        return name

    def _split(self, split: Split) -> str:
        partial = beside(self.folder / "split")
        with storage_errors(self.folder):
            split.save(partial)
            name = f"split-{hashlib.sha256(partial.read_bytes()).hexdigest()[:16]}.json"
            partial.replace(self.folder / name)
        return name


def _read(path: Path) -> dict[str, Any] | None:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return values
