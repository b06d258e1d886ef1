"""What ``crosstrait runs`` prints, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from crosstrait.experiments.cache import RunCache
from crosstrait.experiments.driver import draw_splits
from crosstrait.experiments.file import read_experiment
from crosstrait.experiments.inventory import (
    CachedRun,
    explain,
    find_unused,
    list_missing,
    list_runs,
    prune,
)
from crosstrait.experiments.plan import plan
from crosstrait.experiments.run import Workplace
from crosstrait.experiments.searches import has_no_answer, plan_searches
from crosstrait.experiments.tuning import answered
from crosstrait.panel.sources import load_panel


def listing(out: Path) -> Iterator[str]:
    """Yield a line a run, then those that failed, then how many there are.

    Raises
    ------
    StorageError
        If ``out`` holds no runs.
    """
    runs, missing = list_runs(out), list_missing(out)
    width = max((len(run.folder.name) for run in runs), default=0)
    for run in runs:
        other = "" if run.used or missing is None else "  not of the last experiment"
        yield f"{run.folder.name:{width}}  {_described(run)}{other}"
    yield from (f"missing: {line}" for line in missing or [])
    n_used = sum(run.used for run in runs)
    n_damaged = sum(not run.finished for run in runs)
    total = _megabytes(sum(run.n_bytes for run in runs))
    if missing is None:
        yield (
            f"{len(runs)} runs, {total}: {len(runs) - n_damaged} finished, {n_damaged} damaged; no "
            f"experiment has ended here yet, and the same command goes on with it"
        )
    else:
        yield (
            f"{len(runs)} runs, {total}: {n_used} of the last experiment, "
            f"{len(runs) - n_used - n_damaged} others, {n_damaged} damaged"
        )


def explained(out: Path, *, file: Path, changes: Sequence[str] = ()) -> Iterator[str]:
    """Yield a line a run of the experiment file that is not finished in ``out``, and why.

    Raises
    ------
    SettingsError, DataError
        If the experiment cannot be done on its panel.
    StorageError
        If the file cannot be read or ``out`` holds no runs.
    """
    cached = list_runs(out)
    experiment = read_experiment(file, changes=changes)
    panel = load_panel(experiment.data.panel)
    splits = draw_splits(experiment, panel)
    at = Workplace(panel=panel, splits=splits, cache=RunCache(out / "runs"))
    runs = plan(experiment, panel=panel, splits=splits)
    if experiment.tune is not None:
        runs = answered(runs, searches=plan_searches(experiment, runs), at=at)
    missing = [run for run in runs if at.cache.find(run) is None]
    for run in missing:
        if has_no_answer(run):
            yield f"{run}: its settings are still to be searched"
        else:
            yield f"{run}: {explain(run, cached=cached)}"
    yield f"{len(runs) - len(missing)} of {len(runs)} runs are finished"


def pruned(out: Path, *, delete: bool) -> Iterator[str]:
    """Yield a line for everything that is not used, deleted where that is asked for.

    Raises
    ------
    StorageError
        If ``out`` holds no ended experiment, or something cannot be deleted.
    """
    unused = find_unused(out)
    gone = prune(out, unused) if delete else iter(unused)
    n_bytes = n = 0
    for item in gone:
        n, n_bytes = n + 1, n_bytes + item.n_bytes
        yield f"{'deleted ' if delete else ''}{item.folder.name}: {item.why}"
    if not n:
        yield "there is nothing to prune"
    elif delete:
        yield f"{n} folders deleted, {_megabytes(n_bytes)} freed"
    else:
        yield f"{n} folders, {_megabytes(n_bytes)}, may go; delete them with --prune --yes"


def _described(run: CachedRun) -> str:
    if not run.finished:
        return "damaged; it is trained again when needed"
    score = "" if run.test_r2 is None else f"test R2 {run.test_r2:.3f}  "
    seconds = run.about["train_seconds"]  # not known of an imported model, nor is its seed
    took = "" if seconds is None else f"{seconds:.1f} s  "
    return (
        f"replicate {run.about['replicate']} fold {run.about['fold']} seed {run.about['seed']}  "
        f"{score}{took}{run.about['finished']}"
    )


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB"
