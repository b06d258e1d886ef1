"""Data sets by name: the user's own copy, the copy fetched before, or the public one."""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosstrait.errors import (
    CrosstraitError,
    DownloadError,
    SettingsError,
    StorageError,
    listed,
    unknown,
)
from crosstrait.panel.archive import unpack
from crosstrait.panel.catalogue import CATALOGUE, DataFile, Dataset, RecordArchive
from crosstrait.panel.checksum import Checksum
from crosstrait.panel.download import PATIENT, Patience, download, read_json

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["DataFile", "Dataset", "dataset", "datasets", "locate", "open_dataset"]


def datasets() -> list[Dataset]:
    """Return every data set that can be named instead of a path."""
    return list(CATALOGUE)


def dataset(name: str) -> Dataset:
    """Return the entry of a data set.

    Raises
    ------
    SettingsError
        If there is none of this name; the message has the nearest one.

    Examples
    --------
    >>> dataset("byxrm").n_loci
    11623
    """
    by_name = {entry.name: entry for entry in CATALOGUE}
    if name not in by_name:
        raise SettingsError(unknown("data set", name, by_name))
    return by_name[name]


def open_dataset(name: str, *, progress: Progress | None = None) -> Path:
    """Return a folder with the raw files of a data set, fetching them if need be.

    Looked at in this order: the folder ``name`` in the folder that the environment variable
    ``CROSSTRAIT_DATA`` names; the files fetched before, in the folder that ``CROSSTRAIT_CACHE``
    names (the user's cache folder where it names none); the public addresses.

    Files in ``CROSSTRAIT_DATA`` are the user's own: they are used as they are, with a warning if
    they are not the published ones. Fetched files are checked each time: one that no longer has
    its checksum is fetched anew. Several processes may open one data set at the same time.

    Parameters
    ----------
    name
        The data set.
    progress
        A running ``rich`` progress display that shows what is fetched.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    SettingsError
        If ``name`` is unknown or ``CROSSTRAIT_DATA`` names no folder.
    DownloadError
        If the files cannot be fetched, or are not the published ones.
    StorageError
        If the cache cannot be written.
    """
    return locate(dataset(name), progress=progress)


def locate(
    entry: Dataset, *, patience: Patience = PATIENT, progress: Progress | None = None
) -> Path:
    """Return a folder with the raw files of ``entry``; see `open_dataset`."""
    own = _own_copy(entry)
    if own is not None:
        return own
    cache = _cache_folder()
    folder = cache / entry.name
    if not entry.missing_from(folder) and not _changed(entry, folder):
        return folder
    with _lock(cache, entry):
        for path in _changed(entry, folder):
            warnings.warn(
                f"{path} has changed since it was fetched; fetching it anew", stacklevel=3
            )
            path.unlink()
        if entry.missing_from(folder):  # or another process has fetched it meanwhile
            try:
                _fetch(entry, folder, patience, progress)
            except DownloadError as error:
                raise DownloadError(f"{error}. {_by_hand(entry)}") from error
    return folder


def _own_copy(entry: Dataset) -> Path | None:
    place = os.environ.get("CROSSTRAIT_DATA")
    if not place:
        return None
    root = Path(place).expanduser()
    if not root.is_dir():
        raise SettingsError(f"CROSSTRAIT_DATA names {place!r}, which is no folder")
    folder = root / entry.name
    if not folder.is_dir():
        return None
    if missing := entry.missing_from(folder):
        warnings.warn(f"{folder} is not used: it lacks {listed(missing)}", stacklevel=4)
        return None
    for path in _changed(entry, folder):
        warnings.warn(
            f"{path} is not the published file (its SHA-256 differs); it is used all the same",
            stacklevel=4,
        )
    return folder


def _cache_folder() -> Path:
    place = os.environ.get("CROSSTRAIT_CACHE")
    if place:
        return Path(place).expanduser()
    import pooch

    return Path(pooch.os_cache("crosstrait"))


def _changed(entry: Dataset, folder: Path) -> list[Path]:
    """Return the needed files in ``folder`` that do not have their checksum."""
    here = [(file, file.find(folder)) for file in entry.files if file.needed]
    return [path for file, path in here if path and not file.checksum(path.name).matches(path)]


@contextmanager
def _lock(cache: Path, entry: Dataset) -> Iterator[None]:
    import filelock

    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(cache / f".{entry.name}.lock")
        lock.acquire()
    except OSError as error:
        raise StorageError(
            f"cannot write to the cache {cache}: {error.strerror or error}; name another folder "
            f"in CROSSTRAIT_CACHE"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _fetch(entry: Dataset, folder: Path, patience: Patience, progress: Progress | None) -> None:
    if entry.archive is not None:
        _fetch_archive(entry.archive, folder, patience, progress)
    for file in sorted(entry.files, key=lambda file: not file.needed):
        if file.find(folder) is not None:
            continue
        try:
            download(
                file.url,
                to=folder / file.name,
                checksum=file.checksum(file.name),
                patience=patience,
                progress=progress,
            )
        except DownloadError as error:
            if file.needed:
                raise
            warnings.warn(f"{entry.name} goes without {file.name}: {error}", stacklevel=4)


def _fetch_archive(
    archive: RecordArchive, folder: Path, patience: Patience, progress: Progress | None
) -> None:
    url, checksum = _in_record(read_json(archive.record, patience=patience), archive)
    zipped = folder.with_name(f"{folder.name}.zip")
    if not (zipped.is_file() and checksum.matches(zipped)):
        download(url, to=zipped, checksum=checksum, patience=patience, progress=progress)
    for stale in folder.parent.glob(f".{folder.name}.*/"):  # of a process that was killed
        shutil.rmtree(stale, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        unpack(zipped, into=folder, holding=archive.holding, max_bytes=archive.max_bytes)
    except StorageError:
        raise  # the archive is good: keep it for when there is room
    except CrosstraitError:
        zipped.unlink()
        raise
    zipped.unlink()


def _in_record(record: Any, archive: RecordArchive) -> tuple[str, Checksum]:
    """Return the address and the checksum of the archive that a record's metadata states."""
    try:
        files = {str(file["key"]): file for file in record["files"]}
        if archive.key not in files:
            raise DownloadError(
                f"{archive.record} holds no {archive.key}; it holds {listed(sorted(files))}"
            )
        stated = str(files[archive.key]["checksum"])
        url = str(files[archive.key]["links"]["self"])
    except (KeyError, TypeError) as error:
        raise DownloadError(
            f"{archive.record} does not describe its files as expected ({error!r})"
        ) from None
    known = re.fullmatch("md5:([0-9a-f]{32})", stated)
    if known is None:
        raise DownloadError(
            f"{archive.record} states the checksum {stated!r} of {archive.key}; expected md5:<hex>"
        )
    return url, Checksum("md5", known[1])


def _by_hand(entry: Dataset) -> str:
    return (
        f"Or fetch the files by hand from {entry.home}, put {listed(entry.needed, most=10)} into "
        f"a folder DIR/{entry.name} and set CROSSTRAIT_DATA=DIR"
    )
