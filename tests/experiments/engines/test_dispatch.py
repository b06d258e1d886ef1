from __future__ import annotations

import resource
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from crosstrait.experiments.cache import RunCache
from crosstrait.experiments.engines.dispatch import dispatch
from crosstrait.experiments.engines.engine import Outcome, Task, carry_out
from crosstrait.experiments.engines.reply import Reply, write_reply
from crosstrait.experiments.file import read_experiment
from crosstrait.experiments.plan import Group, group_runs, plan
from crosstrait.experiments.run import Workplace
from crosstrait.panel.storage import open_panel
from crosstrait.split import k_fold
from crosstrait.training.progress import EpochDone
from support.experiments import RIDGE, write_tiny

RIDGES = RIDGE.replace("folds = 2", "folds = 5")
EPOCH = EpochDone(
    seed=0,
    member="all",
    epoch=1,
    n_epochs=3,
    train_loss=1.0,
    val_loss=1.0,
    val_r2=0.0,
    learning_rate=0.1,
    seconds=0.1,
)


class Elsewhere:
    """Machines that work whenever they are asked how far they are, and lose some tasks."""

    unit = "machine"

    def __init__(self, at: Workplace, *, loses: Sequence[Task] = ()) -> None:
        self.at = at
        self.loses = {task.name for task in loses}
        self.begun: dict[Future[Reply], Task] = {}
        self.most = 0
        self.forgotten: list[Task] = []

    def submit(self, task: Task) -> Future[Reply]:
        future: Future[Reply] = Future()
        self.begun[future] = task
        self.most = max(self.most, len(self.begun))
        return future

    def told(self) -> list[tuple[str, EpochDone]]:
        told = [(task.name, EPOCH) for task in self.begun.values()]
        for future, task in self.begun.items():
            if task.name in self.loses:
                future.set_exception(ConnectionError("the node\nis gone"))
            else:
                done = carry_out(task, at=self.at, listener=Heard(), wait=True)
                future.set_result(write_reply(done, task=task, at=self.at))
        self.begun.clear()
        return told

    def forget(self, task: Task) -> None:
        self.forgotten.append(task)


class Heard:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.epochs: list[str] = []

    def started(self, group: Task) -> None:
        self.begun.append(group.name)

    def epoch(self, group: Task, done: EpochDone) -> None:
        self.epochs.append(group.name)


@pytest.fixture
def at(tmp_path: Path) -> tuple[list[Task], Workplace, Workplace]:
    """Five tasks, and where they are wanted and done."""
    experiment = read_experiment(write_tiny(tmp_path, text=RIDGES))
    panel = open_panel(tmp_path / "cross.zarr")
    splits = tuple(k_fold(panel, folds=5))
    here, there = (
        Workplace(panel=panel, splits=splits, cache=RunCache(tmp_path / name / "runs"))
        for name in ("here", "there")
    )
    return [*group_runs(plan(experiment, panel=panel, splits=splits))], here, there


def test_a_lost_task_is_one_line_and_the_others_go_on(
    at: tuple[list[Task], Workplace, Workplace],
) -> None:
    tasks, here, there = at
    machines, heard = Elsewhere(there, loses=tasks[1:2]), Heard()
    outcomes = list(dispatch(tasks, machines, at=here, listener=heard, wait=False, most=None))
    by_name = {outcome.group.name: outcome for outcome in outcomes}
    lost = by_name.pop(tasks[1].name)
    assert lost == Outcome(
        group=tasks[1],
        status="failed",
        lost=tasks[1].runs,
        message="its machine was lost: ConnectionError: the node is gone",
        log=lost.log,
    )
    assert lost.log is not None
    assert lost.log.read_text() == "the node\nis gone"
    assert {outcome.status for outcome in by_name.values()} == {"finished"}
    for task in (tasks[0], *tasks[2:]):
        assert here.cache.find(task.first) is not None
    assert here.cache.find(tasks[1].first) is None
    assert heard.begun == heard.epochs == [task.name for task in tasks]
    assert tasks[1] not in machines.forgotten
    assert len(machines.forgotten) == 4


def test_no_more_tasks_than_workers_are_under_way(
    at: tuple[list[Task], Workplace, Workplace],
) -> None:
    tasks, here, there = at
    machines = Elsewhere(there)
    list(dispatch(tasks, machines, at=here, listener=Heard(), wait=False, most=2))
    assert machines.most == 2


def test_no_more_locks_are_held_than_files_may_be_open(
    at: tuple[list[Task], Workplace, Workplace],
) -> None:
    tasks, here, there = at
    run = tasks[0].first
    large = [
        Group(tuple(replace(run, seed=i, key=f"{n}{i:02}".ljust(64, "0")) for i in range(20)))
        for n in range(5)
    ]
    machines = Elsewhere(there, loses=large)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        outcomes = list(dispatch(large, machines, at=here, listener=Heard(), wait=False, most=None))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(outcomes) == 5
    assert machines.most == 2


def test_what_another_process_holds_is_not_waited_for_with_full_hands(
    at: tuple[list[Task], Workplace, Workplace],
) -> None:
    """Two drivers that each held what the other one waits for would wait for ever."""
    tasks, here, there = at
    machines, elsewhere = Elsewhere(there), RunCache(here.cache.folder)
    with ExitStack() as other:
        other.enter_context(elsewhere.locked(tasks[1].locks, wait=False))
        outcomes = dispatch(tasks[:3], machines, at=here, listener=Heard(), wait=True, most=None)
        assert {next(outcomes).group.name for _ in "ab"} == {tasks[0].name, tasks[2].name}
        other.close()
        [last] = outcomes
    assert last == replace(last, group=tasks[1], status="finished")


def test_what_is_finished_or_worked_on_is_not_sent(
    at: tuple[list[Task], Workplace, Workplace],
) -> None:
    tasks, here, there = at
    machines = Elsewhere(there)
    list(dispatch(tasks[:1], machines, at=here, listener=Heard(), wait=False, most=None))
    with RunCache(here.cache.folder).locked(tasks[1].locks, wait=False) as free:
        assert free
        outcomes = dispatch(tasks[:2], machines, at=here, listener=Heard(), wait=False, most=None)
        assert [outcome.status for outcome in outcomes] == ["cached", "busy"]
    assert len(machines.forgotten) == 1
    [outcome] = dispatch(tasks[1:2], machines, at=here, listener=Heard(), wait=False, most=None)
    assert outcome.status == "finished"


def test_leaving_early_frees_the_locks(at: tuple[list[Task], Workplace, Workplace]) -> None:
    tasks, here, there = at
    outcomes = dispatch(tasks, Elsewhere(there), at=here, listener=Heard(), wait=False, most=2)
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    for task in tasks:
        with RunCache(here.cache.folder).locked(task.locks, wait=False) as free:
            assert free
