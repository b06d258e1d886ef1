"""Files by name, kept where other machines find them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from crosstrait.experiments.storage import make_folder

Files = dict[str, bytes]


class Store(Protocol):
    """Files below folders, each replaced whole; names have slashes as in ``runs/.work/a/b``.

    Stores of the same files are equal, so that what was read from them can be remembered.
    """

    def __hash__(self) -> int: ...

    def store(self, files: Mapping[str, bytes]) -> None:
        """Keep ``files``, in place of those of the same names."""

    def fetch(self, folders: Iterable[str]) -> Files:
        """Return the files below ``folders``, which need not exist."""

    def read(self, name: str) -> bytes:
        """Return one file."""

    def names(self, folder: str) -> set[str]:
        """Return the names of the files below ``folder``."""

    def drop(self, folders: Iterable[str]) -> None:
        """Delete ``folders`` with all that is in them."""


@dataclass(frozen=True)
class FileStore:
    """A store on this machine's disk, below the folder ``root``."""

    root: Path

    def store(self, files: Mapping[str, bytes]) -> None:
        """Write files, each in one step."""
        for name, content in files.items():
            path = self.root / name
            make_folder(path.parent)
            beside = path.with_name(f".{path.name}.partial")
            beside.write_bytes(content)
            beside.replace(path)

    def fetch(self, folders: Iterable[str]) -> Files:
        """Read the files below ``folders``."""
        return {name: self.read(name) for folder in folders for name in self.names(folder)}

    def read(self, name: str) -> bytes:
        """Read a file."""
        return (self.root / name).read_bytes()

    def names(self, folder: str) -> set[str]:
        """List files; not those that are being written."""
        return {
            path.relative_to(self.root).as_posix()
            for path in (self.root / folder).rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }

    def drop(self, folders: Iterable[str]) -> None:
        """Delete folders."""
        for folder in folders:
            shutil.rmtree(self.root / folder, ignore_errors=True)
