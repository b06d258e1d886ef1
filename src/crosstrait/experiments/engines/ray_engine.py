"""The engine on a Ray cluster: tasks with CPUs and GPUs, and no shared file system.

The data are put into the object store once. Finished runs come back as bytes, and checkpoints on
the way, so that what a dead node had begun goes on elsewhere. Importing this module does not
import Ray.
"""

from __future__ import annotations

import importlib
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from crosstrait.errors import SettingsError
from crosstrait.experiments.engines.dispatch import dispatch
from crosstrait.experiments.engines.engine import Listener, Outcome, Task
from crosstrait.experiments.engines.parcel import Parcel, pack, unpack
from crosstrait.experiments.engines.remote import Origin, carry_out_remotely, kept_folders
from crosstrait.experiments.engines.reply import Reply
from crosstrait.experiments.engines.stores import Files, FileStore
from crosstrait.experiments.resolve import wants_gpu
from crosstrait.experiments.run import Workplace
from crosstrait.extras import require
from crosstrait.split.manifest import Split
from crosstrait.training.progress import EpochDone

_MOST_RETRIES = 3


def check_ray() -> None:
    """Check that Ray is there.

    Raises
    ------
    SettingsError
        If it is not installed.
    """
    require("ray", extra="ray", why="the executor 'ray' needs Ray")


@dataclass(frozen=True)
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

    def run(
        self, groups: Sequence[Task], *, at: Workplace, listener: Listener, wait: bool
    ) -> Iterator[Outcome]:
        """Yield the outcome of every task as it is known."""
        if not groups:
            return
        with _Cluster(at, threads=self.threads) as cluster:
            yield from dispatch(
                groups, cluster, at=at, listener=listener, wait=wait, most=self.workers
            )


class Mailbox:
    """An actor beside the driver: epochs, and the checkpoints of running tasks on its disk."""

    def __init__(self, runs: Path) -> None:
        self._files = FileStore(runs.parent)
        self._epochs: dict[tuple[str, int, str], EpochDone] = {}

    def tell(self, name: str, done: EpochDone) -> None:
        """Take an epoch of the task called ``name``."""
        self._epochs[name, done.seed, done.member] = done

    def told(self) -> list[tuple[str, EpochDone]]:
        """Return the latest epochs that were not asked for yet."""
        told = [(name, done) for (name, _, _), done in self._epochs.items()]
        self._epochs.clear()
        return told

    def store(self, files: Files) -> None:
        """Keep files of an unfinished task, where any engine goes on from them."""
        self._files.store(files)

    def fetch(self, folders: Sequence[str]) -> Files:
        """Return the files that were kept, by this experiment or one that was killed."""
        return self._files.fetch(folders)


@dataclass(frozen=True)
class _RayPost:
    """A task's way to the mailbox."""

    mailbox: Any
    store_seconds: float = 2.0
    tell_seconds: float = 0.5

    def fetch(self, task: Task) -> Files:
        files: Files = _ray().get(self.mailbox.fetch.remote(kept_folders(task)))
        return files

    def store(self, files: Files) -> None:
        # Waits, as nothing may be stored after the driver has tidied up behind the task.
        _ray().get(self.mailbox.store.remote(files))

    def tell(self, task: Task, done: EpochDone) -> None:
        self.mailbox.tell.remote(task.name, done)


def carry_out_on_node(
    parcel: Parcel,
    splits: tuple[Split, ...],
    task: Task,
    mailbox: Any,
    threads: int,
    origin: Origin,
) -> Reply:
    """Carry out a task on a node: the body of a Ray task."""
    return carry_out_remotely(
        task,
        panel=unpack(parcel),
        splits=splits,
        post=_RayPost(mailbox),
        threads=threads,
        origin=origin,
        here=f"node {_ray().util.get_node_ip_address()}",
    )


class _Cluster:
    """The nodes, with the data in their object store while the block runs."""

    unit = "Ray task"

    def __init__(self, at: Workplace, *, threads: int) -> None:
        self._at = at
        self._threads = threads
        self._origin = Origin()
        self._running: dict[Future[Reply], Any] = {}

    def __enter__(self) -> Self:
        ray = _ray()
        _connect(ray)
        self._mailbox = _start_mailbox(self._at.cache.folder)
        self._parcel = ray.put(pack(self._at.panel))
        self._splits = ray.put(self._at.splits)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A copy, as those that end meanwhile are taken out by a thread of Ray.
        for reference in list(self._running.values()):
            _ray().cancel(reference, force=True)
        _ray().kill(self._mailbox)

    def submit(self, task: Task) -> Future[Reply]:
        train = task.first.train
        # On a cluster without GPUs a network waits for none.
        wanted = wants_gpu(task.first.config, train) and _most_on_a_node("GPU")
        needs = {
            "CPU": max(self._threads, train.devices),
            "GPU": train.devices if wanted else 0,
        }
        for name, needed in needs.items():
            if needed > (most := _most_on_a_node(name)):
                warnings.warn(
                    f"{task} waits for a node with {needed} {name}s: no node of the Ray cluster "
                    f"has more than {most:g}",
                    stacklevel=2,
                )
        remote = _ray().remote(
            num_cpus=needs["CPU"], num_gpus=needs["GPU"], max_retries=_MOST_RETRIES
        )
        reference = remote(carry_out_on_node).remote(
            self._parcel, self._splits, task, self._mailbox, self._threads, self._origin
        )
        future: Future[Reply] = reference.future()
        self._running[future] = reference
        future.add_done_callback(self._running.pop)
        return future

    def told(self) -> list[tuple[str, EpochDone]]:
        told: list[tuple[str, EpochDone]] = _ray().get(self._mailbox.told.remote())
        return told

    def forget(self, task: Task) -> None:
        """Do nothing: what was stored lies in the experiment's own folder."""


def _ray() -> Any:
    """Import Ray; untyped, as it is checked where it is not installed too."""
    return importlib.import_module("ray")


def _most_on_a_node(resource: str) -> float:
    """Return how much of ``resource`` the node has that has most of it."""
    nodes = [node["Resources"] for node in _ray().nodes() if node["Alive"]]
    return max((node.get(resource, 0.0) for node in nodes), default=0.0)


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
    # An address that is none, another version of Ray or Python there, a token that is missing.
    except (RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise SettingsError(
            f"Ray refuses to connect with RAY_ADDRESS={address}: {' '.join(str(error).split())}"
        ) from None


def _start_mailbox(runs: Path) -> Any:
    ray = _ray()
    importlib.import_module("ray.util.scheduling_strategies")
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    # All that it keeps is on the disk, so that one that is killed can be started again.
    actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)(
        Mailbox
    )
    return actor.remote(runs.absolute())
