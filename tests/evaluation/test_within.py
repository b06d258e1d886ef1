"""Accuracy within groups."""

from __future__ import annotations

import numpy as np
import pytest

from crosstrait.evaluation.groups import GroupedRows
from crosstrait.evaluation.metrics import pearson_r
from crosstrait.evaluation.within import cells_that_count, mean_r, r_by_group, r_within

SIZES = (4, 6, 12, 30)
GROUPS = np.repeat(list("abcd"), SIZES)


@pytest.fixture
def block() -> tuple[np.ndarray, np.ndarray]:
    """Two traits; the means of groups are predicted upside down."""
    rng = np.random.default_rng(1)
    means = np.repeat([[-9.0], [-3.0], [3.0], [9.0]], SIZES, axis=0)
    signal = rng.normal(size=(len(GROUPS), 2))
    observed = 1e3 + means + signal + rng.normal(size=signal.shape)
    observed[7:9, 1] = np.nan
    return observed, signal - means


def one_by_one(observed: np.ndarray, predicted: np.ndarray, least: int) -> list[float]:
    scores = []
    for j in range(observed.shape[1]):
        r, n = [], []
        for group in "abcd":
            mine = (group == GROUPS) & ~np.isnan(observed[:, j])
            if mine.sum() >= least:
                r.append(pearson_r(observed[mine, j], predicted=predicted[mine, j])[0])
                n.append(mine.sum())
        scores.append(float(np.average(r, weights=n)))
    return scores


def test_it_is_the_mean_of_the_groups_with_five_cells_weighted_by_their_cells(block) -> None:
    observed, predicted = block
    found = r_within(observed, predicted=predicted, groups=GROUPS.tolist())
    np.testing.assert_allclose(found, one_by_one(observed, predicted, least=5))
    assert not np.allclose(found, one_by_one(observed, predicted, least=2))


def test_differences_between_groups_do_not_count(block) -> None:
    observed, predicted = block
    found = r_within(observed, predicted=predicted, groups=GROUPS.tolist())
    assert (pearson_r(observed, predicted=predicted) < -0.5).all()
    assert (found > 0.5).all()
    shift = np.repeat([[5.0], [-70.0], [0.3], [1.0]], SIZES, axis=0)
    shifted = r_within(observed, predicted=predicted + shift, groups=GROUPS.tolist())
    np.testing.assert_allclose(shifted, found)


def test_predictions_that_are_equal_within_a_group_have_r_zero_and_count() -> None:
    rng = np.random.default_rng(2)
    observed = rng.normal(size=(20, 1))
    predicted = observed.copy()
    predicted[:10] = 0.3 + 1e-9 * rng.normal(size=(10, 1))  # as single precision rounds
    groups = ["a"] * 10 + ["b"] * 10
    assert r_within(observed, predicted=predicted, groups=groups) == pytest.approx(0.5)


def test_a_group_of_equal_observed_values_does_not_count() -> None:
    rng = np.random.default_rng(2)
    observed = rng.normal(size=(20, 1))
    observed[:10] = 0.1
    groups = ["a"] * 10 + ["b"] * 10
    assert r_within(observed, predicted=2 * observed, groups=groups) == pytest.approx(1)


def test_a_trait_of_equal_values_has_no_score() -> None:
    observed = np.full((20, 1), 0.1)
    predicted = np.random.default_rng(2).normal(size=(20, 1))
    groups = ["a"] * 7 + ["b"] * 13
    assert np.isnan(r_within(observed, predicted=predicted, groups=groups)).all()


def test_without_a_group_of_five_cells_there_is_no_score() -> None:
    observed = np.random.default_rng(0).normal(size=(8, 1))
    groups = ["a"] * 4 + ["b"] * 4
    assert np.isnan(r_within(observed, predicted=observed, groups=groups)).all()


def test_every_sample_needs_a_group(block) -> None:
    observed, predicted = block
    with pytest.raises(ValueError, match="and 3 groups"):
        r_within(observed, predicted=predicted, groups=["a", "b", "c"])


def test_drawn_groups_count_as_often_as_they_are_drawn(block) -> None:
    observed, predicted = block
    rows = GroupedRows(np.repeat(np.arange(4), SIZES), n_groups=4)
    cells = cells_that_count(observed, rows=rows)
    r = r_by_group(observed, predicted=predicted, rows=rows)
    counts = np.array([[1.0, 1, 1, 1], [0, 0, 3, 1], [4, 0, 0, 0]])
    found = mean_r(r, cells=cells, counts=counts)
    np.testing.assert_allclose(
        found[0], r_within(observed, predicted=predicted, groups=GROUPS.tolist())
    )
    drawn = [group == GROUPS for group in "cccd"]
    copies = np.repeat(list("wxyz"), [mine.sum() for mine in drawn]).tolist()
    again = r_within(
        np.concatenate([observed[mine] for mine in drawn]),
        predicted=np.concatenate([predicted[mine] for mine in drawn]),
        groups=copies,
    )
    np.testing.assert_allclose(found[1], again)
    assert np.isnan(found[2]).all()
