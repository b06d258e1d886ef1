"""Plain tables of dosages."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from crosstrait.errors import DataError
from crosstrait.genotypes import read
from support.tables import GENOTYPES


def test_a_table_gives_dosages_and_both_kinds_of_ids(tmp_path: Path) -> None:
    path = tmp_path / "geno.csv"
    path.write_text(GENOTYPES)
    genotypes = read(path)
    assert genotypes.dosage.dtype == np.float32
    np.testing.assert_array_equal(
        genotypes.dosage, [[0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, np.nan]]
    )
    assert genotypes.sample_id.tolist() == ["s1", "s2", "s3", "s4"]
    assert genotypes.variant_id.tolist() == ["snp1", "snp2", "snp3"]
    assert genotypes.variant_position.tolist() == [-1, -1, -1]


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
@pytest.mark.parametrize("zipped", [False, True])
def test_the_delimiter_and_the_compression_do_not_matter(
    delimiter: str, zipped: bool, tmp_path: Path
) -> None:
    content = GENOTYPES.replace(",", delimiter).encode()
    path = tmp_path / "geno.txt"
    path.write_bytes(gzip.compress(content) if zipped else content)
    (tmp_path / "plain.csv").write_text(GENOTYPES)
    np.testing.assert_array_equal(read(path).dosage, read(tmp_path / "plain.csv").dosage)


def test_diploid_dosages_and_fractions_are_read_with_their_ploidy(tmp_path: Path) -> None:
    path = tmp_path / "geno.csv"
    path.write_text("id,a,b\ns1,2,0.25\ns2,1,nan\n")
    genotypes = read(path, ploidy=2)
    assert genotypes.ploidy == 2
    np.testing.assert_array_equal(genotypes.dosage, np.float32([[2, 0.25], [1, np.nan]]))


def test_a_loci_table_beside_is_matched_by_id(tmp_path: Path) -> None:
    (tmp_path / "geno.csv").write_text("id,a,b\ns1,1,0\n")
    (tmp_path / "geno_loci.csv").write_text(
        "id,chromosome,position,allele_0,allele_1\nb,2,20,C,T\nx,3,30,C,T\na,1,10,A,G\n"
    )
    genotypes = read(tmp_path / "geno.csv")
    assert genotypes.variant_contig.tolist() == ["chr01", "chr02"]
    assert genotypes.variant_position.tolist() == [10, 20]
    assert genotypes.variant_allele.tolist() == [["A", "G"], ["C", "T"]]


def test_a_loci_table_that_lacks_a_locus_is_refused(tmp_path: Path) -> None:
    (tmp_path / "geno.csv").write_text("id,a,b\ns1,1,0\n")
    (tmp_path / "geno_loci.csv").write_text("id,position\na,1\n")
    with pytest.raises(DataError, match=r"geno_loci\.csv must describe every locus .* 1 .*: b"):
        read(tmp_path / "geno.csv")
