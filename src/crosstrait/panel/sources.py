"""A panel from whatever names it: a public data set, a saved panel, or files of any format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from crosstrait.errors import DataError, SettingsError, nearest, unknown
from crosstrait.genotypes.formats import detect, read
from crosstrait.genotypes.table import Genotypes
from crosstrait.genotypes.text import missing_path
from crosstrait.panel.groups import read_groups
from crosstrait.panel.join import join
from crosstrait.panel.schema import Panel, genotypes_of, seal
from crosstrait.panel.storage import check_target, is_saved_panel, open_panel, write_sealed
from crosstrait.panel.traits import (
    Traits,
    read_barcoded_cross,
    read_letters,
    read_split_folder,
    read_table,
)


def load_panel(source: str | Path, *, groups: str | Path | None = None) -> Panel:
    """Load a panel.

    Parameters
    ----------
    source
        The name of a public data set, which is fetched if need be; a panel that ``crosstrait
        import`` saved; or a file or folder that `import_source` reads. A name means the data
        set, ``./name`` a folder.
    groups
        The table of families or groups, as in `import_source`; it replaces those of a saved panel.

    Returns
    -------
    xarray.Dataset
        The validated, read-only panel.

    Raises
    ------
    CrosstraitError
        If there is nothing of that name, with the nearest, or if what is there breaks a rule.
    """
    path = _locate(source)
    if not is_saved_panel(path):
        return import_source(path, groups=groups)
    panel = open_panel(path)
    if groups is None:
        return panel
    label = read_groups(Path(groups)).for_samples(panel["sample_id"].values)
    return seal(panel.assign(sample_group=("samples", label)))


def load_genotypes(
    source: str | Path, *, format: str | None = None, ploidy: int | None = None
) -> Genotypes:
    """Load genotypes to predict from: those of any ``source`` of `load_panel`, traits or not.

    Parameters
    ----------
    source
        A public data set, a saved panel, or a genotype file or folder.
    format, ploidy
        As in `genotypes.read`.
    """
    path = _locate(source)
    if not is_saved_panel(path):
        return read(path, format=format, ploidy=ploidy)
    return genotypes_of(open_panel(path), source=str(path))


def import_source(
    source: str | Path,
    *,
    traits: str | Path | None = None,
    groups: str | Path | None = None,
    format: str | None = None,
    ploidy: int | None = None,
    out: str | Path | None = None,
) -> Panel:
    """Read genotypes and traits from files and join them by sample id.

    Parameters
    ----------
    source
        A genotype file, or a folder with genotypes and traits:

        - ``byxrm``: ``BYxRM_GenoData.txt`` and ``BYxRM_PhenoData.txt`` of the 2013 yeast cross;
        - ``letters``: ``qtls_<environment>_hq.csv``, which holds both;
        - ``barcoded_cross``: ``geno_data_*.txt``, ``pheno_data_<environment>.txt`` and
          ``SNP_list.txt`` of the 2022 yeast cross;
        - ``split_folder``: ``geno_train.npy``, ``pheno_train.npy`` and so on, with their split;
        - ``plink_raw``: ``genotypes.raw``, as ``plink --recode A`` writes it, and ``traits.csv``;
        - ``delimited``: ``genotypes.csv`` and ``traits.csv``, samples in rows.

        Text files may be compressed with gzip.
    traits
        The table of traits (samples in rows, the id first), where it is not the file that the
        format expects beside the genotypes.
    groups
        The table of families or groups (two columns, the sample's id and its group, below a line
        that names them), which ``split.group`` keeps together. Each sample of the panel needs a
        group; other rows are not looked at.
    format
        The name of the format; found out from the names of the files where not given.
    ploidy
        Gene copies a sample carries, for plain tables; 1 where not given.
    out
        Where to save the panel as well; nothing may be there yet.

    Returns
    -------
    xarray.Dataset
        The validated, read-only panel of the samples that have genotypes and traits.

    Raises
    ------
    DataError
        With the file, line and column of the first thing that is wrong.
    SettingsError
        If ``format`` or ``ploidy`` does not fit.
    StorageError
        If ``out`` cannot be written; nothing is left behind then.

    Warns
    -----
    PartialOverlapWarning
        If only some of the samples are in both files.
    """
    if out is not None:
        check_target(Path(out))
    name, part = detect(Path(source), format=format)
    # Small tables first, so that what is wrong with them shows before the long reading.
    table = read_table(Path(traits)) if traits is not None else _TRAITS[name](part)
    families = None if groups is None else read_groups(Path(groups))
    panel = join(read(part, format=name, ploidy=ploidy), table, families)
    if out is not None:
        write_sealed(panel, out)
    return panel


def _locate(source: str | Path) -> Path:
    """Return the path that ``source`` names, fetching a public data set."""
    # Imported here, as most panels need neither the catalogue nor a download.
    from crosstrait.panel.registry import datasets, open_dataset

    names = [entry.name for entry in datasets()]
    if str(source) in names:
        return open_dataset(str(source))
    path = Path(source)
    if path.exists():
        return path
    if nearest(str(source), names) or not (path.suffix or len(path.parts) > 1):
        problem = unknown("data set", str(source), names)
        raise SettingsError(f"{problem}; nor is there a file or folder of that name")
    raise DataError(missing_path(path))


def _read_table_beside(part: Path, name: str, ends: Sequence[str]) -> Traits:
    for end in ends:
        table = part.with_name(name + end)
        if table.is_file():
            return read_table(table)
    raise DataError(
        f"{part} holds genotypes only and there is no {name}{ends[0]} beside it: say which file "
        f"holds the traits"
    )


def _folder(part: Path) -> Path:
    return part if part.is_dir() else part.parent


_TABLES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
_TRAITS: dict[str, Callable[[Path], Traits]] = {
    "byxrm": lambda part: _read_table_beside(part, "BYxRM_PhenoData", (".txt", ".txt.gz")),
    "letters": read_letters,
    "barcoded_cross": lambda part: read_barcoded_cross(_folder(part)),
    "split_folder": lambda part: read_split_folder(_folder(part)),
    "plink_raw": lambda part: _read_table_beside(part, "traits", _TABLES),
    "delimited": lambda part: _read_table_beside(part, "traits", _TABLES),
}
