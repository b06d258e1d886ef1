from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from crosstrait.experiments.engines.engine import Task
from crosstrait.experiments.engines.remote import Origin, carry_out_remotely
from crosstrait.experiments.engines.reply import Reply
from crosstrait.experiments.engines.stores import Files
from crosstrait.experiments.file import read_experiment
from crosstrait.experiments.plan import group_runs, plan
from crosstrait.experiments.provenance import versions
from crosstrait.panel.storage import open_panel
from crosstrait.split import k_fold
from crosstrait.training.progress import EpochDone
from support.experiments import write_tiny

pytestmark = pytest.mark.usefixtures("kept_threads")


class NoPost:
    """Nothing was stored, and nothing is heard of again."""

    store_seconds = tell_seconds = 60.0

    def fetch(self, task: Task) -> Files:
        return {}

    def store(self, files: Files) -> None: ...

    def tell(self, task: Task, done: EpochDone) -> None: ...


def reply_to(there: Mapping[str, str], *, folder: Path) -> Reply:
    """What a machine of these versions' experiment gets for its first run."""
    experiment = read_experiment(write_tiny(folder))
    panel = open_panel(folder / "cross.zarr")
    splits = tuple(k_fold(panel, folds=2))
    task = group_runs(plan(experiment, panel=panel, splits=splits))[0]
    return carry_out_remotely(
        task,
        panel=panel,
        splits=splits,
        post=NoPost(),
        threads=1,
        origin=Origin(versions=there),
        here="node b",
    )


def test_another_version_is_refused_and_named(tmp_path: Path) -> None:
    reply = reply_to({**versions(), "torch": "2.0.0"}, folder=tmp_path)
    torch_here = versions()["torch"]
    assert reply.outcome.status == "failed"
    assert reply.outcome.lost == reply.outcome.group.runs
    assert reply.outcome.message.startswith(f"node b has torch {torch_here}, not what")


def test_the_same_versions_are_trained_with(tmp_path: Path) -> None:
    reply = reply_to(versions(), folder=tmp_path)
    assert reply.outcome.status == "finished", reply.outcome.message
    assert "metrics.csv" in reply.runs[reply.outcome.group.runs[0].key]
