"""What runs in a Modal container. It is imported there by its name, and imports nothing of Modal.

The panel, the splits and the checkpoints are in a store that outlives containers, under names
that say what they are made of, so that nothing is sent twice and nothing stale is read.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from crosstrait.experiments.engines.engine import Task
from crosstrait.experiments.engines.parcel import from_bytes, pack, to_bytes, unpack
from crosstrait.experiments.engines.remote import Origin, carry_out_remotely, kept_folders
from crosstrait.experiments.engines.reply import Reply
from crosstrait.experiments.engines.stores import Files, Store
from crosstrait.experiments.run import Workplace
from crosstrait.panel.schema import Panel
from crosstrait.split.manifest import Split
from crosstrait.training.progress import EpochDone

_DATA = "data"
_UNFINISHED = "unfinished/"


class Line(Protocol):
    """Where a container says how far it is; Modal's Queue is one, and Python's."""

    def put(self, item: tuple[str, EpochDone], block: bool = True) -> None:
        """Add an item, or raise."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """A task for a container, and where its data are.

    Attributes
    ----------
    panel, splits
        Their names in the store.
    kept
        What an engine that shares the driver's disk had left of the task.
    threads
        CPU threads of the training.
    origin
        The process that sends it.
    """

    task: Task
    panel: str
    splits: tuple[str, ...]
    kept: Mapping[str, bytes] = field(default_factory=dict)
    threads: int
    origin: Origin


def carry_out_in_container(order: Order, store: Store, line: Line) -> Reply:
    """Carry out a task: the function that Modal calls."""
    return carry_out_remotely(
        order.task,
        panel=_panel(store, order.panel),
        splits=tuple(_split(store, name) for name in order.splits),
        post=_ContainerPost(shelf=store, line=line, kept=order.kept),
        threads=order.threads,
        origin=order.origin,
        here="the container image",
    )


def send_data(at: Workplace, store: Store) -> tuple[str, tuple[str, ...]]:
    """Put panel and splits where they are not yet; return their names in ``store``."""
    packed = to_bytes(pack(at.panel))
    panel, texts = _name(packed, "npz"), [_text(split) for split in at.splits]
    splits = tuple(_name(text, "json") for text in texts)
    there = store.names(_DATA)
    files = {panel: packed, **dict(zip(splits, texts, strict=True))}
    if missing := {name: content for name, content in files.items() if name not in there}:
        store.store(missing)
    return panel, splits


def unfinished_folders(task: Task) -> list[str]:
    """Return where in a store the checkpoints and trials of ``task`` are."""
    return [f"{_UNFINISHED}{folder}" for folder in kept_folders(task)]


@dataclass(frozen=True, kw_only=True)
class _ContainerPost:
    """A task's way to what outlives its container."""

    shelf: Store
    line: Line
    kept: Mapping[str, bytes]
    store_seconds: float = 10.0
    tell_seconds: float = 5.0

    def fetch(self, task: Task) -> Files:
        stored = self.shelf.fetch(unfinished_folders(task))
        return {**self.kept, **{n.removeprefix(_UNFINISHED): stored[n] for n in stored}}

    def store(self, files: Files) -> None:
        self.shelf.store({f"{_UNFINISHED}{name}": content for name, content in files.items()})

    def tell(self, task: Task, done: EpochDone) -> None:
        with suppress(Exception):  # a line that is full or down stops no training
            self.line.put((task.name, done), block=False)


def _name(content: bytes, ending: str) -> str:
    return f"{_DATA}/{hashlib.sha256(content).hexdigest()}.{ending}"


@lru_cache(maxsize=1)  # a container that is used again has it
def _panel(store: Store, name: str) -> Panel:
    return unpack(from_bytes(store.read(name)))


@lru_cache(maxsize=128)
def _split(store: Store, name: str) -> Split:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "split.json"
        path.write_bytes(store.read(name))
        return Split.load(path)


def _text(split: Split) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "split.json"
        split.save(path)
        return path.read_bytes()
