"""The sealed ledger: every model's predictions of the identical cells, as arrays.

Models are compared on the same (sample, trait) cells or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crosstrait.errors import DataError, listed
from crosstrait.evaluation.cells import validate_cells

FloatArray = NDArray[np.floating[Any]]
Run = tuple[str, int, int]
"""A run's place in the experiment: model label, replicate, fold."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Test samples that are scored together: all folds of a pooled scheme, or one fold.

    Attributes
    ----------
    rows
        (n,) places of its samples in the ledger's ``samples``.
    observed
        (n, T) trait values; NaN where there is no cell.
    """

    rows: NDArray[np.intp]
    observed: FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Ledger:
    """Cells of an experiment, arranged by model and unit of scoring.

    A unit is one score: a replicate over a block.

    Attributes
    ----------
    models, traits, samples
        Their names: models in order of appearance, traits in the panel's order.
    blocks
        The sets of test samples.
    predicted
        For each model a mapping of (replicate, block number) to (n, T) predictions; only units
        all of whose runs ended.
    covers
        (M, T) which traits a model predicts.
    missing
        For each model the (replicate, fold) whose run was expected and is not there.
    """

    models: tuple[str, ...]
    traits: tuple[str, ...]
    samples: tuple[str, ...]
    blocks: tuple[Block, ...]
    predicted: dict[str, dict[tuple[int, int], FloatArray]]
    covers: NDArray[np.bool_]
    missing: dict[str, tuple[tuple[int, int], ...]]

    @property
    def n_cells(self) -> NDArray[np.int64]:
        """(T,) measured cells that one replicate is scored on, all blocks together."""
        n = np.zeros(len(self.traits), dtype=np.int64)
        for block in self.blocks:
            n += (~np.isnan(block.observed)).sum(axis=0)
        return n


def open_ledger(
    cells: pd.DataFrame, *, pooled: bool = False, expected: Iterable[Run] | None = None
) -> Ledger:
    """Arrange ``cells`` and refuse to compare models on unlike cells.

    Parameters
    ----------
    cells
        A predictions table (see `crosstrait.evaluation.cells`).
    pooled
        Whether the folds partition the samples and are scored together, as in k-fold.
    expected
        Every (model, replicate, fold) that the experiment planned. What is planned and has no
        cells is marked as missing, and its model gets no mean. Without a plan, each replicate of
        a model is expected in every fold.

    Raises
    ------
    DataError
        If a model lacks cells that another was scored on, if two runs disagree on an observed
        value, or if the pooled folds share samples.
    """
    table = validate_cells(cells)
    if table.empty:
        raise DataError("the predictions table is empty: there is nothing to score")
    traits = _used(table["trait"])
    if "mean" in traits:
        raise DataError("a trait cannot be called 'mean', which names the mean over traits")
    samples = _used(table["sample"])
    runs = _runs(table, samples=samples, traits=traits)
    planned = _plan(runs, expected)
    models = tuple(dict.fromkeys(model for model, _, _ in planned))
    covers = np.array([_covered(runs, model, len(traits)) for model in models])
    folds = sorted({fold for _, _, fold in runs})
    fold_blocks = {
        fold: _agreed_block(runs, fold, models, covers, samples, traits) for fold in folds
    }
    if pooled:
        _refuse_shared_samples(fold_blocks, samples)
        blocks: tuple[Block, ...] = (_joined(fold_blocks[fold] for fold in folds),)
    else:
        blocks = tuple(fold_blocks[fold] for fold in folds)

    missing: dict[str, tuple[tuple[int, int], ...]] = {}
    predicted: dict[str, dict[tuple[int, int], FloatArray]] = {}
    for model in models:
        mine = [(replicate, fold) for name, replicate, fold in planned if name == model]
        gone = tuple(sorted(pair for pair in mine if (model, *pair) not in runs))
        if gone:
            missing[model] = gone
        predicted[model] = {}
        for replicate in sorted({pair[0] for pair in mine}):
            ended = [fold for fold in folds if (model, replicate, fold) in runs]
            parts = {fold: runs[model, replicate, fold].predicted for fold in ended}
            if not pooled:
                predicted[model] |= {(replicate, folds.index(f)): parts[f] for f in ended}
            elif ended == folds and not any(pair[0] == replicate for pair in gone):
                predicted[model][replicate, 0] = np.concatenate([parts[f] for f in folds])
    return Ledger(
        models=models,
        traits=traits,
        samples=samples,
        blocks=blocks,
        predicted=predicted,
        covers=covers,
        missing=missing,
    )


@dataclass(frozen=True, eq=False)
class _RunCells:
    rows: NDArray[np.intp]
    observed: FloatArray
    predicted: FloatArray


def _used(names: pd.Series) -> tuple[str, ...]:
    used = np.bincount(names.cat.codes, minlength=len(names.cat.categories)) > 0
    return tuple(str(name) for name in names.cat.categories[used])


def _runs(
    table: pd.DataFrame, *, samples: tuple[str, ...], traits: tuple[str, ...]
) -> dict[Run, _RunCells]:
    """Pivot each run to (samples of its fold, traits); the rows of a fold are shared."""
    sample = table["sample"].cat.set_categories(samples).cat.codes.to_numpy(np.intp)
    trait = table["trait"].cat.set_categories(traits).cat.codes.to_numpy(np.intp)
    observed, predicted = table["observed"].to_numpy(), table["predicted"].to_numpy()
    fold = table["fold"].to_numpy()
    fold_rows = {int(f): np.unique(sample[fold == f]) for f in np.unique(fold)}
    runs: dict[Run, _RunCells] = {}
    keys = ["model", "replicate", "fold"]
    groups: dict[Any, Any] = table.groupby(keys, sort=False, observed=True).indices
    for (model, replicate, this_fold), where in groups.items():
        rows = fold_rows[int(this_fold)]
        place = np.searchsorted(rows, sample[where])
        grids = np.full((2, len(rows), len(traits)), np.nan)
        grids[0, place, trait[where]] = observed[where]
        grids[1, place, trait[where]] = predicted[where]
        runs[str(model), int(replicate), int(this_fold)] = _RunCells(rows, grids[0], grids[1])
    return runs


def _plan(runs: dict[Run, _RunCells], expected: Iterable[Run] | None) -> list[Run]:
    if expected is None:
        folds = sorted({fold for _, _, fold in runs})
        pairs = dict.fromkeys((model, replicate) for model, replicate, _ in runs)
        plan = [(model, replicate, fold) for model, replicate in pairs for fold in folds]
        gone = [run for run in plan if run not in runs]
        if gone:
            model, replicate, fold = gone[0]
            raise DataError(
                f"a comparison of unlike cells is refused: model {model!r} (replicate "
                f"{replicate}) has no cells in fold {fold}, which other runs have"
                f"{f'; {len(gone)} runs are missing so' if len(gone) > 1 else ''}; rerun it, or "
                f"pass the expected runs to have it marked as missing"
            )
        return plan
    plan = [(str(model), int(replicate), int(fold)) for model, replicate, fold in expected]
    unplanned = [run for run in runs if run not in set(plan)]
    if unplanned:
        shown = listed(f"{m} (replicate {r}, fold {f})" for m, r, f in unplanned)
        raise DataError(f"the predictions hold runs that the experiment did not plan: {shown}")
    return plan


def _covered(runs: dict[Run, _RunCells], model: str, n_traits: int) -> NDArray[np.bool_]:
    covered = np.zeros(n_traits, dtype=bool)
    for (name, _, _), run in runs.items():
        if name == model:
            covered |= ~np.isnan(run.observed).all(axis=0)
    return covered


def _agreed_block(
    runs: dict[Run, _RunCells],
    fold: int,
    models: tuple[str, ...],
    covers: NDArray[np.bool_],
    samples: tuple[str, ...],
    traits: tuple[str, ...],
) -> Block:
    """Return the cells of a fold, on which all its runs must agree."""
    mine = {run: runs[run] for run in runs if run[2] == fold}
    agreed = np.full_like(next(iter(mine.values())).observed, np.nan)
    source = np.full(len(traits), "", dtype=object)
    rows = next(iter(mine.values())).rows
    for (model, replicate, _), run in mine.items():
        both = ~np.isnan(agreed) & ~np.isnan(run.observed)
        differs = both & ~np.isclose(agreed, run.observed, rtol=1e-9, atol=0)
        if differs.any():
            i, j = np.argwhere(differs)[0]
            raise DataError(
                f"model {model!r} (replicate {replicate}, fold {fold}) was scored against "
                f"another observed value: sample {samples[rows[i]]!r}, trait {traits[j]!r} is "
                f"{run.observed[i, j]:g} there and {agreed[i, j]:g} elsewhere; the runs come "
                f"from different panels"
            )
        fresh = np.isnan(agreed) & ~np.isnan(run.observed)
        agreed = np.where(fresh, run.observed, agreed)
        source[fresh.any(axis=0)] = model
    for (model, replicate, _), run in mine.items():
        lacks = ~np.isnan(agreed) & np.isnan(run.observed) & covers[models.index(model)]
        if lacks.any():
            j = int(np.flatnonzero(lacks.any(axis=0))[0])
            absent = [samples[rows[i]] for i in np.flatnonzero(lacks[:, j])]
            raise DataError(
                f"a comparison of unlike cells is refused: model {model!r} (replicate "
                f"{replicate}, fold {fold}) lacks {len(absent)} of the "
                f"{int((~np.isnan(agreed[:, j])).sum())} cells of trait {traits[j]!r} that "
                f"model {source[j]!r} has, such as samples {listed(absent)}; score all models "
                f"under one protocol on one split"
            )
    return Block(rows=rows, observed=agreed)


def _refuse_shared_samples(blocks: dict[int, Block], samples: tuple[str, ...]) -> None:
    rows = np.concatenate([block.rows for block in blocks.values()])
    values, counts = np.unique(rows, return_counts=True)
    if (counts > 1).any():
        twice = [samples[row] for row in values[counts > 1]]
        raise DataError(
            f"folds that are scored together must not share test samples; {len(twice)} are in "
            f"more than one: {listed(twice)}"
        )


def _joined(blocks: Iterable[Block]) -> Block:
    parts = list(blocks)
    return Block(
        rows=np.concatenate([part.rows for part in parts]),
        observed=np.concatenate([part.observed for part in parts]),
    )
