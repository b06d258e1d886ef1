from __future__ import annotations

import json
from pathlib import Path

import pytest

from crosstrait.errors import SettingsError
from crosstrait.experiments.driver import draw_splits
from crosstrait.experiments.engines.task_files import read_task, task_values
from crosstrait.experiments.file import read_experiment
from crosstrait.experiments.plan import group_runs, plan
from crosstrait.experiments.searches import plan_searches, with_answer
from crosstrait.panel.schema import Panel
from crosstrait.panel.sources import load_panel
from crosstrait.split.manifest import Split
from support.experiments import TINY, write_tiny

TUNED = TINY.replace("[train]", "[tune]\ntrials = 2\n[train]\nlearning_rate = 0.1")


def planned(tmp_path: Path):
    experiment = read_experiment(write_tiny(tmp_path, text=TUNED))
    panel = load_panel(experiment.data.panel)
    splits = draw_splits(experiment, panel)
    return experiment, panel, splits, plan(experiment, panel=panel, splits=splits)


def through_a_file(task, panel: Panel, splits: tuple[Split, ...]):
    return read_task(json.loads(json.dumps(task_values(task))), panel=panel, splits=splits)


def test_groups_and_searches_come_back_equal(tmp_path: Path) -> None:
    experiment, panel, splits, runs = planned(tmp_path)
    searches = plan_searches(experiment, runs)
    assert searches
    for task in [*group_runs(runs), *searches]:
        back = through_a_file(task, panel, splits)
        assert back == task
        assert (back.name, back.locks) == (task.name, task.locks)
    for search in searches:
        assert list(through_a_file(search, panel, splits).space) == list(search.space)


def test_runs_with_settings_that_a_search_found_come_back_equal(tmp_path: Path) -> None:
    experiment, panel, splits, runs = planned(tmp_path)
    search = plan_searches(experiment, runs)[0]
    found = [with_answer(run, search.default() | {"embedding_dim": 8}) for run in search.runs]
    [group] = group_runs(found)
    assert through_a_file(group, panel, splits) == group


def test_a_run_that_would_be_another_one_here_is_refused(tmp_path: Path) -> None:
    _, panel, splits, runs = planned(tmp_path)
    task = group_runs(runs)[0]
    with pytest.raises(SettingsError, match="the panel or a split is not the same"):
        through_a_file(task, panel, splits[::-1])
