"""The stack weighs models by samples that they have not seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crosstrait.errors import SettingsError
from crosstrait.models.base import ModelConfig
from crosstrait.models.registry import parse_model
from crosstrait.models.stack import StackConfig, StackEstimator
from support.model_contract import ModelContract, Problem, fit_estimator, simulated


class TestStack(ModelContract):
    traits_are_independent = False
    order_matters = True
    minimum_r2_of_pairs = 0.6

    def config(self) -> ModelConfig:
        return StackConfig.parse({"models": ["ridge", "trees"]}, where="test")


def fitted(problem: Problem, *models: Any) -> StackEstimator:
    return fit_estimator(StackConfig.parse({"models": list(models)}, where="test"), problem)


def error(model: Any, problem: Problem) -> float:
    return float(((model.predict(problem.X_test) - problem.Y_test) ** 2).mean())


def test_it_beats_each_model_where_each_sees_what_the_other_cannot() -> None:
    additive = simulated(n_train=400, n_validation=200, n_loci=40, heritability=0.4)
    pairs = simulated(n_train=400, n_validation=200, n_loci=40, interaction=0.7)
    Y = np.column_stack([additive.Y[:, 0], pairs.Y[:, 0]])
    Y_validation = np.column_stack([additive.Y_validation[:, 0], pairs.Y_validation[:, 0]])
    Y_test = np.column_stack([additive.Y_test[:, 0], pairs.Y_test[:, 0]])
    np.testing.assert_array_equal(additive.X_test, pairs.X_test)
    problem = replace(additive, Y=Y, Y_validation=Y_validation, Y_test=Y_test)
    stack = fitted(problem, "ridge", "trees")
    own = [error(model, problem) for model in stack.models]
    assert error(stack, problem) < 0.95 * min(own)
    assert stack.weight[0, 0] > stack.weight[1, 0]


def test_a_model_that_predicts_nothing_gets_nothing() -> None:
    problem = simulated(n_train=600, n_validation=300, interaction=0.5)
    stack = fitted(problem, "ridge", {"type": "trees", "max_rounds": 1, "learning_rate": 1e-6})
    alone = fitted(problem, "ridge", "ridge")
    assert error(stack, problem) == pytest.approx(error(alone, problem), rel=0.05)


def test_alike_models_share_their_weight() -> None:
    stack = fitted(simulated(), "ridge", "ridge", "ridge")
    np.testing.assert_allclose(stack.weight, 1 / 3, atol=1e-6)


def test_a_trait_with_few_measurements_takes_the_weights_of_all() -> None:
    problem = simulated(n_train=300, n_validation=200, n_traits=3, interaction=0.5)
    problem.Y_validation[3:, 1] = np.nan
    problem.Y_validation[:, 2] = np.nan
    stack = fitted(problem, "ridge", "trees")
    np.testing.assert_allclose(stack.weight[1], stack.weight[2], atol=0.05)
    assert np.isfinite(stack.weight).all()


def test_the_held_out_errors_foretell_those_of_new_samples() -> None:
    problem = simulated(n_train=500, n_validation=300, heritability=0.5, interaction=0.3)
    stack = fitted(problem, "ridge", "trees")
    assert stack.held_out is not None
    noise = 1.0  # of the validation samples; the test samples have none
    expected = ((stack.predict(problem.X_test) - problem.Y_test) ** 2).mean() + noise
    assert (stack.held_out**2).mean() == pytest.approx(expected, rel=0.15)


def test_settings_of_a_stacked_model_are_its_own() -> None:
    config = parse_model({"type": "stack", "models": ["ridge", {"type": "trees", "num_leaves": 4}]})
    assert isinstance(config, StackConfig)
    assert config.models[1].model_dump()["num_leaves"] == 4
    assert parse_model(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (["ridge"], "at least 2"),
        (["ridge", "tree"], "did you mean 'trees'"),
        (["ridge", {"type": "trees", "leaves": 4}], "leaves"),
        (["ridge", 3], "give the name of a model"),
    ],
)
def test_a_wrong_list_of_models_is_explained(models: list[Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        StackConfig.parse({"models": models}, where="test")


def test_networks_that_train_elsewhere_are_refused() -> None:
    config = StackConfig.parse({"models": ["ridge", "canonical"]}, where="test")
    with pytest.raises(SettingsError, match="'canonical' is a network"):
        config.build(n_loci=3, n_traits=1)
