"""Additive exports of PLINK: ``plink --recode A`` (1.9) and ``plink2 --export A``.

A line a sample: ``FID IID PAT MAT SEX PHENOTYPE``, then copies (0, 1, 2, NA) of the allele that
ends the name of each column, such as ``snp1_A``; ``include-alt`` adds the other, ``snp1_A(/G)``.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from crosstrait.errors import CrosstraitError, DataError
from crosstrait.genotypes.loci import unplaced
from crosstrait.genotypes.memory import RowStore
from crosstrait.genotypes.number_rows import Header, append_rows, check_columns
from crosstrait.genotypes.table import Genotypes
from crosstrait.genotypes.text import TextReader, split_fields
from crosstrait.genotypes.unique import Ids, check_names

FILE_NAME = re.compile(r"genotypes\.raw(\.gz)?")
LEADING = ("FID", "IID", "PAT", "MAT", "SEX", "PHENOTYPE")

_PLOIDY = 2
# An allele is a word of letters or one of PLINK's numbers; "snp_12" ends in no allele.
_LOCUS = re.compile(r"(?P<id>.+)_(?P<counted>[A-Za-z]+|[0-4*]|<[^>]*>)(\(/(?P<other>[^)]*)\))?")


def find(path: Path) -> Path | None:
    """Return the export that ``path`` is or, as ``genotypes.raw``, holds."""
    if path.is_file():
        return path if path.name.endswith((".raw", ".raw.gz")) or _has_header(path) else None
    return next((f for f in sorted(path.iterdir()) if FILE_NAME.fullmatch(f.name)), None)


def read(path: Path) -> Genotypes:
    """Read copies (0 to 2) of the counted alleles; samples are called by their ``IID``.

    Families, parents, sex and phenotype are not looked at.

    Raises
    ------
    DataError
        With the file, line and column of the first thing that is wrong.
    """
    ids = Ids()
    with TextReader(path) as reader:
        [first] = reader.peek(1)
        delimiter = _delimiter(first)
        names = split_fields(reader.take_line(), delimiter=delimiter, path=path, line=1)
        if tuple(names[: len(LEADING)]) != LEADING:
            raise DataError(
                f"{path}, line 1: the first columns must be {' '.join(LEADING)}, as plink --recode "
                f"A writes them"
            )
        columns = names[len(LEADING) :]
        if not columns:
            raise DataError(f"{path}, line 1: no locus follows {LEADING[-1]}")
        loci = [_locus(name, path=path, column=k) for k, name in enumerate(columns, start=7)]
        locus_id = [locus["id"] for locus in loci]
        check_names(locus_id, path=path, first=len(LEADING) + 1)
        header = Header(delimiter, locus_id, n_leading=len(LEADING), id_column=LEADING.index("IID"))
        store = RowStore(len(loci), np.float32)
        append_rows(reader, store, header=header, kind="locus", ids=ids, limits=(0, _PLOIDY))
    check_columns(store, header=header, kind="locus", path=path)
    bare = unplaced(locus_id)
    return Genotypes(
        dosage=store.finish(),
        sample_id=np.asarray(list(ids.places), dtype=np.str_),
        variant_id=bare.variant_id,
        variant_contig=bare.variant_contig,
        variant_position=bare.variant_position,
        variant_allele=np.asarray([(m["other"] or "", m["counted"]) for m in loci], dtype=np.str_),
        ploidy=_PLOIDY,
        source=str(path),
    )


def _has_header(path: Path) -> bool:
    try:
        with TextReader(path) as reader:
            return any(
                line.startswith(mark.join(LEADING).encode())
                for line in reader.peek(1)
                for mark in (" ", "\t")
            )
    except CrosstraitError:  # whoever reads it says what is wrong
        return False


def _delimiter(header: bytes) -> str:
    return "\t" if b"\t" in header else " "


def _locus(name: str, *, path: Path, column: int) -> re.Match[str]:
    match = _LOCUS.fullmatch(name)
    if match is None:
        raise DataError(
            f"{path}, line 1, column {column}: {name!r} must end in '_' and the counted allele, "
            f"such as snp1_A, as plink --recode A writes it"
        )
    return match
