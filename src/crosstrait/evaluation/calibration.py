"""Calibration: the share of new measurements that predictive intervals really hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crosstrait.errors import StorageError, not_written
from crosstrait.evaluation.leaderboard import MEAN
from crosstrait.files import beside

LEVELS = (0.5, 0.8, 0.95)
"""The levels that every run is judged at."""


class CalibrationRow(NamedTuple):
    """One row of the calibration table."""

    model: str
    trait: str
    level: float
    coverage: float
    mean_width: float
    n_cells: int


CALIBRATION_COLUMNS = CalibrationRow._fields


def make_intervals(
    cells: pd.DataFrame,
    half_widths: Sequence[NDArray[np.float64]],
    *,
    measured: NDArray[np.bool_],
) -> pd.DataFrame:
    """Tabulate one run's intervals, a row a cell, in the order of its cells.

    Parameters
    ----------
    cells
        The run's table of `make_cells`.
    half_widths
        For each of `LEVELS`, how far (n, T) the intervals reach either way of the predictions.
    measured
        (n, T), True in the cells of the table.

    Returns
    -------
    pandas.DataFrame
        Columns ``sample, trait, observed``, then ``lower_50, upper_50`` and so for each level.
    """
    centre = cells["predicted"].to_numpy()
    table: dict[str, Any] = {name: cells[name].astype(str) for name in ("sample", "trait")}
    table["observed"] = cells["observed"].to_numpy()
    for level, half in zip(LEVELS, half_widths, strict=True):
        lower, upper = _names(level)
        table[lower], table[upper] = centre - half[measured], centre + half[measured]
    return pd.DataFrame(table)


def write_intervals(intervals: pd.DataFrame, *, path: Path) -> None:
    """Write the table as Parquet, whole or not at all."""
    partial = beside(path)
    try:
        intervals.to_parquet(partial, index=False, compression="zstd")
        partial.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write the intervals to {path}: {not_written(error)}") from None
    finally:
        with suppress(OSError):  # of a disk that may not be written
            partial.unlink(missing_ok=True)


def calibration(sources: Iterable[tuple[Path, str]]) -> pd.DataFrame:
    """Count how many measurements lie in their intervals.

    Parameters
    ----------
    sources
        Paths of tables that `write_intervals` wrote, each with the label of its model.

    Returns
    -------
    pandas.DataFrame
        Columns `CALIBRATION_COLUMNS`, a row a model, trait and level, over all folds and
        replicates. ``mean_width`` is in trait units. Rows of the trait "mean" hold the mean
        coverage over the model's traits, and no width, as traits differ in unit.

    Raises
    ------
    StorageError
        If a file cannot be read.
    """
    counts: dict[str, dict[str, NDArray[np.float64]]] = {}
    for path, model in sources:
        for trait, found in _counts(path).items():
            traits = counts.setdefault(model, {})
            traits[trait] = traits.get(trait, 0.0) + found
    rows = []
    for model, traits in counts.items():
        own = [row for trait, found in traits.items() for row in _rows(model, trait, found)]
        for level in LEVELS:
            at_level = [row for row in own if row.level == level]
            coverage = float(np.mean([row.coverage for row in at_level]))
            n_cells = sum(row.n_cells for row in at_level)
            rows.append(CalibrationRow(model, MEAN, level, coverage, np.nan, n_cells))
        rows += own
    return pd.DataFrame(rows, columns=list(CALIBRATION_COLUMNS))


def _counts(path: Path) -> dict[str, NDArray[np.float64]]:
    """Return by trait, for each level, (cells held, summed widths, cells)."""
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read the intervals in {path}: {error}") from None
    observed = table["observed"].to_numpy()
    found: dict[str, list[NDArray[np.float64]]] = {}
    place, names = pd.factorize(table["trait"])
    for level in LEVELS:
        lower, upper = (table[name].to_numpy() for name in _names(level))
        held = ((lower <= observed) & (observed <= upper)).astype(np.float64)
        sums = [np.bincount(place, values) for values in (held, upper - lower, np.ones(len(held)))]
        for t, name in enumerate(names):
            found.setdefault(str(name), []).append(np.array([total[t] for total in sums]))
    return {name: np.array(levels) for name, levels in found.items()}


def _rows(model: str, trait: str, counts: NDArray[np.float64]) -> Iterator[CalibrationRow]:
    for level, (held, width, n_cells) in zip(LEVELS, counts, strict=True):
        yield CalibrationRow(model, trait, level, held / n_cells, width / n_cells, int(n_cells))


def _names(level: float) -> tuple[str, str]:
    return f"lower_{level:.0%}".rstrip("%"), f"upper_{level:.0%}".rstrip("%")
