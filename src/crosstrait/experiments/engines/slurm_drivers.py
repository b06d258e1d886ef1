"""Which submissions each living driver of a folder waits for.

A job is cancelled by the last driver that waits for it, so that leaving one of two commands does
not take the other's jobs away.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from crosstrait.experiments.locks import hold
from crosstrait.experiments.presence import Presence, present
from crosstrait.experiments.storage import write_json


class Drivers:
    """One driver, among those of a folder; each lists the tickets of its submissions in a file."""

    def __init__(self, folder: Path) -> None:
        self._presence = Presence(folder)
        self._tickets: set[str] = set()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other drivers from submitting, taking over and cancelling jobs meanwhile."""
        with hold(self._presence.folder / "all.lock", wait=True):
            yield

    def wait_for(self, tickets: Iterable[str]) -> None:
        """Say that this driver waits for submissions, besides those that it named before."""
        self._tickets |= set(tickets)
        write_json(self._file(self._presence.name), sorted(self._tickets))

    def drop(self, ticket: str) -> set[str]:
        """Wait for a submission no longer; return the tickets that other drivers wait for."""
        self._tickets.discard(ticket)
        write_json(self._file(self._presence.name), sorted(self._tickets))
        return self.others()

    def leave(self) -> set[str]:
        """Wait for nothing any longer; return the tickets that other drivers wait for."""
        self._presence.leave()
        with suppress(OSError):
            self._file(self._presence.name).unlink()
        return self.others()

    def others(self) -> set[str]:
        """Return the tickets that other drivers wait for."""
        there = present(self._presence.folder) - {self._presence.name}
        tickets: set[str] = set()
        for path in self._presence.folder.glob("[!.]*.json"):
            if path.stem in there:
                with suppress(FileNotFoundError):  # it left just now
                    tickets |= set(json.loads(path.read_text(encoding="utf-8")))
            elif path.stem != self._presence.name:
                with suppress(OSError):
                    path.unlink()
        return tickets

    def _file(self, name: str) -> Path:
        return self._presence.folder / f"{name}.json"
