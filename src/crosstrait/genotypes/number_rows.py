"""Rows of one id and K numbers: the parser behind every text table of genotypes or traits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from crosstrait.errors import DataError
from crosstrait.genotypes.memory import RowStore
from crosstrait.genotypes.text import (
    Block,
    TextReader,
    decode,
    sniff_delimiter,
    split_fields,
)
from crosstrait.genotypes.unique import Ids, check_names

MISSING = ("", "NA", "-")
"""What stands for a missing number, beside ``nan`` in any case."""

Kind = Literal["locus", "trait"]

_NEWLINE = ord("\n")
_CALL = re.compile(r"[A-Za-z]([/|]?[A-Za-z])?|[0-9][/|][0-9]")


def is_missing(text: str) -> bool:
    """Tell whether ``text`` stands for a missing value."""
    return text.strip() in MISSING or text.strip().lower() == "nan"


@dataclass(frozen=True)
class Header:
    """The columns of a table.

    Attributes
    ----------
    delimiter
        What stands between them.
    names
        The K columns of numbers, which come last.
    n_leading
        How many columns stand before these.
    id_column
        Which of the leading columns, from 0, holds the id; the others are not looked at.
    """

    delimiter: str
    names: list[str]
    n_leading: int = 1
    id_column: int = 0

    def place(self, k: int, *, kind: Kind) -> str:
        """Say where column of numbers ``k`` (from 0) stands."""
        return f"column {k + self.n_leading + 1} ({kind} {self.names[k]!r})"


def take_header(reader: TextReader) -> Header:
    """Take the first line of a table as the names of its columns.

    The name of the id column is dropped; it may be absent, as in tables that R writes.

    Raises
    ------
    DataError
        If there is no delimiter, or a name is empty or occurs twice.
    """
    lines = reader.peek(2)
    delimiter = sniff_delimiter(lines, path=reader.path)
    first, *others = (
        split_fields(line, delimiter=delimiter, path=reader.path, line=1 + i)
        for i, line in enumerate(lines)
    )
    reader.take_line()
    ids_are_nameless = any(len(row) == len(first) + 1 and row[-1] for row in others)
    names = first if ids_are_nameless else first[1:]
    check_names(names, path=reader.path)
    return Header(delimiter, names)


def append_rows(
    reader: TextReader,
    store: RowStore,
    *,
    header: Header,
    kind: Kind,
    ids: Ids | None = None,
    limits: tuple[float, float] = (-np.inf, np.inf),
    part: float = 1.0,
) -> None:
    """Read the rest of ``reader`` into ``store``.

    Parameters
    ----------
    header
        The delimiter, and K names for messages.
    kind
        What a column is. A row of genotypes needs at least one value, a row of traits none.
    ids
        Where the first column is noted; without it, it is ignored.
    limits
        The least and the largest value allowed.
    part
        The share that this file has in all that ``store`` will hold.

    Raises
    ------
    DataError
        At the first ragged row, unreadable number, value outside ``limits``, row without any
        value or repeated id, with file, line and column.
    """
    path = reader.path
    expected = False
    for block in reader.blocks():
        rows = _parse(block, header=header, kind=kind, path=path)
        _check_limits(rows, header=header, kind=kind, path=path, limits=limits)
        if kind == "locus":
            _check_called(rows, path=path)
        if ids is not None:
            for name, line in zip(rows.row_id, rows.line, strict=True):
                ids.add(name, path=path, line=int(line), column=header.id_column + 1)
        if not expected:
            store.expect(reader.expected_lines / part, source=path)
            expected = True
        store.append(rows.values)


def check_columns(store: RowStore, *, header: Header, kind: Kind, path: Path) -> None:
    """Check that a table that was read whole has rows, and each trait a value.

    A locus without any genotype is no mistake: `join` leaves it out.

    Raises
    ------
    DataError
        With the number and name of the first trait that has none.
    """
    if store.height == 0:
        raise DataError(f"{path} has a header but no rows")
    empty = np.flatnonzero(~store.column_has_value)
    if empty.size and kind == "trait":
        k = int(empty[0])
        raise DataError(
            f"{path}, {header.place(k, kind=kind)}: no value was measured; remove the column "
            f"({empty.size} such in all)"
        )


@dataclass(frozen=True)
class _Rows:
    line: NDArray[np.int64]
    row_id: list[str]
    values: NDArray[np.float64]


def _parse(block: Block, *, header: Header, kind: Kind, path: Path) -> _Rows:
    n_fields = header.n_leading + len(header.names)
    fields = _cut_evenly(block.data, n_fields, header.delimiter)
    if fields is None:
        line, texts = _cut_by_line(block, header, path)
        fields = pa.array(texts, type=pa.string())
        place = np.arange(len(texts), dtype=np.int32)
    else:
        # Arrow strings lie side by side, so every second of these is the mark after a field.
        place = np.arange(0, len(fields), 2, dtype=np.int32)
        line = block.line + np.arange(len(place) // n_fields)
    grid = place.reshape(-1, n_fields)
    raw_ids = fields.take(pa.array(grid[:, header.id_column])).cast(pa.binary()).to_pylist()
    row_id = [decode(raw, path=path, line=int(n)) for raw, n in zip(raw_ids, line, strict=True)]
    texts_of_numbers = fields.take(pa.array(grid[:, header.n_leading :].ravel()))
    try:
        numbers = _to_numbers(texts_of_numbers)
    except pa.ArrowInvalid:
        bad = _first_unreadable(texts_of_numbers)
        i, k = divmod(bad, len(header.names))
        text = texts_of_numbers[bad].cast(pa.binary()).as_py().decode(errors="replace")
        raise DataError(
            f"{path}, line {line[i]}, {header.place(k, kind=kind)}: expected a number, found "
            f"{text!r}{_hint(text, kind=kind)}"
        ) from None
    return _Rows(line, row_id, numbers.reshape(-1, len(header.names)))


def _cut_evenly(data: bytes, n_fields: int, delimiter: str) -> Any:
    """Return field, mark, field, ... of a block, or None if its lines are not alike and plain."""
    if b'"' in data:
        return None
    letters = np.frombuffer(data, dtype=np.uint8)
    newline = letters == _NEWLINE
    marks = np.flatnonzero(newline | (letters == ord(delimiter)))
    n_rows = np.count_nonzero(newline)
    if len(marks) != n_rows * n_fields or not newline[marks[n_fields - 1 :: n_fields]].all():
        return None
    bounds = np.empty(2 * len(marks), dtype=np.int32)
    bounds[0] = 0
    bounds[1::2] = marks
    bounds[2::2] = marks[:-1] + 1
    return pa.Array.from_buffers(
        pa.string(), len(bounds) - 1, [None, pa.py_buffer(bounds), pa.py_buffer(data)]
    )


def _cut_by_line(block: Block, header: Header, path: Path) -> tuple[NDArray[np.int64], list[str]]:
    """Cut a block whose lines are quoted, blank or of unequal length."""
    numbers: list[int] = []
    texts: list[str] = []
    n_fields = header.n_leading + len(header.names)
    for i, data in enumerate(block.data.split(b"\n")):
        if not data:
            continue
        line = block.line + i
        fields = split_fields(data, delimiter=header.delimiter, path=path, line=line)
        if len(fields) != n_fields:
            raise DataError(
                f"{path}, line {line}: {len(fields)} columns where {n_fields} are expected (an "
                f"id and {len(header.names)} values)"
            )
        numbers.append(line)
        texts += fields
    return np.asarray(numbers, dtype=np.int64), texts


def _to_numbers(texts: Any) -> NDArray[np.float64]:
    try:
        plain: NDArray[np.float64] = pc.cast(texts, pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        trimmed = pc.utf8_trim_whitespace(texts)
        missing = pc.is_in(trimmed, value_set=pa.array(MISSING))
        blanked = pc.if_else(missing, None, trimmed)
        plain = pc.cast(blanked, pa.float64()).to_numpy(zero_copy_only=False)
    return plain


def _first_unreadable(texts: Any) -> int:
    """Return where the first text stands that is no number; halving finds it in few steps."""
    low, high = 0, len(texts)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            _to_numbers(texts[low:middle])
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return low


def _check_called(rows: _Rows, *, path: Path) -> None:
    empty = np.isnan(rows.values).all(axis=1)
    if empty.any():
        i = int(np.flatnonzero(empty)[0])
        raise DataError(
            f"{path}, line {rows.line[i]}: sample {rows.row_id[i]!r} has no genotype at any locus; "
            f"remove the line"
        )


def _hint(text: str, *, kind: Kind) -> str:
    if kind == "locus" and _CALL.fullmatch(text.strip()):
        return (
            "; a genotype is the number of copies of one allele, as 0, 1, 2 for AA, AB, BB: "
            "write numbers, with --ploidy 2 for diploids"
        )
    if text.count(",") == 1 and text.replace(",", "").strip("-+ ").isdigit():
        return "; write decimals with a point"
    if not any(character.isdigit() for character in text):
        return "; a missing value is written NA, - or nothing"
    return ""


def _check_limits(
    rows: _Rows, *, header: Header, kind: Kind, path: Path, limits: tuple[float, float]
) -> None:
    low, high = limits
    with np.errstate(invalid="ignore"):
        outside = (rows.values < low) | (rows.values > high) | np.isinf(rows.values)
    if outside.any():
        i, k = np.argwhere(outside)[0]
        value = rows.values[i, k]
        where = f"{path}, line {rows.line[i]}, {header.place(k, kind=kind)}"
        if np.isinf(limits).any():
            raise DataError(f"{where}: {value} is not a finite number")
        raise DataError(
            f"{where}: {value:g} is outside [{low:g}, {high:g}]; "
            + _recoding(rows.values, value=value, ploidy=high)
        )


def _recoding(values: NDArray[np.float64], *, value: float, ploidy: float) -> str:
    """Say what to do about a dosage out of range, judged by those beside it."""
    if value > ploidy:
        return (
            f"a dosage counts copies of one allele, at most {ploidy:g}: check the ploidy "
            f"(crosstrait import --ploidy)"
        )
    if np.nanmin(values) < -1 or np.nanmax(values) > 1:
        return "write missing values as NA"
    if ploidy == 1 and not (values == 0).any():
        coding = "-1 and 1? Write 0 for -1"
    else:
        coding = "-1, 0, 1? Add 1 to each" + ("" if ploidy == 2 else " and give --ploidy 2")
    return (
        f"are the genotypes coded {coding}, so that they count copies of one allele; write NA "
        f"only if -1 stands for a missing value"
    )
