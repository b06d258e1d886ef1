from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from crosstrait.cli import run_command
from crosstrait.experiments.current import is_current, made_of, mark_current
from crosstrait.experiments.driver import run_experiment
from crosstrait.experiments.file import read_experiment
from support.experiments import write_tiny

RIDGE = """
[data]
panel = "cross.zarr"
[split]
scheme = "kfold"
folds = 2
[[model]]
type = "ridge"
"""
TABLES = ("leaderboard.csv", "report.html", "experiment.json", "predictions.parquet")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_tiny(tmp_path_factory.mktemp("ridge"), text=RIDGE)
    assert run_command(["run", str(path), "--out", str(path.parent / "out")]) == 0
    return path


def test_tables_of_unchanged_runs_are_not_written_again(
    whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [whole.parent / "out" / name for name in TABLES]
    before = [file.stat().st_mtime_ns for file in files]
    assert run_command(["run", str(whole), "--out", str(whole.parent / "out")]) == 0
    assert [file.stat().st_mtime_ns for file in files] == before
    said = capsys.readouterr().out
    assert "runs: 0 trained, 2 found finished, 0 failed" in said
    assert f"report: {whole.parent / 'out' / 'report.html'}" in said


@pytest.mark.parametrize("name", TABLES)
def test_a_changed_or_absent_table_is_noticed(tmp_path: Path, name: str) -> None:
    for table in TABLES:
        (tmp_path / table).write_text(table)
    mark_current(tmp_path, digest="a")
    assert is_current(tmp_path, digest="a")
    assert not is_current(tmp_path, digest="b")
    (tmp_path / name).write_text("other")
    assert not is_current(tmp_path, digest="a")
    (tmp_path / name).unlink()
    assert not is_current(tmp_path, digest="a")


def test_a_folder_without_a_mark_is_not_current(tmp_path: Path) -> None:
    assert not is_current(tmp_path, digest="a")
    (tmp_path / ".current.json").write_text("[]")
    assert not is_current(tmp_path, digest="a")


def test_another_experiment_or_a_run_trained_again_gives_another_digest(whole: Path) -> None:
    experiment = read_experiment(whole)
    result = run_experiment(experiment, out=whole.parent / "out")
    assert result.current
    renamed = read_experiment(whole, changes=["model.ridge.name=blup"])
    digests = {result.digest, run_experiment(renamed, out=whole.parent / "out").digest}
    shutil.rmtree(next((whole.parent / "out" / "runs").glob("ridge-*")))
    digests.add(run_experiment(experiment, out=whole.parent / "out").digest)
    assert len(digests) == 3
    assert made_of(experiment, runs=[], finished={}, panel_digest="") not in digests
