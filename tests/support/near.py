"""Modal's function on this machine: what can be tested of it without its service."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crosstrait.experiments.engines.modal_container import Order
from crosstrait.experiments.engines.modal_service import Needs, bind
from crosstrait.experiments.engines.reply import Reply
from crosstrait.experiments.engines.stores import FileStore
from crosstrait.training.progress import EpochDone

Told = list[tuple[str, EpochDone]]


@dataclass
class NearService:
    """Calls the function that Modal would call, by ``local`` instead of ``remote``.

    What is sent and what comes back goes through Modal's own serialisation; a folder stands for
    the volume, and Python's queue for Modal's.
    """

    functions: dict[bool, Any]
    store: FileStore
    line: Any = field(default_factory=queue.Queue)
    heard: Told = field(default_factory=list)
    on_gpu: list[str] = field(default_factory=list)

    def call(self, order: Order, *, gpu: bool) -> Reply:
        if gpu:
            self.on_gpu.append(order.task.first.label)
        reply: Reply = _sent(self.functions[gpu].local(_sent(order), self.store, self.line))
        return reply

    def told(self) -> Told:
        told: Told = []
        while not self.line.empty():
            told.append(self.line.get())
        self.heard += told
        return told


def near(
    folder: Path, *, services: list[NearService], line: Any = None
) -> Callable[[Needs], AbstractContextManager[NearService]]:
    """Return a stand-in for `connect` that keeps its volume in ``folder``.

    The services that it opens are added to ``services``.
    """
    import modal

    @contextmanager
    def connect(needs: Needs) -> Iterator[NearService]:
        functions = bind(modal.App("crosstrait"), needs)
        service = NearService(functions, FileStore(folder))
        if line is not None:
            service.line = line
        services.append(service)
        yield service

    return connect


def _sent(value: Any) -> Any:
    from modal._serialization import deserialize, serialize

    return deserialize(serialize(value), None)
