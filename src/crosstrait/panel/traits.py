"""Trait values and their standard errors, read from the files of each format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crosstrait.errors import DataError, unknown
from crosstrait.genotypes import letters, split_folder
from crosstrait.genotypes.memory import RowStore
from crosstrait.genotypes.number_rows import (
    Header,
    append_rows,
    check_columns,
    take_header,
)
from crosstrait.genotypes.table import StringArray
from crosstrait.genotypes.text import TextReader
from crosstrait.genotypes.unique import Ids

ENVIRONMENTS = (
    "23C",
    "25C",
    "27C",
    "30C",
    "33C",
    "35C",
    "37C",
    "cu",
    "suloc",
    "ynb",
    "eth",
    "gu",
    "li",
    "mann",
    "mol",
    "raff",
    "sds",
    "4NQO",
)
"""The 18 traits of the 2022 cross, in the order of its published arrays."""

RAW_FILE_NAME = re.compile(r"pheno_data_(?P<environment>\w+)\.txt(\.gz)?")


@dataclass(frozen=True, kw_only=True, eq=False)
class Traits:
    """Values of N samples for T traits, before they meet any genotype.

    Attributes
    ----------
    value
        (N, T) float64 in the traits' own units; NaN is missing.
    name
        (T,) unique strings.
    sample_id
        (N,) unique strings.
    standard_error
        (N, T) float64 in the same units, or None.
    sample_split
        (N,) ``train``, ``validation`` or ``test`` where the source brings its split, or None.
    source
        What was read, for messages and provenance.
    """

    value: NDArray[np.float64]
    name: StringArray
    sample_id: StringArray
    standard_error: NDArray[np.float64] | None = None
    sample_split: StringArray | None = None
    source: str


def read_table(path: Path) -> Traits:
    """Read a plain table: samples in rows, the id first, one trait a column.

    ``NA``, ``-``, ``nan`` and empty are missing; a sample may lack any trait or all of them. The
    delimiter (tab, comma or semicolon) is taken from the first lines.

    Raises
    ------
    DataError
        With the file, line and column of the first thing that is wrong.
    """
    ids = Ids()
    header, value = _read_numbers(path, ids)
    for k in range(len(header.names)):
        _check_varies(value, header, k, path=path)
    return Traits(
        value=value,
        name=np.asarray(header.names, dtype=np.str_),
        sample_id=np.asarray(list(ids.places), dtype=np.str_),
        source=str(path),
    )


def read_letters(path: Path) -> Traits:
    """Read columns ``y`` and ``y_var`` of ``qtls_<environment>_hq.csv``.

    ``y_var`` is misnamed: it holds the standard errors of the raw phenotype files.

    Raises
    ------
    DataError
        With the file, line and column of the first thing that is wrong.
    """
    header, numbers = _read_numbers(path, None)
    value = _column(numbers, header, "y", path=path)
    _check_varies(numbers, header, header.names.index("y"), path=path)
    match = letters.FILE_NAME.fullmatch(path.name)
    return Traits(
        value=value,
        name=np.asarray([match["environment"] if match else "y"]),
        sample_id=np.asarray(letters.made_up_ids(len(value)), dtype=np.str_),
        standard_error=_column(numbers, header, "y_var", path=path),
        source=str(path),
    )


def read_barcoded_cross(folder: Path) -> Traits:
    """Read ``pheno_data_<environment>.txt`` files: ``Number``, ``Fitness``, ``Std Error``.

    Environments come in the published order, others after them. A segregant that one file lacks
    has a missing value there.

    Raises
    ------
    DataError
        With the file, line and column of the first thing that is wrong, or if there is no file.
    """
    files = {
        match["environment"]: file
        for file in folder.iterdir()
        if (match := RAW_FILE_NAME.fullmatch(file.name))
    }
    if not files:
        raise DataError(
            f"{folder} holds no phenotypes; expected files such as pheno_data_li.txt.gz"
        )
    known = [name for name in ENVIRONMENTS if name in files]
    names = known + sorted(set(files) - set(known))
    columns: list[tuple[list[str], NDArray[np.float64]]] = []
    row: dict[str, int] = {}
    for name in names:
        ids = Ids()
        header, numbers = _read_numbers(files[name], ids)
        _check_varies(numbers, header, 0, path=files[name])
        pair = [_column(numbers, header, c, path=files[name]) for c in ("Fitness", "Std Error")]
        columns.append((list(ids.places), np.hstack(pair)))
        for sample in ids.places:
            row.setdefault(sample, len(row))
    both = np.full((2, len(row), len(names)), np.nan)
    for t, (samples, numbers) in enumerate(columns):
        both[:, [row[sample] for sample in samples], t] = numbers.T
    return Traits(
        value=both[0],
        name=np.asarray(names, dtype=np.str_),
        sample_id=np.asarray(list(row), dtype=np.str_),
        standard_error=both[1],
        source=str(folder),
    )


def read_split_folder(folder: Path) -> Traits:
    """Read ``pheno_train.npy`` and its like: (n, 18) values standardised by the publishers.

    Raises
    ------
    DataError
        If a part is missing, has not the rows of its genotypes, or not the 18 traits.
    """
    genotypes = split_folder.part_files(folder, "geno")
    phenotypes = split_folder.part_files(folder, "pheno")
    values: list[NDArray[np.float64]] = []
    sample_id: list[str] = []
    sample_split: list[str] = []
    for part, file in genotypes.items():
        if part not in phenotypes:
            wanted = file.name.replace("geno", "pheno")
            raise DataError(f"{folder} holds {file.name} but no {wanted}")
        n_samples = len(split_folder.open_array(file))
        value = np.asarray(split_folder.open_array(phenotypes[part]), dtype=np.float64)
        if value.shape != (n_samples, len(ENVIRONMENTS)):
            raise DataError(
                f"{phenotypes[part]} must be (samples, traits) = ({n_samples}, "
                f"{len(ENVIRONMENTS)}) to go with {file.name}; it is {value.shape}"
            )
        values.append(value)
        sample_id += split_folder.made_up_ids(part, n_samples)
        sample_split += [part] * n_samples
    return Traits(
        value=np.concatenate(values),
        name=np.asarray(ENVIRONMENTS),
        sample_id=np.asarray(sample_id, dtype=np.str_),
        sample_split=np.asarray(sample_split, dtype=np.str_),
        source=str(folder),
    )


def _read_numbers(path: Path, ids: Ids | None) -> tuple[Header, NDArray[np.float64]]:
    with TextReader(path) as reader:
        header = take_header(reader)
        store = RowStore(len(header.names), np.float64)
        append_rows(reader, store, header=header, kind="trait", ids=ids)
    check_columns(store, header=header, kind="trait", path=path)
    return header, store.finish()


def _column(
    numbers: NDArray[np.float64], header: Header, name: str, *, path: Path
) -> NDArray[np.float64]:
    """Return the (N, 1) column called ``name``."""
    if name not in header.names:
        raise DataError(f"{path}, line 1: {unknown('column', name, header.names)}")
    k = header.names.index(name)
    return numbers[:, k : k + 1]


def _check_varies(numbers: NDArray[np.float64], header: Header, k: int, *, path: Path) -> None:
    measured = numbers[~np.isnan(numbers[:, k]), k]
    if len(numbers) > 1 and (measured == measured[0]).all():
        raise DataError(
            f"{path}, column {k + 2} (trait {header.names[k]!r}): all {measured.size} measured "
            f"values are {measured[0]:g}; there is nothing to learn, remove the column"
        )
