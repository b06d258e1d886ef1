"""Genotypes as a word a segregant, at loci chosen before: the lithium set of the 2022 cross.

Nguyen Ba et al. 2022, eLife 11:e73983; the subset of Zhou et al. 2025, bioRxiv
10.1101/2025.08.15.670613: ``qtls_<environment>_hq.csv``, columns ``seq``, ``y`` and ``y_var``.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crosstrait.errors import DataError, unknown
from crosstrait.genotypes.loci import SNP_LIST_COLUMNS, Loci, beside, read_loci, unplaced
from crosstrait.genotypes.memory import require_memory
from crosstrait.genotypes.table import Genotypes
from crosstrait.genotypes.text import TextReader, split_fields

FILE_NAME = re.compile(r"qtls_(?P<environment>\w+)_hq\.csv(\.gz)?")

_MISSING = ord("-")
_UNKNOWN = 2.0
# A: the probability of the second parent (RM) exceeds one half.
_DOSAGE = np.full(256, _UNKNOWN, dtype=np.float32)
_DOSAGE[[ord("B"), ord("A"), _MISSING]] = 0, 1, np.nan


def find(path: Path) -> Path | None:
    """Return the file that ``path`` is or holds, known by its name."""
    files = [path] if path.is_file() else sorted(path.iterdir())
    return next((file for file in files if FILE_NAME.fullmatch(file.name)), None)


def made_up_ids(n_samples: int) -> list[str]:
    """Return the ids of the segregants, which the file does not name: ``row_0``, ``row_1``, ..."""
    return [f"row_{i}" for i in range(n_samples)]


def read(path: Path) -> Genotypes:
    """Read words of A (RM, dosage 1), B (BY, dosage 0) and - (missing) from column ``seq``.

    Loci come from the table ``<name>_loci.csv`` beside the file, where there is one.

    Raises
    ------
    DataError
        With the file and line of the first thing that is wrong.
    """
    calls, lines = _read_words(path)
    dosage = _DOSAGE[calls]
    if (dosage == _UNKNOWN).any():
        i, j = np.argwhere(dosage == _UNKNOWN)[0]
        letter = calls[i, j].tobytes().decode(errors="replace")
        raise DataError(
            f"{path}, line {lines[i]}: letter {j + 1} of the genotype must be A, B or - "
            f"(missing), found {letter!r}"
        )
    missing = calls == _MISSING
    for i in np.flatnonzero(missing.all(axis=1)):
        raise DataError(f"{path}, line {lines[i]}: no genotype at any locus; remove the line")
    for j in np.flatnonzero(missing.all(axis=0)):
        raise DataError(f"{path}: no segregant has a genotype at letter {j + 1}")
    loci = _loci(path, calls.shape[1])
    return Genotypes(
        dosage=dosage,
        sample_id=np.asarray(made_up_ids(len(calls)), dtype=np.str_),
        variant_id=loci.variant_id,
        variant_contig=loci.variant_contig,
        variant_position=loci.variant_position,
        variant_allele=loci.variant_allele,
        ploidy=1,
        source=str(path),
    )


def _read_words(path: Path) -> tuple[NDArray[np.uint8], list[int]]:
    """Return the letters as (N, L) bytes, and the line of each segregant."""
    words: list[bytes] = []
    lines: list[int] = []
    with TextReader(path) as reader:
        header = split_fields(reader.take_line(), delimiter=",", path=path, line=1)
        if "seq" not in header:
            raise DataError(f"{path}, line 1: {unknown('column', 'seq', header)}")
        place = header.index("seq")
        for line, data in reader.lines():
            fields = data.split(b",")
            if len(fields) != len(header):
                raise DataError(
                    f"{path}, line {line}: {len(fields)} columns where {len(header)} are expected"
                )
            word = fields[place]
            if not words:
                require_memory((reader.expected_lines, len(word)), np.float32, source=path)
            elif len(word) != len(words[0]):
                raise DataError(
                    f"{path}, line {line}: a genotype of {len(word)} letters where the first has "
                    f"{len(words[0])}"
                )
            words.append(word)
            lines.append(line)
    if not words or not words[0]:
        raise DataError(f"{path} has a header but no genotypes")
    calls = np.frombuffer(b"".join(words), dtype=np.uint8)
    return calls.reshape(len(words), -1), lines


def _loci(path: Path, n_loci: int) -> Loci:
    table = beside(path)
    if table is None:
        return unplaced([f"locus_{j}" for j in range(n_loci)])
    loci = read_loci(table, columns=SNP_LIST_COLUMNS)
    if len(loci.variant_id) != n_loci:
        raise DataError(
            f"{table} describes {len(loci.variant_id)} loci, but the genotypes of {path} have "
            f"{n_loci} letters"
        )
    return loci
