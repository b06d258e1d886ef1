"""What is learned from the training samples before any model: loci, means, scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from crosstrait.errors import DataError, SettingsError, listed, unknown
from crosstrait.genotypes.coding import GenotypeEncoder
from crosstrait.genotypes.prune import prune_linked
from crosstrait.models.base import Estimator, ModelConfig
from crosstrait.models.one_a_trait import build_for
from crosstrait.panel.schema import Panel
from crosstrait.split.manifest import Split
from crosstrait.split.scaling import TraitScaler

# Every model of an experiment prunes the same samples; the last few answers are kept.
_PRUNED: dict[tuple[str, str, float], NDArray[np.intp]] = {}
_MOST_PRUNED = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """Coded genotypes and standardised traits of the samples that a model may learn from.

    Attributes
    ----------
    encoder, scaler
        Learned on the training samples.
    trait_names
        The T selected traits.
    X, X_validation
        (N, K) and (V, K) coded genotypes in [-1, +1].
    Y, Y_validation
        (N, T) and (V, T) standardised traits; NaN is a cell without a measurement.
    panel_digest, split_digest
        Where they are from.
    one_a_trait
        Whether each trait gets a model of its own.
    """

    encoder: GenotypeEncoder
    scaler: TraitScaler
    trait_names: tuple[str, ...]
    X: NDArray[np.float32]
    Y: NDArray[np.float64]
    X_validation: NDArray[np.float32]
    Y_validation: NDArray[np.float64]
    panel_digest: str
    split_digest: str
    one_a_trait: bool = False

    def build(self, config: ModelConfig, *, seed: int) -> nn.Module | Estimator:
        """Return an untrained model for these samples, its weights drawn from ``seed``."""
        return build_model(
            config,
            n_loci=self.X.shape[1],
            n_traits=len(self.trait_names),
            one_a_trait=self.one_a_trait,
            seed=seed,
        )


def build_model(
    config: ModelConfig, *, n_loci: int, n_traits: int, one_a_trait: bool, seed: int
) -> nn.Module | Estimator:
    """Return an untrained model, its weights drawn from ``seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_for(config, n_loci=n_loci, n_traits=n_traits, one_a_trait=one_a_trait)


def prepare(
    panel: Panel,
    split: Split,
    *,
    traits: Sequence[str] | Literal["all"] | None = None,
    protocol: str = "masked",
    prune_r: float | None = None,
    one_a_trait: bool = False,
) -> Prepared:
    """Select traits and samples, and learn coding and scaling on the training samples.

    Pruning, the means that fill missing genotypes and, as published, the scales of the traits see
    all of ``split.train``, whatever ``protocol`` drops.

    Raises
    ------
    SettingsError
        If a trait is not in the panel or is named twice.
    DataError
        If a selected trait does not vary among the training samples that are left.
    """
    columns = trait_columns(panel, traits)
    names = tuple(str(name) for name in panel["trait_name"].values[columns])
    values = np.where(split.learnable(panel), panel["trait_value"].values, np.nan)[:, columns]
    train, validation = split.rows(panel, "train"), split.rows(panel, "validation")
    calls = panel["call_dosage"].values
    columns_used = None if prune_r is None else _pruned(panel, split, train, prune_r)
    encoder = learn_coding(panel, rows=train, columns=columns_used)
    every = train
    if protocol != "masked":
        whole = complete_cases(values)
        if whole[train].sum() < 2:
            raise DataError(
                f"protocol = {protocol!r} leaves {whole[train].sum()} of {len(train)} training "
                f"samples with all {len(names)} traits; use protocol = 'masked' or fewer traits"
            )
        train, validation = train[whole[train]], validation[whole[validation]]
    scaler = TraitScaler.fit(values, rows=every, trait_names=names)
    return Prepared(
        encoder=encoder,
        scaler=scaler,
        trait_names=names,
        X=encoder.encode(calls, rows=train),
        Y=scaler.scale(values[train]),
        X_validation=encoder.encode(calls, rows=validation),
        Y_validation=scaler.scale(values[validation]),
        panel_digest=str(panel.attrs["digest"]),
        split_digest=split.digest,
        one_a_trait=one_a_trait,
    )


def learn_coding(
    panel: Panel, *, rows: NDArray[np.intp], columns: NDArray[np.intp] | None = None
) -> GenotypeEncoder:
    """Return the coding of a panel's loci (those of ``columns``), learned on samples ``rows``."""
    return GenotypeEncoder.fit(
        panel["call_dosage"].values,
        rows=rows,
        columns=columns,
        ploidy=panel.attrs["ploidy"],
        variant_id=panel["variant_id"].values,
        variant_contig=panel["variant_contig"].values,
        variant_position=panel["variant_position"].values,
        variant_allele=panel["variant_allele"].values,
    )


def trait_columns(panel: Panel, traits: Sequence[str] | Literal["all"] | None) -> NDArray[np.intp]:
    """Return the columns of the selected traits, in the panel's order.

    Raises
    ------
    SettingsError
        If a name is not in the panel, is given twice, or none is given.
    """
    known = [str(name) for name in panel["trait_name"].values]
    if traits is None or (isinstance(traits, str) and traits == "all"):
        return np.arange(len(known))
    wanted = [traits] if isinstance(traits, str) else [str(name) for name in traits]
    if absent := [name for name in wanted if name not in known]:
        raise SettingsError("; ".join(unknown("trait", name, known) for name in absent))
    if twice := sorted({name for name in wanted if wanted.count(name) > 1}):
        raise SettingsError(f"traits are named twice: {listed(twice)}")
    if not wanted:
        raise SettingsError("traits = []: name at least one, or leave it out to use all")
    return np.flatnonzero(np.isin(known, wanted))


def complete_cases(trait_value: ArrayLike) -> NDArray[np.bool_]:
    """Return which samples (N,) have every trait of ``trait_value`` (N, T): the published rule."""
    missing = np.isnan(np.asarray(trait_value, dtype=np.float64))
    return np.asarray(~missing.any(axis=1))


def _pruned(panel: Panel, split: Split, train: NDArray[Any], prune_r: float) -> NDArray[np.intp]:
    key = (str(panel.attrs["digest"]), split.digest, float(prune_r))
    if key not in _PRUNED:
        while len(_PRUNED) >= _MOST_PRUNED:
            del _PRUNED[next(iter(_PRUNED))]
        calls = panel["call_dosage"].values
        _PRUNED[key] = prune_linked(calls, threshold=prune_r, rows=train)
    return _PRUNED[key]
