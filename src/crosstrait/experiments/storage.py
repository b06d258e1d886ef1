"""Writing files whole or not at all, and saying clearly why a folder cannot be written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from crosstrait.errors import CrosstraitError, StorageError, not_written
from crosstrait.files import beside


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into a StorageError that names the file and says what to do.

    What was finished before stays, so the same command goes on once the cause is gone.
    """
    try:
        yield
    except (CrosstraitError, TimeoutError):
        raise
    except OSError as error:
        raise StorageError(f"cannot write {error.filename or path}: {not_written(error)}") from None


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one step."""
    partial = beside(path)
    with storage_errors(path):
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        finally:
            with suppress(OSError):  # of a disk that may not be written
                partial.unlink(missing_ok=True)


def write_json(path: Path, values: Any) -> None:
    """Replace ``path`` by ``values`` as JSON; NaN is refused."""
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def make_folder(path: Path) -> None:
    """Create ``path`` and its parents where they are missing."""
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
