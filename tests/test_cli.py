from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crosstrait import __version__
from crosstrait.cli import run_command
from crosstrait.panel.simulate import SimulationConfig, Truth, simulate
from crosstrait.panel.storage import open_panel
from support.experiments import RIDGE, TINY, write_tiny

COMMANDS = [
    "demo",
    "datasets",
    "fetch",
    "import",
    "import-checkpoint",
    "inspect",
    "simulate",
    "run",
    "predict",
    "report",
    "figure",
]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]):
    """Carry out a command that must end with exit code 2 and one line, which is returned."""

    def carry_out(*arguments: object) -> str:
        code = run_command([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert code == 2
        assert captured.out == ""
        assert re.fullmatch(r"crosstrait: .+\n", captured.err), captured.err
        return captured.err

    return carry_out


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny experiment, run from the command line."""
    folder = tmp_path_factory.mktemp("tiny")
    path = write_tiny(folder, text=RIDGE)
    assert run_command(["run", str(path), "--out", str(folder / "out"), "--workers", "1"]) == 0
    return folder


def test_help_lists_every_command_and_loads_no_numerical_library() -> None:
    code = (
        "import sys; from crosstrait.cli import run_command; assert run_command(['--help']) == 0;"
        "print([m for m in ('numpy', 'torch', 'pandas', 'xarray', 'pydantic', 'matplotlib')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for command in COMMANDS:
        assert re.search(rf"^│ {command} ", done.stdout, re.MULTILINE)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_every_command_is_described(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command([command, "--help"]) == 0
    text = capsys.readouterr().out
    for line in text.splitlines():
        if re.match(r"^│ \*?\s*(--|[A-Z])", line):
            assert len(re.split(r"\s{2,}", line.strip("│ *"))) >= 2, line
    assert "set_" not in text


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["rnu", "x.toml"], 'Did you mean "run"?'),
        (["run", "x.toml", "--exectuor", "local"], "Did you mean --executor?"),
        (["run", "x.toml", "--executor", "slrum"], "slurm"),
        (["run", "x.toml", "--workers", "two"], "--workers"),
        (["run"], "FILE requires an argument; see crosstrait run --help"),
        (["predict", "x", "y"], "--out"),
        (["fetch", "byxmr"], "unknown data set 'byxmr' (did you mean 'byxrm'?)"),
        (["inspect", "byxmr"], "did you mean 'byxrm'?"),
        (["inspect", "no/such.zarr"], "no/such.zarr"),
        (["import", "no_such.csv", "--out", "p.zarr"], "no_such.csv"),
        (["report", "no_such_folder"], "no_such_folder"),
        (["figure", "scroes", "x"], "did you mean 'scores'?"),
        (["figure", "scores", "no_such_folder"], "no_such_folder"),
        (["predict", "no_such_run", "x.csv", "--out", "y.csv"], "no_such_run"),
        (["run", "no_such.toml"], "no_such.toml: No such file or directory"),
    ],
)
def test_a_mistake_in_the_command_is_one_line_with_a_hint(
    refused, arguments: list[str], part: str
) -> None:
    assert part in refused(*arguments)


def test_a_run_prints_the_leaderboard_and_where_the_report_is(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["run", str(tiny / "tiny.toml"), "--out", str(tiny / "out")]) == 0
    captured = capsys.readouterr()
    assert "ridge" in captured.out
    assert "runs: 0 trained, 2 found finished, 0 failed" in captured.out
    assert captured.out.splitlines()[-1] == f"report: {tiny / 'out' / 'report.html'}"
    assert captured.err == ""


def test_settings_of_the_command_line_override_the_file(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", str(tiny / "tiny.toml"), "--out", str(tiny / "set"), "--workers", "1"]
    changes = ["--set", "split.folds=3", "--set", "model.ridge.name=blup"]
    assert run_command([*arguments, *changes]) == 0
    assert len(list((tiny / "set" / "runs").glob("blup-*"))) == 3
    assert "blup" in capsys.readouterr().out


def test_runs_that_fail_give_exit_code_1_and_a_line_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TINY + "[model.train]\nlearning_rate = 1e30\nmax_epochs = 2\n"
    path = write_tiny(tmp_path, text=text)
    code = run_command(["run", str(path), "--out", str(tmp_path / "out"), "--workers", "1"])
    captured = capsys.readouterr()
    assert code == 1
    lines = [x for x in captured.err.splitlines() if x.startswith("crosstrait: failed: canonical")]
    assert len(lines) == 4
    assert all("(log: " in line for line in lines)
    assert "4 failed" in captured.out
    page = (tmp_path / "out" / "report.html").read_text()
    assert "4 runs are missing" in page


def test_an_unwritable_folder_is_refused_before_any_training(
    refused, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    message = refused("run", tiny / "tiny.toml", "--out", tmp_path / "file")
    assert "there is a file of that name" in message
    message = refused("run", tiny / "tiny.toml", "--out", tmp_path / "file" / "out")
    assert "is a file, not a folder" in message


def test_the_report_is_written_again_from_the_tables(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tiny / "out" / "report.html"
    before = page.read_bytes()
    page.unlink()
    assert run_command(["report", str(tiny / "out")]) == 0
    assert page.read_bytes() == before
    assert str(page) in capsys.readouterr().out


def test_a_single_run_has_a_report_of_its_own(tiny: Path) -> None:
    run = next((tiny / "out" / "runs").glob("ridge-*"))
    assert run_command(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert "ridge is alone: mean R² " in page
    assert run_command(["run", str(tiny / "tiny.toml"), "--out", str(tiny / "out")]) == 0


def test_new_genotypes_are_predicted_into_a_table(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    panel = open_panel(tiny / "cross.zarr")
    loci = panel["variant_id"].values.tolist()
    table = pd.DataFrame(panel["call_dosage"].values[:7].astype(int), columns=loci)
    table.insert(0, "sample", [f"new_{i}" for i in range(7)])
    table.drop(columns=loci[0]).to_csv(tmp_path / "new.csv", index=False)
    arguments = [str(tiny / "out"), str(tmp_path / "new.csv"), "--out", str(tmp_path / "y.csv")]
    assert run_command(["predict", *arguments]) == 0
    captured = capsys.readouterr()
    assert "7 samples, 2 traits, the mean of 2 runs" in captured.out
    assert f"1 of {len(loci)} loci are not in the new genotypes" in captured.err
    predicted = pd.read_csv(tmp_path / "y.csv")
    assert predicted.columns.tolist() == ["sample", "trait_1", "trait_2"]
    assert predicted["sample"].tolist() == table["sample"].tolist()
    assert np.isfinite(predicted[["trait_1", "trait_2"]]).all(axis=None)


def test_a_simulated_cross_is_saved_with_its_truth_and_inspected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cross.zarr"
    changes = ["n_samples=50", "n_loci=40", "epistasis.n_pairs=5", "seed=7"]
    sets = [word for change in changes for word in ("--set", change)]
    assert run_command(["simulate", "--out", str(out), *sets]) == 0
    assert "50 samples, 40 loci, 6 traits" in capsys.readouterr().out
    truth = Truth.load(tmp_path / "cross.truth.safetensors")
    assert truth.panel_digest == open_panel(out).digest
    assert truth.config.seed == 7
    assert run_command(["inspect", str(out)]) == 0
    assert "50" in capsys.readouterr().out


def test_a_simulation_file_replaces_the_demonstration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], refused
) -> None:
    path = tmp_path / "cross.toml"
    path.write_text("n_samples = 30\nn_loci = 20\nn_traits = 1\nn_causal = 5\n")
    assert run_command(["simulate", str(path), "--out", str(tmp_path / "a.zarr")]) == 0
    assert "30 samples, 20 loci, 1 trait\n" in capsys.readouterr().out
    assert "is there already" in refused("simulate", path, "--out", tmp_path / "a.zarr")
    path.write_text("n_sample = 30")
    message = refused("simulate", path, "--out", tmp_path / "b.zarr")
    assert "unknown setting 'n_sample' (did you mean 'n_samples'?)" in message


def test_genotypes_and_traits_are_imported_into_a_panel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    panel, _ = simulate(SimulationConfig(n_samples=20, n_loci=5, n_traits=1, n_causal=2))
    ids = panel["sample_id"].values.tolist()
    calls = pd.DataFrame(panel["call_dosage"].values.astype(int), index=ids)
    calls.columns = panel["variant_id"].values.tolist()
    calls.to_csv(tmp_path / "genotypes.csv", index_label="sample")
    values = pd.DataFrame({"height": panel["trait_value"].values[:, 0]}, index=ids)
    values.drop(index=ids[0]).to_csv(tmp_path / "traits.csv", index_label="sample")
    out = tmp_path / "p.zarr"
    assert run_command(["import", str(tmp_path), "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert "19 samples, 5 loci, 1 trait\n" in captured.out
    assert captured.err.startswith("crosstrait: warning: ")
    assert open_panel(out)["trait_name"].values.tolist() == ["height"]


def test_the_data_sets_are_listed_with_citation_and_licence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_command(["datasets"]) == 0
    text = capsys.readouterr().out
    for word in ("byxrm", "bbq_li", "bbq_18", "1,008", "10.1038/nature11867", "licence"):
        assert word in text


def test_a_data_set_of_ones_own_is_not_fetched(
    real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["fetch", "bbq_li"]) == 0
    assert str(real_data) in capsys.readouterr().out
