"""The raw files of the barcoded cross of 2022: 99,950 segregants at 41,594 loci.

Nguyen Ba et al. 2022, eLife 11:e73983, data doi 10.5061/dryad.1rn8pk0vd: ``geno_data_*.txt.gz``,
which together hold every segregant, and ``SNP_list.txt``.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from crosstrait.errors import DataError
from crosstrait.genotypes.loci import SNP_LIST_COLUMNS, read_loci
from crosstrait.genotypes.memory import RowStore
from crosstrait.genotypes.number_rows import Header, append_rows, check_columns
from crosstrait.genotypes.table import Genotypes
from crosstrait.genotypes.text import TextReader
from crosstrait.genotypes.unique import Ids

FILE_NAME = re.compile(r"geno_data(_(?P<part>\w+))?\.txt(\.gz)?")


def find(path: Path) -> Path | None:
    """Return ``path`` if it is one of the genotype files or a folder that holds some."""
    files = [path] if path.is_file() else path.iterdir()
    return path if any(FILE_NAME.fullmatch(file.name) for file in files) else None


def genotype_files(path: Path) -> list[Path]:
    """Return the genotype files in a folder in the order of their numbers; a file is its own."""
    if path.is_file():
        return [path]
    found = {file: FILE_NAME.fullmatch(file.name) for file in path.iterdir()}
    parts = {file: match["part"] or "" for file, match in found.items() if match}
    return sorted(parts, key=lambda file: (len(parts[file]), parts[file]))


def read(path: Path) -> Genotypes:
    """Read each segregant's probability of the RM allele as its dosage of that allele.

    Rows hold a segregant's number and one probability a locus, separated by tabs. They are
    kept in float16, which tells probabilities apart to 0.0005: the published set takes 7.7 GiB.

    Raises
    ------
    DataError
        With the file, line and column of the first thing that is wrong.
    """
    files = genotype_files(path)
    loci = read_loci(_snp_list(files[0].parent), columns=SNP_LIST_COLUMNS)
    header = Header("\t", [str(name) for name in loci.variant_id])
    store, ids = RowStore(len(header.names), np.float16), Ids()
    size = {file: file.stat().st_size for file in files}
    for file in files:
        with TextReader(file) as reader:
            part = size[file] / max(1, sum(size.values()))
            append_rows(
                reader, store, header=header, kind="locus", ids=ids, limits=(0, 1), part=part
            )
    check_columns(store, header=header, kind="locus", path=path)
    return Genotypes(
        dosage=store.finish(),
        sample_id=np.asarray(list(ids.places), dtype=np.str_),
        variant_id=loci.variant_id,
        variant_contig=loci.variant_contig,
        variant_position=loci.variant_position,
        variant_allele=loci.variant_allele,
        ploidy=1,
        source=str(path),
    )


def _snp_list(folder: Path) -> Path:
    for name in ("SNP_list.txt", "SNP_list.txt.gz"):
        if (folder / name).is_file():
            return folder / name
    raise DataError(
        f"{folder} holds geno_data files but no SNP_list.txt, which names their loci: download "
        f"it from the same record"
    )
