"""A run that fails is told where people look, and nothing is averaged over the others."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from crosstrait.cli import run_command
from crosstrait.models.base import Estimator, ModelConfig
from crosstrait.training.preparation import Prepared
from support.experiments import TINY, write_tiny

THREE = TINY.replace("replicates = 2", "replicates = 3")


@dataclass(frozen=True)
class Told:
    """What a command said, and the folder it wrote."""

    code: int
    stdout: str
    stderr: str
    out: Path


def run(path: Path) -> Told:
    out = path.parent / "out"
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = run_command(["run", str(path), "--out", str(out), "--workers", "1"])
    return Told(code, stdout.getvalue(), stderr.getvalue(), out)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Three replicates of a network, the second of which overflows at once."""
    build = Prepared.build

    def build_badly(self: Prepared, config: ModelConfig, *, seed: int) -> nn.Module | Estimator:
        network = build(self, config, seed=seed)
        if seed == 1 and isinstance(network, nn.Module):
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.fill_(3e38)
        return network

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Prepared, "build", build_badly)
        return run(write_tiny(tmp_path_factory.mktemp("three"), text=THREE))


def test_a_failure_is_one_line_with_the_place_of_its_log(told: Told) -> None:
    assert told.code == 1
    for fold in (0, 1):
        start = f"failed  canonical replicate 1 fold {fold}: canonical, seed 1: the training loss"
        [line] = [line for line in told.stderr.splitlines() if line.startswith(start)]
        log = Path(line.partition("(log: ")[2].removesuffix(")"))
        assert "ReplicatesError" in log.read_text()
    assert "runs: 6 trained, 0 found finished, 2 failed" in told.stdout


def test_the_other_replicates_and_models_are_finished(told: Told) -> None:
    runs = json.loads((told.out / "experiment.json").read_text())["runs"]
    places = {(run["model"], run["replicate"], run["fold"]) for run in runs}
    expected = {("canonical", r, f) for r in (0, 2) for f in (0, 1)}
    assert places == expected | {("ridge", 0, f) for f in (0, 1)}


def test_the_leaderboard_has_no_number_for_a_model_with_missing_runs(told: Told) -> None:
    board = pd.read_csv(told.out / "leaderboard.csv")
    numbers = board.set_index("model")[["mean", "sd", "ci_low", "ci_high"]]
    assert numbers.loc["canonical"].isna().all(axis=None)
    assert numbers.loc["ridge", "mean"].notna().all()
    assert board["model"].tolist()[0] == "ridge"
    assert set(board.loc[board["model"] == "canonical", "n_replicates"]) == {2}
    missing = json.loads((told.out / "experiment.json").read_text())["missing_runs"]
    assert [(run["model"], run["replicate"], run["fold"]) for run in missing] == [
        ("canonical", 1, 0),
        ("canonical", 1, 1),
    ]
    assert all("not finite" in run["reason"] for run in missing)


def test_neither_has_the_comparison(told: Told) -> None:
    comparison = pd.read_csv(told.out / "comparison.csv")
    numbers = comparison.select_dtypes("float")
    ours = (comparison.astype(str) == "canonical").any(axis=1)
    assert numbers[ours].isna().all(axis=None)


def test_the_terminal_and_the_report_say_so(told: Told) -> None:
    assert "canonical: runs are missing, and an average over those that ended" in told.stdout
    page = " ".join((told.out / "report.html").read_text().split())
    for fold in (0, 1):
        assert f"canonical, replicate 1, fold {fold} (canonical, seed 1: the training loss" in page


def test_the_same_command_trains_what_is_missing_and_then_ranks_all(
    told: Told, tmp_path: Path
) -> None:
    shutil.copytree(told.out.parent, tmp_path / "copy")
    again = run(tmp_path / "copy" / "tiny.toml")  # whose networks do not overflow
    assert again.code == 0
    assert "runs: 2 trained, 6 found finished, 0 failed" in again.stdout
    assert "runs are missing" not in again.stdout
    board = pd.read_csv(again.out / "leaderboard.csv").set_index("model")
    assert board["mean"].notna().all()
    assert set(board.loc["canonical", "n_replicates"]) == {3}
