"""Additive exports of PLINK."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import crosstrait as ct
from crosstrait.errors import DataError, SettingsError
from crosstrait.genotypes import read
from support.tables import write_tables

RAW = """FID IID PAT MAT SEX PHENOTYPE snp_1_A snp_2_G(/T) snp_3_AT
F1 a 0 0 1 -9 0 2 1
F1 b 0 0 2 1.5 NA 1 0
"""


def raw(folder: Path, text: str = RAW, name: str = "x.raw") -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize("name", ["x.raw", "x.tsv"])
@pytest.mark.parametrize("delimiter", [" ", "\t"])
def test_an_export_gives_copies_ids_and_counted_alleles(
    name: str, delimiter: str, tmp_path: Path
) -> None:
    genotypes = read(raw(tmp_path, RAW.replace(" ", delimiter), name))
    np.testing.assert_array_equal(genotypes.dosage, [[0, 2, 1], [np.nan, 1, 0]])
    assert genotypes.dosage.dtype == np.float32
    assert genotypes.sample_id.tolist() == ["a", "b"]
    assert genotypes.variant_id.tolist() == ["snp_1", "snp_2", "snp_3"]
    assert genotypes.variant_allele.tolist() == [["", "A"], ["T", "G"], ["", "AT"]]
    assert genotypes.ploidy == 2


def test_an_export_is_diploid_whatever_is_said(tmp_path: Path) -> None:
    assert read(raw(tmp_path), ploidy=2).ploidy == 2
    with pytest.raises(SettingsError, match="plink_raw, diploids; ploidy 1 is not"):
        read(raw(tmp_path), ploidy=1)


def test_an_export_becomes_a_panel_with_a_table_of_traits(tmp_path: Path) -> None:
    write_tables(tmp_path, traits="id,height\nb,2\na,1\n")
    panel = ct.panel.import_source(raw(tmp_path))
    assert panel["sample_id"].values.tolist() == ["a", "b"]
    assert "sample_group" not in panel  # FID is often the sample itself
    assert panel.attrs["ploidy"] == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("snp_3_AT", "snp_33", r"line 1, column 9: 'snp_33' must end in '_' and the counted"),
        ("snp_2_G(/T)", "snp_1_T", r"column name 'snp_1' occurs twice, in columns 7 and 8"),
        ("PHENOTYPE ", "", r"line 1: the first columns must be FID IID PAT MAT SEX PHENOTYPE"),
        (" snp_1_A snp_2_G(/T) snp_3_AT", "", r"no locus follows PHENOTYPE"),
        ("F1 b", "F2 a", r"line 3, column 2: id 'a' occurs again; the first is on line 2"),
        ("NA 1 0", "NA 3 0", r"line 3, column 8 \(locus 'snp_2'\): 3 is outside \[0, 2\]"),
        ("NA 1 0", "NA 1", r"line 3: 8 columns where 9 are expected"),
        ("NA 1 0", "NA x1 0", r"line 3, column 8 \(locus 'snp_2'\): expected a number"),
        ("NA 1 0", "NA NA NA", r"line 3: sample 'b' has no genotype"),
    ],
)
def test_what_is_wrong_with_an_export_is_named(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    assert old in RAW
    with pytest.raises(DataError, match=message):
        read(raw(tmp_path, RAW.replace(old, new)))


@pytest.mark.parametrize(
    ("name", "content", "command"),
    [
        (
            "x y.vcf",
            b"##fileformat=VCFv4.2\n",
            "plink --vcf '{folder}/x y.vcf' --double-id --set-missing-var-ids @:# "
            "--allow-extra-chr --recode A include-alt --out '{folder}/x y'; then read "
            "'{folder}/x y'.raw",
        ),
        ("x.bed", b"l\x1b\x01\x0e", "plink --bfile {folder}/x --allow-extra-chr --recode A"),
        ("x.ped", b"F1 A1 0 0 1 -9 A G\n", "plink --file {folder}/x --allow-extra-chr --recode A"),
    ],
)
def test_other_files_of_plink_come_with_the_command_that_exports_them(
    name: str, content: bytes, command: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(tmp_path / name)
    assert command.format(folder=tmp_path) in str(caught.value)
