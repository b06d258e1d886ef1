"""A published checkpoint as a run of one's own: to predict with and to report on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstrait.errors import DataError, SettingsError, listed, unknown
from crosstrait.evaluation.calibration import LEVELS
from crosstrait.evaluation.cells import make_cells, write_cells
from crosstrait.experiments.cache import mark_done
from crosstrait.experiments.key import key_parts, run_key
from crosstrait.experiments.provenance import command, machine, now, versions
from crosstrait.experiments.run import CELLS, METRICS, PROVENANCE, metrics_csv
from crosstrait.experiments.scoring import score_test_cells
from crosstrait.experiments.storage import file_digest, storage_errors, write_json, write_text
from crosstrait.files import beside
from crosstrait.genotypes.coding import GenotypeEncoder
from crosstrait.genotypes.loci import unplaced
from crosstrait.genotypes.prune import prune_linked
from crosstrait.models.intervals import ErrorQuantiles
from crosstrait.models.published import PublishedModel, import_checkpoint
from crosstrait.panel.schema import Panel
from crosstrait.panel.storage import check_target
from crosstrait.split.manifest import Split
from crosstrait.split.scaling import TraitScaler
from crosstrait.split.schemes import published
from crosstrait.training.config import TrainConfig
from crosstrait.training.facts import DataFacts, TestScores
from crosstrait.training.fitted import Fitted
from crosstrait.training.preparation import complete_cases, learn_coding

_WHOLE_SAMPLES = ("canonical", "transformer")
"""The kinds whose published training and test dropped samples with any missing trait."""


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What became of a checkpoint.

    Attributes
    ----------
    folder
        The run.
    kind
        Which published model it is.
    n_loci, trait_names
        What it reads and what it predicts.
    in_trait_units
        Whether a panel gave the traits' scales; predictions are in standard deviations if not.
    n_cells
        Test cells of the panel's published split that it was scored on.
    """

    folder: Path
    kind: str
    n_loci: int
    trait_names: tuple[str, ...]
    in_trait_units: bool
    n_cells: int


def import_run(
    checkpoint: Path,
    *,
    out: Path,
    panel: Panel | None = None,
    prune_r: float | None = None,
    traits: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> Imported:
    """Make a run of a published state dict, which `predict` and `report` take like any other.

    The weights hold neither the names of loci nor the scales of traits. Without a panel, loci are
    called ``locus_0``, ``locus_1``, ... as those of the published split folder are, and
    predictions are in standard deviations from the training mean. A panel brings both, and the
    run is scored on its test samples.

    Parameters
    ----------
    checkpoint
        A file that `models.import_checkpoint` reads; none of its code runs.
    out
        The run's folder, which must not exist.
    panel
        The panel that the checkpoint was trained on. Its loci, in their order, are those of the
        checkpoint; the means and standard deviations of its traits are those of the measured
        training samples of its published split (`split.schemes.published`), whose validation
        samples tell how wrong predictions are.
    prune_r
        Where the panel still has its linked loci: keep those that the published pruning keeps,
        |r| at most this with every earlier kept one over training and validation samples.
    traits
        Names of the predicted traits in the checkpoint's order, as the panel has them; those
        that the file tells where not given.
    settings
        Model settings that neither weights nor file tell, such as ``n_heads``.

    Raises
    ------
    SettingsError
        If a setting or trait is unknown, or the names are not as many as the traits.
    DataError
        If the file is no published model, or refused, or the panel has other loci.
    StorageError
        If the file cannot be read or the folder not be written.
    """
    check_target(out)
    if prune_r is not None and panel is None:
        raise SettingsError(f"prune_r = {prune_r} prunes the loci of a panel; give the panel too")
    model = import_checkpoint(checkpoint, **(settings or {}))
    names = _trait_names(model, traits, panel)
    split = None if panel is None else published(panel)
    fitted = Fitted(
        config=model.config,
        train_config=_train_config(model, checkpoint),
        encoder=_coding(model, panel, split, prune_r),
        scaler=_scales(names, panel, split),
        trait_names=names,
        seed=0,
        predictor=(model.build(),),
        panel_digest="" if panel is None else str(panel.attrs["digest"]),
        split_digest="" if split is None else split.digest,
        data=_data(names, panel, split, prune_r),
    )
    if panel is not None and split is not None:
        fitted = replace(fitted, errors=_validation_errors(fitted, panel, split))
    about = {
        "file": checkpoint.name,
        "sha256": file_digest(checkpoint),
        "n_loci": model.n_loci,
        "n_traits": model.n_traits,
        **model.metadata,
    }
    parts = _key_parts(fitted, prune_r=prune_r, sha256=about["sha256"])
    key = run_key(parts)
    with _appearing(out, key) as folder:
        n_cells = _score(fitted, folder, panel=panel, split=split)
        write_json(
            folder / PROVENANCE,
            {
                "label": model.kind,
                "replicate": 0,
                "fold": 0,
                "seed": None,
                "train_seconds": None,
                "key": key,
                "key_parts": parts,
                "checkpoint": about,
                "finished": now(),
                "command": command(),
                "versions": versions(),
                "machine": machine(),
            },
        )
    return Imported(
        folder=out,
        kind=model.kind,
        n_loci=model.n_loci,
        trait_names=names,
        in_trait_units=panel is not None,
        n_cells=n_cells,
    )


def _key_parts(fitted: Fitted, *, prune_r: float | None, sha256: str) -> dict[str, Any]:
    """Return what decides the numbers of the run, as of a training; nobody knows its seed."""
    parts = key_parts(
        panel_digest=fitted.panel_digest,
        split_digest=fitted.split_digest,
        traits=fitted.trait_names,
        prune_r=prune_r,
        config=fitted.config,
        train=fitted.train_config,
        seed=fitted.seed,
    )
    return {**parts, "seed": None, "checkpoint": sha256}


def _trait_names(
    model: PublishedModel, given: Sequence[str], panel: Panel | None
) -> tuple[str, ...]:
    known = [] if panel is None else [str(name) for name in panel["trait_name"].values]
    names = list(given) or model.trait_names
    if names is None:
        made_up = [f"trait_{t + 1}" for t in range(model.n_traits)]
        names = known if len(known) == model.n_traits else made_up
        if panel is not None and names is made_up:
            raise SettingsError(
                f"the file does not tell which {model.n_traits} of the panel's {len(known)} "
                f"traits it predicts: name them, in its order"
            )
    if len(names) != model.n_traits or len(set(names)) < len(names):
        raise SettingsError(
            f"the checkpoint predicts {model.n_traits} traits; got {len(names)} names, "
            f"{len(set(names))} of them different: {listed(names, most=20)}"
        )
    if panel is not None and (wrong := [name for name in names if name not in known]):
        problems = "; ".join(unknown("trait", name, known) for name in wrong)
        raise SettingsError(f"the panel has not the traits of the checkpoint: {problems}")
    return tuple(names)


def _train_config(model: PublishedModel, checkpoint: Path) -> TrainConfig:
    told = {**model.config.train_defaults, **model.train}
    told["protocol"] = "complete-cases" if model.kind in _WHOLE_SAMPLES else "masked"
    if told.get("optimizer") == "adam":
        told.pop("weight_decay", None)  # the published code hands it to AdamW alone
    return TrainConfig.parse(told, where=f"{checkpoint}, its training settings")


def _coding(
    model: PublishedModel, panel: Panel | None, split: Split | None, prune_r: float | None
) -> GenotypeEncoder:
    if panel is None or split is None:
        loci = unplaced([f"locus_{j}" for j in range(model.n_loci)])
        return GenotypeEncoder(
            columns=np.arange(model.n_loci),
            n_loci=model.n_loci,
            mean=np.full(model.n_loci, 0.5, dtype=np.float32),
            ploidy=1,
            variant_id=loci.variant_id,
            variant_contig=loci.variant_contig,
            variant_position=loci.variant_position,
            variant_allele=loci.variant_allele,
        )
    train = split.rows(panel, "train")
    columns = None
    if prune_r is not None:
        learned = np.concatenate([train, split.rows(panel, "validation")])
        columns = prune_linked(panel["call_dosage"].values, threshold=prune_r, rows=learned)
    n_loci = panel.sizes["variants"] if columns is None else len(columns)
    if n_loci != model.n_loci:
        pruned = "" if prune_r is None else f" after pruning at {prune_r}"
        raise DataError(
            f"the checkpoint was trained on {model.n_loci} loci, the panel has {n_loci}{pruned}: "
            f"give the panel that has these loci, in the order of the training"
        )
    return learn_coding(panel, rows=train, columns=columns)


def _scales(names: Sequence[str], panel: Panel | None, split: Split | None) -> TraitScaler:
    if panel is None or split is None:
        return TraitScaler(mean=np.zeros(len(names)), sd=np.ones(len(names)))
    values = _values(panel, names)
    return TraitScaler.fit(values, rows=split.rows(panel, "train"), trait_names=names)


def _data(
    names: Sequence[str], panel: Panel | None, split: Split | None, prune_r: float | None
) -> DataFacts | None:
    if panel is None or split is None:
        return None
    known = panel["trait_name"].values.tolist()
    columns = np.array([known.index(name) for name in names], dtype=np.intp)
    return DataFacts.of(panel, split, columns=columns, prune_r=prune_r)


def _values(panel: Panel, names: Sequence[str]) -> NDArray[np.float64]:
    """Return the traits (N, T) in the order of ``names``."""
    known = [str(name) for name in panel["trait_name"].values]
    values: NDArray[np.float64] = panel["trait_value"].values[:, [known.index(n) for n in names]]
    return values


def _validation_errors(fitted: Fitted, panel: Panel, split: Split) -> ErrorQuantiles:
    """Return how wrong the model is on samples that it did not learn from, for intervals."""
    rows = split.rows(panel, "validation")
    X = fitted.encoder.encode(panel["call_dosage"].values, rows=rows)
    observed = fitted.scaler.scale(_values(panel, fitted.trait_names)[rows])
    return ErrorQuantiles.fit(observed - fitted.predict_coded(X))


def _score(fitted: Fitted, folder: Path, *, panel: Panel | None, split: Split | None) -> int:
    """Write the model, scored on the published test samples, and return on how many cells."""
    observed = predicted = np.empty((0, len(fitted.trait_names)))
    sample_id: list[str] = []
    scores: TestScores | None = None
    if panel is not None and split is not None:
        rows = split.rows(panel, "test")
        values = _values(panel, fitted.trait_names)
        if fitted.train_config.protocol == "complete-cases":
            rows = rows[complete_cases(values[rows])]
        observed, predicted = values[rows], fitted.predict_samples(panel, rows)
        sample_id = panel["sample_id"].values[rows].tolist()
        half_widths = fitted.half_widths(panel["call_dosage"].values, rows, levels=LEVELS)
        scores = score_test_cells(observed, predicted=predicted, half_widths=half_widths)
    replace(fitted, scores=scores).save(folder)
    cells = make_cells(
        observed,
        predicted=predicted,
        sample_id=sample_id,
        trait_names=fitted.trait_names,
        model=fitted.config.type,
    )
    write_cells(cells, path=folder / CELLS)
    write_text(folder / METRICS, metrics_csv(fitted, observed, predicted))
    return len(cells)


@contextmanager
def _appearing(out: Path, key: str) -> Iterator[Path]:
    """Yield a folder that becomes the finished run ``out`` in one step, or vanishes."""
    partial = beside(out)
    with storage_errors(out):
        try:
            partial.mkdir(parents=True)
            yield partial
            mark_done(partial, key)
            partial.rename(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
