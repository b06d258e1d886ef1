"""The first half of a tuned experiment: search the settings that its runs are trained with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console

from crosstrait.experiments.engines.engine import Engine, Failure, both_passes
from crosstrait.experiments.file import Experiment
from crosstrait.experiments.plan import Run
from crosstrait.experiments.run import Workplace
from crosstrait.experiments.search import search_folder
from crosstrait.experiments.searches import (
    Search,
    has_no_answer,
    plan_searches,
    with_answer,
    without_answer,
)
from crosstrait.experiments.storage import write_text
from crosstrait.experiments.trials import Trial, best_of, read_trials
from crosstrait.experiments.tune_table import TuneConfig
from crosstrait.experiments.watch import Watch

TUNING = "tuning.csv"
_COLUMNS = ["model", "fold", "trial", "settings", "score", "seconds", "chosen", "note"]


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What the searches of an experiment found.

    Attributes
    ----------
    runs
        Every run of the experiment, with the settings and the key that it is trained under.
    failures
        Runs whose search failed.
    notes
        A sentence a model on how it was tuned, after one on the budget.
    """

    runs: list[Run]
    failures: list[Failure]
    notes: list[str]


def tune_runs(
    runs: Sequence[Run],
    *,
    experiment: Experiment,
    at: Workplace,
    engine: Engine,
    console: Console,
    out: Path,
) -> Tuned:
    """Carry out the searches that are not finished yet; write ``tuning.csv`` into ``out``.

    Parameters
    ----------
    runs
        The runs of ``experiment`` with the settings of its file.
    experiment
        What was asked for, with a ``tune`` table.
    at
        The panel, the splits and where trials are kept.
    engine
        What carries the searches out.
    console
        Where progress is shown.
    out
        The folder of the experiment.

    Raises
    ------
    StorageError
        If the trials cannot be written.
    """
    assert experiment.tune is not None
    searches = plan_searches(experiment, runs)
    failures = list(_carry_out(searches, at=at, engine=engine, console=console))
    found = {
        (search.first.label, search.first.fold): search.within_budget(
            read_trials(search_folder(search, at=at))
        )
        for search in searches
    }
    folds = sorted({run.fold for run in runs})
    table = _table(experiment, found, folds=folds)
    write_text(out / TUNING, table.to_csv(index=False))
    answers = answered(runs, searches=searches, at=at)
    told = {failure.run.place for failure in failures}
    for run in answers:
        if has_no_answer(run) and run.place not in told:
            message = "its search has no trial with a score"
            failures.append(Failure(run=run, message=message, log=None))
    return Tuned(
        runs=answers,
        failures=failures,
        notes=_notes(experiment, found, tune=experiment.tune),
    )


def answered(runs: Sequence[Run], *, searches: Sequence[Search], at: Workplace) -> list[Run]:
    """Return ``runs`` with the settings that ended searches chose.

    Runs that wait for an unfinished or failed search get a key that no training has.
    """
    by_place = {run.place: run for run in runs}
    for search in searches:
        trials = search.within_budget(read_trials(search_folder(search, at=at)))
        best = best_of(trials) if search.ended(trials) else None
        for run in search.runs:
            by_place[run.place] = (
                without_answer(run) if best is None else with_answer(run, dict(best.settings))
            )
    return list(by_place.values())


def _carry_out(
    searches: Sequence[Search], *, at: Workplace, engine: Engine, console: Console
) -> Iterator[Failure]:
    n_runs = sum(len(search.runs) for search in searches)
    watching = Watch(n_runs=n_runs, n_done=0, groups=searches, console=console)
    with at.cache.working(), watching as watch:
        for outcome in both_passes(engine, searches, at=at, listener=watch):
            watch.ended(outcome)
            for run in outcome.lost:
                yield Failure(run=run, message=outcome.message, log=outcome.log)


def _table(
    experiment: Experiment, found: Mapping[tuple[str, int], list[Trial]], *, folds: Sequence[int]
) -> pd.DataFrame:
    rows: list[tuple[object, ...]] = []
    for entry in experiment.models:
        for fold in folds:
            trials = found.get((entry.label, fold))
            if trials is None:
                note = _unsearched(tuned=entry.tune, searchable=bool(entry.config.search_space))
                rows.append((entry.label, fold, None, "", None, None, None, note))
                continue
            best = best_of(trials)
            for number, trial in enumerate(trials):
                settings = json.dumps(dict(trial.settings))
                note = trial.message or ("" if number else "the file's settings")
                rows.append(
                    (
                        entry.label,
                        fold,
                        number,
                        settings,
                        trial.score,
                        trial.seconds,
                        trial is best,
                        note,
                    )
                )
    return pd.DataFrame(rows, columns=_COLUMNS).astype({"trial": "Int64"})


def _notes(
    experiment: Experiment, found: Mapping[tuple[str, int], list[Trial]], *, tune: TuneConfig
) -> list[str]:
    limit = "" if tune.seconds is None else f", none begun after {tune.seconds:g} s of training"
    parts = "a held-out fifth" if tune.folds == 1 else f"{tune.folds} parts in turn"
    notes = [
        f"Settings were searched on the learning samples of each split alone, scored by "
        f"{tune.metric} on {parts} of them; the budget was the same for every model and split: "
        f"{tune.trials} trials{limit}."
    ]
    for entry in experiment.models:
        own = [trials for (label, _), trials in found.items() if label == entry.label]
        if not own:
            note = _unsearched(tuned=entry.tune, searchable=bool(entry.config.search_space))
            notes.append(f"{entry.label}: {note}.")
            continue
        counts = [len(trials) for trials in own]
        n = f"{counts[0]}" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"
        early = ", ended early by its time" if min(counts) < tune.trials else ""
        seconds = sum(trial.seconds for trials in own for trial in trials) / len(own)
        notes.append(
            f"{entry.label}: tuned, {n} trials a split{early}, {seconds:.0f} s a split; score "
            f"inside {_mean(own, best=True)}, with the file's settings {_mean(own, best=False)}."
        )
    return notes


def _mean(searches: list[list[Trial]], *, best: bool) -> str:
    chosen = [best_of(trials) if best else trials[0] for trials in searches if trials]
    scores = [trial.score for trial in chosen if trial is not None and trial.score is not None]
    return f"{sum(scores) / len(scores):.3f}" if scores else "not known"


def _unsearched(*, tuned: bool, searchable: bool) -> str:
    if not searchable:
        return "nothing to search, it tunes itself on the samples that it learns from"
    return "nothing to search, the file fixes its settings" if tuned else "not tuned (tune = false)"
