"""The table of predictions: one row a scored (sample, trait) cell of one run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from crosstrait.errors import DataError, StorageError, TrainingError, not_written
from crosstrait.files import beside

CELL_COLUMNS = ("sample", "trait", "observed", "predicted", "model", "replicate", "fold")
NAME_COLUMNS = ("sample", "trait", "model")

_KEY = ("model", "replicate", "fold", "trait", "sample")

_SCHEMA = pa.schema(
    [
        ("sample", pa.string()),
        ("trait", pa.string()),
        ("observed", pa.float64()),
        ("predicted", pa.float64()),
        ("model", pa.string()),
        ("replicate", pa.int32()),
        ("fold", pa.int32()),
    ]
)


def make_cells(
    observed: ArrayLike,
    *,
    predicted: ArrayLike,
    sample_id: Sequence[str],
    trait_names: Sequence[str],
    model: str,
    replicate: int = 0,
    fold: int = 0,
) -> pd.DataFrame:
    """Tabulate one run's predictions of its test samples.

    Parameters
    ----------
    observed
        (n, T) trait values of the test samples; NaN cells are left out of the table.
    predicted
        (n, T) predictions, in the traits' own units.
    sample_id, trait_names
        n sample ids and T trait names.
    model
        The model's label in the experiment.
    replicate, fold
        Which seed and which of the scheme's splits this run is.

    Returns
    -------
    pandas.DataFrame
        Columns `CELL_COLUMNS`; the names are categorical, so that large tables stay small.

    Raises
    ------
    TrainingError
        If a measured cell was predicted as NaN or infinity.
    """
    y, p = np.asarray(observed, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if not y.shape == p.shape == (len(sample_id), len(trait_names)):
        raise ValueError(
            f"observed {y.shape} and predicted {p.shape} must both be (samples, traits) = "
            f"({len(sample_id)}, {len(trait_names)})"
        )
    row, column = np.nonzero(~np.isnan(y))
    bad = ~np.isfinite(p[row, column])
    if bad.any():
        i, j = row[bad][0], column[bad][0]
        raise TrainingError(
            f"model {model!r} (replicate {replicate}, fold {fold}) predicted {p[i, j]} for "
            f"{int(bad.sum())} measured cells, the first sample {str(sample_id[i])!r}, trait "
            f"{str(trait_names[j])!r}; its training diverged: lower its learning rate or clip "
            f"its gradients"
        )
    return pd.DataFrame(
        {
            "sample": _category(row, sample_id),
            "trait": _category(column, trait_names),
            "observed": y[row, column],
            "predicted": p[row, column],
            "model": _category(np.zeros(len(row), dtype=np.intp), [model]),
            "replicate": np.full(len(row), replicate, dtype=np.int32),
            "fold": np.full(len(row), fold, dtype=np.int32),
        }
    )


def concat_cells(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Put the cells of several runs under one another, names staying categorical."""
    parts = [validate_cells(table) for table in tables]
    if not parts:
        raise DataError("there are no cells to score: no run has ended")
    joined: dict[str, Any] = {}
    for name in CELL_COLUMNS:
        columns = [part[name] for part in parts]
        joined[name] = (
            pd.api.types.union_categoricals(columns)
            if name in NAME_COLUMNS
            else np.concatenate([column.to_numpy() for column in columns])
        )
    return pd.DataFrame(joined)


def validate_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """Check a table of cells and return it with its columns in order and its names categorical.

    Raises
    ------
    DataError
        If a column is absent, a number is missing or infinite, or a cell occurs twice.
    """
    absent = [name for name in CELL_COLUMNS if name not in cells.columns]
    if absent:
        raise DataError(
            f"a predictions table has the columns {', '.join(CELL_COLUMNS)}; "
            f"absent: {', '.join(absent)}"
        )
    table = cells.loc[:, list(CELL_COLUMNS)].reset_index(drop=True)
    for name in CELL_COLUMNS:
        column = table[name]
        if column.isna().any():
            where = int(np.flatnonzero(column.isna())[0])
            raise DataError(f"row {where} of the predictions table has no {name}")
        if name in NAME_COLUMNS:
            if not isinstance(column.dtype, pd.CategoricalDtype):
                text = column.astype(str)
                table[name] = pd.Categorical(text, categories=pd.unique(text))
        elif name in ("observed", "predicted"):
            table[name] = column.astype(np.float64)
            finite = np.isfinite(table[name].to_numpy())
            if not finite.all():
                where = int(np.flatnonzero(~finite)[0])
                raise DataError(
                    f"row {where} of the predictions table has {name} = {column.iloc[where]}"
                )
        else:
            table[name] = column.astype(np.int32)
    _refuse_repeats(table)
    return table


def write_cells(cells: pd.DataFrame, *, path: Path) -> None:
    """Write the table as Parquet, whole or not at all.

    Names are plain strings to every reader and dictionary-encoded on disk.
    """
    table = validate_cells(cells)
    arrays = []
    for column in _SCHEMA:
        if column.name in NAME_COLUMNS:
            arrays.append(pa.array(table[column.name].array).cast(pa.string()))
        else:
            arrays.append(pa.array(table[column.name].to_numpy(), type=column.type))
    partial = beside(path)
    try:
        pq.write_table(
            pa.Table.from_arrays(arrays, schema=_SCHEMA),
            partial,
            compression="zstd",
            use_dictionary=[*NAME_COLUMNS, "observed", "replicate", "fold"],
        )
        partial.replace(path)
    except OSError as error:
        raise StorageError(
            f"cannot write the predictions to {path}: {not_written(error)}"
        ) from None
    finally:
        with suppress(OSError):  # of a disk that may not be written
            partial.unlink(missing_ok=True)


def read_cells(path: Path) -> pd.DataFrame:
    """Read and check a table that `write_cells` wrote.

    Raises
    ------
    StorageError
        If the file cannot be read as Parquet.
    DataError
        If its content breaks a rule of `validate_cells`.
    """
    try:
        table = pq.read_table(path, read_dictionary=list(NAME_COLUMNS))
    except (OSError, pa.ArrowException) as error:
        raise StorageError(f"cannot read the predictions in {path}: {error}") from None
    return validate_cells(table.to_pandas())


def gather_cells(sources: Iterable[tuple[Path, str, int, int]]) -> pd.DataFrame:
    """Read tables that `write_cells` wrote as one, which is checked as a whole.

    Parameters
    ----------
    sources
        Paths, and the model, replicate and fold that the cells of each get here.

    Raises
    ------
    StorageError
        If a file cannot be read as Parquet.
    DataError
        If there is none, or the content breaks a rule of `validate_cells`.
    """
    tables = []
    for path, model, replicate, fold in sources:
        try:
            table = pq.ParquetFile(path, read_dictionary=list(NAME_COLUMNS)).read()
        except (OSError, pa.ArrowException) as error:
            raise StorageError(f"cannot read the predictions in {path}: {error}") from None
        if absent := [name for name in CELL_COLUMNS if name not in table.column_names]:
            raise DataError(f"{path} has no column {', '.join(absent)}")
        n = len(table)
        given = {
            "model": pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), [model]),
            "replicate": pa.array(np.full(n, replicate, np.int32)),
            "fold": pa.array(np.full(n, fold, np.int32)),
        }
        columns = {name: given.get(name, table[name]) for name in CELL_COLUMNS}
        tables.append(pa.table(columns))
    if not tables:
        raise DataError("there are no cells to score: no run has ended")
    return validate_cells(pa.concat_tables(tables).unify_dictionaries().to_pandas())


def _category(codes: NDArray[np.intp], names: Sequence[str]) -> pd.Categorical[str]:
    return pd.Categorical.from_codes(codes, categories=pd.Index([str(name) for name in names]))


def _refuse_repeats(table: pd.DataFrame) -> None:
    key = np.zeros(len(table), dtype=np.int64)
    for name in _KEY:
        column = table[name]
        if name in NAME_COLUMNS:
            codes, size = column.cat.codes.to_numpy(np.int64), len(column.cat.categories)
        else:
            values = column.to_numpy(np.int64)
            low = values.min(initial=0)
            codes, size = values - low, int(values.max(initial=0) - low) + 1
        key = key * size + codes
    order = np.argsort(key, kind="stable")
    repeated = order[1:][np.diff(key[order]) == 0]
    if repeated.size:
        first = table.iloc[int(repeated.min())]
        place = ", ".join(f"{name} {first[name]}" for name in _KEY)
        raise DataError(
            f"{repeated.size} cells occur twice in the predictions table, such as {place}"
        )
