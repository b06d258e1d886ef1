"""Input that cannot be used: each ends in one clear line and exit code 2, and nothing is lost."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from crosstrait.cli import run_command
from support.experiments import write_tiny
from support.tables import GENOTYPES, TRAITS, write_tables

RIDGE = """
[data]
panel = "cross.zarr"
[split]
scheme = "random"
test = 0.3
[[model]]
type = "ridge"
"""


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which a command that must exit with 2 does."""
    assert run_command(arguments) == 2
    printed = capsys.readouterr()
    lines = [line for line in printed.err.splitlines() if "warning:" not in line]
    assert printed.out == ""
    assert len(lines) == 1, printed.err
    return lines[0]


def changed(old: str, new: str, *, text: str) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("genotypes", "traits", "parts"),
    [
        (GENOTYPES, changed("s1,", "t1,", text=changed("s2,", "t2,", text=changed(
            "s3,", "t3,", text=changed("s4,", "t4,", text=TRAITS)))), ["s1", "t1"]),
        (changed("s2,1", "s1,1", text=GENOTYPES), TRAITS, ["s1", "genotypes.csv"]),
        (GENOTYPES, changed("10", "NA", text=changed("12", "NA", text=changed(
            "11", "NA", text=TRAITS))), ["yield", "no value was measured"]),
        (GENOTYPES, changed("10", "11", text=changed("12", "11", text=TRAITS)),
         ["yield", "all 3 measured values are 11"]),
        (changed("s1,0", "s1,2", text=GENOTYPES), TRAITS, ["ploidy", "line 2", "snp1"]),
        (changed("s1,0", "s1,x", text=GENOTYPES), TRAITS, ["genotypes.csv", "line 2", "'x'"]),
        (changed("s2,1,0,1", "s2,1,0", text=GENOTYPES), TRAITS, ["genotypes.csv", "line 3"]),
        ("", TRAITS, ["genotypes.csv", "empty"]),
        (changed("s4,0,0,NA", "s4,NA,NA,NA", text=GENOTYPES), TRAITS, ["s4", "genotype"]),
        ("id,snp1\ns1,1\n", "id,height\ns1,1.5\n", ["at least 2 samples"]),
    ],
    ids=[
        "ids that do not match",
        "duplicate ids",
        "a trait with no values",
        "a constant trait",
        "dosage outside the ploidy",
        "text where a number belongs",
        "ragged rows",
        "an empty file",
        "a sample with no genotype",
        "a single sample",
    ],
)  # fmt: skip
def test_bad_tables_end_in_one_line_that_says_where(
    genotypes: str,
    traits: str,
    parts: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = write_tables(tmp_path / "source", genotypes=genotypes, traits=traits)
    line = refused(["import", str(source), "--out", str(tmp_path / "p.zarr")], capsys)
    assert all(part in line for part in parts), line
    assert not (tmp_path / "p.zarr").exists()


def test_a_locus_with_no_genotype_is_left_out_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    genotypes = "id,snp1,snp2\ns1,1,NA\ns2,0,NA\ns3,1,NA\ns4,1,NA\n"
    source = write_tables(tmp_path / "source", genotypes=genotypes)
    assert run_command(["import", str(source), "--out", str(tmp_path / "p.zarr")]) == 0
    printed = capsys.readouterr()
    assert "4 samples, 1 loci" in printed.out
    assert "no genotype in any of the 4 samples and were left out: snp2" in printed.err


def test_a_truncated_gzip_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_tables(tmp_path / "source", genotypes=GENOTYPES * 50)
    whole = gzip.compress((source / "genotypes.csv").read_bytes())
    (source / "genotypes.csv").unlink()
    (source / "genotypes.csv.gz").write_bytes(whole[: len(whole) // 2])
    line = refused(["import", str(source), "--out", str(tmp_path / "p.zarr")], capsys)
    assert "genotypes.csv.gz" in line
    assert "truncated" in line or "cut off" in line or "ends" in line, line


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ('"ridge"', '"rige"', ["'rige'", "did you mean 'ridge'"]),
        ("test = 0.3", "tset = 0.3", ["'tset'", "did you mean 'test'"]),
        ("[split]", 'traits = ["triat_1"]\n[split]', ["'triat_1'", "did you mean 'trait_1'"]),
        ('"cross.zarr"', '"byxmr"', ["byxmr", "did you mean 'byxrm'"]),
        ("[data]", "[data", ["not valid TOML"]),
    ],
    ids=["model", "key", "trait", "data set", "syntax"],
)
def test_a_misspelt_experiment_is_refused_with_the_nearest_spelling(
    old: str, new: str, parts: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_tiny(tmp_path, text=changed(old, new, text=RIDGE))
    line = refused(["run", str(file), "--out", str(tmp_path / "out")], capsys)
    assert all(part in line for part in parts), line
