from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crosstrait.experiments.cache import RunCache, is_finished
from crosstrait.experiments.driver import run_experiment
from crosstrait.experiments.engines.engine import Outcome
from crosstrait.experiments.engines.reply import receive, write_reply
from crosstrait.experiments.file import read_experiment
from crosstrait.experiments.plan import Group, group_runs, plan
from crosstrait.experiments.run import Workplace, train_group
from crosstrait.panel.storage import open_panel
from crosstrait.split import k_fold
from support.experiments import write_tiny


def test_runs_that_come_as_bytes_are_published_whole(tmp_path: Path) -> None:
    path = write_tiny(tmp_path)
    experiment = read_experiment(path)
    there = run_experiment(experiment, out=tmp_path / "there").folder
    panel = open_panel(tmp_path / "cross.zarr")
    runs = plan(experiment, panel=panel, splits=k_fold(panel, folds=2))
    sent = {
        run.key: {file.name: file.read_bytes() for file in folder.iterdir()}
        for run in runs
        if (folder := RunCache(there / "runs").find(run)) is not None
    }
    assert len(sent) == 6
    here = RunCache(tmp_path / "here" / "runs")
    sent[runs[0].key]["metrics.csv"] += b" "  # damaged on the way
    here.receive(Group(tuple(runs)), files=sent)
    assert here.find(runs[0]) is None
    for run in runs[1:]:
        found = here.find(run)
        assert found is not None
        assert is_finished(found, key=run.key)
    assert list((here.folder / ".new").iterdir()) == []


@pytest.mark.parametrize("files", [{}, {"another key": {"DONE": b"{}"}}])
def test_nothing_is_published_where_nothing_of_ours_came(
    tmp_path: Path, files: dict[str, dict[str, bytes]]
) -> None:
    cache = RunCache(tmp_path / "runs")
    panel = open_panel(write_tiny(tmp_path).parent / "cross.zarr")
    runs = plan(read_experiment(tmp_path / "tiny.toml"), panel=panel, splits=k_fold(panel, folds=2))
    cache.receive(Group(tuple(runs)), files=files)
    assert [path for path in cache.folder.iterdir() if not path.name.startswith(".")] == []


def test_a_run_that_was_damaged_on_the_way_has_failed(tmp_path: Path) -> None:
    experiment = read_experiment(write_tiny(tmp_path))
    panel = open_panel(tmp_path / "cross.zarr")
    splits = tuple(k_fold(panel, folds=2))
    task = group_runs(plan(experiment, panel=panel, splits=splits))[0]
    there, here = (
        Workplace(panel=panel, splits=splits, cache=RunCache(tmp_path / name / "runs"))
        for name in ("there", "here")
    )
    train_group(task, at=there)
    reply = write_reply(Outcome(group=task, status="finished"), task=task, at=there)
    assert receive(reply, task=task, at=here).status == "finished"
    elsewhere = replace(here, cache=RunCache(tmp_path / "elsewhere" / "runs"))
    reply.runs[task.first.key]["metrics.csv"] += b" "
    outcome = receive(reply, task=task, at=elsewhere)
    assert (outcome.status, outcome.lost) == ("failed", task.runs)
    assert "did not come back whole" in outcome.message
