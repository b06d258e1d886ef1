"""The published split of the 2022 cross: arrays of 1,164 nearly unlinked loci, in three parts.

Zenodo record 15313069, ``geno_train.npy``, ``geno_val.npy``, ``geno_test.npy``: (n, L) genotypes
coded -1 (BY) to +1 (RM), with no ids.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstrait.errors import DataError
from crosstrait.genotypes.loci import unplaced
from crosstrait.genotypes.memory import require_memory
from crosstrait.genotypes.table import Genotypes
from crosstrait.genotypes.text import open_binary

PARTS = {
    "train": ("train",),
    "validation": ("val", "valid", "validation"),
    "test": ("test",),
}
"""What files call the three parts of a split."""

_ROWS_AT_ONCE = 4096


def find(path: Path) -> Path | None:
    """Return ``path`` if it is one of the genotype arrays or a folder that holds them."""
    return path if part_files(path, "geno") else None


def part_files(path: Path, kind: str) -> dict[str, Path]:
    """Return part -> file of the arrays ``<kind>_<part>.npy`` at ``path``.

    Raises
    ------
    DataError
        If a folder holds a part under two names.
    """
    found: dict[str, Path] = {}
    for part, names in PARTS.items():
        wanted = [f"{kind}_{name}.npy" for name in names]
        if path.is_file():
            files = [path] if path.name in wanted else []
        else:
            files = [path / name for name in wanted if (path / name).is_file()]
        if len(files) > 1:
            raise DataError(
                f"{path} holds the {part} part twice: {files[0].name} and {files[1].name}"
            )
        if files:
            found[part] = files[0]
    return found


def made_up_ids(part: str, n_samples: int) -> list[str]:
    """Return the ids of a part's samples, which the files do not name: ``train_0``, ..."""
    return [f"{part}_{i}" for i in range(n_samples)]


def open_array(path: Path) -> NDArray[Any]:
    """Open a (n, k) array of numbers without reading it.

    Raises
    ------
    DataError
        If the file is no such array, is cut off, or holds Python objects.
    """
    open_binary(path).close()
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path} is not a whole NumPy array of numbers: {error}") from None
    if array.ndim != 2 or array.dtype.kind not in "fiub" or 0 in array.shape:
        raise DataError(
            f"{path} must hold (samples, columns) numbers; it holds {array.dtype} of shape "
            f"{array.shape}"
        )
    return array


def read(path: Path) -> Genotypes:
    """Read all parts, train first, as dosage = (g + 1) / 2 of the RM allele.

    Raises
    ------
    DataError
        With the file, row and column of the first genotype outside [-1, 1], or if the parts
        have different numbers of loci.
    """
    files = part_files(path, "geno")
    if not files:
        raise DataError(f"{path} must be called geno_train.npy, geno_val.npy or geno_test.npy")
    arrays = {part: open_array(file) for part, file in files.items()}
    first = next(iter(arrays))
    n_loci = arrays[first].shape[1]
    for part, array in arrays.items():
        if array.shape[1] != n_loci:
            raise DataError(
                f"{files[part]} has {array.shape[1]} loci, {files[first].name} has {n_loci}"
            )
    n_samples = sum(len(array) for array in arrays.values())
    require_memory((n_samples, n_loci), np.float32, source=path)
    dosage = np.empty((n_samples, n_loci), dtype=np.float32)
    sample_id: list[str] = []
    for part, array in arrays.items():
        for start in range(0, len(array), _ROWS_AT_ONCE):
            coded = array[start : start + _ROWS_AT_ONCE].astype(np.float32)
            _check(coded, start, path=files[part])
            top = len(sample_id) + start
            dosage[top : top + len(coded)] = (coded + 1) / 2
        sample_id += made_up_ids(part, len(array))
    loci = unplaced([f"locus_{j}" for j in range(n_loci)])
    return Genotypes(
        dosage=dosage,
        sample_id=np.asarray(sample_id, dtype=np.str_),
        variant_id=loci.variant_id,
        variant_contig=loci.variant_contig,
        variant_position=loci.variant_position,
        variant_allele=loci.variant_allele,
        ploidy=1,
        source=str(path),
    )


def _check(coded: NDArray[np.float32], start: int, *, path: Path) -> None:
    with np.errstate(invalid="ignore"):
        outside = np.abs(coded) > 1
    if outside.any():
        i, j = np.argwhere(outside)[0]
        raise DataError(
            f"{path}, row {start + i}, column {j} (from 0): genotype {coded[i, j]:g} is outside "
            f"[-1, 1]; genotypes here are coded -1 (BY) to +1 (RM)"
        )
    for i in np.flatnonzero(np.isnan(coded).all(axis=1)):
        raise DataError(f"{path}, row {start + i} (from 0): this sample has no genotype")
