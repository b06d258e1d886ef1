"""The command line: what it prints, what it writes, and how it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from crosstrait import __version__
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


def test_help_loads_no_numerical_library() -> None:
    code = (
        "import sys; from crosstrait.cli import run_command; run_command(['--help']);"
        "print([m for m in ('numpy', 'pandas', 'torch', 'xarray') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("demo", "datasets", "fetch", "import", "inspect", "simulate", "run", "predict"):
        assert command in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


def test_from_tables_to_predictions_of_new_samples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_tiny(tmp_path, text=RIDGE)
    out = tmp_path / "out"
    assert run_command(["run", str(file), "--out", str(out)]) == 0
    assert "runs: 1 trained, 0 found finished, 0 failed" in capsys.readouterr().out
    assert (out / "report.html").is_file()

    [run] = out.glob("runs/ridge-*")
    table = tmp_path / "new.csv"
    assert (
        run_command(["predict", str(run), str(tmp_path / "cross.zarr"), "--out", str(table)]) == 0
    )
    predicted = pd.read_csv(table)
    assert list(predicted.columns) == ["sample", "trait_1", "trait_2"]
    assert len(predicted) == 60

    (out / "report.html").unlink()
    assert run_command(["report", str(out)]) == 0
    assert (out / "report.html").is_file()


def test_tables_become_a_panel_that_can_be_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_tables(tmp_path / "source")
    panel = tmp_path / "panel.zarr"
    assert run_command(["import", str(source), "--out", str(panel)]) == 0
    assert "4 samples, 3 loci, 2 traits" in capsys.readouterr().out
    assert run_command(["inspect", str(panel)]) == 0
    assert "height" in capsys.readouterr().out


def test_settings_of_a_simulation_can_be_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cross.zarr"
    arguments = ["simulate", "--out", str(out), "--set", "n_samples=500"]
    assert run_command(arguments) == 0
    assert "500 samples, 240 loci" in capsys.readouterr().out
    assert (tmp_path / "cross.truth.safetensors").is_file()


def test_every_public_data_set_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["datasets"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("byxrm", "bbq_li", "bbq_18"))


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


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["rnu", "x.toml"], "run"),
        (["run"], "file"),
        (["run", "absent.toml"], "absent.toml"),
        (["fetch", "byxmr"], "did you mean 'byxrm'"),
        (["report", "absent"], "absent"),
        (["inspect", "absent.zarr"], "absent.zarr"),
    ],
)
def test_a_wrong_command_ends_in_one_line(
    arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert part.lower() in refused(arguments, capsys).lower()
