"""Panels on disk: Zarr version 3, written whole or not at all, checked when read."""

from __future__ import annotations

import os
import shutil
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from crosstrait.errors import CrosstraitError, DataError, StorageError
from crosstrait.panel.schema import SCHEMA_VERSION, VARIABLES, Panel, resealed, seal

_CHUNK_CELLS = 1 << 22


def is_saved_panel(path: Path) -> bool:
    """Tell whether ``path`` is a folder that `save_panel` wrote, or means to be one."""
    return (path / "zarr.json").is_file() or (path.is_dir() and path.suffix == ".zarr")


def check_target(path: Path) -> None:
    """Check that a panel could be written to ``path``, before the work that leads to it.

    Raises
    ------
    StorageError
        If something is there already or its folder cannot be made or written to.
    """
    if path.exists():
        raise StorageError(f"{path} is there already; remove it, or give another name")
    there = next(folder for folder in path.absolute().parents if folder.exists())
    if not there.is_dir():
        raise StorageError(f"{path} cannot be written: {there} is a file, not a folder")
    if not os.access(there, os.W_OK):
        raise StorageError(f"{path} cannot be written: folder {there} is write-protected")


def save_panel(panel: Panel, path: str | Path) -> None:
    """Write a panel to a folder that does not exist yet.

    It is checked once more and its digest made anew, so that one that was changed since it was
    made, as by ``panel.assign(sample_group=("samples", families))``, opens again. It is built
    beside under another name and renamed into place whole, so that a folder called ``path`` is
    never half written.

    Raises
    ------
    DataError
        If a change to the panel broke one of its rules.
    StorageError
        If ``path`` exists or cannot be written, for want of space or of rights.
    """
    check_target(Path(path))
    write_sealed(resealed(panel), path)


def write_sealed(panel: Panel, path: str | Path) -> None:
    """Write a panel that is as `seal` left it, as `save_panel` does."""
    target = Path(path)
    check_target(target)
    beside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with _storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(panel, beside)
            beside.rename(target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def open_panel(path: str | Path) -> Panel:
    """Read a panel that `save_panel` wrote, and check that its contents are what was written.

    Raises
    ------
    DataError
        If the folder is no panel, is damaged, or its contents no longer have their digest.
    """
    source = Path(path)
    try:
        with _quiet_about_strings():
            group = zarr.open_group(source, mode="r", zarr_format=3)
            attributes = dict(group.attrs)
            version = attributes.get("schema_version")
            if version != SCHEMA_VERSION:
                raise DataError(
                    f"{source} is a panel of schema version {version}; this crosstrait reads "
                    f"version {SCHEMA_VERSION}: import the source again"
                )
            arrays = dict(group.arrays())
            variables = {
                name: (dims, np.asarray(arrays[name][...]))
                for name, (dims, _) in VARIABLES.items()
                if name in arrays
            }
    except DataError:
        raise
    except Exception as error:  # whatever damage makes zarr and its codecs raise
        raise DataError(
            f"{source} is not a whole saved panel ({type(error).__name__}: {error}); import the "
            f"source again"
        ) from None
    try:
        panel = seal(xr.Dataset(variables, attrs=attributes))
    except DataError as error:
        raise DataError(f"{source}: {error}") from None
    if panel.digest != attributes.get("digest"):
        raise DataError(
            f"{source} has changed since it was saved: its digest was "
            f"{attributes.get('digest')} and is {panel.digest}; import the source again"
        )
    return panel


def _write(panel: Panel, folder: Path) -> None:
    with _quiet_about_strings():
        group = zarr.create_group(folder, zarr_format=3, attributes=dict(panel.attrs))
        for name, (dims, _) in VARIABLES.items():
            if name not in panel:
                continue
            values = panel[name].values
            array = group.create_array(
                name,
                shape=values.shape,
                dtype=values.dtype,
                chunks=_chunks(values),
                dimension_names=dims,
                fill_value=np.nan if values.dtype.kind == "f" else None,
            )
            for start in range(0, len(values), array.chunks[0]):
                array[start : start + array.chunks[0]] = values[start : start + array.chunks[0]]


def _chunks(values: NDArray[Any]) -> tuple[int, ...]:
    """Return chunks of whole rows."""
    rows = max(1, _CHUNK_CELLS // max(1, values[0].size))
    return (min(rows, len(values)), *values.shape[1:])


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except CrosstraitError:
        raise
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}; nothing was left behind"
        ) from None


@contextmanager
def _quiet_about_strings() -> Iterator[None]:
    """Fixed-length strings are a registered extension of Zarr 3, not yet part of its core."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have a Zarr V3 specification")
        yield
