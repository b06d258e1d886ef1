"""Plain tables of dosages: samples in rows, the id first, one locus a column."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from crosstrait.errors import DataError, listed
from crosstrait.genotypes.loci import Loci, beside, read_loci, unplaced
from crosstrait.genotypes.memory import RowStore
from crosstrait.genotypes.number_rows import append_rows, check_columns, take_header
from crosstrait.genotypes.table import Genotypes
from crosstrait.genotypes.text import TextReader
from crosstrait.genotypes.unique import Ids

FILE_NAME = re.compile(r"genotypes\.(csv|tsv|txt)(\.gz)?")


def find(path: Path) -> Path | None:
    """Return the genotype table that ``path`` is or, as ``genotypes.csv``, holds."""
    if path.is_file():
        return path
    return next((f for f in sorted(path.iterdir()) if FILE_NAME.fullmatch(f.name)), None)


def read(path: Path, *, ploidy: int) -> Genotypes:
    """Read dosages in [0, ``ploidy``]; ``NA``, ``-``, ``nan`` and empty are missing.

    The delimiter (tab, comma or semicolon) is taken from the first lines. Chromosomes, positions
    and alleles come from the table ``<name>_loci.csv`` beside the file, where there is one
    (columns ``id, chromosome, position, allele_0, allele_1``).

    Raises
    ------
    DataError
        With the file, line and column of the first thing that is wrong.
    """
    ids = Ids()
    with TextReader(path) as reader:
        header = take_header(reader)
        store = RowStore(len(header.names), np.float32)
        append_rows(reader, store, header=header, kind="locus", ids=ids, limits=(0, ploidy))
    check_columns(store, header=header, kind="locus", path=path)
    table = beside(path)
    loci = (
        unplaced(header.names) if table is None else _order(read_loci(table), header.names, table)
    )
    return Genotypes(
        dosage=store.finish(),
        sample_id=np.asarray(list(ids.places), dtype=np.str_),
        variant_id=loci.variant_id,
        variant_contig=loci.variant_contig,
        variant_position=loci.variant_position,
        variant_allele=loci.variant_allele,
        ploidy=ploidy,
        source=str(path),
    )


def _order(loci: Loci, names: list[str], table: Path) -> Loci:
    """Bring the rows of a loci table into the order of the genotype columns."""
    row = {name: i for i, name in enumerate(loci.variant_id)}
    absent = [name for name in names if name not in row]
    if absent:
        raise DataError(
            f"{table} must describe every locus of the genotype table; {len(absent)} are not in "
            f"it: {listed(absent)}"
        )
    order = np.asarray([row[name] for name in names])
    return Loci(
        variant_id=loci.variant_id[order],
        variant_contig=loci.variant_contig[order],
        variant_position=loci.variant_position[order],
        variant_allele=loci.variant_allele[order],
    )
