from __future__ import annotations

import random as python_random
from collections import Counter
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from crosstrait import split
from crosstrait.errors import DataError, SettingsError, StorageError
from crosstrait.panel.schema import Panel, from_arrays


def panel_of(n_samples: int, **optional: object) -> Panel:
    dosage = np.arange(n_samples)[:, None] % 2
    trait = np.arange(n_samples, dtype=float)[:, None]
    return from_arrays(dosage, trait_value=trait, trait_names=["height"], **optional)


def rows(drawn: split.Split, panel: Panel) -> dict[str, list[int]]:
    return {p: drawn.rows(panel, p).tolist() for p in ("train", "validation", "test")}


def test_random_is_the_permutation_that_everyone_uses_on_the_lithium_subset() -> None:
    panel = panel_of(19833)
    parts = rows(split.random(panel, test=0.2, validation=0.1, seed=1), panel)
    order = np.random.default_rng(1).permutation(19833).tolist()
    assert parts["test"] == order[15866:]
    assert parts["train"] + parts["validation"] == order[:15866]
    assert len(parts["validation"]) == 1983


@settings(max_examples=30, deadline=None)
@given(n_samples=st.integers(10, 300), tenth=st.integers(1, 7), seed=st.integers(0, 2**32 - 1))
def test_random_parts_are_disjoint_and_as_large_as_asked(
    n_samples: int, tenth: int, seed: int
) -> None:
    panel = panel_of(n_samples)
    parts = rows(split.random(panel, test=tenth / 10, validation=0.1, seed=seed), panel)
    assert sorted(chain(*parts.values())) == list(range(n_samples))
    assert len(parts["test"]) == -(-n_samples * tenth // 10)
    assert len(parts["validation"]) == round(n_samples * 0.1)


def test_four_fifths_of_20_samples_are_16_whatever_floating_point_says() -> None:
    assert int(20 * (1 - 0.8)) == 3
    drawn = split.random(panel_of(20), test=0.8, validation=0.1)
    assert (len(drawn.train), len(drawn.validation), len(drawn.test)) == (2, 2, 16)


def test_k_fold_tests_every_sample_once_in_folds_of_nearly_one_size() -> None:
    panel = panel_of(103)
    folds = [rows(s, panel) for s in split.k_fold(panel, folds=5, validation=0.1, seed=3)]
    assert sorted(chain(*(fold["test"] for fold in folds))) == list(range(103))
    assert sorted(len(fold["test"]) for fold in folds) == [20, 20, 21, 21, 21]
    for fold in folds:
        assert sorted(chain(*fold.values())) == list(range(103))
        assert len(fold["validation"]) == 10
    assert len({tuple(fold["validation"]) for fold in folds}) == 5


def test_k_fold_numbers_its_folds_and_says_that_they_are_pooled() -> None:
    drawn = split.k_fold(panel_of(20), folds=4)
    assert [(s.scheme, s.fold, s.pooled) for s in drawn] == [("kfold", i, True) for i in range(4)]
    assert not split.random(panel_of(20)).pooled


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(2, 4), min_size=8, max_size=30),
    folds=st.integers(2, 3),
    seed=st.integers(0, 99),
)
def test_a_group_is_never_apart(sizes: list[int], folds: int, seed: int) -> None:
    labels = [f"family {g}" for g, size in enumerate(sizes) for _ in range(size)]
    panel = panel_of(len(labels), sample_group=labels)
    drawn = split.group(panel, folds=folds, validation=0.3, seed=seed)
    tested = []
    for fold in drawn:
        parts = rows(fold, panel)
        assert sorted(chain(*parts.values())) == list(range(len(labels)))
        tested += parts["test"]
        part_of = {row: part for part, members in parts.items() for row in members}
        assert len({(labels[row], part) for row, part in part_of.items()}) == len(sizes)
        assert parts["validation"]
    assert sorted(tested) == list(range(len(labels)))


def test_group_folds_are_balanced() -> None:
    labels = [f"family {g}" for g in range(40) for _ in range(1 + g % 9)]
    panel = panel_of(len(labels), sample_group=labels)
    sizes = [len(s.test) for s in split.group(panel, folds=5, validation=0.1)]
    assert max(sizes) - min(sizes) <= 1
    held = [len(s.validation) / len(labels) for s in split.group(panel, folds=5, validation=0.1)]
    assert np.allclose(held, 0.1, atol=0.03)


def test_published_is_the_published_shuffle_index_for_index() -> None:
    order = list(range(1003))
    python_random.seed(0)
    python_random.shuffle(order)
    learn, test = train_test_split(order, test_size=0.15, random_state=42)
    train, validation = train_test_split(learn, test_size=0.15, random_state=42)
    panel = panel_of(1003)
    expected = {"train": train, "validation": validation, "test": test}
    assert rows(split.published(panel), panel) == expected
    python_random.seed(5)
    assert rows(split.published(panel), panel) == expected


def test_published_prefers_the_split_that_the_source_brings() -> None:
    labels = ["test", "train", "validation", "train", "", "train"]
    panel = panel_of(6, sample_split=labels)
    parts = rows(split.published(panel), panel)
    assert parts == {"train": [1, 3, 5], "validation": [2], "test": [0]}


def test_published_needs_a_test_sample() -> None:
    with pytest.raises(DataError, match="brings has no test sample"):
        split.published(panel_of(4, sample_split=["train", "train", "validation", ""]))


def test_the_same_seed_gives_the_same_digest_and_another_seed_another() -> None:
    panel = panel_of(50, sample_group=[f"g{i % 12}" for i in range(50)])
    for scheme in (split.k_fold, split.group):
        assert scheme(panel, seed=1)[0].digest == scheme(panel, seed=1)[0].digest
        assert scheme(panel, seed=1)[0].digest != scheme(panel, seed=2)[0].digest
    assert split.random(panel, seed=1).digest == split.random(panel, seed=1).digest
    assert split.random(panel, seed=1).digest != split.random(panel, seed=2).digest


def test_a_manifest_survives_its_file(tmp_path: Path) -> None:
    drawn = split.k_fold(panel_of(20))[2]
    drawn.save(tmp_path / "split.json")
    assert split.from_file(tmp_path / "split.json") == drawn


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"no split manifest at .*absent\.json"):
        split.from_file(tmp_path / "absent.json")


@pytest.mark.parametrize("test", [0.0, 1.0, -0.2, 20, float("nan")])
def test_a_test_share_out_of_range_is_refused(test: float) -> None:
    with pytest.raises(SettingsError, match=rf"test = {test!r} is a share .* between 0 and 1"):
        split.random(panel_of(20), test=test)


@pytest.mark.parametrize("validation", [1.0, -0.2, 20])
def test_a_validation_share_out_of_range_is_refused(validation: float) -> None:
    with pytest.raises(SettingsError, match=rf"validation = {validation!r} is a share"):
        split.k_fold(panel_of(20), validation=validation)


def test_shares_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"10 test and 10 validation of 20 .* leave 0 to train"):
        split.random(panel_of(20), test=0.5, validation=0.5)


def test_a_share_that_gives_an_empty_part_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"validation = 0\.01 of 20 samples is none"):
        split.random(panel_of(20), validation=0.01)


def test_validation_may_be_left_out() -> None:
    assert split.random(panel_of(20), validation=0).validation == ()


def test_more_folds_than_samples_or_groups_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"folds = 21 .* number of samples, 20"):
        split.k_fold(panel_of(20), folds=21)
    with pytest.raises(SettingsError, match="folds = 1 must be at least 2"):
        split.k_fold(panel_of(20), folds=1)
    panel = panel_of(20, sample_group=["a", "b"] * 10)
    with pytest.raises(SettingsError, match=r"folds = 3 .* number of groups, 2"):
        split.group(panel, folds=3)


def test_two_groups_leave_none_to_validate() -> None:
    panel = panel_of(20, sample_group=["a", "b"] * 10)
    with pytest.raises(SettingsError, match="one group is left to learn from"):
        split.group(panel, folds=2, validation=0.1)
    parts = [
        Counter(map(len, (s.train, s.test))) for s in split.group(panel, folds=2, validation=0)
    ]
    assert parts == [Counter({10: 2})] * 2


def test_group_needs_groups_with_names() -> None:
    with pytest.raises(DataError, match="needs the panel's sample_group, which arrays does not"):
        split.group(panel_of(20))
    with pytest.raises(DataError, match="1 samples have no group: sample_3"):
        split.group(panel_of(4, sample_group=["a", "b", "c", ""]), folds=2)


@pytest.mark.parametrize("scheme", ["random", "k_fold", "group", "published", "cells"])
def test_a_path_in_place_of_a_panel_is_explained(scheme: str) -> None:
    with pytest.raises(DataError, match=r"got 'cross.zarr'; ct.load_panel reads one"):
        getattr(split, scheme)("cross.zarr")
