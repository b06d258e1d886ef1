"""Jobs of submitit's local executor: real processes, signals and files, and no Slurm."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from crosstrait.errors import StorageError
from crosstrait.experiments.cache import RunCache
from crosstrait.experiments.driver import carry_out_all, draw_splits, run_experiment
from crosstrait.experiments.engines.engine import Task, both_passes
from crosstrait.experiments.engines.local import InProcess
from crosstrait.experiments.engines.slurm_engine import SlurmEngine
from crosstrait.experiments.engines.slurm_folder import SlurmFolder, Submission
from crosstrait.experiments.engines.slurm_job import SlurmJob
from crosstrait.experiments.file import read_experiment
from crosstrait.experiments.interrupt import Interrupted, stopping_on_signals
from crosstrait.experiments.plan import Run, group_runs, plan
from crosstrait.experiments.run import METRICS, Workplace, train_group
from crosstrait.experiments.tuning import TUNING, tune_runs
from crosstrait.panel.sources import load_panel
from crosstrait.training.progress import EpochDone
from support.experiments import TINY, write_tiny

pytest.importorskip("submitit", reason="needs submitit: pip install 'crosstrait[slurm]'")
if not Path("/proc").is_dir():
    pytest.skip("finds the processes of jobs in /proc", allow_module_level=True)

from support.local_cluster import LocalCluster

RANDOM = TINY.replace('scheme = "kfold"\nfolds = 2', 'scheme = "random"')
SETTINGS, RIDGE, NETWORK = RANDOM.split("[[model]]")
BOTH = f"{SETTINGS}[[model]]{RIDGE}[[model]]{NETWORK}"
LONG = f"{SETTINGS}[[model]]{NETWORK}".replace("max_epochs = 3", "max_epochs = 300")
LONG = LONG.replace("replicates = 2\n", "")
TUNED = (
    SETTINGS.replace("max_epochs = 3\nbatch_size = 16\n", "")
    + '[tune]\ntrials = 2\n[[model]]\ntype = "trees"\nmax_rounds = 20\n'
)


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    cluster = LocalCluster()
    yield cluster
    cluster.close()


class Ears:
    """A listener that notes what it hears."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.epochs: list[int] = []

    def started(self, group: Task) -> None:
        self.begun.append(group.name)

    def epoch(self, group: Task, done: EpochDone) -> None:
        assert group.name in self.begun
        self.epochs.append(done.epoch)


def workplace(path: Path, out: Path) -> tuple[list[Run], Workplace]:
    experiment = read_experiment(path)
    panel = load_panel(experiment.data.panel)
    splits = draw_splits(experiment, panel)
    at = Workplace(panel=panel, splits=splits, cache=RunCache(out / "runs"))
    return plan(experiment, panel=panel, splits=splits), at


def scores(out: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in out.glob(f"runs/*/{METRICS}")}


def test_a_search_finds_the_settings_that_it_finds_in_this_process(
    tmp_path: Path, cluster: LocalCluster
) -> None:
    pytest.importorskip("lightgbm", reason="tunes trees")
    pytest.importorskip("optuna", reason="tunes in jobs too")
    path = write_tiny(tmp_path, text=TUNED)
    engines = {"slurm": SlurmEngine(cluster=cluster, ask_seconds=0.2), "local": InProcess(1)}
    scores = []
    for name, engine in engines.items():
        out = tmp_path / name
        runs, at = workplace(path, out)
        console = Console(quiet=True)
        experiment = read_experiment(path)
        tuned = tune_runs(
            runs, experiment=experiment, at=at, engine=engine, console=console, out=out
        )
        assert not tuned.failures
        table = pd.read_csv(out / TUNING).drop(columns="seconds")
        scores.append((table, [run.key for run in tuned.runs]))
    (slurm, keys), (local, local_keys) = scores
    assert len(slurm) == 2
    assert keys == local_keys
    pd.testing.assert_frame_equal(slurm, local, check_exact=True)


def test_a_preempted_job_goes_on_from_where_it_was_asked_to_leave(
    tmp_path: Path, cluster: LocalCluster
) -> None:
    path = write_tiny(tmp_path, text=LONG)
    runs, at = workplace(path, tmp_path / "slurm")
    signals = [signal.SIGUSR2]

    class Preempting(Ears):
        def epoch(self, group: Task, done: EpochDone) -> None:
            super().epoch(group, done)
            if signals and done.epoch > 1:
                cluster.send(signals.pop())

    ears = Preempting()
    engine = SlurmEngine(cluster=cluster, ask_seconds=0.2)
    [outcome] = both_passes(engine, group_runs(runs), at=at, listener=ears)
    assert outcome.status == "finished", outcome
    assert not signals
    assert len(cluster.jobs) == 1
    assert ears.epochs == sorted(ears.epochs)
    run_experiment(read_experiment(path), out=tmp_path / "local")
    assert scores(tmp_path / "slurm") == scores(tmp_path / "local") != {}


def test_a_job_that_is_lost_for_good_is_a_failed_run_and_the_others_go_on(
    tmp_path: Path, cluster: LocalCluster
) -> None:
    path = write_tiny(tmp_path, text=BOTH)
    runs, at = workplace(path, tmp_path / "slurm")
    cluster.doomed = "canonical"
    engine = SlurmEngine(cluster=cluster, workers=2, ask_seconds=0.2)
    finished, n_trained, failures = carry_out_all(
        runs, at=at, engine=engine, console=Console(quiet=True)
    )
    assert (list(finished), n_trained) == ([runs[0].key], 1)
    assert [failure.run for failure in failures] == runs[1:]
    for failure in failures:
        assert failure.message.endswith("was lost: COMPLETED, 3 times")
        assert failure.log is not None
        assert failure.log.is_file()
    assert len(cluster.jobs) == 1 + 3
    left = [path for path in (tmp_path / "slurm" / "slurm").rglob("*") if path.is_file()]
    assert not [path for path in left if path.suffix == ".pkl"]
    assert not [path for path in left if path.parent.name in ("tasks", "submitted", "outcomes")]
    assert (tmp_path / "slurm" / "slurm").stat().st_mode & 0o077 == 0


def test_a_cancelled_job_is_not_submitted_again(tmp_path: Path, cluster: LocalCluster) -> None:
    text = BOTH.replace('device = "cpu"', 'device = "auto"')
    runs, at = workplace(write_tiny(tmp_path, text=text), tmp_path)
    ridge, network = group_runs(runs)

    class Cancelling(LocalCluster):
        def submit(self, *args: Any, **kwargs: Any) -> list[str]:
            names = cluster.submit(*args, **kwargs)
            cluster.cancel(names)
            return names

        states = cluster.states

    engine = SlurmEngine(cluster=Cancelling(), ask_seconds=0.2)
    outcomes = list(engine.run([ridge, network], at=at, listener=Ears(), wait=False))
    assert sorted(len(outcome.lost) for outcome in outcomes) == [1, 2]
    assert all(o.message.endswith("was lost: it was cancelled") for o in outcomes)
    # One array a kind of task, and a GPU for those that can use it.
    assert cluster.arrays == [(1, [network.name]), (0, [ridge.name])]


def test_a_driver_that_leaves_cancels_its_jobs(tmp_path: Path, cluster: LocalCluster) -> None:
    runs, at = workplace(write_tiny(tmp_path, text=LONG), tmp_path)

    class Leaving(Ears):
        def started(self, group: Task) -> None:
            raise KeyboardInterrupt

    engine = SlurmEngine(cluster=cluster, ask_seconds=0.1)
    with pytest.raises(KeyboardInterrupt):
        list(engine.run(group_runs(runs), at=at, listener=Leaving(), wait=False))
    assert len(cluster.jobs) == 1
    assert cluster.stopped == list(cluster.jobs)
    assert not list((tmp_path / "slurm" / "submitted").iterdir())


def test_a_driver_that_leaves_cancels_no_job_that_another_waits_for(
    tmp_path: Path, cluster: LocalCluster
) -> None:
    runs, at = workplace(write_tiny(tmp_path, text=LONG), tmp_path)
    engine = SlurmEngine(cluster=cluster, ask_seconds=0.1)
    groups = group_runs(runs)

    class Leaving(Ears):
        def started(self, group: Task) -> None:
            raise KeyboardInterrupt

    class Meeting(Ears):
        """Lets another driver come and go while the job runs, and leaves in its turn."""

        def started(self, group: Task) -> None:
            with pytest.raises(KeyboardInterrupt):
                list(engine.run(groups, at=at, listener=Leaving(), wait=False))
            assert cluster.stopped == []
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(engine.run(groups, at=at, listener=Meeting(), wait=False))
    assert len(cluster.jobs) == 1
    assert cluster.stopped == list(cluster.jobs)
    assert {path.name for path in (tmp_path / "slurm" / "drivers").iterdir()} <= {"all.lock"}


def test_a_driver_whose_folder_is_gone_leaves_no_job_behind(
    tmp_path: Path, cluster: LocalCluster
) -> None:
    runs, at = workplace(write_tiny(tmp_path, text=LONG), tmp_path)

    class Losing(Ears):
        def started(self, group: Task) -> None:
            shutil.rmtree(tmp_path / "slurm" / "drivers")
            raise KeyboardInterrupt

    engine = SlurmEngine(cluster=cluster, ask_seconds=0.1)
    with pytest.raises(KeyboardInterrupt):
        list(engine.run(group_runs(runs), at=at, listener=Losing(), wait=False))
    assert cluster.stopped == list(cluster.jobs)


def test_ctrl_c_while_jobs_are_submitted_leaves_none_behind(tmp_path: Path) -> None:
    class Slow(LocalCluster):
        """Hears of Ctrl-C when the jobs are there, and the driver does not know yet."""

        def submit(self, jobs: Sequence[SlurmJob], **settings: Any) -> list[str]:
            numbers = super().submit(jobs, **settings)
            signal.raise_signal(signal.SIGINT)
            return numbers

    cluster = Slow()
    runs, at = workplace(write_tiny(tmp_path, text=LONG), tmp_path)
    engine = SlurmEngine(cluster=cluster, ask_seconds=0.1)
    try:
        with pytest.raises(Interrupted), stopping_on_signals():
            list(engine.run(group_runs(runs), at=at, listener=Ears(), wait=False))
        assert len(cluster.jobs) == 1
        assert cluster.stopped == list(cluster.jobs)
        assert not list((tmp_path / "slurm" / "submitted").iterdir())
    finally:
        cluster.close()


def submit(task: Task, *, at: Workplace, cluster: LocalCluster) -> str:
    """Submit a task as a driver does, and return its ticket."""
    folder, ticket = SlurmFolder(at.cache.folder), f"{task.name}-0"
    folder.describe(task, ticket=ticket, data=folder.data(at))
    job = SlurmJob(runs=str(folder.runs), ticket=ticket, threads=1)
    [number] = cluster.submit([job], folder=folder.jobs, at_once=None, gpus=0)
    folder.note(task, Submission(job=number, ticket=ticket))
    return ticket


@pytest.mark.parametrize("answers", [True, False])
def test_the_jobs_of_a_driver_that_was_killed_are_taken_over(
    tmp_path: Path, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    runs, at = workplace(write_tiny(tmp_path, text=BOTH), tmp_path)
    ridge = group_runs(runs)[0]
    submit(ridge, at=at, cluster=cluster)
    states = cluster.states

    def busy(_: Sequence[str]) -> None:
        """Be too busy to answer, once."""
        monkeypatch.setattr(cluster, "states", states)

    if not answers:
        monkeypatch.setattr(cluster, "states", busy)
    engine = SlurmEngine(cluster=cluster, ask_seconds=0.2)
    [outcome] = engine.run([ridge], at=at, listener=Ears(), wait=False)
    assert outcome.status == "finished"
    assert len(cluster.jobs) == 1


def test_jobs_that_another_driver_submits_meanwhile_are_not_submitted_again(
    tmp_path: Path, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, at = workplace(write_tiny(tmp_path, text=BOTH), tmp_path)
    ridge = group_runs(runs)[0]
    write = SlurmFolder.data

    def slow(folder: SlurmFolder, at: Workplace) -> dict[str, Any]:
        """Write the data, during which the other driver is faster."""
        monkeypatch.setattr(SlurmFolder, "data", write)
        submit(ridge, at=at, cluster=cluster)
        return folder.data(at)

    monkeypatch.setattr(SlurmFolder, "data", slow)
    engine = SlurmEngine(cluster=cluster, ask_seconds=0.2)
    [outcome] = engine.run([ridge], at=at, listener=Ears(), wait=False)
    assert outcome.status == "finished"
    assert len(cluster.jobs) == 1


def test_what_a_driver_before_was_to_be_told_is_no_answer(
    tmp_path: Path, cluster: LocalCluster
) -> None:
    runs, at = workplace(write_tiny(tmp_path, text=BOTH), tmp_path)
    ridge = group_runs(runs)[0]
    folder = SlurmFolder(at.cache.folder)
    folder.note(ridge, Submission(job="1", ticket="old"))
    folder.settle("old", StorageError("cannot write: the disk is full"))
    engine = SlurmEngine(cluster=cluster, ask_seconds=0.2)
    [outcome] = engine.run([ridge], at=at, listener=Ears(), wait=False)
    assert outcome.status == "finished"
    assert not list((tmp_path / "slurm" / "outcomes").iterdir())


def test_forgetting_one_submission_of_a_task_leaves_the_other(tmp_path: Path) -> None:
    runs, at = workplace(write_tiny(tmp_path, text=BOTH), tmp_path)
    ridge = group_runs(runs)[0]
    folder = SlurmFolder(at.cache.folder)
    for ticket in ("first", "second"):
        folder.describe(ridge, ticket=ticket, data=folder.data(at))
        folder.note(ridge, Submission(job=ticket, ticket=ticket))
    folder.forget(ridge, Submission(job="first", ticket="first"))
    task, _ = folder.open("second", here="here")
    assert task.name == ridge.name
    assert folder.noted(ridge) == Submission(job="second", ticket="second")


def test_what_others_work_on_is_left_to_them_and_then_waited_for(
    tmp_path: Path, cluster: LocalCluster
) -> None:
    runs, at = workplace(write_tiny(tmp_path, text=BOTH), tmp_path)
    ridge = group_runs(runs)[0]
    engine = SlurmEngine(cluster=cluster, ask_seconds=0.1)
    statuses = []
    with at.cache.locked(ridge.locks, wait=False):
        for outcome in both_passes(engine, [ridge], at=at, listener=Ears()):
            statuses.append(outcome.status)
            if outcome.status == "busy":
                train_group(ridge, at=at)
                break
    [outcome] = engine.run([ridge], at=at, listener=Ears(), wait=True)
    assert [*statuses, outcome.status] == ["busy", "cached"]
    assert not cluster.jobs
