"""Rows of an id and numbers, parsed in blocks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosstrait.errors import DataError
from crosstrait.genotypes import text
from crosstrait.genotypes.memory import RowStore
from crosstrait.genotypes.number_rows import append_rows, take_header
from crosstrait.genotypes.text import TextReader
from crosstrait.genotypes.unique import Ids

NUMBER = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-5, 5).map(str),
    st.sampled_from(["NA", "-", "", "nan", "NaN", " 1.5 ", "+2", "1e-3", ".5"]),
)


def read(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    with TextReader(path) as reader:
        header = take_header(reader)
        store, ids = RowStore(len(header.names), np.float64), Ids()
        append_rows(reader, store, header=header, kind="trait", ids=ids)
    return header.names, list(ids.places), store.finish()


def plain_number(cell: str) -> float:
    return math.nan if cell in ("NA", "-", "") else float(cell)


@settings(deadline=None)
@given(
    rows=st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(NUMBER, min_size=width, max_size=width), min_size=1)
    ),
    delimiter=st.sampled_from("\t,;"),
    block=st.integers(1, 200),
    quoted=st.booleans(),
    blank_lines=st.booleans(),
)
def test_numbers_equal_those_of_a_plain_parser(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    delimiter: str,
    block: int,
    quoted: bool,
    blank_lines: bool,
) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.txt"
    quote = '"' if quoted else ""
    names = [f"c{k}" for k in range(len(rows[0]))]
    lines = [delimiter.join(f"{quote}{name}{quote}" for name in ["id", *names])]
    for i, row in enumerate(rows):
        lines.append(delimiter.join([f"{quote}r{i}{quote}", *row]))
    path.write_text(("\n\n" if blank_lines else "\n").join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "_BLOCK_BYTES", block)
        header, ids, values = read(path)
    assert header == names
    assert ids == [f"r{i}" for i in range(len(rows))]
    np.testing.assert_array_equal(values, [[plain_number(cell) for cell in row] for row in rows])


def test_the_name_over_the_ids_may_be_absent_as_r_writes_tables(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text('"a"\t"b"\n"s1"\t1\t2\n"s2"\t3\t4\n')
    names, ids, values = read(path)
    assert (names, ids, values.tolist()) == (["a", "b"], ["s1", "s2"], [[1, 2], [3, 4]])


def test_a_delimiter_at_the_end_of_rows_does_not_shift_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,a,b\ns1,1,2,\ns2,3,4,\n")
    with pytest.raises(DataError, match="line 2: 4 columns where 3 are expected"):
        read(path)


@pytest.mark.parametrize("place", [0, 1, 4_999, 60_000, 119_999])
def test_the_place_of_a_bad_number_is_found_in_a_long_file(place: int, tmp_path: Path) -> None:
    cells = [["0.5"] * 3 for _ in range(40_000)]
    row, column = divmod(place, 3)
    cells[row][column] = "x"
    path = tmp_path / "t.csv"
    lines = "\n".join(f"s{i},{','.join(row)}" for i, row in enumerate(cells))
    path.write_text(f"id,a,b,c\n{lines}\n")
    with pytest.raises(DataError, match=rf"line {row + 2}, column {column + 2} .*found 'x'"):
        read(path)


def test_a_ragged_row_is_found_when_the_count_of_cells_comes_out_even(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,a,b\ns1,1,2\ns2,3\ns3,4,5,6\n")
    with pytest.raises(DataError, match="line 3: 2 columns"):
        read(path)
