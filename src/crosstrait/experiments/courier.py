"""Files of an unfinished task, carried to where another machine finds them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from crosstrait.experiments.storage import make_folder

_BETWEEN_SECONDS = 2.0


class Courier:
    """Sends the files in some folders whenever they have changed, while the block runs.

    Parameters
    ----------
    folders
        Where to look; they need not exist yet. Files there are replaced whole, never edited.
    root
        What the names of the files are relative to.
    send
        Takes files by name.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        root: Path,
        send: Callable[[dict[str, bytes]], object],
        between_seconds: float = _BETWEEN_SECONDS,
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

    def _carry(self) -> None:
        while not self._stop.wait(self._between):
            changed: dict[str, bytes] = {}
            for folder in self._folders:
                for path in folder.rglob("*"):
                    changed |= self._changed(path)
            if changed:
                self._send(changed)

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


class FileStore:
    """Files by name below a folder, each replaced whole."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def store(self, files: dict[str, bytes]) -> None:
        """Write files."""
        for name, content in files.items():
            path = self._root / name
            make_folder(path.parent)
            beside = path.with_name(f".{path.name}.partial")
            beside.write_bytes(content)
            beside.replace(path)

    def fetch(self, folders: Iterable[str]) -> dict[str, bytes]:
        """Return the files below ``folders``."""
        return {
            path.relative_to(self._root).as_posix(): path.read_bytes()
            for folder in folders
            for path in (self._root / folder).rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }
