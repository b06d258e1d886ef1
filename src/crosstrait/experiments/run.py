"""One training from start to a finished folder: fit, predict the test cells, write, publish."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crosstrait.errors import LostError, TrainingError
from crosstrait.evaluation.calibration import LEVELS, make_intervals, write_intervals
from crosstrait.evaluation.cells import make_cells, write_cells
from crosstrait.evaluation.metrics import r2
from crosstrait.experiments.cache import RunCache
from crosstrait.experiments.engines.growing import GrowingHistory
from crosstrait.experiments.plan import Group, Run
from crosstrait.experiments.provenance import command, machine, now, versions
from crosstrait.experiments.scoring import score_test_cells
from crosstrait.experiments.storage import write_json, write_text
from crosstrait.panel.schema import Panel
from crosstrait.split.manifest import Split
from crosstrait.training.progress import EpochDone, Progress

if TYPE_CHECKING:
    from crosstrait.training.fitted import Fitted

# What the published code calls its scores; an estimator that watches no validation sample has none.
PUBLISHED_METRICS = ("best_val_loss", "final_val_loss", "best_val_r2", "final_val_r2")
CELLS, METRICS, PROVENANCE = "cells.parquet", "metrics.csv", "provenance.json"
NOISE = "noise_variance_"
INTERVALS = "intervals.parquet"


@dataclass(frozen=True, kw_only=True, eq=False)
class Workplace:
    """What the runs of an experiment share: the data, loaded once, and where they leave results.

    Attributes
    ----------
    panel, splits
        The data and the splits, by fold.
    cache
        The finished runs.
    """

    panel: Panel
    splits: tuple[Split, ...]
    cache: RunCache


def train_group(group: Group, *, at: Workplace, progress: Progress | None = None) -> None:
    """Train the runs of ``group`` and publish their folders; the caller holds their locks.

    A training that was interrupted goes on from its last checkpoint. Its history so far is a file
    beside that.

    Raises
    ------
    TrainingError
        If some replicates could not be trained, after the others are published.
    LostError
        If the training was lost; its checkpoints stay.
    """
    # With what trains comes torch, a second that a pass over finished runs does without.
    from crosstrait.training.fit import fit_replicates

    started, clock = now(), time.perf_counter()
    first, split = group.first, at.splits[group.first.fold]
    failure: TrainingError | None = None
    history = GrowingHistory(at.cache.work_folder(group), group.runs)

    def note(done: EpochDone) -> None:
        history.add(done)
        if progress is not None:
            progress(done)

    try:
        fitted = fit_replicates(
            first.config,
            at.panel,
            split,
            seeds=[run.seed for run in group.runs],
            train=first.train,
            traits=first.traits,
            prune_r=first.prune_r,
            folder=at.cache.work_folder(group),
            progress=note,
        )
    except LostError:  # its checkpoints are of use
        raise
    except TrainingError as error:  # a ReplicatesError brings the replicates that are well
        fitted, failure = getattr(error, "finished", []), error
    by_seed = {model.seed: model for model in fitted}
    trained = Group(tuple(run for run in group.runs if run.seed in by_seed))
    if trained.runs:
        with at.cache.publishing(trained) as folders:
            times = {"started": started, "seconds": time.perf_counter() - clock}
            for run in trained.runs:
                write_run(folders[run.key], run=run, fitted=by_seed[run.seed], at=at, times=times)
    at.cache.drop_work(group)
    if failure is not None:
        raise failure


def write_run(
    folder: Path, *, run: Run, fitted: Fitted, at: Workplace, times: Mapping[str, object]
) -> None:
    """Score ``fitted`` on the run's test cells and write the files of its folder."""
    from crosstrait.training.preparation import complete_cases, trait_columns

    columns = trait_columns(at.panel, run.traits)
    tested = at.splits[run.fold].tested(at.panel)[:, columns]
    observed = at.panel["trait_value"].values[:, columns]
    rows = np.flatnonzero(tested.any(axis=1))
    if run.train.protocol == "complete-cases":
        rows = rows[complete_cases(observed[rows])]
    observed = np.where(tested, observed, np.nan)[rows]
    predicted = fitted.predict_samples(at.panel, rows)
    cells = make_cells(
        observed,
        predicted=predicted,
        sample_id=at.panel["sample_id"].values[rows].tolist(),
        trait_names=run.traits,
        model=run.label,
        replicate=run.replicate,
        fold=run.fold,
    )
    half_widths = []
    if fitted.errors is not None:
        half_widths = fitted.half_widths(at.panel["call_dosage"].values, rows, levels=LEVELS)
    scores = score_test_cells(observed, predicted=predicted, half_widths=half_widths)
    replace(fitted, scores=scores).save(folder)
    write_cells(cells, path=folder / CELLS)
    if half_widths:
        intervals = make_intervals(cells, half_widths, measured=~np.isnan(observed))
        write_intervals(intervals, path=folder / INTERVALS)
    write_text(folder / METRICS, metrics_csv(fitted, observed, predicted))
    write_json(
        folder / PROVENANCE,
        {
            "label": run.label,
            "replicate": run.replicate,
            "fold": run.fold,
            "seed": run.seed,
            "key": run.key,
            "key_parts": run.parts,
            "train_seconds": fitted.train_seconds,
            "finished": now(),
            **times,
            "command": command(),
            "versions": versions(),
            "machine": machine(),
        },
    )


def train_seconds(folder: Path) -> float:
    """Return how long the finished run in ``folder`` trained."""
    return float(json.loads((folder / PROVENANCE).read_text())["train_seconds"])


def metrics_csv(
    fitted: Fitted, observed: NDArray[np.float64], predicted: NDArray[np.float64]
) -> str:
    """Return ``metrics.csv`` of a model that predicted test samples (n, T); n may be 0."""
    by_trait = r2(observed, predicted=predicted)
    scored = by_trait[~np.isnan(by_trait)]
    error = fitted.scaler.scale(observed) - fitted.scaler.scale(predicted)
    squares = error[~np.isnan(error)] ** 2
    values = {
        **{name: fitted.metrics.get(name, math.nan) for name in PUBLISHED_METRICS},
        "test_loss": squares.mean() if squares.size else math.nan,
        "test_r2": scored.mean() if scored.size else math.nan,
        **{
            f"test_r2_{name}": value
            for name, value in zip(fitted.trait_names, by_trait, strict=True)
        },
        **_noise(fitted),
    }
    table = pd.DataFrame({"metric": list(values), "value": list(values.values())})
    return str(table.to_csv(index=False))


def _noise(fitted: Fitted) -> dict[str, float]:
    variance = fitted.noise_variance
    if variance is None:
        return {}
    return {
        f"{NOISE}{name}": float(value)
        for name, value in zip(fitted.trait_names, variance, strict=True)
    }


def learned_noise(runs: Iterable[tuple[Path, str]]) -> dict[str, dict[str, float]]:
    """Return by model and trait the mean noise variance that its runs (folder, label) learned."""
    found: dict[str, dict[str, list[float]]] = {}
    for folder, model in runs:
        with (folder / METRICS).open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                if row["metric"].startswith(NOISE):
                    trait = row["metric"].removeprefix(NOISE)
                    found.setdefault(model, {}).setdefault(trait, []).append(float(row["value"]))
    return {
        model: {trait: sum(values) / len(values) for trait, values in traits.items()}
        for model, traits in found.items()
    }
