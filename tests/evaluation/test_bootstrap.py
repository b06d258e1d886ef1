"""Resampling of test samples through sums that are linear in the counts."""

from __future__ import annotations

import numpy as np
import pytest

from crosstrait.evaluation import bootstrap
from crosstrait.evaluation.bootstrap import ObservedSums, interval, resample_counts
from crosstrait.evaluation.ceiling import noise_ceiling
from crosstrait.evaluation.metrics import pearson_r, r2, rmse
from support.predictions import trait_values


@pytest.fixture
def block():
    observed = 1e4 + trait_values(60, n_traits=4, missing=0.15, seed=3)
    rng = np.random.default_rng(4)
    predicted = np.nan_to_num(observed, nan=1e4) + rng.normal(size=observed.shape)
    return observed, predicted


def test_sums_give_the_scores_of_the_drawn_rows(block) -> None:
    observed, predicted = block
    (counts,) = resample_counts(60, resamples=20, seed=0)
    found = ObservedSums.over(counts, observed).scores(counts, observed, predicted)
    for b, drawn in enumerate(counts.astype(int)):
        rows = np.repeat(np.arange(60), drawn)
        for name, metric in (("r2", r2), ("pearson_r", pearson_r), ("rmse", rmse)):
            expected = metric(observed[rows], predicted=predicted[rows])
            np.testing.assert_allclose(found[name][b], expected, rtol=1e-9)


def test_sums_give_the_ceiling_of_the_drawn_rows(block) -> None:
    observed, _ = block
    errors = np.abs(np.random.default_rng(5).normal(0.4, 0.1, size=observed.shape))
    errors[:7, 1] = np.nan
    errors[:, 2] = np.nan
    errors[np.isnan(observed)] = np.nan
    (counts,) = resample_counts(60, resamples=20, seed=1)
    found = ObservedSums.over(counts, observed).ceiling(counts, errors)
    for b, drawn in enumerate(counts.astype(int)):
        rows = np.repeat(np.arange(60), drawn)
        expected = noise_ceiling(observed[rows], standard_error=errors[rows])
        np.testing.assert_allclose(found[b], expected, rtol=1e-9)
    assert np.isnan(found[:, 2]).all()


def test_a_draw_of_equal_values_has_no_r2_and_a_constant_prediction_r_zero() -> None:
    observed = np.array([[0.1, 1.0], [0.1, 2.0], [7.3, 4.0]])
    counts = np.array([[2.0, 1.0, 0.0]])
    predicted = np.array([[1.0, 0.3], [2.0, 0.3], [3.0, 0.3]])
    found = ObservedSums.over(counts, observed).scores(counts, observed, predicted)
    assert np.isnan(found["r2"][0, 0])
    assert np.isnan(found["pearson_r"][0, 0])
    assert found["pearson_r"][0, 1] == 0
    assert np.isfinite(found["rmse"]).all()


def test_counts_draw_as_many_samples_as_there_are_whatever_the_chunk(monkeypatch) -> None:
    whole = np.concatenate(list(resample_counts(37, resamples=50, seed=9)))
    monkeypatch.setattr(bootstrap, "_CHUNK_COUNTS", 37 * 7)
    chunks = list(resample_counts(37, resamples=50, seed=9))
    assert len(chunks) > 5
    np.testing.assert_array_equal(np.concatenate(chunks), whole)
    assert (whole.sum(axis=1) == 37).all()


def test_the_interval_holds_the_asked_share_and_ignores_undefined_draws() -> None:
    draws = np.random.default_rng(0).normal(size=(4000, 3))
    draws[:, 2] = np.nan
    draws[::2, 1] = np.nan
    low, high = interval(draws, confidence=0.9)
    assert np.mean((draws[:, 0] > low[0]) & (draws[:, 0] < high[0])) == pytest.approx(0.9, abs=1e-3)
    assert low[1] == pytest.approx(-1.64, abs=0.15)
    assert np.isnan([low[2], high[2]]).all()


def test_a_95_percent_interval_covers_the_true_r2_about_that_often() -> None:
    rng = np.random.default_rng(11)
    truth, n, covered = 0.5, 150, 0
    for seed in range(200):
        signal = rng.normal(size=(n, 1))
        observed = signal + rng.normal(size=(n, 1))
        (counts,) = resample_counts(n, resamples=300, seed=seed)
        draws = ObservedSums.over(counts, observed).scores(counts, observed, signal)["r2"]
        low, high = interval(draws)
        covered += bool(low[0] < truth < high[0])
    assert 0.90 <= covered / 200 <= 0.99
