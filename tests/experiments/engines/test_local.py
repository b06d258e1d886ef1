from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from crosstrait.experiments.cache import RunCache
from crosstrait.experiments.driver import carry_out_all
from crosstrait.experiments.engines import local
from crosstrait.experiments.engines.engine import Listener, Outcome
from crosstrait.experiments.engines.epochs import EpochFile, read_epochs
from crosstrait.experiments.engines.handover import hand_over, take_over
from crosstrait.experiments.engines.local import (
    Local,
    ProcessPool,
    affordable_workers,
    most_devices,
)
from crosstrait.experiments.file import read_experiment
from crosstrait.experiments.plan import Group, group_runs, plan
from crosstrait.experiments.provenance import cores
from crosstrait.experiments.run import Workplace
from crosstrait.panel.schema import digest
from crosstrait.panel.storage import open_panel
from crosstrait.split import k_fold
from crosstrait.training.config import TrainConfig
from crosstrait.training.progress import EpochDone
from support.deadly_work import DeadlyWork, start_nothing
from support.experiments import write_tiny


@pytest.fixture
def workplace(tmp_path: Path) -> tuple[Workplace, list[Group]]:
    path = write_tiny(tmp_path)
    panel = open_panel(tmp_path / "cross.zarr")
    splits = tuple(k_fold(panel, folds=2))
    at = Workplace(panel=panel, splits=splits, cache=RunCache(tmp_path / "runs"))
    return at, group_runs(plan(read_experiment(path), panel=panel, splits=splits))


def test_a_panel_is_handed_over_whole_and_mapped(tmp_path: Path) -> None:
    write_tiny(tmp_path)
    panel = open_panel(tmp_path / "cross.zarr")
    hand_over(panel, folder=tmp_path / "shared")
    taken = take_over(tmp_path / "shared")
    assert taken.attrs == panel.attrs
    assert digest(taken) == panel.attrs["digest"]
    assert not taken["call_dosage"].values.flags.writeable


def test_what_kills_its_worker_again_and_again_fails_and_spares_the_others(
    workplace: tuple[Workplace, list[Group]], monkeypatch: pytest.MonkeyPatch
) -> None:
    at, groups = workplace[0], workplace[1][1:3]
    deadly = groups[1]
    monkeypatch.setattr("crosstrait.experiments.engines.local._work", DeadlyWork(deadly.name))
    monkeypatch.setattr("crosstrait.experiments.engines.local._start_worker", start_nothing)
    outcomes = list(ProcessPool(2).run(groups, at=at, listener=Silent(), wait=False))
    assert {outcome.group.name for outcome in outcomes} == {group.name for group in groups}
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    assert [outcome.group.name for outcome in failed] == [deadly.name]
    assert failed[0].lost == deadly.runs
    assert "3 workers that trained it were killed" in failed[0].message


def test_a_worker_that_alone_is_asked_to_end_dies_rather_than_end_the_driver(
    workplace: tuple[Workplace, list[Group]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As daemons ask that save a machine from running out of memory."""

    def be_asked(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def worker() -> None:
        try:
            local._work(workplace[1][0], tmp_path, False)
        except BaseException:
            os._exit(1)  # an exception of a worker is raised again in the driver

    monkeypatch.setattr(local, "_AT", workplace[0])
    monkeypatch.setattr(local, "carry_out", be_asked)
    process = multiprocessing.get_context("fork").Process(target=worker)
    process.start()
    process.join(60)
    assert process.exitcode == 143


def test_workers_that_do_not_leave_when_asked_to_are_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one would that waits for a lock of a queue whose holder has died."""
    monkeypatch.setattr(local, "_STOP_SECONDS", 0.1)
    ignoring = (signal.SIGTERM, signal.SIG_IGN)
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(1, mp_context=context, initializer=signal.signal, initargs=ignoring)
    assert pool.submit(os.getpid).result() != os.getpid()
    pool.submit(time.sleep, 60)
    [worker] = pool._processes.values()
    local._stop(pool)
    worker.join(10)
    assert worker.exitcode == -signal.SIGKILL
    pool.shutdown()


class Silent:
    def started(self, group: Group) -> None: ...

    def epoch(self, group: Group, done: EpochDone) -> None: ...


def test_what_another_process_trains_is_waited_for_at_the_end(
    workplace: tuple[Workplace, list[Group]],
) -> None:
    at, groups = workplace
    seen: list[tuple[bool, int]] = []

    class Engine:
        def run(
            self, groups: Sequence[Group], *, at: Workplace, listener: Listener, wait: bool
        ) -> Iterator[Outcome]:
            seen.append((wait, len(groups)))
            for i, group in enumerate(groups):
                busy = i == 0 and not wait
                yield Outcome(group=group, status="busy" if busy else "cached")

    runs = [run for group in groups for run in group.runs]
    found = carry_out_all(runs, at=at, engine=Engine(), console=Console(quiet=True))
    assert found == ({}, 0, [])
    assert seen == [(False, len(groups)), (True, 1)]


def test_workers_are_as_many_as_cores_and_groups_allow(
    workplace: tuple[Workplace, list[Group]],
) -> None:
    at, _ = workplace
    assert affordable_workers(at.panel, n_groups=1) == 1
    assert 1 <= affordable_workers(at.panel, n_groups=1000) <= cores()


def test_trainings_on_several_devices_leave_fewer_workers(
    workplace: tuple[Workplace, list[Group]], monkeypatch: pytest.MonkeyPatch
) -> None:
    at, groups = workplace
    monkeypatch.setattr("crosstrait.experiments.engines.local.visible_gpus", lambda: list("01234"))
    monkeypatch.setattr("crosstrait.experiments.engines.local.memory_bytes", lambda: 1 << 50)
    large = [
        Group(tuple(replace(run, train=TrainConfig(devices=2)) for run in group.runs))
        for group in groups[:1]
    ]
    assert most_devices(groups) == 1
    assert most_devices([*groups, *large]) == 2
    assert affordable_workers(at.panel, n_groups=9) == 5
    assert affordable_workers(at.panel, n_groups=9, devices=2) == 2
    assert affordable_workers(at.panel, n_groups=9, devices=8) == 1


def test_cores_that_nothing_uses_are_named(
    workplace: tuple[Workplace, list[Group]], monkeypatch: pytest.MonkeyPatch
) -> None:
    at, groups = workplace
    monkeypatch.setattr("crosstrait.experiments.engines.local.cores", lambda: 16)
    with pytest.warns(
        UserWarning, match=r"2 of 16 cores are used; \[train\] threads = 16 uses all"
    ):
        list(Local(threads=2).run(groups[:1], at=at, listener=Silent(), wait=False))


def test_epochs_are_told_through_a_file(
    workplace: tuple[Workplace, list[Group]], tmp_path: Path
) -> None:
    _, groups = workplace
    done = EpochDone(
        seed=0,
        member="all",
        epoch=2,
        n_epochs=5,
        train_loss=1.0,
        val_loss=0.5,
        val_r2=0.25,
        learning_rate=0.1,
        seconds=3.0,
    )
    assert read_epochs(tmp_path, groups[0]) == []
    teller = EpochFile(tmp_path)
    teller.started(groups[0])
    teller.epoch(groups[0], done)
    assert read_epochs(tmp_path, groups[0]) == [done]


def test_an_epoch_without_validation_samples_is_told_too(
    workplace: tuple[Workplace, list[Group]], tmp_path: Path
) -> None:
    _, groups = workplace
    values = dict.fromkeys(("train_loss", "val_loss", "val_r2", "learning_rate", "seconds"), np.nan)
    teller = EpochFile(tmp_path)
    teller.epoch(groups[0], EpochDone(seed=0, member="all", epoch=1, n_epochs=2, **values))
    [told] = read_epochs(tmp_path, groups[0])
    assert told.epoch == 1
    assert np.isnan(told.val_loss)
