"""The trait summary against plain definitions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy import stats

from crosstrait.panel import Panel, from_arrays
from crosstrait.panel.inspect.traits import TraitSummary, summarise_jointly, summarise_traits


def panel_of(
    trait_value: ArrayLike, *, names: Sequence[str] | None = None, trait_se: ArrayLike | None = None
) -> Panel:
    values = np.asarray(trait_value, dtype=float)
    if values.ndim == 1:
        values = values[:, None]
    n, n_traits = values.shape
    return from_arrays(
        np.tile([[0.0, 1.0]], (n, 1)),
        trait_value=values,
        trait_names=names or [f"t{t}" for t in range(n_traits)],
        trait_se=trait_se,
    )


def one(trait_value: ArrayLike, *, trait_se: ArrayLike | None = None) -> TraitSummary:
    (summary,) = summarise_traits(panel_of(trait_value, trait_se=trait_se))
    return summary


def test_moments_are_those_of_the_measured_values() -> None:
    rng = np.random.default_rng(0)
    y = rng.gamma(2, 3, 400)
    measured = y[:300].copy()
    y[300:] = np.nan
    summary = one(y)
    assert summary.n_measured == 300
    assert summary.mean == pytest.approx(measured.mean())
    assert summary.sd == pytest.approx(measured.std())
    assert (summary.minimum, summary.maximum) == (measured.min(), measured.max())
    assert summary.skew == pytest.approx(stats.skew(measured))
    assert summary.excess_kurtosis == pytest.approx(stats.kurtosis(measured))
    assert summary.n_distinct == 300


def test_outliers_are_named_farthest_first_and_do_not_hide_one_another() -> None:
    y = np.random.default_rng(1).normal(size=100)
    y[[7, 50, 93]] = [999, -9999, 999]
    assert one(y).outliers == ("sample_50", "sample_7", "sample_93")


def test_a_value_just_within_the_bound_is_no_outlier() -> None:
    y = np.r_[np.linspace(-1, 1, 101), 0]  # median 0, median absolute deviation about 0.5
    deviation = np.median(np.abs(y - np.median(y))) * 1.4826
    assert one(np.r_[y, 5.9 * deviation]).outliers == ()
    assert one(np.r_[y, 6.3 * deviation]).outliers == ("sample_102",)


def test_where_most_values_are_the_same_outliers_are_measured_in_sd() -> None:
    y = np.zeros(200)
    y[:3] = 10
    y[9] = 50
    assert one(y).outliers == ("sample_9",)


def test_the_most_common_value_is_counted() -> None:
    summary = one(np.r_[np.linspace(1, 2, 50), np.zeros(12)])
    assert (summary.common_value, summary.common_count) == (0, 12)


def test_the_noise_ceiling_is_what_the_standard_errors_leave() -> None:
    y = np.random.default_rng(2).normal(scale=2, size=500)
    summary = one(y, trait_se=np.full((500, 1), 0.8))
    assert summary.noise_ceiling == pytest.approx(1 - 0.64 / y.var())
    assert summary.n_standard_errors == 500


def test_standard_errors_count_only_where_the_trait_was_measured() -> None:
    y, se = np.array([np.nan, 1.0, 2, 3]), np.array([[77], [0.1], [np.nan], [0.3]])
    summary = one(y, trait_se=se)
    assert summary.n_standard_errors == 2
    assert summary.noise_share == pytest.approx((0.01 + 0.09) / 2 / np.var([1, 2, 3]))


def test_without_standard_errors_or_with_too_large_ones_there_is_no_ceiling() -> None:
    assert np.isnan(one([1.0, 2, 3]).noise_ceiling)
    large = one([1.0, 2, 3], trait_se=np.full((3, 1), 5))
    assert large.noise_share > 1
    assert np.isnan(large.noise_ceiling)


def test_correlations_use_the_samples_that_have_both_traits() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(80, 4)) @ rng.normal(size=(4, 4)) + 1e3
    values[rng.random(values.shape) < 0.3] = np.nan
    joint = summarise_jointly(panel_of(values))
    for s in range(4):
        for t in range(4):
            both = ~np.isnan(values[:, s]) & ~np.isnan(values[:, t])
            assert joint.n_shared[s, t] == both.sum()
            expected = np.corrcoef(values[both, s], values[both, t])[0, 1]
            assert joint.correlation[s, t] == pytest.approx(expected, abs=1e-9)


def test_a_correlation_that_is_not_defined_is_nan() -> None:
    nan = np.nan
    values = np.array(
        [
            [1, 1, nan],
            [2, 1, nan],
            [3, 1, nan],
            [nan, 2, 1],
            [nan, 3, 2],
            [4, nan, 1],
            [5, nan, 3],
        ]
    )
    joint = summarise_jointly(panel_of(values))
    assert np.isnan(joint.correlation[0, 1])  # trait 1 is constant where both were measured
    assert np.isnan(joint.correlation[0, 2])  # two samples only
    assert joint.extremes() == []


def test_complete_and_empty_samples_are_counted() -> None:
    nan = np.nan
    joint = summarise_jointly(panel_of([[1, 2], [nan, 1], [nan, nan], [3, 4], [nan, nan]]))
    assert joint.n_complete == 2
    assert joint.without_any == ("sample_2", "sample_4")


def test_extremes_are_the_ends_of_the_list_of_pairs() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(60, 6)) @ rng.normal(size=(6, 6))
    names = list("abcdef")
    r = np.corrcoef(values.T)
    pairs = sorted(
        ((r[i, j], names[i], names[j]) for i in range(6) for j in range(i)), reverse=True
    )
    found = summarise_jointly(panel_of(values, names=names)).extremes(most=2)
    expected = [pairs[0], pairs[1], pairs[-2], pairs[-1]]
    assert [{one, other} for one, other, _, _ in found] == [{a, b} for _, a, b in expected]
    assert [x[2] for x in found] == pytest.approx([x[0] for x in expected])
    assert {x[3] for x in found} == {60}


def test_few_pairs_are_listed_once() -> None:
    rng = np.random.default_rng(5)
    joint = summarise_jointly(panel_of(rng.normal(size=(20, 3))))
    assert len(joint.extremes()) == 3
    assert summarise_jointly(panel_of(rng.normal(size=20))).extremes() == []


def test_histograms_hold_every_value_and_outliers_in_their_ends() -> None:
    values = np.random.default_rng(4).normal(10, 2, 500)
    values[3] = 999
    trait = summarise_traits(
        from_arrays(np.eye(500), trait_value=values[:, None], trait_names=["t"])
    )[0]
    assert trait.bin_counts.sum() == 500
    assert trait.bin_edges[-1] < 40
    assert trait.bin_edges[0] == np.delete(values, 3).min()
    inner = np.histogram(np.delete(values, 3), bins=trait.bin_edges)[0]
    assert (trait.bin_counts - inner).tolist() == [0] * 39 + [1]
