"""Processes that say in a folder that they are there, for as long as they live."""

from __future__ import annotations

import secrets
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import Timeout

from crosstrait.experiments.locks import hold
from crosstrait.experiments.storage import make_folder, storage_errors

_SUFFIX = ".alive"


class Presence:
    """One process among those of a folder.

    Each holds the lock of a file of its own, which the system lets go when the process is killed.

    Attributes
    ----------
    folder
        The folder.
    name
        What this process is called there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = secrets.token_hex(8)
        make_folder(folder)
        self._held = ExitStack()
        new = folder / f"{self.name}.new"
        self._held.enter_context(hold(new, wait=False))
        with storage_errors(new):
            new.replace(self._file)  # held before it can be seen

    def leave(self) -> None:
        """Be there no longer."""
        self._held.close()
        _delete(self._file)

    @property
    def _file(self) -> Path:
        return self.folder / f"{self.name}{_SUFFIX}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()


def present(folder: Path) -> set[str]:
    """Return the names of the processes that are in a folder; forget those that have died."""
    there = set()
    for path in folder.glob(f"*{_SUFFIX}"):
        try:
            with hold(path, wait=False):
                _delete(path)
        except Timeout:
            there.add(path.name.removesuffix(_SUFFIX))
    return there


def _delete(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
