"""The engine on a Ray cluster: tasks with CPUs and GPUs, and no shared file system.

The data are put into the object store once. A task works in a folder of its own node, sends the
files of finished runs back as bytes, and its checkpoints on the way, so that what a dead node had
begun goes on elsewhere. Importing this module does not import Ray.
"""

from __future__ import annotations

import importlib
import logging
import os
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from crosstrait.errors import SettingsError, StorageError, listed
from crosstrait.experiments.cache import RunCache
from crosstrait.experiments.courier import Courier, FileStore
from crosstrait.experiments.engine import Listener, Outcome, Task, carry_out, missing_of
from crosstrait.experiments.processors import Share, take
from crosstrait.experiments.provenance import versions
from crosstrait.experiments.resolve import is_network
from crosstrait.experiments.run import Workplace
from crosstrait.experiments.search import search_folder
from crosstrait.experiments.searches import Search
from crosstrait.experiments.storage import make_folder, write_text
from crosstrait.split.manifest import Split
from crosstrait.training.progress import EpochDone

_MOST_RETRIES = 3
_LOOK_SECONDS = 0.5
# Each task in flight holds the locks of its runs, which are open files.
_MOST_IN_FLIGHT = 128

Files = dict[str, bytes]


def check_ray() -> None:
    """Check that Ray is there.

    Raises
    ------
    SettingsError
        If it is not installed.
    """
    try:
        _ray()
    except ImportError:
        raise SettingsError("the executor 'ray' needs Ray: pip install 'crosstrait[ray]'") from None


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a task sends back: its outcome, and files as bytes.

    Attributes
    ----------
    runs
        Of each finished run, by key, the files by name.
    trials
        Of a search, the files of its trials by name.
    log
        The whole story of a failure.
    """

    outcome: Outcome
    runs: dict[str, Files]
    trials: Files
    log: str


@dataclass
class RayEngine:
    """Carries out tasks on the Ray cluster of RAY_ADDRESS, or on one started for the purpose.

    Attributes
    ----------
    workers
        Most tasks at once; None: what the cluster has CPUs for.
    threads
        CPUs and threads of a training. Fixed, as nodes differ.
    """

    workers: int | None = None
    threads: int = 1
    _stacks: dict[str, ExitStack] = field(default_factory=dict)

    def run(
        self, groups: Sequence[Task], *, at: Workplace, listener: Listener, wait: bool
    ) -> Iterator[Outcome]:
        """Yield the outcome of every task as it is known."""
        if not groups:
            return
        ray = _ray()
        _connect(ray)
        mailbox = _start_mailbox(at.cache.folder)
        data = ray.put(_pack(at))
        waiting = deque(groups)
        running: dict[Any, tuple[Task, Task]] = {}  # what was asked for, what is missing of it
        try:
            while waiting or running:
                while waiting and len(running) < (self.workers or _MOST_IN_FLIGHT):
                    task = waiting.popleft()
                    settled = self._prepare(task, at=at, wait=wait)
                    if isinstance(settled, Outcome):
                        yield settled
                        continue
                    listener.started(task)
                    reference = self._submit(settled, data, mailbox)
                    running[reference] = task, settled
                done, _ = ray.wait(list(running), num_returns=1, timeout=_LOOK_SECONDS)
                for reference in done:
                    task, missing = running.pop(reference)
                    outcome = _receive(task, missing, reference, at=at)
                    self._stacks.pop(task.name).close()
                    yield outcome
                by_name = {missing.name: task for task, missing in running.values()}
                for name, epoch in ray.get(mailbox.epochs.remote()):
                    if name in by_name:
                        listener.epoch(by_name[name], epoch)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)
            for stack in self._stacks.values():
                stack.close()
            self._stacks.clear()
            ray.kill(mailbox)

    def _prepare(self, task: Task, *, at: Workplace, wait: bool) -> Task | Outcome:
        """Lock a task and return what is missing of it, or its outcome where it is settled."""
        stack = ExitStack()
        if not stack.enter_context(at.cache.locked(task.locks, wait=wait)):
            return Outcome(group=task, status="busy")
        missing = missing_of(task, at=at)
        if missing is None:
            stack.close()
            return Outcome(group=task, status="cached")
        self._stacks[task.name] = stack
        return missing

    def _submit(self, task: Task, data: Any, mailbox: Any) -> Any:
        ray = _ray()
        options = {
            "num_cpus": self.threads,
            "num_gpus": 1 if _wants_gpu(task) and ray.cluster_resources().get("GPU") else 0,
            "max_retries": _MOST_RETRIES,
        }
        remote = ray.remote(**options)(carry_out_remotely)
        return remote.remote(data, task, mailbox, self.threads, versions())


def carry_out_remotely(
    data: Mapping[str, Any], task: Task, mailbox: Any, threads: int, here: Mapping[str, str]
) -> Reply:
    """Carry out a task in a new folder of this node: the body of a Ray task."""
    ray = _ray()
    others = [f"{name} {got}" for name, got in versions().items() if here.get(name) != got]
    if others:
        raise SettingsError(
            f"node {ray.util.get_node_ip_address()} has {listed(others)}, not what the experiment "
            f"was started with; install the same on every node"
        )
    take(Share(threads=threads))
    with tempfile.TemporaryDirectory(prefix="crosstrait-") as name:
        at = _unpack(data, Path(name))
        for path, content in ray.get(mailbox.fetch.remote(task.name)).items():
            make_folder((at.cache.folder.parent / path).parent)
            (at.cache.folder.parent / path).write_bytes(content)
        kept = [at.cache.folder / ".work" / task.name]
        if isinstance(task, Search):
            kept.append(search_folder(task, at=at))
        stored: list[Any] = []
        with Courier(
            kept,
            root=at.cache.folder.parent,
            send=lambda files: stored.append(mailbox.store.remote(files)),
        ):
            outcome = carry_out(task, at=at, listener=_Teller(mailbox), wait=True)
        # Nothing may be stored after the driver has tidied up behind this task.
        ray.get(stored)
        return Reply(
            outcome=outcome,
            runs=_finished(task, at=at),
            trials=_read_files(search_folder(task, at=at)) if isinstance(task, Search) else {},
            log=outcome.log.read_text(encoding="utf-8") if outcome.log else "",
        )


class Mailbox:
    """Epochs for whom it concerns, and the checkpoints of running tasks on the driver's disk."""

    def __init__(self, runs: Path) -> None:
        self._files = FileStore(runs.parent)
        self._epochs: dict[tuple[str, int, str], EpochDone] = {}

    def tell(self, name: str, done: EpochDone) -> None:
        """Take an epoch of the task called ``name``."""
        self._epochs[name, done.seed, done.member] = done

    def epochs(self) -> list[tuple[str, EpochDone]]:
        """Return the latest epochs that were not asked for yet."""
        told = [(name, done) for (name, _, _), done in self._epochs.items()]
        self._epochs.clear()
        return told

    def store(self, files: Files) -> None:
        """Keep files of an unfinished task."""
        self._files.store(files)

    def fetch(self, name: str) -> Files:
        """Return the files that were kept of a task, by this experiment or one that was killed."""
        return self._files.fetch([f"runs/.work/{name}", f"tuning/{name}"])


class _Teller:
    """A listener that tells the mailbox."""

    def __init__(self, mailbox: Any) -> None:
        self._mailbox = mailbox
        self._told = 0.0

    def started(self, group: Task) -> None:
        """Say nothing, as the driver started it."""

    def epoch(self, group: Task, done: EpochDone) -> None:
        """Tell now and then."""
        if time.monotonic() - self._told >= _LOOK_SECONDS:
            self._mailbox.tell.remote(group.name, done)
            self._told = time.monotonic()


def _ray() -> Any:
    """Import Ray; untyped, as it is checked where it is not installed too."""
    return importlib.import_module("ray")


def _connect(ray: Any) -> None:
    """Join the cluster that RAY_ADDRESS names, or start one of this machine.

    Not the one that Ray itself would look for: of a cluster that was killed it still knows the
    address, and waits for it for minutes.
    """
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS", "local")
    options = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except ConnectionError as error:
        raise SettingsError(
            f"no Ray cluster answers at RAY_ADDRESS={address}: {' '.join(str(error).split())}"
        ) from None


def _start_mailbox(runs: Path) -> Any:
    ray = _ray()
    importlib.import_module("ray.util.scheduling_strategies")
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    actor = ray.remote(num_cpus=0, scheduling_strategy=here)(Mailbox)
    return actor.remote(runs.absolute())


def _wants_gpu(task: Task) -> bool:
    return task.first.train.device != "cpu" and is_network(task.first.config)


def _pack(at: Workplace) -> dict[str, Any]:
    """Return panel and splits as plain arrays and texts, which Ray shares without copying."""
    return {
        "variables": {
            str(name): (list(variable.dims), np.asarray(variable.values))
            for name, variable in at.panel.variables.items()
        },
        "attrs": dict(at.panel.attrs),
        "splits": at.splits,
    }


def _unpack(data: Mapping[str, Any], folder: Path) -> Workplace:
    splits: tuple[Split, ...] = data["splits"]
    panel = xr.Dataset(data["variables"], attrs=data["attrs"])
    return Workplace(panel=panel, splits=splits, cache=RunCache(folder / "runs"))


def _finished(task: Task, *, at: Workplace) -> dict[str, Files]:
    if isinstance(task, Search):
        return {}
    folders = {run.key: at.cache.find(run) for run in task.runs}
    return {key: _read_files(folder) for key, folder in folders.items() if folder is not None}


def _read_files(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def _receive(task: Task, missing: Task, reference: Any, *, at: Workplace) -> Outcome:
    """Write what a task sent back, or say why nothing came."""
    ray = _ray()
    try:
        reply: Reply = ray.get(reference)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        message = " ".join(str(cause).split())
        if not isinstance(cause, SettingsError | StorageError):
            message = f"its Ray task was lost: {message}"
        return Outcome(group=task, status="failed", lost=missing.runs, message=message)
    if isinstance(missing, Search):
        folder = search_folder(missing, at=at)
        make_folder(folder)
        for name, content in reply.trials.items():
            write_text(folder / name, content.decode())
    else:
        at.cache.receive(missing, files=reply.runs)
        at.cache.drop_work(missing)
    log = None
    if reply.log:
        log = at.cache.folder.parent / "logs" / f"{task.name}.log"
        make_folder(log.parent)
        write_text(log, reply.log)
    sent = reply.outcome
    return Outcome(
        group=task,
        status=sent.status,
        seconds=sent.seconds,
        lost=sent.lost,
        message=sent.message,
        log=log,
    )
