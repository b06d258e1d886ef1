"""Holding a large matrix once, and refusing in time one that does not fit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from crosstrait.errors import DataError

_GIB = 1 << 30


def available_memory() -> int | None:
    """Return the bytes that new arrays can take without swapping, or None if unknown."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def require_memory(shape: tuple[float, float], dtype: DTypeLike, *, source: Path) -> None:
    """Refuse a (samples, loci) matrix larger than the memory that is available.

    Raises
    ------
    DataError
        With the memory needed and the memory there is.
    """
    item = np.dtype(dtype)
    need = shape[0] * shape[1] * item.itemsize
    available = available_memory()
    if available is not None and need > available:
        raise DataError(
            f"{source} needs about {need / _GIB:,.1f} GiB of memory ({shape[0]:,.0f} samples x "
            f"{shape[1]:,.0f} loci in {item}), {available / _GIB:,.1f} GiB are available: use a "
            f"larger machine, or leave out linked loci or samples"
        )


class RowStore:
    """A matrix whose rows arrive in blocks, whose height is only guessed, and held once.

    Room that no row has used yet is never touched, so it takes no memory; more room is made by
    moving the array's end, not by copying it where the system allows that.

    Attributes
    ----------
    column_has_value
        (width,) whether any row so far has a number there.
    """

    def __init__(self, width: int, dtype: DTypeLike) -> None:
        self._data: NDArray[Any] = np.empty((0, width), dtype=dtype)
        self._filled = 0
        self.column_has_value = np.zeros(width, dtype=bool)

    @property
    def height(self) -> int:
        """How many rows there are so far."""
        return self._filled

    def expect(self, height: float, *, source: Path) -> None:
        """Make room for ``height`` rows in all, if the memory has it."""
        require_memory((height, self._data.shape[1]), self._data.dtype, source=source)
        if self._filled == 0:
            self._data = np.empty((int(height * 1.02) + 1, self._data.shape[1]), self._data.dtype)

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows below the others."""
        end = self._filled + len(rows)
        if end > len(self._data):
            height = max(end, len(self._data) * 5 // 4)
            self._data.resize((height, self._data.shape[1]), refcheck=False)
        self._data[self._filled : end] = rows
        self._filled = end
        self.column_has_value |= ~np.isnan(rows).all(axis=0)

    def finish(self) -> NDArray[Any]:
        """Return the matrix and forget it."""
        data, self._data = self._data, self._data[:0]
        data.resize((self._filled, data.shape[1]), refcheck=False)
        return data
