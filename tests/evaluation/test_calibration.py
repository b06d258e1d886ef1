from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from crosstrait.errors import StorageError
from crosstrait.evaluation.calibration import (
    CALIBRATION_COLUMNS,
    LEVELS,
    calibration,
    make_intervals,
    write_intervals,
)
from crosstrait.evaluation.cells import make_cells


def write_run(path: Path, *, claimed_sd: float, seed: int, n: int = 2000) -> np.ndarray:
    """Intervals of a model that is right but for errors of SD 1; a third of trait b is missing."""
    rng = np.random.default_rng(seed)
    predicted = rng.normal(size=(n, 2))
    observed = predicted + rng.normal(size=(n, 2))
    observed[: n // 3, 1] = np.nan
    cells = make_cells(
        observed,
        predicted=predicted,
        sample_id=[f"s{i}" for i in range(n)],
        trait_names=["a", "b"],
        model="any",
    )
    half = [np.full((n, 2), claimed_sd * stats.norm.ppf((1 + level) / 2)) for level in LEVELS]
    write_intervals(make_intervals(cells, half, measured=~np.isnan(observed)), path=path)
    return observed


def test_true_intervals_cover_what_they_say_and_narrow_ones_less(tmp_path: Path) -> None:
    for fold in range(2):
        write_run(tmp_path / f"{fold}", claimed_sd=1.0, seed=fold)
    write_run(tmp_path / "narrow", claimed_sd=0.5, seed=9)
    sources = [
        (tmp_path / "0", "honest"),
        (tmp_path / "1", "honest"),
        (tmp_path / "narrow", "sure"),
    ]
    table = calibration(sources)
    assert tuple(table.columns) == CALIBRATION_COLUMNS
    honest = table[table["model"] == "honest"]
    np.testing.assert_allclose(honest["coverage"], honest["level"], atol=0.025)
    sure = table[(table["model"] == "sure") & (table["trait"] == "a")].set_index("level")
    expected = [2 * stats.norm.cdf(stats.norm.ppf((1 + level) / 2) / 2) - 1 for level in LEVELS]
    np.testing.assert_allclose(sure["coverage"], expected, atol=0.03)


def test_counts_widths_and_means_are_over_the_measured_cells_of_all_runs(tmp_path: Path) -> None:
    seen = [write_run(tmp_path / f"{f}", claimed_sd=1.0, seed=f, n=300) for f in range(2)]
    table = calibration((tmp_path / f"{f}", "m") for f in range(2)).set_index(["trait", "level"])
    measured = sum((~np.isnan(part)).sum(axis=0) for part in seen)
    assert table.loc[("a", 0.8), "n_cells"] == measured[0]
    assert table.loc[("b", 0.8), "n_cells"] == measured[1]
    assert table.loc[("mean", 0.8), "n_cells"] == measured.sum()
    assert table.loc[("a", 0.95), "mean_width"] == pytest.approx(2 * 1.959964, rel=1e-6)
    assert np.isnan(table.loc[("mean", 0.95), "mean_width"])
    pair = table.loc[[("a", 0.5), ("b", 0.5)], "coverage"]
    assert table.loc[("mean", 0.5), "coverage"] == pytest.approx(pair.mean())


def test_an_endless_interval_covers_everything(tmp_path: Path) -> None:
    cells = make_cells(
        [[1.0], [2.0]],
        predicted=[[0.0], [0.0]],
        sample_id=["s", "t"],
        trait_names=["a"],
        model="m",
    )
    half = [np.full((2, 1), np.inf)] * len(LEVELS)
    table = make_intervals(cells, half, measured=np.ones((2, 1), dtype=bool))
    write_intervals(table, path=tmp_path / "file")
    found = calibration([(tmp_path / "file", "m")])
    assert (found["coverage"] == 1).all()
    assert list(pd.read_parquet(tmp_path / "file").columns[:5]) == [
        "sample",
        "trait",
        "observed",
        "lower_50",
        "upper_50",
    ]


def test_a_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no parquet")
    with pytest.raises(StorageError, match="file"):
        calibration([(tmp_path / "file", "m")])
    assert calibration([]).empty
