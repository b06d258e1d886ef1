"""What comes back from a task on another machine, and how it enters the experiment's folder."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from crosstrait.experiments.engines.engine import Outcome, Task
from crosstrait.experiments.engines.stores import Files
from crosstrait.experiments.run import Workplace
from crosstrait.experiments.search import search_folder
from crosstrait.experiments.searches import Search
from crosstrait.experiments.storage import make_folder, write_text


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The outcome of a task, and its files as bytes.

    Attributes
    ----------
    outcome
        Its log is a place on the other machine.
    runs
        Of each finished run, by key, the files by name.
    trials
        Of a search, the files of its trials by name.
    log
        The whole story of a failure.
    """

    outcome: Outcome
    runs: dict[str, Files] = field(default_factory=dict)
    trials: Files = field(default_factory=dict)
    log: str = ""


def write_reply(outcome: Outcome, *, task: Task, at: Workplace) -> Reply:
    """Return the outcome of ``task`` with the files that it left at ``at``."""
    log = outcome.log.read_text(encoding="utf-8") if outcome.log else ""
    if isinstance(task, Search):
        return Reply(outcome=outcome, trials=_files(search_folder(task, at=at)), log=log)
    folders = {run.key: at.cache.find(run) for run in task.runs}
    runs = {key: _files(folder) for key, folder in folders.items() if folder is not None}
    return Reply(outcome=outcome, runs=runs, log=log)


def receive(reply: Reply, *, task: Task, at: Workplace) -> Outcome:
    """Publish the files of a reply; the caller holds the locks of ``task``.

    Checkpoints of ``task`` at ``at`` are deleted, as it has ended. A run whose files do not match
    their digests has failed.
    """
    outcome = reply.outcome
    if isinstance(task, Search):
        folder = search_folder(task, at=at)
        make_folder(folder)
        for name, content in reply.trials.items():
            write_text(folder / name, content.decode())
    else:
        at.cache.receive(task, files=reply.runs)
        at.cache.drop_work(task)
        absent = tuple(run for run in task.runs if at.cache.find(run) is None)
        if outcome.status != "failed" and absent:
            message = "its files did not come back whole; the same command trains it again"
            outcome = replace(outcome, status="failed", lost=absent, message=message)
    log = write_log(task, reply.log, at=at) if reply.log else None
    return replace(outcome, log=log)


def write_log(task: Task, story: str, *, at: Workplace) -> Path:
    """Write why ``task`` failed where all engines do; return the file."""
    path = at.cache.folder.parent / "logs" / f"{task.name}.log"
    make_folder(path.parent)
    write_text(path, story)
    return path


def _files(folder: Path) -> Files:
    if not folder.is_dir():
        return {}
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
