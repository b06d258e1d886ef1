"""Tables that say where each locus lies and which alleles it has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crosstrait.errors import DataError, unknown
from crosstrait.genotypes.table import StringArray
from crosstrait.genotypes.text import TextReader, sniff_delimiter, split_fields

COLUMNS = ("id", "chromosome", "position", "allele_0", "allele_1")
"""Columns of a loci table beside a plain genotype table; all but ``id`` may be left out."""

SNP_LIST_COLUMNS = ("SNP", "Chromosome", "Position (bp)", "BY allele", "RM allele")
"""What the files of the 2022 yeast cross call the same columns."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Loci:
    """L loci: (L,) ids, contigs and positions, (L, 2) alleles; ``""`` and -1 where unknown."""

    variant_id: StringArray
    variant_contig: StringArray
    variant_position: NDArray[np.int64]
    variant_allele: StringArray


def unplaced(variant_id: Sequence[str]) -> Loci:
    """Return loci of which only the ids are known."""
    n_loci = len(variant_id)
    return Loci(
        variant_id=np.asarray(variant_id, dtype=np.str_),
        variant_contig=np.full(n_loci, ""),
        variant_position=np.full(n_loci, -1, dtype=np.int64),
        variant_allele=np.full((n_loci, 2), ""),
    )


def read_loci(path: Path, *, columns: tuple[str, ...] = COLUMNS) -> Loci:
    """Read a table with one locus a row.

    Parameters
    ----------
    columns
        What this table calls the id, the chromosome, the position in base pairs, the allele
        counted as 0 and the allele that a dosage counts. Other columns are ignored, and so are
        rows with id ``END``, which the SNP list of the 2022 cross puts after each chromosome.

    Raises
    ------
    DataError
        If the id column is missing, an id occurs twice, a position is no whole number or a row
        has too few columns.
    """
    with TextReader(path) as reader:
        delimiter = sniff_delimiter(reader.peek(2), path=path)
        header = split_fields(reader.take_line(), delimiter=delimiter, path=path, line=1)
        if columns[0] not in header:
            raise DataError(f"{path}, line 1: {unknown('column', columns[0], header)}")
        place = {name: header.index(name) for name in columns if name in header}
        rows: dict[str, list[str]] = {}
        for line, data in reader.lines():
            fields = split_fields(data, delimiter=delimiter, path=path, line=line)
            if len(fields) != len(header):
                raise DataError(
                    f"{path}, line {line}: {len(fields)} columns where {len(header)} are expected"
                )
            row = [fields[place[name]] if name in place else "" for name in columns]
            if row[0] == "END":
                continue
            if row[0] in rows:
                raise DataError(f"{path}, line {line}: locus {row[0]!r} occurs again")
            if not _is_position(row[2]):
                raise DataError(
                    f"{path}, line {line}, column {place[columns[2]] + 1}: the position of locus "
                    f"{row[0]!r} must be a whole number of base pairs, found {row[2]!r}"
                )
            rows[row[0]] = row
    if not rows:
        raise DataError(f"{path} has a header but no rows")
    table = list(rows.values())
    return Loci(
        variant_id=np.asarray(list(rows), dtype=np.str_),
        variant_contig=np.asarray([contig_name(row[1]) for row in table], dtype=np.str_),
        variant_position=np.asarray([int(row[2] or -1) for row in table], dtype=np.int64),
        variant_allele=np.asarray([row[3:5] for row in table], dtype=np.str_),
    )


def contig_name(chromosome: str) -> str:
    """Return ``chr01`` for ``1``, so that loci of different sources meet; other names stay.

    Examples
    --------
    >>> contig_name("1"), contig_name("chrX")
    ('chr01', 'chrX')
    """
    return f"chr{int(chromosome):02d}" if chromosome.isdigit() else chromosome


def beside(path: Path) -> Path | None:
    """Return the loci table that belongs to a genotype file, if it is there.

    It stands in the same folder under the same name with ``_loci`` at its end.
    """
    stem = re.sub(r"\.(csv|tsv|txt)(\.gz)?$", "", path.name)
    found = [path.with_name(f"{stem}_loci{end}") for end in (".csv", ".csv.gz", ".tsv", ".tsv.gz")]
    return next((table for table in found if table.is_file()), None)


def _is_position(text: str) -> bool:
    return text == "" or text.isdigit()
