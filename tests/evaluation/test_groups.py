"""Which samples are drawn together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crosstrait import panel as panels
from crosstrait import split
from crosstrait.errors import DataError
from crosstrait.evaluation import groups
from crosstrait.evaluation.groups import GroupedRows, number_groups

SAMPLES = ("s3", "s1", "s4", "s2", "s5")
GROUPS = {"s1": "b", "s2": "a", "s3": "b", "s4": "c", "s5": "a", "unscored": "d"}


def a_panel(sample_group: list[str] | None) -> panels.Panel:
    rng = np.random.default_rng(0)
    return panels.from_arrays(
        dosage=rng.integers(0, 2, (12, 4)).astype(float),
        trait_value=rng.normal(size=(12, 1)),
        trait_names=["a"],
        ploidy=1,
        sample_group=sample_group,
    )


def test_groups_are_numbered_by_their_first_sample() -> None:
    member, n_groups = number_groups(SAMPLES, groups=GROUPS)
    assert member.tolist() == [0, 0, 2, 1, 1]
    assert n_groups == 3


def test_neither_names_of_groups_nor_the_order_of_samples_change_the_numbers() -> None:
    member, _ = number_groups(SAMPLES, groups=GROUPS)
    renamed = {sample: {"a": "z", "b": "y", "c": "x"}.get(g, g) for sample, g in GROUPS.items()}
    assert number_groups(SAMPLES, groups=renamed)[0].tolist() == member.tolist()
    assert number_groups(SAMPLES[::-1], groups=GROUPS)[0].tolist() == member[::-1].tolist()


def test_a_scored_sample_without_a_group_is_named() -> None:
    with pytest.raises(DataError, match="2 scored samples have none: s9, s2; name their group"):
        number_groups(["s1", "s9", "s2"], groups={**GROUPS, "s2": ""})


def test_totals_are_those_of_each_group_and_zero_where_it_has_no_row() -> None:
    values = np.arange(10.0).reshape(5, 2)
    rows = GroupedRows(np.array([2, 0, 2, 0, 2]), n_groups=4)
    expected = [[8, 10], [0, 0], [12, 15], [0, 0]]
    np.testing.assert_array_equal(rows.total(values), expected)


def test_rows_in_groups_of_their_own_keep_their_values() -> None:
    values = np.random.default_rng(0).normal(size=(50, 3))
    np.testing.assert_array_equal(GroupedRows(np.arange(50), 50).total(values), values)


def test_only_splits_by_group_test_whole_groups() -> None:
    families = [f"f{i // 3}" for i in range(12)]
    panel = a_panel(families)
    splits = split.group(panel, folds=2, validation=0)
    found = groups.tested_groups(panel, splits=splits)
    assert found == dict(zip(panel["sample_id"].values.tolist(), families, strict=True))
    assert groups.tested_groups(panel, splits=split.k_fold(panel, folds=2)) is None
    mixed = [splits[0], replace(splits[1], scheme="file")]
    assert groups.tested_groups(panel, splits=mixed) is None
    assert groups.tested_groups(a_panel(None), splits=splits) is None
