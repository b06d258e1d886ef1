"""Which format a file or folder is in, and reading it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crosstrait.errors import DataError, SettingsError, listed, unknown
from crosstrait.genotypes import (
    barcoded_cross,
    byxrm,
    delimited,
    letters,
    plink_raw,
    split_folder,
)
from crosstrait.genotypes.table import Genotypes
from crosstrait.genotypes.text import missing_path


@dataclass(frozen=True)
class Format:
    """One format of genotypes.

    Attributes
    ----------
    find
        Returns what to read at a file or folder, or None if it is not in this format.
    read
        Reads what ``find`` returned, given the ploidy.
    looks_like
        The files that a folder in this format holds, for messages.
    ploidy
        The only ploidy that the format has; None if its files do not tell.
    """

    find: Callable[[Path], Path | None]
    read: Callable[[Path, int], Genotypes]
    looks_like: str
    ploidy: int | None = 1


FORMATS: dict[str, Format] = {
    "split_folder": Format(
        split_folder.find, lambda path, _: split_folder.read(path), "geno_train.npy"
    ),
    "barcoded_cross": Format(
        barcoded_cross.find,
        lambda path, _: barcoded_cross.read(path),
        "geno_data_1.txt.gz with SNP_list.txt",
    ),
    "byxrm": Format(byxrm.find, lambda path, _: byxrm.read(path), "BYxRM_GenoData.txt.gz"),
    "letters": Format(letters.find, lambda path, _: letters.read(path), "qtls_li_hq.csv.gz"),
    "plink_raw": Format(
        plink_raw.find, lambda path, _: plink_raw.read(path), "genotypes.raw", ploidy=2
    ),
    "delimited": Format(
        delimited.find,
        lambda path, ploidy: delimited.read(path, ploidy=ploidy),
        "genotypes.csv",
        ploidy=None,
    ),
}
"""Every format by its name; a plain table comes last, as any text file may be one."""


def detect(path: Path, *, format: str | None = None) -> tuple[str, Path]:
    """Return the name of the format at ``path`` and what in it to read.

    Parameters
    ----------
    path
        A genotype file, or a folder that holds one.
    format
        A name in ``FORMATS``, where the names of the files do not tell.

    Raises
    ------
    SettingsError
        If ``format`` is unknown.
    DataError
        If there is nothing at ``path``, or nothing in a known format, or more than one thing.
    """
    if format is not None and format not in FORMATS:
        raise SettingsError(unknown("format", format, FORMATS))
    if not path.exists():
        raise DataError(missing_path(path))
    candidates = FORMATS if format is None else {format: FORMATS[format]}
    found = {name: part for name, kind in candidates.items() if (part := kind.find(path))}
    if path.is_file() and format is not None:
        return format, path
    if not found:
        expected = ", or ".join(kind.looks_like for kind in candidates.values())
        raise DataError(f"{path} holds no genotypes in a known format; expected {expected}")
    if len(found) > 1 and path.is_dir():
        raise DataError(
            f"{path} holds genotypes in {len(found)} formats ({listed(found)}); name one of the "
            f"files, or give format"
        )
    name = next(iter(found))
    return name, found[name]


def read(path: str | Path, *, format: str | None = None, ploidy: int | None = None) -> Genotypes:
    """Read a file or folder of genotypes, without traits.

    Parameters
    ----------
    path
        A genotype file, or a folder that holds one, in one of the formats ``byxrm``, ``letters``,
        ``barcoded_cross``, ``split_folder``, ``plink_raw`` and ``delimited``.
    format
        The name of the format; found out from the names of the files where not given.
    ploidy
        Gene copies a sample carries, for plain tables, 1 where not given; ``plink_raw`` is
        diploid, the other formats are haploid crosses.

    Returns
    -------
    Genotypes
        Dosages in [0, ploidy] with NaN for missing, the ids of samples and loci.

    Raises
    ------
    DataError
        With the file, line and column of the first thing that is wrong.
    SettingsError
        If ``format`` is unknown or ``ploidy`` does not fit it.
    """
    name, part = detect(Path(path), format=format)
    own = FORMATS[name].ploidy
    if ploidy is not None and ploidy < 1:
        raise SettingsError(f"ploidy must be a whole number >= 1; got {ploidy}")
    if own is not None and ploidy not in (None, own):
        kind = "a haploid cross" if own == 1 else "diploids"
        raise SettingsError(f"{path} is in format {name}, {kind}; ploidy {ploidy} is not")
    return FORMATS[name].read(part, ploidy or own or 1)
