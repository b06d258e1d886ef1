"""The engine on Modal: every task a call of one function, in containers that Modal starts.

The containers share no disk with this machine. Finished runs come back as bytes; checkpoints go
into a Volume, so that what a container had begun when it was taken away goes on in another one.
Importing this module does not import Modal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from crosstrait.errors import SettingsError
from crosstrait.experiments.engines.dispatch import dispatch
from crosstrait.experiments.engines.engine import Listener, Outcome, Task
from crosstrait.experiments.engines.local import most_devices
from crosstrait.experiments.engines.modal_container import Order, send_data, unfinished_folders
from crosstrait.experiments.engines.modal_service import Needs, connect
from crosstrait.experiments.engines.modal_table import ModalConfig
from crosstrait.experiments.engines.remote import Origin, kept_folders
from crosstrait.experiments.engines.reply import Reply
from crosstrait.experiments.engines.stores import FileStore, Store
from crosstrait.experiments.resolve import n_gpus, wants_gpu
from crosstrait.experiments.run import Workplace
from crosstrait.panel.schema import Panel
from crosstrait.training.progress import EpochDone


class Service(Protocol):
    """What the engine asks of Modal."""

    @property
    def store(self) -> Store:
        """Where data and checkpoints outlive containers."""

    def call(self, order: Order, *, gpu: bool) -> Reply:
        """Carry out an order in a container and wait for the reply."""

    def told(self) -> list[tuple[str, EpochDone]]:
        """Return what containers have put on the line since it was asked for last."""


@dataclass(frozen=True)
class ModalEngine:
    """Carries out tasks in Modal's containers.

    Attributes
    ----------
    workers
        Most containers at once; None: as many as Modal gives.
    threads
        CPUs and threads of a training. Fixed, whatever the machine.
    config
        What a container has besides.
    connect
        Opens the service.
    """

    workers: int | None = None
    threads: int = 1
    config: ModalConfig = field(default_factory=ModalConfig)
    connect: Callable[[Needs], AbstractContextManager[Service]] = connect

    def run(
        self, groups: Sequence[Task], *, at: Workplace, listener: Listener, wait: bool
    ) -> Iterator[Outcome]:
        """Yield the outcome of every task as it is known.

        Raises
        ------
        SettingsError
            If Modal cannot be used, or a container has fewer GPUs than a training uses.
        """
        if not groups:
            return
        self._check_gpus(groups)
        needs = Needs(
            cpus=max(self.threads, most_devices(groups)),
            memory_gb=self.config.memory_gb or memory_needed(at.panel),
            gpu=self.config.gpu,
            minutes=self.config.minutes,
        )
        with self.connect(needs) as service:
            containers = _Containers(service, at, threads=self.threads)
            yield from dispatch(
                groups, containers, at=at, listener=listener, wait=wait, most=self.workers
            )

    def _check_gpus(self, groups: Sequence[Task]) -> None:
        if self.config.gpu is None:
            return
        kind, _, count = self.config.gpu.partition(":")
        for group in groups:
            wanted = n_gpus(group.first.config, group.first.train)
            if wanted > int(count or 1):
                raise SettingsError(
                    f"[modal] gpu = {self.config.gpu!r} gives a container {count or 1} GPU, but "
                    f"{group.first.label!r} trains on devices = {wanted}; set gpu = "
                    f"'{kind}:{wanted}'"
                )


def memory_needed(panel: Panel) -> float:
    """Return the GiB of a container: a process with torch, and the genotypes.

    They are there as they came, as the panel's array, and coded as float32 two times at most.
    """
    calls = panel["call_dosage"]
    return 1.5 + (2 * calls.nbytes + 2 * 4 * calls.size) / 2**30


class _Containers:
    """The containers, with the data of one experiment at hand."""

    unit = "Modal container"

    def __init__(self, service: Service, at: Workplace, *, threads: int) -> None:
        self._service = service
        self._home = FileStore(at.cache.folder.parent)
        self._panel, self._splits = send_data(at, service.store)
        self._threads = threads
        self._origin = Origin()

    def submit(self, task: Task) -> Future[Reply]:
        order = Order(
            task=task,
            panel=self._panel,
            splits=self._splits,
            kept=self._home.fetch(kept_folders(task)),
            threads=self._threads,
            origin=self._origin,
        )
        gpu = wants_gpu(task.first.config, task.first.train)
        return _in_thread(lambda: self._service.call(order, gpu=gpu))

    def told(self) -> list[tuple[str, EpochDone]]:
        return self._service.told()

    def forget(self, task: Task) -> None:
        with suppress(SettingsError):  # what stays there is never read again
            self._service.store.drop(unfinished_folders(task))


def _in_thread(call: Callable[[], Reply]) -> Future[Reply]:
    """Call in a thread that the end of the process does not wait for, unlike an executor's."""
    future: Future[Reply] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except Exception as error:
            future.set_exception(error)
        except BaseException as error:  # of the container, and no reason for this process to end
            future.set_exception(RuntimeError(repr(error)))

    threading.Thread(target=work, daemon=True).start()
    return future
