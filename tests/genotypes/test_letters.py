"""Genotypes written as words, and the real lithium set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from crosstrait.genotypes import read


def test_a_counts_one_b_zero_and_a_dash_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "qtls_cu_hq.csv"
    path.write_text("y,seq\n1.5,AB-\n2.5,BAB\n2.5,BAA\n")
    genotypes = read(path)
    np.testing.assert_array_equal(genotypes.dosage, [[1, 0, np.nan], [0, 1, 0], [0, 1, 1]])
    assert genotypes.sample_id.tolist() == ["row_0", "row_1", "row_2"]
    assert genotypes.variant_id.tolist() == ["locus_0", "locus_1", "locus_2"]


def test_genotypes_need_no_trait(tmp_path: Path) -> None:
    path = tmp_path / "qtls_cu_hq.csv"
    path.write_text("seq\nAB\nBA\n")
    assert read(path).dosage.tolist() == [[1, 0], [0, 1]]


def test_the_real_set_has_its_loci_from_the_table_beside(real_data: Path) -> None:
    genotypes = read(real_data / "bbq_li")
    assert genotypes.dosage.shape == (19_833, 83)
    assert len(np.unique(genotypes.dosage, axis=0)) == 19_830
    assert genotypes.variant_id[:2].tolist() == ["snp468", "snp919"]
    assert genotypes.variant_contig[0] == "chr01"
    assert genotypes.variant_position[0] == 112_549
    assert genotypes.variant_allele[0].tolist() == ["G", "A"]
