"""Which format a path is in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crosstrait.errors import DataError
from crosstrait.genotypes.formats import FORMATS, detect, read
from support.raw_cross import write_raw_cross
from support.tables import write_tables


def everything(folder: Path) -> dict[str, Path]:
    """Make one folder of each format; return the file in each that its name tells."""
    for name in FORMATS:
        (folder / name).mkdir()
    (folder / "byxrm" / "BYxRM_GenoData.txt").write_text("marker\ta\tb\nl1\tR\tB\n")
    (folder / "letters" / "qtls_li_hq.csv").write_text("seq\nAB\n")
    (folder / "letters" / "qtls_li_hq_loci.csv").write_text("SNP\na\nb\n")
    (folder / "letters" / "pheno_data_li.txt").write_text("Number\tFitness\tStd Error\n")
    (folder / "letters" / "SNP_list.txt").write_text("SNP\tx\n")
    np.save(folder / "split_folder" / "geno_train.npy", np.zeros((2, 2)))
    write_raw_cross(folder / "barcoded_cross", np.full((4, 3), 0.5))
    (folder / "plink_raw" / "genotypes.raw").write_text(
        "FID IID PAT MAT SEX PHENOTYPE l1_A\nf s 0 0 0 -9 2\n"
    )
    write_tables(folder / "delimited")
    return {
        "byxrm": folder / "byxrm" / "BYxRM_GenoData.txt",
        "letters": folder / "letters" / "qtls_li_hq.csv",
        "split_folder": folder / "split_folder" / "geno_train.npy",
        "barcoded_cross": folder / "barcoded_cross" / "geno_data_1.txt",
        "plink_raw": folder / "plink_raw" / "genotypes.raw",
        "delimited": folder / "delimited" / "genotypes.csv",
    }


def test_folders_and_files_tell_their_format(tmp_path: Path) -> None:
    files = everything(tmp_path)
    assert set(files) == set(FORMATS)
    assert {name: detect(file)[0] for name, file in files.items()} == {n: n for n in FORMATS}
    assert {name: detect(tmp_path / name)[0] for name in FORMATS} == {n: n for n in FORMATS}


def test_any_other_file_is_a_plain_table(tmp_path: Path) -> None:
    (tmp_path / "panel.dat").write_text("id,a\ns,1\n")
    assert detect(tmp_path / "panel.dat") == ("delimited", tmp_path / "panel.dat")


def test_a_named_format_decides_between_two_in_one_folder(tmp_path: Path) -> None:
    (tmp_path / "BYxRM_GenoData.txt").write_text("marker\ta\tb\nl1\tR\tB\n")
    write_tables(tmp_path)
    with pytest.raises(DataError, match="2 formats"):
        detect(tmp_path)
    assert detect(tmp_path, format="byxrm") == ("byxrm", tmp_path / "BYxRM_GenoData.txt")
    assert detect(tmp_path, format="delimited")[1] == tmp_path / "genotypes.csv"


def test_a_named_format_reads_a_file_of_any_name(tmp_path: Path) -> None:
    write_raw_cross(tmp_path, np.full((4, 3), 0.5))
    (tmp_path / "geno_data_1.txt").rename(tmp_path / "mine.txt")
    assert read(tmp_path / "mine.txt", format="barcoded_cross").dosage.shape == (4, 3)


def test_an_array_of_no_known_part_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "geno_rest.npy", np.zeros((2, 2)))
    with pytest.raises(DataError, match=r"must be called geno_train\.npy"):
        read(tmp_path / "geno_rest.npy", format="split_folder")


def test_a_named_format_that_the_folder_does_not_hold_is_refused(tmp_path: Path) -> None:
    write_tables(tmp_path)
    with pytest.raises(DataError, match=r"expected geno_train\.npy"):
        detect(tmp_path, format="split_folder")
