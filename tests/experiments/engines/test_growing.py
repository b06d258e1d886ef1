"""The history of a run can be read while it trains."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from crosstrait.experiments.cache import RunCache
from crosstrait.experiments.engines.growing import GrowingHistory, growing_name, read_history
from crosstrait.experiments.file import read_experiment
from crosstrait.experiments.plan import Group, group_runs, plan
from crosstrait.experiments.run import Workplace, train_group
from crosstrait.panel.storage import open_panel
from crosstrait.split import k_fold
from crosstrait.training.progress import EpochDone
from support.experiments import write_tiny
from support.groups import a_group, an_epoch


@pytest.fixture
def group() -> Group:
    return a_group(0, replicates=2)


def epochs(path: Path) -> list[tuple[str, int]]:
    return [(row["member"], int(row["epoch"])) for row in read_history(path)]


def test_every_epoch_is_there_as_soon_as_it_is_told(group: Group, tmp_path: Path) -> None:
    history = GrowingHistory(tmp_path / "work", group.runs)
    assert not (tmp_path / "work").exists()  # of a model without epochs there is nothing to tell
    path = tmp_path / "work" / growing_name(group.runs[1])
    for epoch in (1, 2):
        history.add(replace(an_epoch(epoch, seed=1), val_loss=math.nan))
        assert epochs(path) == [("all", n + 1) for n in range(epoch)]
    assert path.read_text().splitlines() == [
        "epoch,train_loss,val_loss,val_r2,learning_rate,seconds,member",
        "1,0.5,,0.5,0.5,0.5,all",
        "2,0.5,,0.5,0.5,0.5,all",
    ]
    assert not (tmp_path / "work" / growing_name(group.runs[0])).exists()


def test_epochs_that_are_repeated_after_a_kill_are_there_once(group: Group, tmp_path: Path) -> None:
    path = tmp_path / growing_name(group.runs[0])
    history = GrowingHistory(tmp_path, group.runs)
    for member in ("a", "b"):
        for epoch in (1, 2, 3):
            history.add(an_epoch(epoch, member=member))
    with path.open("a") as lines:
        lines.write("4,0.5,0.5")  # killed here
    assert len(epochs(path)) == 6
    history = GrowingHistory(tmp_path, group.runs)
    history.add(replace(an_epoch(3, member="a"), train_loss=0.25))
    history.add(an_epoch(4, member="a"))
    told = [("a", 1), ("a", 2), ("b", 1), ("b", 2), ("b", 3), ("a", 3), ("a", 4)]
    assert epochs(path) == told
    assert read_history(path)[-2]["train_loss"] == "0.25"


def test_zeros_that_a_power_cut_leaves_are_no_epochs(group: Group, tmp_path: Path) -> None:
    path = tmp_path / growing_name(group.runs[0])
    GrowingHistory(tmp_path, group.runs).add(an_epoch(1, seed=0))
    with path.open("ab") as lines:
        lines.write(b"\0" * 40 + b"\n")
    history = GrowingHistory(tmp_path, group.runs)
    history.add(an_epoch(2, seed=0))
    assert epochs(path) == [("all", 1), ("all", 2)]


def test_a_training_that_starts_anew_starts_its_history_anew(group: Group, tmp_path: Path) -> None:
    path = tmp_path / growing_name(group.runs[0])
    for epoch in (1, 2, 3):
        GrowingHistory(tmp_path, group.runs).add(an_epoch(epoch))
    GrowingHistory(tmp_path, group.runs).add(an_epoch(1))
    assert epochs(path) == [("all", 1)]


def test_what_has_grown_is_the_history_of_the_finished_run(tmp_path: Path) -> None:
    experiment = read_experiment(write_tiny(tmp_path))
    panel = open_panel(tmp_path / "cross.zarr")
    splits = tuple(k_fold(panel, folds=2))
    at = Workplace(panel=panel, splits=splits, cache=RunCache(tmp_path / "runs"))
    group = group_runs(plan(experiment, panel=panel, splits=splits))[-1]
    assert len(group.runs) == 2
    grown: dict[int, str] = {}

    def look(done: EpochDone) -> None:
        path = at.cache.work_folder(group) / growing_name(group.runs[done.seed])
        grown[done.seed] = path.read_text()
        assert len(read_history(path)) == done.epoch

    train_group(group, at=at, progress=look)
    for run in group.runs:
        finished = at.cache.find(run)
        assert finished is not None
        assert (finished / "history.csv").read_text() == grown[run.seed]
    assert not at.cache.work_folder(group).exists()
