"""Fitting any model to a panel and a split."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from crosstrait.errors import SettingsError, listed
from crosstrait.models.base import Estimator, ModelConfig
from crosstrait.models.intervals import ErrorQuantiles
from crosstrait.models.registry import parse_model
from crosstrait.panel.schema import Panel, check_panel
from crosstrait.split.manifest import Split
from crosstrait.training.config import TrainConfig
from crosstrait.training.facts import DataFacts
from crosstrait.training.fitted import Fitted
from crosstrait.training.preparation import Prepared, prepare, trait_columns
from crosstrait.training.progress import Progress

Model = str | Mapping[str, Any] | ModelConfig
Train = TrainConfig | Mapping[str, Any]
Traits = Sequence[str] | Literal["all"]


def fit(
    model: Model,
    panel: Panel,
    split: Split,
    *,
    seed: int | None = 0,
    train: Train | None = None,
    traits: Traits | None = None,
    prune_r: float | None = None,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """Fit a model to the training samples of a split.

    Pruning, the means that fill missing genotypes and the scales of the traits are learned on
    the training samples. Networks watch the validation samples; estimators that have no use for
    them learn from them too. Nothing looks at the test samples.

    Parameters
    ----------
    model
        A registered name, its settings with their ``type``, or a model config.
    panel, split
        The data, and who trains and validates.
    seed
        What all random numbers are drawn from, at least 0; None draws one, which the result
        records.
    train
        Training settings of networks, on top of the model's own defaults; or all of them.
    traits
        Names of the traits to learn; all where not given.
    prune_r
        Keep no locus that correlates more than this with an earlier kept one; None keeps all.
    folder
        Where checkpoints go. A training that was interrupted goes on from its last one there,
        and ends with the same numbers on the same machine; one that is done is not repeated.
        They stay until `training.checkpoint.remove_checkpoints` is called.
    progress
        Called with an `EpochDone` after each epoch of each network.

    Returns
    -------
    Fitted

    Raises
    ------
    SettingsError
        If a model, trait or setting is unknown or unusable.
    DataError
        If the data do not allow the fit, as when a trait does not vary among training samples.
    TrainingError
        If the loss of a network stops being finite.
    StorageError
        If a checkpoint cannot be written.

    Examples
    --------
    >>> fitted = fit("ridge", panel, split, traits=["lithium"])  # doctest: +SKIP
    >>> fitted.predict(dosage).shape  # doctest: +SKIP
    (20, 1)
    """
    seed = secrets.randbits(31) if seed is None else seed
    [fitted] = fit_replicates(
        model,
        panel,
        split,
        seeds=[seed],
        train=train,
        traits=traits,
        prune_r=prune_r,
        folder=folder,
        progress=progress,
    )
    return fitted


def fit_replicates(
    model: Model,
    panel: Panel,
    split: Split,
    *,
    seeds: Sequence[int],
    train: Train | None = None,
    traits: Traits | None = None,
    prune_r: float | None = None,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> list[Fitted]:
    """Fit a model once a seed, networks in one pass where memory allows.

    Each replicate has the numbers that `fit` gives with its seed, to within the order of float32
    sums. Parameters are those of `fit`.

    Raises
    ------
    ReplicatesError
        If the loss of some replicates stopped being finite, after the others are trained.
    """
    check_panel(panel)
    config = _model_config(model)
    train_config = train_settings(config, train)
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise SettingsError(f"seed = {seed!r}: a seed is a whole number, at least 0")
    if len(set(seeds)) < len(seeds):
        raise SettingsError(f"replicates need different seeds; got {listed(seeds, most=20)}")
    prepared = prepare(
        panel,
        split,
        traits=traits,
        protocol=train_config.protocol,
        prune_r=prune_r,
        one_a_trait=train_config.scope == "single",
    )
    columns = trait_columns(panel, traits)
    return fit_prepared(
        config,
        train_config,
        prepared,
        seeds=[int(seed) for seed in seeds],
        data=DataFacts.of(panel, split, columns=columns, prune_r=prune_r),
        folder=folder,
        progress=progress,
    )


def fit_prepared(
    config: ModelConfig,
    train_config: TrainConfig,
    prepared: Prepared,
    *,
    seeds: Sequence[int],
    data: DataFacts | None = None,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> list[Fitted]:
    """Fit a model once a seed to samples that are coded and scaled already.

    Parameters
    ----------
    config, train_config, prepared
        The model, how it is trained, and on what.
    data
        What the cards of the models tell of the data.
    seeds, folder, progress
        As in `fit_replicates`.
    """
    if not isinstance(prepared.build(config, seed=seeds[0]), Estimator):
        # Imports Lightning: seconds.
        from crosstrait.training.replicates import ReplicatesError, fit_networks

        try:
            fitted = fit_networks(
                config,
                train_config,
                prepared,
                seeds=seeds,
                folder=None if folder is None else Path(folder),
                progress=progress,
            )
        except ReplicatesError as error:
            error.finished = [dataclasses.replace(one, data=data) for one in error.finished]
            raise
    elif config.deterministic:
        only = _fit_estimator(config, train_config, prepared, seed=seeds[0])
        fitted = [dataclasses.replace(only, seed=seed) for seed in seeds]
    else:
        fitted = [_fit_estimator(config, train_config, prepared, seed=seed) for seed in seeds]
    return [dataclasses.replace(one, data=data) for one in fitted]


def _fit_estimator(
    config: ModelConfig, train_config: TrainConfig, prepared: Prepared, *, seed: int
) -> Fitted:
    estimator = prepared.build(config, seed=seed)
    assert isinstance(estimator, Estimator)
    start = time.perf_counter()
    estimator.fit(
        prepared.X,
        prepared.Y,
        X_validation=prepared.X_validation,
        Y_validation=prepared.Y_validation,
        seed=seed,
    )
    return Fitted(
        config=config,
        train_config=train_config,
        encoder=prepared.encoder,
        scaler=prepared.scaler,
        trait_names=prepared.trait_names,
        seed=seed,
        predictor=estimator,
        errors=None if estimator.held_out is None else ErrorQuantiles.fit(estimator.held_out),
        train_seconds=time.perf_counter() - start,
        panel_digest=prepared.panel_digest,
        split_digest=prepared.split_digest,
    )


def _model_config(model: Model) -> ModelConfig:
    if isinstance(model, ModelConfig):
        return model
    return parse_model({"type": model} if isinstance(model, str) else model)


def train_settings(config: ModelConfig, train: Train | None) -> TrainConfig:
    """Return all training settings: those given, on top of the model's own defaults."""
    if isinstance(train, TrainConfig):
        return train
    return TrainConfig.parse({**config.train_defaults, **(train or {})}, where="train")
