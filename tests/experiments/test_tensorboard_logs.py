"""Logs for TensorBoard are the histories of the runs: no step twice, none lost."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from crosstrait.experiments.cache import RunCache
from crosstrait.experiments.driver import run_experiment
from crosstrait.experiments.engines.engine import Outcome
from crosstrait.experiments.engines.growing import GrowingHistory
from crosstrait.experiments.file import read_experiment
from crosstrait.experiments.plan import Group
from crosstrait.experiments.tensorboard_logs import TensorBoardLogs
from support.experiments import write_tiny
from support.groups import a_group, an_epoch

pytest.importorskip("tensorboard")


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of one run."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def steps(folder: Path) -> list[int]:
    return [step for step, _ in scalars(folder)["loss/train"]]


@pytest.fixture
def cache(tmp_path: Path) -> RunCache:
    return RunCache(tmp_path / "runs")


@pytest.fixture
def group() -> Group:
    return a_group(0)


def train(cache: RunCache, group: Group, logs: TensorBoardLogs, epochs: range) -> None:
    """Tell of epochs as a training does."""
    history = GrowingHistory(cache.work_folder(group), group.runs)
    for epoch in epochs:
        done = replace(an_epoch(epoch), train_loss=1 / epoch)
        history.add(done)
        logs.epoch(group, done)


def test_epochs_are_logged_while_they_come(
    cache: RunCache, group: Group, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crosstrait.experiments.tensorboard_logs._BETWEEN_SECONDS", 0.0)
    log = tmp_path / "tensorboard" / "canonical-00000000"
    with TensorBoardLogs(tmp_path / "tensorboard", cache=cache) as logs:
        for n in (1, 2, 3):
            train(cache, group, logs, range(n, n + 1))
            assert steps(log) == list(range(1, n + 1))
    assert scalars(log)["loss/train"] == [
        (1, 1.0),
        (2, 0.5),
        (3, pytest.approx(1 / 3)),
    ]


def test_a_training_that_goes_on_has_every_step_once(
    cache: RunCache, group: Group, tmp_path: Path
) -> None:
    for epochs in (range(1, 5), range(3, 8)):  # the checkpoint was that of the second epoch
        with TensorBoardLogs(tmp_path, cache=cache) as logs:
            train(cache, group, logs, epochs)
            logs._looked.clear()
            logs.epoch(group, an_epoch(1))
    assert steps(tmp_path / "canonical-00000000") == list(range(1, 8))


def test_networks_of_single_traits_have_lines_of_their_own_and_nothing_is_made_up(
    cache: RunCache, group: Group, tmp_path: Path
) -> None:
    history = GrowingHistory(cache.work_folder(group), group.runs)
    with TensorBoardLogs(tmp_path, cache=cache) as logs:
        for trait in ("a", "b"):
            done = replace(an_epoch(1, member=trait), val_loss=math.nan, val_r2=math.nan)
            history.add(done)
        logs.epoch(group, done)
    assert set(scalars(tmp_path / "canonical-00000000")) == {
        "loss/train/a",
        "loss/train/b",
        "learning_rate/a",
        "learning_rate/b",
    }


def test_a_failed_training_keeps_what_it_logged(
    cache: RunCache, group: Group, tmp_path: Path
) -> None:
    with TensorBoardLogs(tmp_path, cache=cache) as logs:
        train(cache, group, logs, range(1, 2))
        cache.drop_work(group)
        logs.ended(Outcome(group=group, status="failed", lost=group.runs))
    assert steps(tmp_path / "canonical-00000000") == [1]


class TestExperiment:
    """The logs of an experiment."""

    def run(self, folder: Path, **options: Any) -> None:
        path = write_tiny(folder)
        changes = ["split.folds=2", "train.replicates=1"]
        run_experiment(read_experiment(path, changes=changes), out=folder / "out", **options)

    def test_finished_runs_have_theirs_whole_and_keep_them(self, tmp_path: Path) -> None:
        self.run(tmp_path, tensorboard=True)
        logs = tmp_path / "out" / "tensorboard"
        runs = sorted((tmp_path / "out" / "runs").glob("canonical-*"))
        assert len(runs) == 2
        assert sorted(path.name for path in logs.iterdir()) == [run.name for run in runs]
        for run in runs:
            shown = scalars(logs / run.name)
            history = pd.read_csv(run / "history.csv")
            for tag, column in {
                "loss/train": "train_loss",
                "loss/validation": "val_loss",
                "R2/validation": "val_r2",
                "learning_rate": "learning_rate",
            }.items():
                if history[column].isna().all():
                    assert tag not in shown
                else:
                    assert [step for step, _ in shown[tag]] == history["epoch"].tolist()
                    values = [value for _, value in shown[tag]]
                    assert values == pytest.approx(history[column].tolist())
        before = {path: path.stat().st_mtime_ns for path in logs.glob("*/*")}
        self.run(tmp_path, tensorboard=True)
        assert {path: path.stat().st_mtime_ns for path in logs.glob("*/*")} == before

    def test_runs_that_were_trained_without_get_theirs(self, tmp_path: Path) -> None:
        self.run(tmp_path)
        logs = tmp_path / "out" / "tensorboard"
        assert not logs.exists()
        before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "runs").glob("*/*")}
        self.run(tmp_path, tensorboard=True)
        assert [steps(log) for log in logs.iterdir()] == [[1, 2, 3], [1, 2, 3]]
        assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "runs").glob("*/*")} == before
