"""Every model's scores on the ledger's cells, measured and resampled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crosstrait.evaluation.bootstrap import ObservedSums, resample_counts
from crosstrait.evaluation.ceiling import noise_ceiling
from crosstrait.evaluation.ledger import Block, Ledger, Run, open_ledger
from crosstrait.evaluation.metrics import METRICS, pearson_r, r2, rmse

FloatArray = NDArray[np.floating[Any]]

CEILING_METRIC = "r2_of_ceiling"


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Scores of M models on T traits; what the leaderboard and the comparisons are made of.

    Attributes
    ----------
    models, traits
        Their names.
    by_unit
        metric -> model -> (U, T) scores of its U units (a replicate, or a replicate and fold).
    resampled
        metric -> (B, M, T + 1) scores of B resamples of the test samples, each the mean over
        units; the last column is the mean over traits. NaN for a model with missing runs.
    n_cells
        (T,) cells that one replicate is scored on.
    covers
        (M, T) which traits a model predicts.
    missing
        model -> (replicate, fold) of the runs that were planned and are not there.
    ceiling
        (T,) mean noise ceiling over blocks, NaN where unknown; None without standard errors.
    """

    models: tuple[str, ...]
    traits: tuple[str, ...]
    by_unit: dict[str, dict[str, FloatArray]]
    resampled: dict[str, FloatArray]
    n_cells: NDArray[np.int64]
    covers: NDArray[np.bool_]
    missing: dict[str, tuple[tuple[int, int], ...]]
    ceiling: FloatArray | None

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that were computed."""
        return tuple(self.by_unit)

    def is_complete(self, model: str) -> bool:
        """Whether none of the model's planned runs is missing."""
        return model not in self.missing

    def is_full(self, model: str) -> bool:
        """Whether the model predicts every trait, so that its mean over traits compares."""
        return bool(self.covers[self.models.index(model)].all())


def score(
    cells: pd.DataFrame,
    *,
    pooled: bool = False,
    expected: Iterable[Run] | None = None,
    trait_se: pd.DataFrame | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Scores:
    """Score every model on identical cells.

    Parameters
    ----------
    cells
        The predictions of all runs (see `crosstrait.evaluation.cells`).
    pooled
        Whether the folds are scored together (k-fold): a unit is then a replicate, otherwise a
        (replicate, fold).
    expected
        Every (model, replicate, fold) planned; see `open_ledger`.
    trait_se
        Standard errors by sample id and trait name, for ``r2_of_ceiling``.
    resamples
        Bootstrap resamples of the test samples.
    seed
        Seed of the resampling.

    Raises
    ------
    DataError
        If models would be compared on unlike cells.
    """
    ledger = open_ledger(cells, pooled=pooled, expected=expected)
    errors = [_block_errors(ledger, block, trait_se) for block in ledger.blocks]
    by_unit = _measured(ledger, errors)
    ceilings = [
        noise_ceiling(block.observed, standard_error=se)
        for block, se in zip(ledger.blocks, errors, strict=True)
        if se is not None
    ]
    return Scores(
        models=ledger.models,
        traits=ledger.traits,
        by_unit=by_unit,
        resampled=_resampled(ledger, errors, tuple(by_unit), resamples=resamples, seed=seed),
        n_cells=ledger.n_cells,
        covers=ledger.covers,
        missing=ledger.missing,
        ceiling=nan_mean(np.array(ceilings), axis=0) if ceilings else None,
    )


def nan_mean(values: FloatArray, *, axis: int) -> FloatArray:
    """Return the mean of what is defined, NaN (without a warning) where nothing is."""
    defined = ~np.isnan(values)
    n = defined.sum(axis=axis)
    total = np.sum(values, axis=axis, where=defined)
    mean: FloatArray = np.divide(total, n, out=np.full(np.shape(total), np.nan), where=n > 0)
    return mean


def _block_errors(ledger: Ledger, block: Block, trait_se: pd.DataFrame | None) -> FloatArray | None:
    if trait_se is None:
        return None
    samples = np.asarray(ledger.samples)[block.rows]
    errors = trait_se.reindex(index=samples, columns=list(ledger.traits)).to_numpy(np.float64)
    errors = np.where(np.isnan(block.observed), np.nan, errors)
    return None if np.isnan(errors).all() else errors


def _measured(ledger: Ledger, errors: list[FloatArray | None]) -> dict[str, dict[str, FloatArray]]:
    functions = {"r2": r2, "pearson_r": pearson_r, "rmse": rmse}
    with_ceiling = any(se is not None for se in errors)
    names = (*METRICS, CEILING_METRIC) if with_ceiling else METRICS
    by_unit: dict[str, dict[str, FloatArray]] = {name: {} for name in names}
    for model, units in ledger.predicted.items():
        rows: dict[str, list[FloatArray]] = {name: [] for name in names}
        for (_, number), predicted in units.items():
            observed = ledger.blocks[number].observed
            for name, function in functions.items():
                rows[name].append(function(observed, predicted=predicted))
            if with_ceiling:
                rows[CEILING_METRIC].append(
                    rows["r2"][-1] / _ceiling(ledger.blocks[number], errors[number])
                )
        for name in names:
            by_unit[name][model] = np.array(rows[name]).reshape(len(units), len(ledger.traits))
    return by_unit


def _ceiling(block: Block, errors: FloatArray | None) -> FloatArray:
    if errors is None:
        return np.full(block.observed.shape[1], np.nan)
    return noise_ceiling(block.observed, standard_error=errors)


def _resampled(
    ledger: Ledger,
    errors: list[FloatArray | None],
    metrics: tuple[str, ...],
    *,
    resamples: int,
    seed: int,
) -> dict[str, FloatArray]:
    shape = (resamples, len(ledger.models), len(ledger.traits) + 1)
    result = {name: np.full(shape, np.nan) for name in metrics}
    start = 0
    for counts in resample_counts(len(ledger.samples), resamples=resamples, seed=seed):
        part = slice(start, start + len(counts))
        start += len(counts)
        drawn = [counts[:, block.rows] for block in ledger.blocks]
        sums = [
            ObservedSums.over(w, block.observed)
            for w, block in zip(drawn, ledger.blocks, strict=True)
        ]
        ceilings = [
            None if se is None else s.ceiling(w, se)
            for w, s, se in zip(drawn, sums, errors, strict=True)
        ]
        for m, model in enumerate(ledger.models):
            if model in ledger.missing:
                continue
            means = {name: _RunningMean(counts.shape[0], shape[2]) for name in metrics}
            for (_, number), predicted in ledger.predicted[model].items():
                observed = ledger.blocks[number].observed
                scores = sums[number].scores(drawn[number], observed, predicted)
                if CEILING_METRIC in metrics:
                    ceiling = ceilings[number]
                    scores[CEILING_METRIC] = scores["r2"] / (np.nan if ceiling is None else ceiling)
                for name in metrics:
                    means[name].add(scores[name])
            for name in metrics:
                result[name][part, m] = means[name].value()
    return result


class _RunningMean:
    """The mean over units of (b, T) scores and, last, of their mean over traits."""

    def __init__(self, b: int, columns: int) -> None:
        self._total = np.zeros((b, columns))
        self._n = np.zeros((b, columns), dtype=np.int32)

    def add(self, scores: FloatArray) -> None:
        values = np.column_stack([scores, nan_mean(scores, axis=1)])
        defined = ~np.isnan(values)
        self._total += np.where(defined, values, 0.0)
        self._n += defined

    def value(self) -> FloatArray:
        mean = np.full(self._total.shape, np.nan)
        np.divide(self._total, self._n, out=mean, where=self._n > 0)
        return mean
