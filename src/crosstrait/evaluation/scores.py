"""Every model's scores on the ledger's cells, measured and resampled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crosstrait.evaluation.bootstrap import ObservedSums, resample_counts
from crosstrait.evaluation.ceiling import noise_ceiling
from crosstrait.evaluation.groups import GroupedRows, number_groups
from crosstrait.evaluation.ledger import Block, Ledger, Run, open_ledger
from crosstrait.evaluation.metrics import METRICS, pearson_r, r2, rmse
from crosstrait.evaluation.within import WITHIN_METRIC, cells_that_count, mean_r, r_by_group

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
        metric -> (B, M, T + 1) scores of B resamples of the test samples or groups, each the mean
        over units; the last column is the mean over traits. NaN for a model with missing runs.
    n_samples, n_groups
        Test samples, and the groups that a resample draws whole; None where it draws samples.
    n_cells
        (T,) cells that one replicate is scored on.
    n_within
        (T,) those of them that ``r_within`` counts; None without groups.
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
    n_samples: int
    n_groups: int | None
    n_cells: NDArray[np.int64]
    n_within: NDArray[np.int64] | None
    covers: NDArray[np.bool_]
    missing: dict[str, tuple[tuple[int, int], ...]]
    ceiling: FloatArray | None

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that were computed."""
        return tuple(self.by_unit)

    def cells_of(self, metric: str) -> NDArray[np.int64]:
        """Return (T,) cells that a metric of one replicate is made of, 0 where it has none."""
        if metric == CEILING_METRIC and self.ceiling is not None:
            return self.n_cells * ~np.isnan(self.ceiling)
        if metric == WITHIN_METRIC and self.n_within is not None:
            return self.n_within
        return self.n_cells

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
    groups: Mapping[str, str] | None = None,
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
    groups
        The group of each sample by id (family, cross, year), if whole groups were tested: resamples
        then draw whole groups, because samples of one group share their errors, and ``r_within``
        is scored (see `r_within`). Extra samples are ignored.
    resamples
        Bootstrap resamples of the test samples or groups.
    seed
        Seed of the resampling.

    Raises
    ------
    DataError
        If models would be compared on unlike cells, or ``groups`` lacks a scored sample.
    """
    ledger = open_ledger(cells, pooled=pooled, expected=expected)
    errors = [_block_errors(ledger, block, trait_se) for block in ledger.blocks]
    within = None if groups is None else _Within.of(ledger, groups)
    by_unit = _measured(ledger, errors, within)
    ceilings = [
        noise_ceiling(block.observed, standard_error=se)
        for block, se in zip(ledger.blocks, errors, strict=True)
        if se is not None
    ]
    return Scores(
        models=ledger.models,
        traits=ledger.traits,
        by_unit=by_unit,
        resampled=_resampled(
            ledger, errors, within, tuple(by_unit), resamples=resamples, seed=seed
        ),
        n_samples=len(ledger.samples),
        n_groups=within.n_groups if within else None,
        n_cells=ledger.n_cells,
        n_within=within.n_cells if within else None,
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


@dataclass(frozen=True, eq=False)
class _Within:
    """The groups of a ledger's samples, and how every unit ranks the members of each.

    Attributes
    ----------
    n_groups
        How many groups there are.
    rows
        For each block the groups of its rows.
    cells
        For each block the (G, T) measured cells of the groups that count.
    r
        For each model a mapping of (replicate, block number) to (G, T) r.
    """

    n_groups: int
    rows: list[GroupedRows]
    cells: list[FloatArray]
    r: dict[str, dict[tuple[int, int], FloatArray]]

    @classmethod
    def of(cls, ledger: Ledger, groups: Mapping[str, str]) -> _Within:
        member, n_groups = number_groups(ledger.samples, groups=groups)
        rows = [GroupedRows(member[block.rows], n_groups) for block in ledger.blocks]
        cells = [
            cells_that_count(block.observed, rows=own)
            for block, own in zip(ledger.blocks, rows, strict=True)
        ]
        r = {
            model: {
                (replicate, number): r_by_group(
                    ledger.blocks[number].observed, predicted=predicted, rows=rows[number]
                )
                for (replicate, number), predicted in units.items()
            }
            for model, units in ledger.predicted.items()
        }
        return cls(n_groups, rows, cells, r)

    @property
    def n_cells(self) -> NDArray[np.int64]:
        """(T,) cells that count, all blocks together."""
        total: NDArray[np.int64] = sum(own.sum(axis=0) for own in self.cells).astype(np.int64)
        return total


def _block_errors(ledger: Ledger, block: Block, trait_se: pd.DataFrame | None) -> FloatArray | None:
    if trait_se is None:
        return None
    samples = np.asarray(ledger.samples)[block.rows]
    errors = trait_se.reindex(index=samples, columns=list(ledger.traits)).to_numpy(np.float64)
    errors = np.where(np.isnan(block.observed), np.nan, errors)
    return None if np.isnan(errors).all() else errors


def _measured(
    ledger: Ledger, errors: list[FloatArray | None], within: _Within | None
) -> dict[str, dict[str, FloatArray]]:
    functions = {"r2": r2, "pearson_r": pearson_r, "rmse": rmse}
    with_ceiling = any(se is not None for se in errors)
    names = (
        *METRICS,
        *([WITHIN_METRIC] if within else []),
        *([CEILING_METRIC] if with_ceiling else []),
    )
    by_unit: dict[str, dict[str, FloatArray]] = {name: {} for name in names}
    for model, units in ledger.predicted.items():
        rows: dict[str, list[FloatArray]] = {name: [] for name in names}
        for (replicate, number), predicted in units.items():
            observed = ledger.blocks[number].observed
            for name, function in functions.items():
                rows[name].append(function(observed, predicted=predicted))
            if within:
                r = within.r[model][replicate, number]
                rows[WITHIN_METRIC].append(mean_r(r, cells=within.cells[number]))
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
    within: _Within | None,
    metrics: tuple[str, ...],
    *,
    resamples: int,
    seed: int,
) -> dict[str, FloatArray]:
    shape = (resamples, len(ledger.models), len(ledger.traits) + 1)
    result = {name: np.full(shape, np.nan) for name in metrics}
    start = 0
    n_drawn = within.n_groups if within else len(ledger.samples)
    rows = within.rows if within else [None for _ in ledger.blocks]
    for counts in resample_counts(n_drawn, resamples=resamples, seed=seed):
        part = slice(start, start + len(counts))
        start += len(counts)
        drawn = [counts if within else counts[:, block.rows] for block in ledger.blocks]
        sums = [
            ObservedSums.over(w, block.observed, groups=own)
            for w, block, own in zip(drawn, ledger.blocks, rows, strict=True)
        ]
        ceilings = [
            None if se is None else s.ceiling(w, se)
            for w, s, se in zip(drawn, sums, errors, strict=True)
        ]
        for m, model in enumerate(ledger.models):
            if model in ledger.missing:
                continue
            means = {name: _RunningMean(counts.shape[0], shape[2]) for name in metrics}
            for (replicate, number), predicted in ledger.predicted[model].items():
                observed = ledger.blocks[number].observed
                scores = sums[number].scores(drawn[number], observed, predicted)
                if CEILING_METRIC in metrics:
                    ceiling = ceilings[number]
                    scores[CEILING_METRIC] = scores["r2"] / (np.nan if ceiling is None else ceiling)
                if within:
                    r = within.r[model][replicate, number]
                    scores[WITHIN_METRIC] = mean_r(r, cells=within.cells[number], counts=counts)
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
