"""One model a trait: the same as fitting each trait alone."""

from __future__ import annotations

import numpy as np
import pytest

from crosstrait.models.base import ModelConfig
from crosstrait.models.lasso import LassoConfig
from crosstrait.models.multi_gblup import MultiGblupConfig
from crosstrait.models.one_a_trait import OneATrait, build_for
from crosstrait.models.ridge import RidgeConfig
from support.model_contract import ModelContract, Predictor, Problem, simulated


class TestRidgeOneATrait(ModelContract):
    """A trait at a time, any estimator keeps the whole contract."""

    def config(self) -> ModelConfig:
        return RidgeConfig()

    def fit(self, problem: Problem, *, seed: int = 0) -> Predictor:
        return fitted(self.config(), problem, seed=seed)

    def reloaded(self, fitted, problem, folder) -> Predictor:
        again = build_for(self.config(), n_loci=12, n_traits=2, one_a_trait=True)
        again.load_state(fitted.state())
        return again


def fitted(config: ModelConfig, problem: Problem, *, seed: int = 0) -> OneATrait:
    n_loci, n_traits = problem.X.shape[1], problem.Y.shape[1]
    model = build_for(config, n_loci=n_loci, n_traits=n_traits, one_a_trait=True)
    assert isinstance(model, OneATrait)
    model.fit(
        problem.X,
        problem.Y,
        X_validation=problem.X_validation,
        Y_validation=problem.Y_validation,
        seed=seed,
    )
    return model


@pytest.mark.parametrize("config", [LassoConfig(), MultiGblupConfig()], ids=lambda c: c.type)
def test_each_trait_is_fitted_as_if_it_were_the_only_one_and_its_samples_the_only_ones(
    config: ModelConfig,
) -> None:
    problem = simulated(n_train=80, n_traits=3)
    problem.Y[np.random.default_rng(0).random(problem.Y.shape) < 0.3] = np.nan
    together = fitted(config, problem).predict(problem.X_test)
    for t in range(3):
        rows = ~np.isnan(problem.Y[:, t])
        alone = config.build(n_loci=12, n_traits=1)
        alone.fit(
            problem.X[rows],
            problem.Y[rows, t : t + 1],
            X_validation=problem.X_validation,
            Y_validation=problem.Y_validation[:, t : t + 1],
            seed=0,
        )
        np.testing.assert_array_equal(together[:, [t]], alone.predict(problem.X_test))


def test_held_out_errors_and_noise_are_those_of_the_members() -> None:
    problem = simulated(n_train=60, n_validation=0, n_traits=2)
    problem.Y[:20, 1] = np.nan
    model = fitted(MultiGblupConfig(), problem)
    assert model.held_out is not None
    assert model.noise_variance is not None
    assert (~np.isnan(model.held_out)).sum(axis=0).tolist() == [60, 40]
    for t, member in enumerate(model.members):
        assert model.noise_variance[t] == member.noise_variance[0]


def test_a_model_that_knows_no_errors_has_none() -> None:
    assert fitted(RidgeConfig(), simulated(n_train=40)).noise_variance is None
