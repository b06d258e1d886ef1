"""Commands for experiments: run them, list their trainings, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from crosstrait.commands.arguments import Changes, Flag
from crosstrait.commands.output import err_console, note, out_console, say

if TYPE_CHECKING:
    from crosstrait.experiments.driver import Result

_SOME_RUNS_FAILED = 1


def demo(*, out: Path = Path("demo"), workers: int | None = None) -> int:
    """Train all models on a simulated cross; write a leaderboard and a report.

    Parameters
    ----------
    out
        The folder to write to.
    workers
        Processes that train at once; as many as cores, memory and runs allow where not given.
    """
    from crosstrait.experiments.demo import prepare_demo

    return _run(prepare_demo(out), out=out, workers=workers)


def run(
    file: Path,
    /,
    *,
    out: Path | None = None,
    executor: Literal["local", "ray", "slurm", "modal"] = "local",
    workers: int | None = None,
    tune: Flag = False,
    tensorboard: Flag = False,
    set_: Changes = (),
) -> int:
    """Train every model of an experiment file that is not trained yet, and score them all.

    Parameters
    ----------
    file
        The experiment, a TOML file.
    out
        The folder to write to; results/NAME for NAME.toml where not given.
    executor
        Where to train.
    workers
        Trainings at once; as many as the machine or the cluster has room for where not given.
    tune
        Search the settings of every model first, on learning samples, with equal budgets: those of
        the file's [tune] table, or 20 trials a model and split where it has none.
    tensorboard
        Keep logs of all runs for TensorBoard, as they train, in the subfolder tensorboard.
    set_
        A setting of the file, as in train.replicates=1 or model.ridge.name=blup; may be repeated.
    """
    from crosstrait.experiments.file import read_experiment

    experiment = read_experiment(file, changes=set_, tune=tune)
    return _run(
        experiment,
        out=out or Path("results") / file.stem,
        executor=executor,
        workers=workers,
        tensorboard=tensorboard,
    )


def runs(
    folder: Path,
    /,
    *,
    explain: Path | None = None,
    prune: Flag = False,
    yes: Flag = False,
    set_: Changes = (),
) -> None:
    """List the finished runs of an experiment; explain what is missing; prune what is not used.

    Parameters
    ----------
    folder
        The folder of the experiment.
    explain
        An experiment file: say of each of its runs that is not finished in the folder which
        setting or data sets it apart from the nearest run that is.
    prune
        Show damaged runs, runs that the folder's last experiment does not consist of, and what
        unfinished ones left.
    yes
        With --prune, delete them.
    set_
        A setting of the experiment file; may be repeated.
    """
    from crosstrait.experiments import runs_command

    if explain is not None:
        lines = runs_command.explained(folder, file=explain, changes=set_)
    elif prune:
        lines = runs_command.pruned(folder, delete=yes)
    else:
        lines = runs_command.listing(folder)
    for line in lines:
        say(line)


def report(folder: Path, /) -> None:
    """Write the report of an experiment again from its tables, or that of a single run.

    Parameters
    ----------
    folder
        The folder of the experiment, or of one run.
    """
    from crosstrait.report.page import write_report

    page = write_report(folder)
    say(f"report: {page}")


def _run(
    experiment: Any,
    *,
    out: Path,
    executor: str = "local",
    workers: int | None = None,
    tensorboard: bool = False,
) -> int:
    from crosstrait.experiments.current import mark_current
    from crosstrait.experiments.driver import run_experiment
    from crosstrait.report.page import write_report

    result = run_experiment(
        experiment,
        out=out,
        executor=executor,
        workers=workers,
        console=err_console(),
        tensorboard=tensorboard,
    )
    if result.current:
        return _conclude(result, out / "report.html")
    page = write_report(out)
    if result.digest is not None:
        mark_current(out, digest=result.digest)
    return _conclude(result, page)


def _conclude(result: Result, page: Path) -> int:
    from crosstrait.report.table import leaderboard_table

    out_console().print(leaderboard_table(result.folder))
    trained = f"{result.n_trained} trained, {result.n_cached} found finished"
    say(f"runs: {trained}, {len(result.failures)} failed")
    for line in result.tuning:
        say(f"tuning: {line}")
    for failure in result.failures:
        where = f" (log: {failure.log})" if failure.log else ""
        note(f"failed: {failure.run}: {failure.message}{where}")
    say(f"report: {page}")
    return _SOME_RUNS_FAILED if result.failures else 0
