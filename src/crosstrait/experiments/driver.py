"""An experiment from its file to its tables: run what is missing, then score everything at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from crosstrait.errors import SettingsError, TrainingError
from crosstrait.experiments.assemble import assemble
from crosstrait.experiments.cache import RunCache
from crosstrait.experiments.constant_traits import check_traits_vary
from crosstrait.experiments.current import is_current, made_of
from crosstrait.experiments.engines.choose import check_engine, make_engine
from crosstrait.experiments.engines.engine import Engine, Failure, Listener, both_passes
from crosstrait.experiments.file import Experiment
from crosstrait.experiments.plan import Run, group_runs, plan
from crosstrait.experiments.run import Workplace, train_seconds
from crosstrait.experiments.search import check_optuna
from crosstrait.experiments.storage import make_folder, write_text
from crosstrait.experiments.tensorboard_logs import TensorBoardLogs, check_tensorboard
from crosstrait.experiments.tuning import tune_runs
from crosstrait.experiments.watch import Told, Watch
from crosstrait.panel.schema import Panel
from crosstrait.panel.sources import load_panel
from crosstrait.split.config import draw
from crosstrait.split.manifest import Split


@dataclass(frozen=True, kw_only=True)
class Result:
    """What an experiment left.

    Attributes
    ----------
    folder
        Where ``leaderboard.csv``, ``predictions.parquet``, ``report.html`` and ``runs`` are.
    n_trained, n_cached
        Runs trained now, and runs found finished.
    failures
        Runs that are missing from the leaderboard.
    tuning
        How the models were tuned, in sentences; empty where they were not.
    digest
        What the tables are made of, if nothing is missing.
    current
        Whether the tables and the report were there already, just as they would be now.
    """

    folder: Path
    n_trained: int
    n_cached: int
    failures: tuple[Failure, ...]
    tuning: tuple[str, ...] = ()
    digest: str | None = None
    current: bool = False


def run_experiment(
    experiment: Experiment,
    *,
    out: Path,
    executor: str = "local",
    workers: int | None = 1,
    console: Console | None = None,
    tensorboard: bool = False,
) -> Result:
    """Train every run that ``out`` does not hold yet; score them together; write the tables.

    Parameters
    ----------
    experiment
        What `read_experiment` returned.
    out
        The folder of the experiment. Finished runs in it are not trained again.
    executor
        Which engine trains: ``local``, ``ray``, ``slurm`` or ``modal``.
    workers
        Processes or tasks that train at once; None: as many as cores, memory and runs allow. With
        more than one locally, a script needs Python's ``if __name__ == "__main__":``.
    console
        Where progress is shown; nowhere if not given.
    tensorboard
        Whether to keep logs for TensorBoard of all runs in ``out/tensorboard``, of those that
        were finished before too.

    Raises
    ------
    SettingsError, DataError
        If the experiment cannot be done on its panel; nothing is trained then.
    StorageError
        If ``out`` cannot be written; what is finished stays.
    TrainingError
        If every run failed.
    """
    check_engine(executor, workers=workers)
    if experiment.tune is not None:
        check_optuna()
    if tensorboard:
        check_tensorboard()
    make_folder(out)
    panel = load_panel(experiment.data.panel)
    splits = draw_splits(experiment, panel)
    runs = plan(experiment, panel=panel, splits=splits)
    check_traits_vary(runs, panel=panel, splits=splits, where="in [data]")
    write_splits(splits, folder=out / "splits")
    workplace = Workplace(panel=panel, splits=splits, cache=RunCache(out / "runs"))
    engine = make_engine(
        executor,
        workers=workers,
        threads=experiment.threads,
        slurm=experiment.slurm,
        modal=experiment.modal,
    )
    console = console or Console(quiet=True)
    failures: list[Failure] = []
    notes: list[str] = []
    if experiment.tune is not None:
        tuned = tune_runs(
            runs, experiment=experiment, at=workplace, engine=engine, console=console, out=out
        )
        runs, failures, notes = tuned.runs, tuned.failures, tuned.notes
    unsearched = {failure.run.place for failure in failures}
    ready = [run for run in runs if run.place not in unsearched]
    logs = TensorBoardLogs(out / "tensorboard", cache=workplace.cache) if tensorboard else None
    finished, n_trained, failed = carry_out_all(
        ready, at=workplace, engine=engine, console=console, logs=logs
    )
    failures += failed
    if not finished:
        raise TrainingError(f"all {len(runs)} runs failed; the first: {failures[0].message}")
    n_ended = sum(run.key in finished for run in runs)
    result = Result(
        folder=out,
        n_trained=n_trained,
        n_cached=n_ended - n_trained,
        failures=tuple(failures),
        tuning=tuple(notes),
    )
    if n_ended == len(runs):
        digest = made_of(
            experiment, runs=runs, finished=finished, panel_digest=str(panel.attrs["digest"])
        )
        result = replace(result, digest=digest, current=is_current(out, digest=digest))
    if result.current:
        return result
    assemble(
        experiment,
        out=out,
        at=workplace,
        runs=runs,
        finished=finished,
        missing={failure.run.place: failure.message for failure in failures},
        tuning=notes,
    )
    return result


def carry_out_all(
    runs: Sequence[Run],
    *,
    at: Workplace,
    engine: Engine,
    console: Console,
    logs: TensorBoardLogs | None = None,
) -> tuple[dict[str, Path], int, list[Failure]]:
    """Train what is missing of ``runs``.

    Return the folders of finished runs by key, how many were trained here, and what failed. Runs
    that another process is training are left to it, and waited for at the end.
    """
    finished = {run.key: path for run in runs if (path := at.cache.find(run)) is not None}
    missing = [run for run in runs if run.key not in finished]
    groups = [part for group in group_runs(missing) for part in at.cache.as_begun(group)]
    n_runs = len({run.key for run in runs})
    n_done = n_runs - sum(len(group.runs) for group in groups)
    n_trained = 0
    failures: list[Failure] = []
    labels = {run.label for run in missing}
    known: dict[str, list[float]] = {}
    for run in runs:
        if run.key in finished and run.label in labels:
            known.setdefault(run.label, []).append(train_seconds(finished[run.key]))
    with ExitStack() as opened:
        opened.enter_context(at.cache.working())
        watch = Watch(n_runs=n_runs, n_done=n_done, groups=groups, console=console, known=known)
        listeners: list[Listener] = [opened.enter_context(watch)]
        if logs is not None:
            listeners.append(opened.enter_context(logs))
            for run in runs:
                if run.key in finished:
                    logs.finish(run, finished[run.key])
        for outcome in both_passes(engine, groups, at=at, listener=Told(listeners)):
            watch.ended(outcome)
            if logs is not None:
                logs.ended(outcome)
            if outcome.status in ("finished", "failed"):
                n_trained += len(outcome.group.runs) - len(outcome.lost)
            lost = {run.key for run in outcome.lost}
            failures += [
                Failure(run=run, message=outcome.message, log=outcome.log)
                for run in missing
                if run.key in lost
            ]
    finished |= {run.key: path for run in missing if (path := at.cache.find(run)) is not None}
    return finished, n_trained, failures


def write_splits(splits: Sequence[Split], *, folder: Path) -> None:
    """Write the manifests of an experiment, one a fold."""
    make_folder(folder)
    for fold, split in enumerate(splits):
        path, text = folder / f"fold-{fold}.json", split.as_json()
        if not (path.is_file() and path.read_text(encoding="utf-8") == text):
            write_text(path, text)


def draw_splits(experiment: Experiment, panel: Panel) -> tuple[Split, ...]:
    """Return the splits of an experiment.

    Raises
    ------
    SettingsError
        If one tests nothing.
    """
    splits = tuple(draw(experiment.split, panel))
    if not all(split.test or split.test_cells for split in splits):
        raise SettingsError("[split]: the split has no test samples, so nothing could be scored")
    return splits
