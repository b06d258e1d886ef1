"""The BY x RM cross of 2013: loci in rows, segregants in columns, calls B (BY) and R (RM).

Bloom et al. 2013, Nature 494:234, doi 10.1038/nature11867.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crosstrait.errors import DataError
from crosstrait.genotypes.memory import require_memory
from crosstrait.genotypes.number_rows import MISSING
from crosstrait.genotypes.table import Genotypes
from crosstrait.genotypes.text import TextReader, decode, split_fields
from crosstrait.genotypes.unique import Ids, check_names

FILE_NAME = re.compile(r"BYxRM_GenoData\.txt(\.gz)?")

_LOCUS = re.compile(r"\d+_(?P<contig>\w+)_(?P<position>\d+)_(?P<by>[A-Z]+)_(?P<rm>[A-Z]+)")
_LOCI_AT_ONCE = 256
_MISSING = ord("-")
_UNKNOWN = 2.0
_DOSAGE = np.full(256, _UNKNOWN, dtype=np.float32)
_DOSAGE[[ord("B"), ord("R"), _MISSING]] = 0, 1, np.nan


def find(path: Path) -> Path | None:
    """Return the genotype file that ``path`` is or holds, known by its name."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    return next((file for file in files if FILE_NAME.fullmatch(file.name)), None)


def read(path: Path) -> Genotypes:
    """Read calls as copies (0 or 1) of the RM allele; ``-``, ``NA`` and empty are missing.

    A locus id such as ``27915_chr01_27915_T_C`` gives the contig, the position in base pairs,
    the BY allele and the RM allele.

    Raises
    ------
    DataError
        With the file, line and column of the first thing that is wrong.
    """
    ids = Ids()
    letters = bytearray()
    with TextReader(path) as reader:
        sample_id = split_fields(reader.take_line(), delimiter="\t", path=path, line=1)[1:]
        check_names(sample_id, path=path)
        if not sample_id:
            raise DataError(f"{path}, line 1: no segregant follows the first column")
        for line, data in reader.lines():
            name, _, row = data.partition(b"\t")
            ids.add(decode(name, path=path, line=line), path=path, line=line)
            letters += _letters(row, len(sample_id), path=path, line=line)
            if len(ids.places) == 1:
                size = (len(sample_id), reader.expected_lines - 1)
                require_memory(size, np.float32, source=path)
    if not ids.places:
        raise DataError(f"{path} has a header but no rows")
    calls = np.frombuffer(letters, dtype=np.uint8).reshape(-1, len(sample_id))  # (L, N)
    lines = [line for _, line in ids.places.values()]
    _check_called(calls, sample_id, lines, path=path)
    named = [_LOCUS.fullmatch(name) for name in ids.places]
    return Genotypes(
        dosage=_dosage(calls, sample_id, lines, path=path),
        sample_id=np.asarray(sample_id, dtype=np.str_),
        variant_id=np.asarray(list(ids.places), dtype=np.str_),
        variant_contig=np.asarray([m["contig"] if m else "" for m in named], dtype=np.str_),
        variant_position=np.asarray([int(m["position"]) if m else -1 for m in named]),
        variant_allele=np.asarray(
            [(m["by"], m["rm"]) if m else ("", "") for m in named], dtype=np.str_
        ),
        ploidy=1,
        source=str(path),
    )


def _letters(row: bytes, n_samples: int, *, path: Path, line: int) -> bytes:
    """Return one letter a segregant of a row such as ``R<tab>B<tab>B``."""
    if len(row) == 2 * n_samples - 1 and row[1::2] == b"\t" * (n_samples - 1):
        return row[::2]
    calls = row.split(b"\t")
    if len(calls) != n_samples:
        raise DataError(
            f"{path}, line {line}: {len(calls) + 1} columns where {n_samples + 1} are expected "
            f"(a locus id and {n_samples} calls)"
        )
    for i, call in enumerate(calls):
        if len(call) != 1 and call.decode(errors="replace") not in MISSING:
            raise DataError(_bad_call(call, path=path, line=line, column=i + 2))
    return b"".join(call if len(call) == 1 else b"-" for call in calls)


def _check_called(
    calls: NDArray[np.uint8], sample_id: list[str], lines: list[int], *, path: Path
) -> None:
    missing = calls == _MISSING
    if missing.any():
        for i in np.flatnonzero(missing.all(axis=1)):
            raise DataError(f"{path}, line {lines[i]}: this locus has no call; remove the line")
        for i in np.flatnonzero(missing.all(axis=0)):
            raise DataError(
                f"{path}, column {i + 2}: segregant {sample_id[i]!r} has no call; remove the column"
            )


def _dosage(
    calls: NDArray[np.uint8], sample_id: list[str], lines: list[int], *, path: Path
) -> NDArray[np.float32]:
    n_loci, n_samples = calls.shape
    dosage = np.empty((n_samples, n_loci), dtype=np.float32)
    for start in range(0, n_loci, _LOCI_AT_ONCE):
        block = _DOSAGE[calls[start : start + _LOCI_AT_ONCE]]
        if (block == _UNKNOWN).any():
            j, i = np.argwhere(block == _UNKNOWN)[0]
            letter = calls[start + j, i].tobytes()
            place = f" (segregant {sample_id[i]!r})"
            raise DataError(
                _bad_call(letter, path=path, line=lines[start + j], column=i + 2) + place
            )
        dosage[:, start : start + _LOCI_AT_ONCE] = block.T
    return dosage


def _bad_call(call: bytes, *, path: Path, line: int, column: int) -> str:
    return (
        f"{path}, line {line}, column {column}: a call is B (BY), R (RM) or - (missing), found "
        f"{call.decode(errors='replace')!r}"
    )
