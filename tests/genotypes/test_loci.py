"""Tables of loci: ids, chromosomes, positions, alleles."""

from __future__ import annotations

from pathlib import Path

import pytest

from crosstrait.errors import DataError
from crosstrait.genotypes.loci import SNP_LIST_COLUMNS, beside, read_loci

TABLE = "id\tchromosome\tposition\tallele_0\tallele_1\nl1\t1\t100\tA\tG\nl2\tX\t\tC\tTT\n"


def test_columns_may_come_in_any_order_and_with_others_between(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("allele_1,note,id,position,chromosome\nG,x,l1,7,2\n")
    loci = read_loci(path)
    assert loci.variant_id.tolist() == ["l1"]
    assert loci.variant_contig.tolist() == ["chr02"]
    assert loci.variant_position.tolist() == [7]
    assert loci.variant_allele.tolist() == [["", "G"]]


def test_what_is_unknown_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(TABLE)
    loci = read_loci(path)
    assert loci.variant_contig.tolist() == ["chr01", "X"]
    assert loci.variant_position.tolist() == [100, -1]
    assert loci.variant_allele.tolist() == [["A", "G"], ["C", "TT"]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id\t", "name\t", r"line 1: unknown column 'id'"),
        ("l2", "l1", r"line 3: locus 'l1' occurs again"),
        ("100", "-5", r"line 2, column 3: the position of locus 'l1' .* found '-5'"),
        ("\tTT", "", r"line 3: 4 columns where 5 are expected"),
    ],
)
def test_a_bad_row_is_named(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(TABLE.replace(old, new))
    with pytest.raises(DataError, match=message):
        read_loci(path)


@pytest.mark.parametrize("name", ["my.panel.csv", "my.panel.tsv.gz", "my.panel.txt"])
def test_the_loci_table_stands_beside_under_the_same_name(name: str, tmp_path: Path) -> None:
    assert beside(tmp_path / name) is None
    (tmp_path / "my.panel_loci.csv").write_text(TABLE)
    assert beside(tmp_path / name) == tmp_path / "my.panel_loci.csv"


def test_the_published_snp_list_gives_41594_loci_without_its_end_rows(real_data: Path) -> None:
    loci = read_loci(real_data / "bbq_li" / "SNP_list.txt.gz", columns=SNP_LIST_COLUMNS)
    assert len(loci.variant_id) == 41_594
    assert loci.variant_id[[0, -1]].tolist() == ["snp1", "snp41594"]
    assert loci.variant_position[[0, -1]].tolist() == [27_210, 931_290]
    assert sorted(set(loci.variant_contig)) == [f"chr{k:02d}" for k in range(1, 17)]
