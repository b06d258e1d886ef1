"""Predicting new genotypes with the runs of an experiment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from crosstrait.errors import SettingsError, StorageError, unknown
from crosstrait.experiments.cache import DONE, is_finished
from crosstrait.experiments.run import PROVENANCE
from crosstrait.panel.sources import load_genotypes
from crosstrait.training.elsewhere import match_loci, prediction_table
from crosstrait.training.load import load_model
from crosstrait.training.model_files import CONFIG


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """Predicted traits of new samples.

    Attributes
    ----------
    table
        (n, 1 + T): column ``sample``, then a column a trait, in trait units; with intervals,
        each trait is followed by ``<trait> lower`` and ``<trait> upper``.
    n_runs
        Fitted models that were averaged.
    notes
        What had to be done to the genotypes, in words.
    """

    table: pd.DataFrame
    n_runs: int
    notes: tuple[str, ...]


def predict(
    run: Path,
    *,
    genotypes: str | Path,
    model: str | None = None,
    level: float | None = None,
    format: str | None = None,
) -> Prediction:
    """Predict the traits of new genotypes, whose loci are matched by id.

    Parameters
    ----------
    run
        The folder of a run, that of an experiment, or one that `Fitted.save` wrote.
    genotypes
        A genotype file, a saved panel or the name of a public data set.
    model
        Which model of the experiment; the predictions of its runs (folds and replicates) are
        averaged. Needed where there is more than one.
    level
        Share of new measurements, from 0.01 to 0.99, that intervals around the predictions are
        to hold; no intervals where not given. Of several runs the half widths are averaged.
    format
        The format of ``genotypes``; found out where not given.

    Raises
    ------
    SettingsError
        If the model is not one of the experiment's, or cannot say how wrong it is.
    StorageError
        If there is no finished run.
    DataError
        If the genotypes do not fit the model, or too many of its loci are missing.
    """
    folders = _run_folders(run, model)
    fitted = [load_model(folder) for folder in folders]
    new = load_genotypes(genotypes, format=format, ploidy=fitted[0].encoder.ploidy)
    notes: dict[str, None] = {}
    total = np.zeros((len(new.sample_id), len(fitted[0].trait_names)))
    half = np.zeros_like(total)
    for one in fitted:
        matched = match_loci(one.encoder, new)
        own = replace(one, encoder=matched.encoder)
        total += own.predict(matched.dosage)
        if level is not None:
            half += own.half_widths(matched.dosage, np.arange(len(total)), levels=[level])[0]
        notes |= dict.fromkeys(matched.notes)
    if all(one.scaler.is_identity for one in fitted):
        notes[
            "predictions are in standard deviations from the training mean: the model was "
            "imported without a panel, which would tell the scales of its traits"
        ] = None
    table = prediction_table(
        total / len(fitted),
        sample_id=new.sample_id,
        trait_names=fitted[0].trait_names,
        half_width=None if level is None else half / len(fitted),
    )
    return Prediction(table=table, n_runs=len(fitted), notes=tuple(notes))


def _run_folders(run: Path, model: str | None) -> Sequence[Path]:
    if (run / DONE).is_file():
        if model is not None:
            raise SettingsError(f"{run} is the folder of one run; leave --model {model} out")
        _check_whole(run)
        return [run]
    if (run / CONFIG).is_file():  # a saved model, which vouches for its files itself
        if model is not None:
            raise SettingsError(f"{run} is the folder of one model; leave --model {model} out")
        return [run]
    by_label: dict[str, list[Path]] = {}
    for done in sorted((run / "runs").glob(f"*/{DONE}")):
        label = json.loads((done.parent / PROVENANCE).read_text())["label"]
        by_label.setdefault(label, []).append(done.parent)
    if not by_label:
        raise StorageError(
            f"{run} is neither the folder of a finished run or saved model nor that of an "
            f"experiment with a finished run"
        )
    if model is None and len(by_label) > 1:
        raise SettingsError(
            f"{run} holds {len(by_label)} models: choose one with --model "
            f"({', '.join(by_label)}), or name the folder of a run"
        )
    chosen = model if model is not None else next(iter(by_label))
    if chosen not in by_label:
        raise SettingsError(f"{run}: {unknown('model', chosen, by_label)}")
    for folder in by_label[chosen]:
        _check_whole(folder)
    return by_label[chosen]


def _check_whole(folder: Path) -> None:
    if not is_finished(folder):
        raise StorageError(f"the files in {folder} are not those of its {DONE}; run it again")
