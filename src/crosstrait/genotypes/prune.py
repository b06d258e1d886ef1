"""Linkage pruning: of loci that say nearly the same, the first is kept."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from crosstrait.errors import DataError, SettingsError
from crosstrait.genotypes.coding import as_float32

_BLOCK_CELLS = 1 << 24
_BLOCK_LOCI = (128, 1024)
_CHUNK_LOCI = 256
_TILE_SAMPLES = 2048
_READ_BYTES = 1 << 30

# Single precision errs by about 1e-6 on a correlation of 100,000 samples. Pairs this close to the
# threshold are decided in double precision.
_UNSURE = 1e-4


class ColumnSource(Protocol):
    """A matrix that gives blocks of its columns: an array, a ``numpy.memmap``, a Zarr array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, L)."""

    @property
    def dtype(self) -> Any:
        """The type of one cell."""

    def __getitem__(self, key: tuple[slice, slice], /) -> Any:
        """Return the cells of a slice of rows and a slice of columns."""


def prune_linked(
    dosage: ColumnSource, *, threshold: float = 0.94, rows: ArrayLike | None = None
) -> NDArray[np.intp]:
    """Return the loci that no earlier kept locus is strongly correlated with.

    Locus j is kept if and only if |r_ij| <= ``threshold`` for every kept i < j. This is the
    published rule: take the first remaining locus, drop all that correlate with it, repeat.

    Each column is read once, and correlations are computed between kept loci and candidates
    alone: N L K multiplications for K kept loci, with N K (4 + size of a cell) bytes of memory.

    Parameters
    ----------
    dosage
        (N, L) dosages in any linear coding, since r does not change with it. NaN is missing, in
        an integer matrix any negative number; a missing call counts as the mean of its locus.
        An array on disk is read a gigabyte of columns at a time, which is fastest where it is
        chunked by columns.
    threshold
        Largest |r| that two kept loci may have, in [0, 1).
    rows
        Row numbers of the samples to learn from; all where not given. Give the training samples.

    Returns
    -------
    numpy.ndarray
        (K,) column numbers, ascending. A locus that does not vary among ``rows`` has no
        correlation: it is kept and drops nothing.

    Raises
    ------
    DataError
        If ``dosage`` is no matrix or fewer than two samples are chosen.
    SettingsError
        If ``threshold`` is out of range.

    Examples
    --------
    >>> calls = np.array([[0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 1, 1]], dtype=np.int8)
    >>> prune_linked(calls)
    array([0, 2])
    """
    if not 0 <= threshold < 1:
        raise SettingsError(
            f"the largest |r| between kept loci must lie in [0, 1); got {threshold!r}; "
            f"leave pruning out to keep every locus"
        )
    if len(dosage.shape) != 2:
        raise DataError(f"dosage must be (samples, loci); got shape {dosage.shape}")
    n_samples, n_loci = dosage.shape
    chosen = np.arange(n_samples) if rows is None else np.asarray(rows, dtype=np.intp)
    if chosen.size < 2:
        raise DataError(f"a correlation needs at least 2 samples; got {chosen.size}")
    kept = _Kept(threshold, chosen.size)
    block = int(np.clip(_BLOCK_CELLS // chosen.size, *_BLOCK_LOCI))
    width = _read_width(dosage, block)
    for first in range(0, n_loci, width):
        read = dosage[:, first : first + width]
        # Copying a mapped file reads its pages once; every block would read them again.
        read = np.array(read) if isinstance(read, np.memmap) else np.asarray(read)
        for start in range(0, read.shape[1], block):
            raw = _columns(read[:, start : start + block], chosen)
            kept.extend(raw, first + start)
        del read
    return np.asarray(kept.loci, dtype=np.intp)


class _Kept:
    """The loci kept so far: standardised in chunks of single precision, and as they were read."""

    def __init__(self, threshold: float, n_samples: int) -> None:
        self.loci: list[int] = []
        self._threshold = threshold
        self._n_samples = n_samples
        self._units: list[NDArray[np.float32]] = []
        self._raw: list[NDArray[Any]] = []

    def extend(self, raw: NDArray[Any], first: int) -> None:
        """Keep what deserves it of the loci ``raw`` (B, n), numbered from ``first``."""
        units = np.empty(raw.shape, dtype=np.float32)
        for k, dosage in enumerate(_dosages(raw)):
            units[k] = _unit(dosage)
        alive = np.ones(len(raw), dtype=bool)
        for chunk, start in zip(self._units, range(0, len(self.loci), _CHUNK_LOCI), strict=True):
            filled = chunk[: len(self.loci) - start]
            near = self._raw[start : start + _CHUNK_LOCI]
            self._drop(alive, _product(units, filled.T), raw, near)
        for k in range(len(raw)):
            if not alive[k]:
                continue
            self._keep(first + k, units[k], raw[k])
            if alive[k + 1 :].any():
                correlation = _product(units[k + 1 :], units[k])
                self._drop(alive[k + 1 :], correlation[:, None], raw[k + 1 :], [raw[k]])

    def _keep(self, locus: int, unit: NDArray[np.float32], raw: NDArray[Any]) -> None:
        place = len(self.loci) % _CHUNK_LOCI
        if place == 0:
            self._units.append(np.empty((_CHUNK_LOCI, self._n_samples), dtype=np.float32))
        self._units[-1][place] = unit
        self._raw.append(raw.copy())
        self.loci.append(locus)

    def _drop(
        self,
        alive: NDArray[np.bool_],
        correlation: NDArray[np.float32],
        candidates: NDArray[Any],
        kept: list[NDArray[Any]],
    ) -> None:
        """Clear ``alive`` (B,) in place where a ``correlation`` (B, K) exceeds the threshold."""
        excess = np.abs(correlation) - self._threshold
        alive &= (excess <= _UNSURE).all(axis=1)
        for b, k in np.argwhere(alive[:, None] & (excess > -_UNSURE)):
            pair = _dosages(np.stack([candidates[b], kept[k]]))
            if alive[b] and abs(_unit(pair[0]) @ _unit(pair[1])) > self._threshold:
                alive[b] = False


def _product(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply with torch, whose threads suffer far less than numpy's from a busy machine."""
    return np.asarray(torch.from_numpy(left) @ torch.from_numpy(right))


def _unit(dosage: NDArray[Any]) -> NDArray[np.float64]:
    """Centre a locus (n,) and scale it to length 1; a constant locus becomes zeros."""
    values = dosage.astype(np.float64)
    lowest, highest = values.min(), values.max()
    if np.isnan(lowest):
        holes = np.isnan(values)
        called = values[~holes]
        if called.size == 0:
            return np.zeros(values.size)
        lowest, highest = called.min(), called.max()
        values[holes] = called.mean()
    if lowest == highest:
        return np.zeros(values.size)
    values -= values.mean()
    values /= np.sqrt(np.square(values).sum())
    return values


def _dosages(raw: NDArray[Any]) -> NDArray[Any]:
    """Return cells as numbers of at least single precision, NaN where missing."""
    if raw.dtype.kind == "f":
        return as_float32(raw) if raw.dtype.itemsize == 2 else raw
    values = raw.astype(np.float32)
    if raw.dtype.kind == "i":
        values[raw < 0] = np.nan
    return values


def _columns(block: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[Any]:
    """Return ``block[rows].T`` (B, n) as contiguous rows, transposed a cache's worth at a time."""
    columns = np.empty((block.shape[1], rows.size), dtype=block.dtype)
    for start in range(0, rows.size, _TILE_SAMPLES):
        tile = rows[start : start + _TILE_SAMPLES]
        columns[:, start : start + tile.size] = block[tile].T
    return columns


def _read_width(dosage: ColumnSource, block: int) -> int:
    """Choose how many columns to read at once: whole chunks, where these are small enough."""
    column_bytes = max(1, dosage.shape[0] * np.dtype(dosage.dtype).itemsize)
    fitting = int(max(block, _READ_BYTES // column_bytes))
    chunks = getattr(dosage, "chunks", None)
    step = int(chunks[1]) if chunks is not None else block
    return fitting // step * step if step <= fitting else fitting
