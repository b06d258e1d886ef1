"""Which drivers of a folder are alive, and which submissions each of them waits for.

A job is cancelled by the last driver that waits for it, so that leaving one of two commands does
not take the other's jobs away.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import Timeout

from crosstrait.experiments.locks import hold
from crosstrait.experiments.storage import make_folder, write_json


class Drivers:
    """One driver, among those of a folder.

    Each holds the lock of a file of its own, which the system lets go when it is killed, and lists
    the tickets of its submissions beside it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_folder(folder)
        self._name = secrets.token_hex(8)
        self._tickets: set[str] = set()
        self._alive = ExitStack()
        self._alive.enter_context(hold(folder / f"{self._name}.lock", wait=False))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other drivers from taking over jobs or cancelling them meanwhile."""
        with hold(self.folder / "all.lock", wait=True):
            yield

    def wait_for(self, tickets: Iterable[str]) -> None:
        """Say that this driver waits for submissions, besides those that it named before."""
        self._tickets |= set(tickets)
        write_json(self.folder / f"{self._name}.json", sorted(self._tickets))

    def leave(self) -> set[str]:
        """Wait for nothing any longer; return the tickets that other drivers wait for."""
        self._alive.close()
        self._delete(self._name)
        names = {path.stem for path in self.folder.glob("[!.]*.json")}
        return set().union(*(self._tickets_of(name) for name in names))

    def _tickets_of(self, name: str) -> set[str]:
        """Return what another driver waits for; nothing, and no file of it, where it is gone."""
        try:
            with hold(self.folder / f"{name}.lock", wait=False):
                self._delete(name)
        except Timeout:
            with suppress(FileNotFoundError):  # it left just now
                return set(json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8")))
        return set()

    def _delete(self, name: str) -> None:
        for suffix in (".json", ".lock"):
            with suppress(OSError):
                (self.folder / f"{name}{suffix}").unlink()
