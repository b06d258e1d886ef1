"""A folder as ``crosstrait run`` leaves it, of made-up models, for tests of the report.

``python tests/support/run_folder.py FOLDER`` writes one to look at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crosstrait.evaluation import compare, leaderboard, read_cells, score, write_cells
from crosstrait.evaluation.calibration import calibration, make_intervals, write_intervals
from crosstrait.evaluation.ceiling import noise_table
from crosstrait.evaluation.single_vs_multi import single_vs_multi
from crosstrait.experiments.assemble import describe_resampling
from support.predictions import predictions, trait_values

ACCURACY = {"ridge": 0.40, "trees": 0.47, "canonical": 0.44, "transformer": 0.52}
SECONDS = {"ridge": 0.4, "trees": 9.0, "rijal": 310.0, "canonical": 260.0, "transformer": 741.0}
NETWORKS = ("rijal", "canonical", "transformer")


def write_run_folder(
    folder: Path,
    *,
    n_samples: int = 200,
    trait_names: Sequence[str] = ("Lithium", "YNB:ph3", "x4NQO"),
    accuracy: Mapping[str, float] = ACCURACY,
    missing: float = 0.05,
    replicates: int = 2,
    folds: int = 2,
    pooled: bool = True,
    only: Mapping[str, Sequence[str]] | None = None,
    standard_error: float | None = None,
    lost: Sequence[tuple[str, int, int]] = (),
    protocol: str = "masked",
    n_groups: int | None = None,
    resamples: int = 200,
) -> Path:
    """Write every file that a report is made of; ``lost`` are planned runs that did not end.

    With ``n_groups``, whole groups were tested.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = trait_values(n_samples, n_traits=len(trait_names), missing=missing)
    cells = predictions(
        values,
        accuracy=accuracy,
        replicates=replicates,
        folds=folds,
        trait_names=trait_names,
        only=only,
        once=["ridge"],
    )
    keys = ["model", "replicate", "fold"]
    plan = list(
        cells[keys].drop_duplicates().astype({"model": str}).itertuples(index=False, name=None)
    )
    if lost:
        at = pd.MultiIndex.from_frame(cells[keys].astype({"model": str}))
        cells = cells[~at.isin(list(lost))].reset_index(drop=True)
    ended = [run for run in plan if run not in lost]
    errors = None
    if standard_error is not None:
        samples = [f"S{i:04d}" for i in range(n_samples)]
        errors = pd.DataFrame(standard_error, index=samples, columns=list(trait_names))
    groups = {f"S{i:04d}": f"F{i % n_groups}" for i in range(n_samples)} if n_groups else None
    scores = score(
        cells, pooled=pooled, expected=plan, trait_se=errors, groups=groups, resamples=resamples
    )
    costs = pd.DataFrame(ended, columns=keys)
    costs["train_seconds"] = [SECONDS.get(model, 60.0) for model in costs["model"]]
    write_cells(cells, path=folder / "predictions.parquet")
    leaderboard(scores, costs=costs).to_csv(folder / "leaderboard.csv", index=False)
    compare(scores).to_csv(folder / "comparison.csv", index=False)
    runs = [_write_run(folder, run, traits=(only or {}).get(run[0])) for run in ended]
    content = _experiment(values, trait_names, folds=folds, pooled=pooled, protocol=protocol)
    content["runs"] = runs
    content["resampled"] = describe_resampling(scores)
    if lost:
        content["missing_runs"] = [
            {"model": model, "replicate": replicate, "fold": fold, "reason": "the loss is NaN"}
            for model, replicate, fold in lost
        ]
    (folder / "experiment.json").write_text(json.dumps(content, indent=1))
    return folder


def write_more_tables(folder: Path, *, standard_error: float = 0.5) -> Path:
    """Add the tables that only some experiments have: both scopes, intervals and noise."""
    board = pd.read_csv(folder / "leaderboard.csv", keep_default_na=False, na_values=[""])
    comparison = pd.read_csv(folder / "comparison.csv")
    cells = read_cells(folder / "predictions.parquet")
    ranked = [model for model in dict.fromkeys(board["model"]) if model in ACCURACY]
    single_vs_multi(
        board, comparison=comparison, pairs=[(ranked[0], ranked[1]), (ranked[3], ranked[2])]
    ).to_csv(folder / "single_vs_multi.csv", index=False)
    sources = []
    for model, own in cells.groupby("model", observed=True, sort=False):
        z = 1.1 * np.array([0.674, 1.282, 1.960])
        half = [np.full(len(own), width) for width in z * (own.observed - own.predicted).std()]
        intervals = make_intervals(own, half, measured=np.ones(len(own), dtype=bool))
        path = folder / "runs" / f"{model}.parquet"
        write_intervals(intervals, path=path)
        sources.append((path, str(model)))
    calibration(sources).to_csv(folder / "calibration.csv", index=False)
    traits = list(dict.fromkeys(cells["trait"].astype(str)))
    samples = list(dict.fromkeys(cells["sample"].astype(str)))
    errors = pd.DataFrame(standard_error, index=samples, columns=traits)
    learned = {"gp": dict.fromkeys(traits, 0.2)}
    noise = noise_table(cells, trait_se=errors, learned=learned)
    noise.to_csv(folder / "noise.csv", index=False)
    return folder


def _write_run(
    folder: Path, run: tuple[str, int, int], *, traits: Sequence[str] | None
) -> dict[str, Any]:
    model, replicate, fold = run
    key = f"{len(model):02x}{replicate:02x}{fold:04x}"
    place = folder / "runs" / f"{model}-{key}"
    place.mkdir(parents=True)
    about = {
        "label": model,
        "replicate": replicate,
        "fold": fold,
        "train_seconds": SECONDS.get(model, 60.0),
    }
    (place / "provenance.json").write_text(json.dumps(about))
    (place / "metrics.csv").write_text(f"metric,value\ntest_r2,{0.4 + fold / 100}\n")
    (place / "history.csv").write_text(_history(model, replicate, fold, traits).to_csv(index=False))
    (place / "DONE").touch()
    return {
        "model": model,
        "replicate": replicate,
        "fold": fold,
        "seed": replicate,
        "key": key * 8,
        "folder": f"runs/{place.name}",
    }


def _history(model: str, replicate: int, fold: int, traits: Sequence[str] | None) -> pd.DataFrame:
    rng = np.random.default_rng([replicate, fold, len(model)])
    epochs = np.arange(1, 41) if model in NETWORKS else np.arange(0)
    tables = []
    for member in traits or ["all"]:
        train = (
            0.45 + 0.55 * np.exp(-epochs / 6) - 0.003 * epochs + rng.normal(0, 0.004, len(epochs))
        )
        rise = 0.0006 if model == "transformer" else 0.0001
        val = 0.60 + 0.4 * np.exp(-epochs / 5) + rise * np.maximum(epochs - 12, 0) ** 1.5
        tables.append(
            pd.DataFrame(
                {
                    "epoch": epochs,
                    "train_loss": train,
                    "val_loss": val + rng.normal(0, 0.006, len(epochs)),
                    "val_r2": 1 - val,
                    "learning_rate": 1e-3,
                    "seconds": 0.5 * epochs,
                    "member": member,
                }
            )
        )
    return pd.concat(tables)


def _experiment(
    values: np.ndarray, trait_names: Sequence[str], *, folds: int, pooled: bool, protocol: str
) -> dict[str, Any]:
    n_samples, n_traits = values.shape
    measured = ~np.isnan(values)
    return {
        "written": "2026-01-02T03:04:05+00:00",
        "command": "crosstrait run experiments/byxrm.toml --out out",
        "protocol": protocol,
        "experiment": {
            "name": "byxrm",
            "data": {"panel": "byxrm", "traits": "all", "prune_r": 0.94},
            "split": {"scheme": "kfold", "folds": folds, "seed": 0},
            "model": [{"type": "ridge"}, {"type": "transformer", "embedding_dim": 64}],
        },
        "panel": {
            "source": "BYxRM_GenoData.txt.gz + BYxRM_PhenoData.txt.gz",
            "digest": "5f" * 32,
            "ploidy": 1,
            "n_samples": n_samples,
            "n_loci": 11623,
            "n_traits": n_traits,
            "trait_names": list(trait_names),
            "n_measured": measured.sum(axis=0).tolist(),
            "n_complete_samples": int(measured.all(axis=1).sum()),
        },
        "splits": [
            {
                "scheme": "kfold",
                "fold": fold,
                "pooled": pooled,
                "digest": f"{fold:02x}" * 32,
                "n_train": n_samples * 7 // 10,
                "n_validation": n_samples // 10,
                "n_test": n_samples // folds,
            }
            for fold in range(folds)
        ],
        "versions": {
            "crosstrait": "0.1.0",
            "python": "3.11.7",
            "torch": "2.13.0",
            "numpy": "2.4.6",
        },
        "machine": {"system": "Linux 6.1", "processor": "an ordinary one", "cores": 2, "gpus": []},
        "audit": [
            "No test sample trains or validates: the parts of every split are disjoint by id.",
            "Pruning, filled-in genotypes and trait scaling are learned on training samples alone.",
        ],
    }


BYXRM_TRAITS = (
    "Cadmium_Chloride Caffeine Calcium_Chloride Cisplatin Cobalt_Chloride Congo_red Copper "
    "Cycloheximide Diamide E6_Berbamine Ethanol Formamide Galactose Hydrogen_Peroxide "
    "Hydroquinone Hydroxyurea Indoleacetic_Acid Lactate Lactose Lithium_Chloride "
    "Magnesium_Chloride Magnesium_Sulfate Maltose Mannose Menadione Neomycin Paraquat Raffinose "
    "SDS Sorbitol Trehalose Tunicamycin x4-Hydroxybenzaldehyde x4NQO x5-Fluorocytosine "
    "x5-Fluorouracil x6-Azauracil Xylose YNB YNB:ph3 YNB:ph8 YPD YPD:15C YPD:37C YPD:4C Zeocin"
)

if __name__ == "__main__":
    import sys

    write_run_folder(
        Path(sys.argv[1]),
        n_samples=1008,
        trait_names=BYXRM_TRAITS.split(),
        replicates=3,
        folds=5,
        accuracy={**ACCURACY, "rijal": 0.43},
        only={"rijal": ["Lithium_Chloride", "YPD", "Zeocin"]},
        resamples=1000,
    )
    write_more_tables(Path(sys.argv[1]))
