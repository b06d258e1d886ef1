from __future__ import annotations

import re

import numpy as np
import pytest

from crosstrait.errors import StorageError
from crosstrait.models.booster_text import check_booster, trees_alone
from crosstrait.models.trees import TreesConfig

lightgbm = pytest.importorskip("lightgbm")

RANDOM = np.random.default_rng(0)
X = RANDOM.choice([-1.0, 0.0, 1.0], (200, 6)).astype(np.float32)
X[:, 5] = 1  # never varies
Y = X[:, :2] @ [1.0, -0.5] + X[:, 0] * X[:, 1] + RANDOM.normal(0, 0.3, 200)


def booster(**changes: object) -> str:
    """The text of a booster as the model makes it."""
    model = TreesConfig(**{"max_rounds": 5, **changes}).build(n_loci=6, n_traits=1)
    model.fit(X, Y[:, None], X_validation=X[:0], Y_validation=Y[:0, None], seed=0)
    return model.boosters[0]


TEXT = booster()


@pytest.mark.parametrize("changes", [{}, {"num_leaves": 31, "max_rounds": 20}])
def test_what_the_model_writes_is_let_through(changes: dict[str, object]) -> None:
    check_booster(booster(**changes))


def test_a_booster_of_single_leaves_is_let_through() -> None:
    data = lightgbm.Dataset(X[:, 5:], Y)
    check_booster(trees_alone(lightgbm.train({"verbosity": -1}, data, 2).model_to_string()))


def test_what_stands_after_the_trees_predicts_nothing() -> None:
    whole = lightgbm.train({"verbosity": -1}, lightgbm.Dataset(X, Y), 5)
    cut = lightgbm.Booster(model_str=trees_alone(whole.model_to_string()))
    np.testing.assert_array_equal(cut.predict(X), whole.predict(X))


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"left_child=(\S+)", "left_child=9"),
        (r"left_child=(-?\d+)", "left_child=0"),
        (r"right_child=(-?\d+)", "right_child=-9"),
        (r"split_feature=(\d)", "split_feature=8"),
        (r"threshold=(\S+)", "threshold=nan"),
        (r"decision_type=2", "decision_type=1"),
        (r"num_leaves=(\d+)", "num_leaves=9"),
        (r"num_cat=0", "num_cat=1"),
        (r"is_linear=0", "is_linear=1"),
        (r"max_feature_idx=5", "max_feature_idx=4"),
        (r"tree_sizes=(\d+)", "tree_sizes=7"),
        (r"feature_infos=\S+", "feature_infos=0:1"),
        (r"objective=regression", "objective=multiclass"),
        (r"label_index=0", "label_index=0\nmonotone_constraints=1"),
        (r"leaf_count=", "leaf_size="),
        (r"end of trees", "end"),
        (r"(?s)Tree=1.*", ""),
        (r"(?s).*", "hello"),
    ],
)
def test_another_text_is_refused_before_lightgbm_sees_it(pattern: str, replacement: str) -> None:
    damaged, n_changes = re.subn(pattern, replacement, TEXT, count=1)
    assert n_changes == 1
    with pytest.raises(StorageError, match="booster of the saved trees is damaged"):
        check_booster(damaged)


def test_a_leaf_that_is_reached_twice_is_refused() -> None:
    leaves = re.findall(r"-\d", re.search(r"(?:left|right)_child=.*", TEXT)[0])
    doubled, n_changes = re.subn(r"(right_child=.*)-\d", rf"\g<1>{leaves[0]}", TEXT, count=1)
    assert n_changes == 1
    assert doubled != TEXT
    with pytest.raises(StorageError, match="one whole tree"):
        check_booster(doubled)
