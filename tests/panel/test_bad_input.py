"""Whatever is wrong with the files, the user reads one line that names it and its place."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crosstrait.errors import CrosstraitError, DataError, SettingsError, StorageError
from crosstrait.panel import import_source, load_panel
from support.raw_cross import write_raw_cross
from support.tables import GENOTYPES, TRAITS, write_tables

Build = Callable[[Path], Path]


def plain(*, genotypes: str = GENOTYPES, traits: str = TRAITS) -> Build:
    return lambda folder: write_tables(folder, genotypes=genotypes, traits=traits)


def raw(name: str, content: bytes) -> Build:
    """Put ``content`` in place of one of the two tables."""

    def build(folder: Path) -> Path:
        write_tables(folder)
        (folder / name).write_bytes(content)
        return folder

    return build


def swap(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


def zipped(text: str) -> bytes:
    return gzip.compress((text * 400).encode(), mtime=0)


def truncated_gzip(folder: Path) -> Path:
    write_tables(folder)
    (folder / "genotypes.csv").unlink()
    content = zipped(GENOTYPES)
    (folder / "genotypes.csv.gz").write_bytes(content[: len(content) // 2])
    return folder


def damaged_gzip(folder: Path) -> Path:
    truncated_gzip(folder)
    content = bytearray(zipped(GENOTYPES))
    content[-6] ^= 0xFF  # in the checksum
    (folder / "genotypes.csv.gz").write_bytes(content)
    return folder


def byxrm(genotypes: str, traits: str = "\tt\na\t1\nb\t2\n") -> Build:
    def build(folder: Path) -> Path:
        (folder / "BYxRM_GenoData.txt").write_text(genotypes)
        (folder / "BYxRM_PhenoData.txt").write_text(traits)
        return folder

    return build


def words(text: str) -> Build:
    def build(folder: Path) -> Path:
        (folder / "qtls_li_hq.csv").write_text(text)
        return folder

    return build


def raw_cross(change: Callable[[Path], object]) -> Build:
    def build(folder: Path) -> Path:
        write_raw_cross(folder, np.full((6, 4), 0.25))
        change(folder)
        return folder

    return build


def edit(name: str, old: str, new: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(swap((folder / name).read_text(), old, new))


def split_folder(**arrays: np.ndarray) -> Build:
    parts = {
        "geno_train": np.array([[1.0, -1.0], [-1.0, 1.0], [0.0, 0.5]]),
        "pheno_train": np.random.default_rng(0).normal(size=(3, 18)),
    } | arrays

    def build(folder: Path) -> Path:
        for name, array in parts.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=True)
        return folder

    return build


def cut_npy(folder: Path) -> Path:
    split_folder()(folder)
    whole = (folder / "geno_train.npy").read_bytes()
    (folder / "geno_train.npy").write_bytes(whole[:-8])
    return folder


def ambiguous(folder: Path) -> Path:
    byxrm("marker\ta\tb\nl1\tR\tB\n")(folder)
    return write_tables(folder)


def empty_folder(folder: Path) -> Path:
    return folder


# name -> (what to load, what the message says)
CASES: dict[str, tuple[Build, list[str]]] = {
    "ids that do not match": (
        plain(traits=TRAITS.replace("\ns", "\nS")),
        [
            "genotypes.csv",
            "traits.csv",
            "'s1', 's2', 's3', 's4'",
            "'S1', 'S2', 'S3', 'S4'",
            "ignoring case, 4 of them would match",
        ],
    ),
    "samples in columns": (
        plain(traits="id,t\nsnp1,1\nsnp2,2\nsnp3,3\n"),
        ["column names of the genotypes", "transpose"],
    ),
    "a sample id twice": (
        plain(genotypes=swap(GENOTYPES, "s3", "s1")),
        ["genotypes.csv, line 4, column 1", "'s1'", "line 2"],
    ),
    "a trait row twice": (
        plain(traits=swap(TRAITS, "s4", "s2")),
        ["traits.csv, line 5, column 1", "'s2'", "line 3"],
    ),
    "an empty id": (
        plain(genotypes=swap(GENOTYPES, "s3", "")),
        ["genotypes.csv, line 4, column 1", "empty"],
    ),
    "a locus twice": (
        plain(genotypes=swap(GENOTYPES, "snp3", "snp1")),
        ["genotypes.csv, line 1", "'snp1'", "columns 2 and 4"],
    ),
    "a trait name twice": (
        plain(traits=swap(TRAITS, "yield", "height")),
        ["traits.csv, line 1", "'height'", "columns 2 and 3"],
    ),
    "a nameless column": (
        plain(genotypes=swap(GENOTYPES, "snp2", " ")),
        ["genotypes.csv, line 1, column 3", "empty"],
    ),
    "a trait with no value": (
        plain(traits="id,height,yield\ns1,1,NA\ns2,2,\ns3,3,-\n"),
        ["traits.csv, column 3", "'yield'", "no value"],
    ),
    "a constant trait": (
        plain(traits="id,height,yield\ns1,1,7\ns2,2,7\ns3,3,NA\n"),
        ["traits.csv, column 3", "'yield'", "all 2 measured values are 7"],
    ),
    "a dosage above the ploidy": (
        plain(genotypes=swap(GENOTYPES, "s2,1,0,1", "s2,1,2,1")),
        ["genotypes.csv, line 3, column 3", "'snp2'", "2 is outside [0, 1]", "import --ploidy"],
    ),
    "a negative dosage": (
        plain(genotypes=swap(GENOTYPES, "s2,1,0,1", "s2,-9,0,1")),
        ["genotypes.csv, line 3, column 2", "-9 is outside [0, 1]", "NA"],
    ),
    "an infinite trait": (
        plain(traits=swap(TRAITS, "12", "inf")),
        ["traits.csv, line 4, column 3", "'yield'", "inf"],
    ),
    "genotypes coded -1, 0, 1": (
        plain(genotypes="id,snp1,snp2\ns1,-1,0\ns2,1,0\n"),
        [
            "line 2, column 2",
            "-1 is outside [0, 1]",
            "Add 1 to each and give --ploidy 2",
            "only if",
        ],
    ),
    "genotypes coded -1, 1": (
        plain(genotypes="id,snp1,snp2\ns1,-1,1\ns2,1,NA\n"),
        ["-1 is outside [0, 1]", "coded -1 and 1? Write 0 for -1", "only if -1 stands for"],
    ),
    "genotypes as letters": (
        plain(genotypes="id,snp1,snp2\ns1,A/A,A/G\ns2,A/G,NA\n"),
        ["line 2, column 2", "'snp1'", "found 'A/A'", "as 0, 1, 2 for AA, AB, BB", "--ploidy 2"],
    ),
    "text among dosages": (
        plain(genotypes=swap(GENOTYPES, "s3,1,1,0", "s3,1,AT,0")),
        ["genotypes.csv, line 4, column 3", "'snp2'", "expected a number, found 'AT'"],
    ),
    "another sign for missing": (
        plain(traits=swap(TRAITS, "0.5", "#N/A")),
        ["traits.csv, line 4, column 2", "found '#N/A'", "a missing value is written NA"],
    ),
    "text among traits": (
        plain(traits=swap(TRAITS, "0.5", "tall")),
        ["traits.csv, line 4, column 2", "'height'", "found 'tall'"],
    ),
    "decimal commas": (
        plain(traits="id;t\ns1;1,5\ns2;2,5\n"),
        ["traits.csv, line 2, column 2", "'1,5'", "with a point"],
    ),
    "a short row": (
        plain(genotypes=swap(GENOTYPES, "s3,1,1,0", "s3,1,1")),
        ["genotypes.csv, line 4", "3 columns where 4 are expected"],
    ),
    "a long row": (
        plain(traits=swap(TRAITS, "s3,0.5,12", "s3,0.5,12,9")),
        ["traits.csv, line 4", "4 columns where 3 are expected"],
    ),
    "no delimiter": (
        plain(genotypes="id snp1\ns1 0\n"),
        ["genotypes.csv, line 1", "no tab, comma or semicolon"],
    ),
    "truncated gzip": (truncated_gzip, ["genotypes.csv.gz", "cut off", "copy or download"]),
    "damaged gzip": (damaged_gzip, ["genotypes.csv.gz", "damaged"]),
    "an empty file": (plain(genotypes=""), ["genotypes.csv is empty"]),
    "an empty trait file": (plain(traits="\n\n"), ["traits.csv is empty"]),
    "only a header": (
        plain(genotypes="id,snp1,snp2\n"),
        ["genotypes.csv", "header but no rows"],
    ),
    "only a header and a blank line": (
        plain(genotypes="id,snp1,snp2\n\n"),
        ["genotypes.csv", "header but no rows"],
    ),
    "a row of delimiters": (
        plain(genotypes=GENOTYPES + ",,,\n"),
        ["genotypes.csv, line 6", "''", "no genotype"],
    ),
    "only a header of traits": (plain(traits="id,t\n"), ["traits.csv", "header but no rows"]),
    "ids in Latin-1": (
        raw("traits.csv", "id,t\ns1,1\nsé,2\n".encode("latin-1")),
        ["traits.csv, line 3", "0xe9", "UTF-8"],
    ),
    "a header in Latin-1": (
        raw("traits.csv", "id,höhe\ns1,1\ns2,2\n".encode("latin-1")),
        ["traits.csv, line 1", "0xf6", "UTF-8"],
    ),
    "UTF-16": (raw("traits.csv", TRAITS.encode("utf-16")), ["traits.csv", "UTF-16"]),
    "a zero byte": (
        raw("genotypes.csv", GENOTYPES.encode() + b"s5,1,\x00,1\n"),
        ["genotypes.csv, line 6", "zero byte"],
    ),
    "a workbook": (raw("genotypes.csv", b"PK\x03\x04\x14\x00\x00"), ["Excel workbook"]),
    "a sample with no genotype": (
        plain(genotypes="id,snp1,snp2\ns1,0,1\ns2,,\ns3,1,1\n"),
        ["genotypes.csv, line 3", "'s2'", "no genotype at any locus"],
    ),
    "a single sample": (
        plain(genotypes="id,snp1\ns1,0\n", traits="id,t\ns1,1\n"),
        ["genotypes.csv", "at least 2 samples", "got 1"],
    ),
    "no traits": (
        lambda folder: (write_tables(folder) / "traits.csv").unlink() or folder,
        ["genotypes.csv", "no traits.csv beside"],
    ),
    "an empty folder": (empty_folder, ["no genotypes in a known format", "genotypes.csv"]),
    "two formats": (ambiguous, ["2 formats", "byxrm", "delimited"]),
    "a missing file": (
        lambda folder: write_tables(folder) / "genotype.csv",
        ["genotype.csv does not exist", "did you mean 'genotypes.csv'?"],
    ),
    "a missing folder": (lambda folder: folder / "no" / "x.csv", ["neither does its folder"]),
    "BYxRM: another letter": (
        byxrm("marker\ta\tb\nl1\tR\tB\nl2\tR\tX\n"),
        ["BYxRM_GenoData.txt, line 3, column 3", "'b'", "found 'X'"],
    ),
    "BYxRM: a long call": (
        byxrm("marker\ta\tb\nl1\tR\tB\nl2\tRR\tB\n"),
        ["BYxRM_GenoData.txt, line 3, column 2", "found 'RR'"],
    ),
    "BYxRM: a short row": (
        byxrm("marker\ta\tb\nl1\tR\tB\nl2\tR\n"),
        ["BYxRM_GenoData.txt, line 3", "2 columns where 3 are expected"],
    ),
    "BYxRM: a locus twice": (
        byxrm("marker\ta\tb\nl1\tR\tB\nl1\tR\tB\n"),
        ["BYxRM_GenoData.txt, line 3", "'l1'", "line 2"],
    ),
    "BYxRM: a segregant twice": (
        byxrm("marker\ta\ta\nl1\tR\tB\n"),
        ["BYxRM_GenoData.txt, line 1", "'a'", "columns 2 and 3"],
    ),
    "BYxRM: a locus with no call": (
        byxrm("marker\ta\tb\nl1\tR\tB\nl2\t-\tNA\n"),
        ["BYxRM_GenoData.txt, line 3", "no call"],
    ),
    "BYxRM: a segregant with no call": (
        byxrm("marker\ta\tb\nl1\tR\t-\nl2\tR\t-\n"),
        ["BYxRM_GenoData.txt, column 3", "'b'", "no call"],
    ),
    "BYxRM: no segregant": (byxrm("marker\nl1\n"), ["line 1", "no segregant"]),
    "BYxRM: no locus": (byxrm("marker\ta\tb\n"), ["header but no rows"]),
    "letters: another letter": (
        words("seq,y,y_var\nAB,1,.1\nAC,2,.1\n"),
        ["qtls_li_hq.csv, line 3", "letter 2", "'C'"],
    ),
    "letters: unequal words": (
        words("seq,y,y_var\nAB,1,.1\nABA,2,.1\n"),
        ["qtls_li_hq.csv, line 3", "3 letters where the first has 2"],
    ),
    "letters: another header": (
        words("sequence,y,y_var\nAB,1,.1\n"),
        ["qtls_li_hq.csv, line 1", "unknown column 'seq'", "sequence"],
    ),
    "letters: a locus with no genotype": (
        words("seq,y,y_var\nA-,1,.1\nB-,2,.1\n"),
        ["qtls_li_hq.csv", "letter 2"],
    ),
    "letters: a negative standard error": (
        words("seq,y,y_var\nAB,1,.1\nBA,2,-.1\n"),
        ["qtls_li_hq.csv", "standard error must be >= 0", "'row_1'"],
    ),
    "raw cross: a probability above 1": (
        raw_cross(edit("geno_data_1.txt", "3\t0.2500", "3\t1.2500")),
        ["geno_data_1.txt, line 4, column 2", "'snp1'", "1.25 is outside [0, 1]"],
    ),
    "raw cross: a short row": (
        raw_cross(edit("geno_data_1.txt", "2\t0.2500\t", "2\t")),
        ["geno_data_1.txt, line 3", "4 columns where 5 are expected"],
    ),
    "raw cross: a segregant in two files": (
        raw_cross(lambda f: (f / "geno_data_2.txt").write_text("3\t0\t0\t0\t0\n")),
        ["geno_data_2.txt, line 1", "'3'", "geno_data_1.txt, line 4"],
    ),
    "raw cross: no SNP list": (
        raw_cross(lambda f: (f / "SNP_list.txt").unlink()),
        ["no SNP_list.txt"],
    ),
    "raw cross: a position that is no number": (
        raw_cross(edit("SNP_list.txt", "110", "1e5x")),
        ["SNP_list.txt, line 3, column 4", "'snp2'", "'1e5x'"],
    ),
    "raw cross: no phenotypes": (
        raw_cross(lambda f: (f / "pheno_data_li.txt").unlink()),
        ["no phenotypes", "pheno_data_li.txt.gz"],
    ),
    "raw cross: another header of the phenotypes": (
        raw_cross(edit("pheno_data_li.txt", "Fitness", "fitness")),
        ["pheno_data_li.txt, line 1", "'Fitness'", "did you mean 'fitness'?"],
    ),
    "split folder: a genotype outside [-1, 1]": (
        split_folder(geno_train=np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 0.0]])),
        ["geno_train.npy, row 1, column 0", "2 is outside [-1, 1]"],
    ),
    "split folder: another number of traits": (
        split_folder(pheno_train=np.ones((3, 2))),
        ["pheno_train.npy", "(3, 18)", "(3, 2)"],
    ),
    "split folder: fewer phenotypes than genotypes": (
        split_folder(pheno_train=np.ones((2, 18))),
        ["pheno_train.npy", "(3, 18)", "(2, 18)"],
    ),
    "split folder: parts of unequal width": (
        split_folder(geno_test=np.zeros((2, 3)), pheno_test=np.ones((2, 18))),
        ["geno_test.npy has 3 loci", "geno_train.npy has 2"],
    ),
    "split folder: no phenotypes": (
        split_folder(geno_val=np.zeros((2, 2))),
        ["geno_val.npy", "pheno_val"],
    ),
    "split folder: a part twice": (
        split_folder(geno_val=np.zeros((2, 2)), geno_valid=np.zeros((2, 2))),
        ["validation part twice", "geno_val.npy", "geno_valid.npy"],
    ),
    "split folder: Python objects": (
        split_folder(geno_train=np.array([[1.0, None]], dtype=object)),
        ["geno_train.npy", "not a whole NumPy array"],
    ),
    "split folder: a truncated array": (cut_npy, ["geno_train.npy", "not a whole NumPy array"]),
}


@pytest.mark.parametrize(("build", "fragments"), CASES.values(), ids=list(CASES))
def test_bad_input_is_one_line_that_names_the_fault_and_its_place(
    build: Build, fragments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(CrosstraitError) as caught:
        import_source(build(tmp_path / "in"), out=tmp_path / "panel.zarr")
    message = str(caught.value)
    assert "\n" not in message
    assert [text for text in fragments if text not in message] == [], message
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_every_case_passes_once_its_fault_is_repaired(tmp_path: Path) -> None:
    # The cases above fail for what they change, not for what they are built from.
    assert load_panel(write_tables(tmp_path / "a")).sizes["samples"] == 4
    for name, build in {
        "b": byxrm("marker\ta\tb\nl1\tR\tB\n"),
        "c": words("seq,y,y_var\nAB,1,.1\nBA,2,.1\n"),
        "d": raw_cross(lambda folder: None),
        "e": split_folder(),
    }.items():
        (tmp_path / name).mkdir()
        assert load_panel(build(tmp_path / name)).sizes["samples"] >= 2


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        ({"format": "byxmr"}, ["unknown format 'byxmr'", "did you mean 'byxrm'?"]),
        ({"ploidy": 0}, ["ploidy", ">= 1", "0"]),
    ],
)
def test_an_unusable_option_is_refused(
    options: dict[str, object], fragments: list[str], tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as caught:
        import_source(write_tables(tmp_path), **options)  # type: ignore[arg-type]
    assert all(text in str(caught.value) for text in fragments)


def test_diploid_genotypes_coded_around_the_heterozygote_get_a_recipe(tmp_path: Path) -> None:
    folder = write_tables(tmp_path, genotypes="id,snp1,snp2\ns1,-1,0\ns2,1,0\n")
    with pytest.raises(DataError, match=r"coded -1, 0, 1\? Add 1 to each, so that") as caught:
        import_source(folder, ploidy=2)
    assert "--ploidy" not in str(caught.value)
    write_tables(tmp_path, genotypes="id,snp1,snp2\ns1,-1,0\ns2,2,0\n")  # no such coding
    with pytest.raises(DataError, match=r"-1 is outside \[0, 2\]; write missing values as NA$"):
        import_source(folder, ploidy=2)


def test_another_ploidy_is_refused_for_a_haploid_cross(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="haploid cross"):
        import_source(byxrm("marker\ta\tb\nl1\tR\tB\n")(tmp_path), ploidy=2)


@pytest.mark.parametrize("name", ["byxrn", "bbq-li", "nothing"])
def test_an_unknown_name_gets_the_nearest_or_all_data_sets(name: str) -> None:
    with pytest.raises(SettingsError, match=r"byxrm|bbq_li") as caught:
        load_panel(name)
    assert name in str(caught.value)
    assert "nor is there a file" in str(caught.value)


def test_more_loci_than_memory_is_refused_after_the_first_rows(tmp_path: Path) -> None:
    path = tmp_path / "genotypes.csv"
    n_loci = 1000
    with path.open("w") as file:
        file.write("id," + ",".join(f"l{j}" for j in range(n_loci)) + "\n")
        row = ",0" * n_loci + "\n"
        for i in range(3000):
            file.write(f"s{i}" + row)
    os.truncate(path, 1 << 42)  # as if more rows followed: a hole, which takes no disk
    write_tables(tmp_path / "traits")
    with pytest.raises(DataError, match=r"GiB of memory \(.* samples x 1,000 loci") as caught:
        import_source(path, traits=tmp_path / "traits" / "traits.csv")
    assert "GiB are available" in str(caught.value)


def test_a_panel_is_not_written_over_another_thing(tmp_path: Path) -> None:
    source = write_tables(tmp_path / "in")
    out = tmp_path / "panel.zarr"
    out.write_text("mine")
    with pytest.raises(StorageError, match=r"panel\.zarr is there already"):
        import_source(source, out=out)
    assert out.read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    source = write_tables(tmp_path / "in")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"panel\.zarr cannot be written: .*file is a file"):
        import_source(source, out=tmp_path / "file" / "panel.zarr")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_write_protected_folder_is_named(tmp_path: Path) -> None:
    source = write_tables(tmp_path / "in")
    (tmp_path / "out").mkdir(mode=0o555)
    with pytest.raises(StorageError, match="write-protected"):
        import_source(source, out=tmp_path / "out" / "panel.zarr")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    source = write_tables(tmp_path / "in")
    out = tmp_path / "out" / "panel.zarr"
    code = (
        "import resource, sys\n"
        "from crosstrait.errors import StorageError\n"
        "from crosstrait.panel import import_source\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "try: import_source(sys.argv[1], out=sys.argv[2])\n"
        "except StorageError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, source, out], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith(f"{out} cannot be written: File too large"), done.stderr
    assert done.stdout.count("\n") == 1
    assert list(out.parent.iterdir()) == []
