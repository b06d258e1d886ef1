"""Weights of ensemble members from samples that they have not seen."""

from __future__ import annotations

import numpy as np
import pytest

from crosstrait.models.member_weights import HeldOutFolds, weigh_members

N = 4000


def halves() -> np.ndarray:
    return np.arange(N) % 2 == np.arange(2)[:, None]


def test_independent_parts_of_a_trait_get_their_own_weights() -> None:
    parts = np.random.default_rng(0).normal(size=(2, N, 1))
    wanted = 0.5 * parts[0] + 0.2 * parts[1]
    weight = weigh_members(parts, wanted, unseen=halves())
    assert weight == pytest.approx([0.5, 0.2], abs=0.03)


def test_alike_members_share() -> None:
    part = np.random.default_rng(0).normal(size=(N, 1))
    weight = weigh_members(np.stack([part, part]), part, unseen=halves())
    assert weight == pytest.approx([0.5, 0.5], abs=0.01)


def test_what_a_member_has_seen_earns_it_nothing() -> None:
    rng = np.random.default_rng(0)
    wanted = rng.normal(size=(N, 1))
    unseen = halves()
    learned = np.where(unseen[:, :, None], rng.normal(size=(2, N, 1)), wanted)
    assert weigh_members(learned, wanted, unseen=unseen).sum() < 0.05


def test_a_member_that_is_wrong_or_constant_gets_no_weight() -> None:
    part = np.random.default_rng(0).normal(size=(N, 1))
    members = np.stack([part, -part + 0.1, 0 * part])
    weight = weigh_members(members, part, unseen=np.ones((3, N), dtype=bool))
    assert 0.9 < weight[0] < 1.01  # drawn to the equal weights of the three, a little
    assert (weight[1:] == 0).all()


def test_holes_are_left_out() -> None:
    part = np.random.default_rng(0).normal(size=(1, N, 2))
    wanted = 0.4 * part[0]
    wanted[::3, 0] = np.nan
    weight = weigh_members(part, wanted, unseen=np.ones((1, N), dtype=bool))
    assert weight == pytest.approx([0.4], abs=0.01)


def test_folds_know_who_has_seen_what() -> None:
    left = np.arange(12.0).reshape(2, 3, 2)
    folds = HeldOutFolds(fold=np.array([1, 0, 1]), left=left)
    assert folds.unseen.tolist() == [[False, True, False], [True, False, True]]
    assert folds.own(left).tolist() == [[6, 7], [2, 3], [10, 11]]
