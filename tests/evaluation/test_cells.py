"""The table of predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from crosstrait.errors import DataError, StorageError, TrainingError
from crosstrait.evaluation.cells import (
    CELL_COLUMNS,
    concat_cells,
    gather_cells,
    make_cells,
    read_cells,
    validate_cells,
    write_cells,
)
from support.predictions import predictions, trait_values


@pytest.fixture
def table() -> pd.DataFrame:
    values = trait_values(20, n_traits=3, missing=0.2)
    return predictions(values, accuracy={"ridge": 0.4, "trees": 0.5}, replicates=2, folds=2)


def plain(cells: pd.DataFrame) -> pd.DataFrame:
    return cells.astype({"sample": str, "trait": str, "model": str})


def test_only_measured_cells_are_kept() -> None:
    observed = [[1.0, np.nan], [np.nan, 4.0]]
    cells = make_cells(
        observed,
        predicted=[[1.5, np.nan], [9.0, 3.5]],
        sample_id=["A01_01", "A01_02"],
        trait_names=["Lithium", "YNB:ph3"],
        model="ridge",
        fold=3,
    )
    assert tuple(cells.columns) == CELL_COLUMNS
    assert plain(cells).to_dict("list") == {
        "sample": ["A01_01", "A01_02"],
        "trait": ["Lithium", "YNB:ph3"],
        "observed": [1.0, 4.0],
        "predicted": [1.5, 3.5],
        "model": ["ridge", "ridge"],
        "replicate": [0, 0],
        "fold": [3, 3],
    }


def test_a_prediction_that_diverged_is_refused_with_its_place() -> None:
    with pytest.raises(TrainingError, match=r"'canonical'.*1 measured cells.*'S1', trait 'T'"):
        make_cells(
            [[1.0], [2.0]],
            predicted=[[1.0], [np.inf]],
            sample_id=["S0", "S1"],
            trait_names=["T"],
            model="canonical",
        )


def test_parquet_gives_the_same_table_back(table: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    write_cells(table, path=path)
    pd.testing.assert_frame_equal(plain(read_cells(path)), plain(table))
    assert list(tmp_path.iterdir()) == [path]


def test_other_readers_see_plain_strings_that_are_small_on_disk(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "predictions.parquet"
    write_cells(table, path=path)
    schema = pq.read_schema(path)
    assert schema.names == list(CELL_COLUMNS)
    assert {str(schema.field(name).type) for name in ("sample", "trait", "model")} == {"string"}
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    assert "RLE_DICTIONARY" in column.encodings


def test_the_same_cells_give_the_same_bytes(table: pd.DataFrame, tmp_path: Path) -> None:
    for name in "ab":
        write_cells(table, path=tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    folder = tmp_path / "predictions.parquet"
    folder.mkdir()
    (folder / "kept").write_text("x")
    with pytest.raises(StorageError, match="cannot write the predictions"):
        write_cells(table, path=folder)
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.parquet"]


def test_a_file_that_is_no_parquet_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(StorageError, match=r"p\.parquet"):
        read_cells(tmp_path / "p.parquet")


def test_a_cell_that_occurs_twice_is_refused(table: pd.DataFrame) -> None:
    twice = pd.concat([table, table.iloc[[5]]])
    with pytest.raises(DataError, match=r"1 cells occur twice.*model ridge, replicate 0"):
        validate_cells(twice)


@pytest.mark.parametrize("column", ["observed", "predicted", "sample", "fold"])
def test_a_hole_is_refused_with_its_row(table: pd.DataFrame, column: str) -> None:
    table[column] = table[column].astype(object)
    table.loc[4, column] = None
    with pytest.raises(DataError, match=f"row 4 .*has no {column}"):
        validate_cells(table)


def test_an_absent_column_is_named(table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="absent: fold"):
        validate_cells(table.drop(columns="fold"))


def test_no_runs_are_an_error_not_an_empty_table() -> None:
    with pytest.raises(DataError, match="no run has ended"):
        concat_cells([])


def test_tables_of_several_runs_are_one_under_the_names_given(tmp_path: Path) -> None:
    sources, tables = [], []
    for fold, model in enumerate(["a", "b"]):
        made = make_cells(
            np.array([[1.0, np.nan], [2.0, 3.0]]) + fold,
            predicted=np.ones((2, 2)),
            sample_id=[f"s{fold}", "s2"],
            trait_names=["y", "x"],
            model="another name",
            replicate=0,
            fold=0,
        )
        write_cells(made, path=tmp_path / f"{model}.parquet")
        sources.append((tmp_path / f"{model}.parquet", model, 3, fold))
        tables.append(made.assign(model=model, replicate=3, fold=fold))
    expected = plain(pd.concat([plain(table) for table in tables], ignore_index=True))
    pd.testing.assert_frame_equal(plain(gather_cells(sources)), expected, check_dtype=False)
    with pytest.raises(DataError, match="3 cells occur twice"):
        gather_cells([sources[0], sources[0]])
    with pytest.raises(DataError, match="no run has ended"):
        gather_cells([])
    (tmp_path / "a.parquet").write_bytes(b"no parquet")
    with pytest.raises(StorageError, match="cannot read the predictions"):
        gather_cells(sources)
