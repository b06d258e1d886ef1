"""The 2013 yeast cross, whose loci stand in rows."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from crosstrait.genotypes import read

SMALL = (
    "marker\tA01_01\tA01_02\tA01_03\n"
    "27915_chr01_27915_T_C\tR\tB\tR\n"
    "odd\tB\tNA\t-\n"
    "240000_chr02_9932_AT_G\tB\tB\tR\n"
)


def test_r_counts_one_and_samples_come_into_rows(tmp_path: Path) -> None:
    (tmp_path / "BYxRM_GenoData.txt").write_text(SMALL)
    genotypes = read(tmp_path)
    np.testing.assert_array_equal(genotypes.dosage, [[1, 0, 0], [0, np.nan, 0], [1, np.nan, 1]])
    assert genotypes.sample_id.tolist() == ["A01_01", "A01_02", "A01_03"]
    assert genotypes.variant_contig.tolist() == ["chr01", "", "chr02"]
    assert genotypes.variant_position.tolist() == [27_915, -1, 9_932]
    assert genotypes.variant_allele.tolist() == [["T", "C"], ["", ""], ["AT", "G"]]


def test_the_format_may_be_named_for_a_file_called_otherwise(tmp_path: Path) -> None:
    (tmp_path / "calls.txt").write_text(SMALL)
    assert read(tmp_path / "calls.txt", format="byxrm").dosage.shape == (3, 3)


def test_the_real_file_equals_a_cell_by_cell_reading_of_its_corners(real_data: Path) -> None:
    path = real_data / "byxrm" / "BYxRM_GenoData.txt.gz"
    genotypes = read(path)
    assert genotypes.dosage.shape == (1008, 11_623)
    assert not np.isnan(genotypes.dosage).any()
    with gzip.open(path, "rt") as file:
        lines = file.read().splitlines()
    for j in (0, 255, 256, 11_622):
        name, *calls = lines[1 + j].split("\t")
        assert genotypes.variant_id[j] == name
        assert genotypes.dosage[:, j].tolist() == [float(call == "R") for call in calls]
