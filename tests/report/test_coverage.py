"""Whether coverage is off by more than chance."""

from __future__ import annotations

import math

import pandas as pd

from crosstrait.report.coverage import farthest, judge_coverage


def table(*rows: tuple[str, float, float, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["trait", "level", "coverage", "n_cells"])


def test_a_coverage_is_off_beyond_three_points_and_beyond_chance() -> None:
    many, few = judge_coverage(table(("a", 0.8, 0.73, 2000), ("b", 0.8, 0.73, 50)), n_units=1)
    assert many.is_off
    assert not few.is_off
    (near,) = judge_coverage(table(("a", 0.8, 0.775, 10**7)), n_units=1)
    assert not near.is_off


def test_replicates_of_a_cell_are_no_new_cells() -> None:
    rows = table(("a", 0.8, 0.73, 500))
    assert judge_coverage(rows, n_units=1)[0].is_off
    assert not judge_coverage(rows, n_units=10)[0].is_off


def test_more_numbers_allow_for_more_chance() -> None:
    one = ("a", 0.5, 0.5 + 2.5 * math.sqrt(0.25 / 400), 400)
    assert judge_coverage(table(one), n_units=1)[0].is_off
    assert not judge_coverage(table(*[one] * 12), n_units=1)[0].is_off


def test_the_farthest_trait_is_one_that_is_off_if_there_is_any() -> None:
    found = judge_coverage(
        table(("mean", 0.8, 0.5, 9000), ("few", 0.8, 0.6, 10), ("many", 0.8, 0.7, 9000)), n_units=1
    )
    worst = farthest(found)
    assert worst is not None
    assert worst.trait == "many"
    assert farthest(found[:1]) is None
