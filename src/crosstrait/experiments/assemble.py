"""From the finished runs to the tables of an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crosstrait.evaluation.calibration import calibration
from crosstrait.evaluation.ceiling import noise_table, standard_errors
from crosstrait.evaluation.cells import gather_cells, write_cells
from crosstrait.evaluation.comparison import compare
from crosstrait.evaluation.groups import tested_groups
from crosstrait.evaluation.leaderboard import leaderboard
from crosstrait.evaluation.scores import Scores, score
from crosstrait.evaluation.single_vs_multi import single_vs_multi
from crosstrait.experiments.audit import audit
from crosstrait.experiments.file import Experiment
from crosstrait.experiments.model_tables import scope_pairs
from crosstrait.experiments.plan import Run
from crosstrait.experiments.provenance import command, machine, now, versions
from crosstrait.experiments.run import (
    CELLS,
    INTERVALS,
    Workplace,
    learned_noise,
    train_seconds,
)
from crosstrait.experiments.storage import write_json, write_text
from crosstrait.panel.schema import Panel
from crosstrait.split.manifest import Split

PREDICTIONS, LEADERBOARD, COMPARISON = "predictions.parquet", "leaderboard.csv", "comparison.csv"
SINGLE_VS_MULTI, CALIBRATION, NOISE_TABLE = "single_vs_multi.csv", "calibration.csv", "noise.csv"
EXPERIMENT = "experiment.json"


def assemble(
    experiment: Experiment,
    *,
    out: Path,
    at: Workplace,
    runs: Sequence[Run],
    finished: Mapping[str, Path],
    missing: Mapping[tuple[str, int, int], str],
    tuning: Sequence[str] = (),
) -> None:
    """Score all finished runs together and write the tables of the experiment into ``out``.

    Parameters
    ----------
    experiment
        What was asked for.
    out
        Where the tables go.
    at
        The panel and the splits.
    runs
        Every run that the experiment consists of.
    finished
        By run key, the folders of those that are finished.
    missing
        By place, why a run is not.
    tuning
        How the models were tuned, in sentences.
    """
    ended = [run for run in runs if run.key in finished]
    cells = gather_cells((finished[run.key] / CELLS, *run.place) for run in ended)
    scores = score(
        cells,
        pooled=at.splits[0].pooled,
        expected=[run.place for run in runs],
        trait_se=standard_errors(at.panel),
        groups=tested_groups(at.panel, splits=at.splits),
    )
    costs = pd.DataFrame(
        [(*run.place, train_seconds(finished[run.key])) for run in ended],
        columns=["model", "replicate", "fold", "train_seconds"],
    )
    write_cells(cells, path=out / PREDICTIONS)
    standings, differences = leaderboard(scores, costs=costs), compare(scores)
    write_text(out / LEADERBOARD, standings.to_csv(index=False))
    write_text(out / COMPARISON, differences.to_csv(index=False))
    folders = [(finished[run.key], run.label) for run in ended]
    _write_or_remove(
        {
            SINGLE_VS_MULTI: single_vs_multi(
                standings, comparison=differences, pairs=scope_pairs(experiment.models)
            ),
            CALIBRATION: calibration(
                (folder / INTERVALS, model)
                for folder, model in folders
                if (folder / INTERVALS).is_file()
            ),
            NOISE_TABLE: noise_table(
                cells, trait_se=standard_errors(at.panel), learned=learned_noise(folders)
            ),
        },
        out=out,
    )
    write_json(
        out / EXPERIMENT,
        {
            "experiment": experiment.model_dump(mode="json"),
            "command": command(),
            "written": now(),
            "protocol": experiment.models[0].train.protocol,
            "panel": describe_panel(at.panel, traits=_traits(runs)),
            "resampled": describe_resampling(scores),
            "audit": [*audit(at.panel, at.splits, traits=_traits(runs)), *tuning],
            "splits": [describe_split(split, fold) for fold, split in enumerate(at.splits)],
            "runs": [
                {
                    "model": run.label,
                    "replicate": run.replicate,
                    "fold": run.fold,
                    "seed": run.seed,
                    "key": run.key,
                    "folder": str(finished[run.key].relative_to(out)),
                }
                for run in ended
            ],
            "missing_runs": [
                {
                    "model": run.label,
                    "replicate": run.replicate,
                    "fold": run.fold,
                    "reason": missing.get(run.place, "not trained"),
                }
                for run in runs
                if run.key not in finished
            ],
            "versions": versions(),
            "machine": machine(),
        },
    )


def describe_panel(panel: Panel, *, traits: Sequence[str]) -> dict[str, Any]:
    """Return what the panel holds, in numbers, and of it the experiment's ``traits``."""
    measured = ~np.isnan(panel["trait_value"].values)
    used = measured[:, np.isin(panel["trait_name"].values, list(traits))]
    return {
        "source": str(panel.attrs["source"]),
        "digest": str(panel.attrs["digest"]),
        "ploidy": int(panel.attrs["ploidy"]),
        "n_samples": int(panel.sizes["samples"]),
        "n_loci": int(panel.sizes["variants"]),
        "n_traits": int(panel.sizes["traits"]),
        "trait_names": [str(name) for name in panel["trait_name"].values],
        "n_measured": measured.sum(axis=0).tolist(),
        "n_complete_samples": int(measured.all(axis=1).sum()),
        "used": {
            "n_traits": int(used.shape[1]),
            "n_measured": int(used.sum()),
            "n_complete_samples": int(used.all(axis=1).sum()),
        },
    }


def describe_resampling(scores: Scores) -> dict[str, Any]:
    """Return what a resample drew, samples or whole groups, and of how many."""
    if scores.n_groups is None:
        return {"unit": "sample", "n": scores.n_samples}
    return {"unit": "group", "n": scores.n_groups}


def describe_split(split: Split, fold: int) -> dict[str, Any]:
    """Return the sizes and the digest of a split."""
    return {
        "fold": fold,
        "scheme": split.scheme,
        "pooled": split.pooled,
        "digest": split.digest,
        "n_train": len(split.train),
        "n_validation": len(split.validation),
        "n_test": len(split.test),
        "n_test_cells": sum(len(traits) for _, traits in split.test_cells),
        "n_hidden": sum(len(traits) for _, traits in split.hidden),
    }


def _traits(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(trait for run in runs for trait in run.traits))


def _write_or_remove(tables: Mapping[str, pd.DataFrame], *, out: Path) -> None:
    """Write the tables; one without rows is no file, whatever an earlier experiment left."""
    for name, table in tables.items():
        if len(table):
            write_text(out / name, table.to_csv(index=False))
        else:
            (out / name).unlink(missing_ok=True)
