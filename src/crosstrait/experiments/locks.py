"""Locks of files, which the system lets go when a process ends, however it ends."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from filelock import FileLock, SoftFileLock

from crosstrait.errors import StorageError
from crosstrait.experiments.storage import storage_errors


def hold(path: Path, *, wait: bool) -> AbstractContextManager[object]:
    """Acquire the lock of a file; leaving the context lets it go.

    Raises
    ------
    filelock.Timeout
        If another process holds it, and ``wait`` is not set.
    StorageError
        If it cannot be written, or the file system has no locks. `FileLock` would then count
        a file as one, which stays behind when its process is killed.
    """
    lock = FileLock(path)
    with storage_errors(path):
        try:
            acquired = lock.acquire(-1 if wait else 0)
        except NotImplementedError:  # earlier versions of FileLock say so
            acquired = None
    if acquired is None or isinstance(lock, SoftFileLock):
        lock.release()
        raise StorageError(
            f"the file system of {path.parent} has no file locks (flock), which keep two "
            f"processes from training the same run; choose another folder, or mount it with "
            f"them (Lustre: the option flock)"
        )
    return acquired
