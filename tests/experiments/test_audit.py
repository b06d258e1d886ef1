from __future__ import annotations

import numpy as np
import pytest

from crosstrait.experiments.audit import audit, leaks
from crosstrait.panel import from_arrays
from crosstrait.panel.schema import Panel
from crosstrait.split import from_ids, k_fold

NO_TWINS = "No test sample is nearly equal to a sample that was learned from."


def a_panel(**changes) -> Panel:
    rng = np.random.default_rng(0)
    dosage = np.array([[i >> b & 1 for b in range(4)] for i in range(12)], dtype=np.float32)
    values = rng.normal(size=(12, 2))
    values[:3, 1] = np.nan
    dosage[changes.pop("twin", 11)] = dosage[11]
    return from_arrays(dosage, trait_value=values, trait_names=["a", "b"], **changes)


def names(*rows: int) -> list[str]:
    return [f"sample_{row}" for row in rows]


def test_clean_folds_are_said_to_be_clean() -> None:
    panel = a_panel()
    said = audit(panel, k_fold(panel, folds=3), traits=["a"])
    assert said == [
        "No sample is in two of the parts train, validation and test of a split.",
        "Every sample is tested exactly once.",
        NO_TWINS,
    ]


def test_a_twin_across_the_split_is_named() -> None:
    split = from_ids(train=names(0, 1, 2, 3), validation=names(11), test=names(4, 5))
    said = audit(a_panel(twin=5), [split], traits=["a"])
    assert "2 of 12 samples are tested at least once." in said
    assert any(s.startswith("1 of 2 tests are of a sample") and "sample_5" in s for s in said)


def test_a_twin_with_other_holes_is_named_too() -> None:
    rng = np.random.default_rng(0)
    dosage = rng.integers(0, 2, size=(20, 60)).astype(np.float32)
    dosage[7] = dosage[3]
    dosage[7, [1, 5]] = dosage[3, [2, 9]] = np.nan
    panel = from_arrays(dosage, trait_value=rng.normal(size=(20, 1)), trait_names=["a"])
    said = audit(panel, [from_ids(train=names(*range(6)), test=names(7, 8))], traits=["a"])
    assert any(s.startswith("1 of 2 tests are of a sample") and "sample_7" in s for s in said)


def test_a_twin_on_the_same_side_is_no_leak() -> None:
    split = from_ids(train=names(0, 5, 11), test=names(4, 6))
    said = audit(a_panel(twin=5), [split], traits=["a"])
    assert NO_TWINS in said


@pytest.mark.parametrize(
    ("test", "part"),
    [
        (names(10, 11), "No group has samples in training and in test."),
        (names(7, 11), "1 groups have samples in training and in test, such as family_1"),
    ],
)
def test_groups_across_the_split_are_named(test: list[str], part: str) -> None:
    panel = a_panel(sample_group=[f"family_{i // 5}" for i in range(12)])
    said = audit(panel, [from_ids(train=names(0, 1, 5, 6), test=test)], traits=["a"])
    assert any(sentence.startswith(part) for sentence in said)


def test_holes_are_counted_in_the_chosen_traits() -> None:
    panel = a_panel()
    said = audit(panel, k_fold(panel, folds=3), traits=["a", "b"])
    assert said[-1] == "21 of 24 trait cells are measured, and 9 of 12 samples have every trait."


def test_missing_calls_are_counted() -> None:
    panel = a_panel()
    calls = panel["call_dosage"].values.copy()
    calls[0, :2] = np.nan
    holed = from_arrays(calls, trait_value=panel["trait_value"].values, trait_names=["a", "b"])
    said = audit(holed, k_fold(holed, folds=3), traits=["a"])
    assert any(s.startswith("2 of 48 genotype calls are missing") for s in said)


@pytest.mark.parametrize(("n_twins", "carries"), [("2", False), ("1,190", True)])
def test_a_few_twins_among_thousands_of_tests_carry_no_score(n_twins: str, carries: bool) -> None:
    split = from_ids(train=names(0, 1, 2, 3), validation=names(11), test=names(4, 5))
    said = audit(a_panel(twin=5), [split], traits=["a"])
    [sentence] = (text for text in said if "tests are of a sample" in text)
    told = sentence.replace("1 of 2 tests", f"{n_twins} of 11,901 tests")
    assert leaks([told]) == ([told] if carries else [])
