"""Files of an unfinished task, carried to where another machine finds them."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self


class Courier:
    """Sends the files in some folders whenever they have changed, while the block runs.

    Parameters
    ----------
    folders
        Where to look; they need not exist yet. Files there are replaced whole, or grow by lines of
        which the last may be cut off.
    root
        What the names of the files are relative to.
    send
        Takes files by name. Where it fails, the same files are sent again after the next look.
    between_seconds
        Time from one look to the next.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        root: Path,
        send: Callable[[dict[str, bytes]], object],
        between_seconds: float,
    ) -> None:
        self._folders = folders
        self._root = root
        self._send = send
        self._between = between_seconds
        self._seen: dict[Path, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._carry, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        if error is not None:  # such as the preemption of this machine
            self._carry_once()

    def _carry(self) -> None:
        while not self._stop.wait(self._between):
            self._carry_once()

    def _carry_once(self) -> None:
        seen = dict(self._seen)
        changed: dict[str, bytes] = {}
        for folder in self._folders:
            with suppress(FileNotFoundError):  # a folder done with in between; the next look is due
                for path in folder.rglob("*"):
                    changed |= self._changed(path)
        if changed:
            try:
                self._send(changed)
            except Exception as error:
                self._seen = seen
                warnings.warn(f"checkpoints could not be stored: {error}", stacklevel=2)

    def _changed(self, path: Path) -> dict[str, bytes]:
        """Return the file if it is whole and new."""
        if path.suffix == ".partial" or path.name.startswith("."):
            return {}
        try:
            moment = path.stat().st_mtime_ns
            if not path.is_file() or self._seen.get(path) == moment:
                return {}
            content = path.read_bytes()
        except FileNotFoundError:  # replaced or done with in between
            return {}
        self._seen[path] = moment
        return {path.relative_to(self._root).as_posix(): content}
