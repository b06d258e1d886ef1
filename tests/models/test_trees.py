"""Boosted trees: their choices, their repeatability and the real data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from crosstrait.errors import SettingsError
from crosstrait.models.base import ModelConfig
from crosstrait.models.registry import parse_model
from crosstrait.models.trees import TreesConfig, TreesEstimator
from support.model_contract import ModelContract, Problem, r2, simulated

pytest.importorskip("lightgbm")


class TestTrees(ModelContract):
    minimum_r2 = 0.8
    minimum_r2_of_pairs = 0.6

    def config(self) -> ModelConfig:
        return TreesConfig(learning_rate=0.1)


def fitted(problem: Problem, config: TreesConfig | None = None, *, seed: int = 0) -> TreesEstimator:
    n_loci, n_traits = problem.X.shape[1], problem.Y.shape[1]
    model = (config or TreesConfig()).build(n_loci=n_loci, n_traits=n_traits)
    model.fit(
        problem.X,
        problem.Y,
        X_validation=problem.X_validation,
        Y_validation=problem.Y_validation,
        seed=seed,
    )
    return model


@pytest.fixture
def restore_threads() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_number_of_threads_changes_no_bit(restore_threads: None) -> None:
    problem = simulated(n_train=500, n_loci=40, n_traits=1, n_validation=50)
    predictions = []
    for n_threads in (1, 2, 3):
        torch.set_num_threads(n_threads)
        predictions.append(fitted(problem).predict(problem.X_test))
    np.testing.assert_array_equal(predictions[0], predictions[1])
    np.testing.assert_array_equal(predictions[0], predictions[2])


def test_another_seed_gives_another_model() -> None:
    problem = simulated(n_traits=1)
    first, second = (fitted(problem, seed=s).predict(problem.X_test) for s in (0, 1))
    assert not np.array_equal(first, second)
    assert np.corrcoef(first[:, 0], second[:, 0])[0, 1] > 0.95


def test_boosting_stops_early_and_learns_from_validation_samples_too() -> None:
    problem = simulated(n_train=200, n_validation=200, n_traits=1, heritability=0.5)
    model = fitted(problem)
    assert 1 <= model.rounds[0] < 1000
    without = simulated(n_train=200, n_validation=200, n_traits=1, heritability=0.5)
    without.Y_validation[:] = np.nan
    score, score_without = (
        r2(problem.Y_test, m.predict(problem.X_test))[0] for m in (model, fitted(without))
    )
    assert score > score_without + 0.02


def test_a_trait_with_too_few_samples_for_a_split_is_predicted_by_its_mean() -> None:
    problem = simulated(n_train=19, n_validation=0, n_traits=1)
    model = fitted(problem)
    assert model.rounds[0] == 0
    np.testing.assert_allclose(model.predict(problem.X_test), problem.Y.mean())


def test_large_seeds_are_accepted() -> None:
    problem = simulated(n_traits=1)
    predicted = fitted(problem, TreesConfig(max_rounds=5), seed=2**40).predict(problem.X_test)
    assert np.isfinite(predicted).all()


def test_fitting_and_predicting_print_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    problem = simulated(n_traits=2, n_train=50, n_validation=0)
    fitted(problem, TreesConfig(max_rounds=20)).predict(problem.X_test)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)  # as if it were not installed
    with pytest.raises(SettingsError, match=r"pip install 'crosstrait\[trees\]'"):
        TreesConfig().build(n_loci=3, n_traits=1)


def test_settings_are_parsed_and_bounded() -> None:
    assert parse_model({"type": "trees", "num_leaves": 15}) == TreesConfig(num_leaves=15)
    with pytest.raises(SettingsError, match="row_fraction"):
        parse_model({"type": "trees", "row_fraction": 0})


def test_lithium_is_learned_beyond_the_additive(real_data: Path) -> None:
    table = pd.read_csv(real_data / "bbq_li" / "qtls_li_hq.csv.gz")
    letters = np.array([list(sequence) for sequence in table["seq"]])
    X = np.where(letters == "A", 1, -1).astype(np.float32)
    y = table["y"].to_numpy()[:, None]
    order = np.random.default_rng(3).permutation(len(y))
    train, validation, test = np.split(order, [14000, 15866])
    model = TreesConfig(learning_rate=0.2).build(n_loci=83, n_traits=1)
    model.fit(X[train], y[train], X_validation=X[validation], Y_validation=y[validation], seed=0)
    assert r2(y[test], model.predict(X[test]))[0] > 0.77
