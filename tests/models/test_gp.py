"""The Gaussian process as a model: what it learns, says of its errors, saves, and refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from crosstrait.errors import SettingsError
from crosstrait.models.base import ModelConfig
from crosstrait.models.gp import GpConfig, GpEstimator
from crosstrait.models.intervals import ErrorQuantiles
from crosstrait.models.registry import parse_model
from crosstrait.models.ridge import RidgeConfig
from support.model_contract import ModelContract, Problem, fit_estimator, r2, simulated

Float = NDArray[np.float64]


class TestGp(ModelContract):
    minimum_r2_of_pairs = 0.9

    def config(self) -> ModelConfig:
        return GpConfig(steps=20)


def fitted(problem: Problem, **settings: int) -> GpEstimator:
    return fit_estimator(GpConfig(**({"steps": 20} | settings)), problem)


def test_gp_is_registered() -> None:
    assert parse_model({"type": "gp"}) == GpConfig()


@pytest.mark.parametrize("setting", ["subset", "steps", "exact_up_to", "inducing"])
def test_settings_below_their_least_are_refused(setting: str) -> None:
    with pytest.raises(SettingsError, match=setting):
        parse_model({"type": "gp", setting: 0})


def test_it_learns_an_interaction_that_ridge_cannot() -> None:
    problem = simulated(n_traits=1, n_loci=8, interaction=0.99, heritability=0.9)
    model = fitted(problem)
    ridge = fit_estimator(RidgeConfig(), problem)
    assert r2(problem.Y_test, ridge.predict(problem.X_test))[0] < 0.1
    assert r2(problem.Y_test, model.predict(problem.X_test))[0] > 0.9


@pytest.mark.parametrize("n_loci", [8, 40], ids=["free weights", "tied weights"])
def test_predictions_are_the_documented_sum_over_the_basis(n_loci: int) -> None:
    problem = simulated(n_loci=n_loci, n_train=100, n_validation=20)
    problem.Y[:30, 1] = np.nan
    model = fitted(problem)
    Z = torch.from_numpy(problem.X_test.astype(np.float64))
    basis = torch.from_numpy(model.basis.astype(np.float64))
    assert model.basis.shape == (120, n_loci)
    assert model.carries.sum(axis=1).tolist() == [120, 90]
    for t, kernel in enumerate(model.kernels):
        expected = model.mean[t] + kernel(Z, basis).numpy() @ model.dual[t]
        np.testing.assert_allclose(model.predict(problem.X_test)[:, t], expected, rtol=1e-9)


@pytest.mark.parametrize("n_loci", [8, 40], ids=["free weights", "tied weights"])
def test_intervals_from_held_out_errors_cover_new_samples(n_loci: int) -> None:
    problem = simulated(n_loci=n_loci, n_train=400, heritability=0.6, interaction=0.3)
    model = fitted(problem)
    noise = np.random.default_rng(5).normal(size=problem.Y_test.shape) * np.sqrt(1 / 0.6 - 1)
    assert model.held_out is not None
    quantiles = ErrorQuantiles.fit(model.held_out)
    error = np.abs(problem.Y_test + noise - model.predict(problem.X_test))
    size = error / model.spread(problem.X_test)
    for level, tolerance in ((0.5, 0.09), (0.8, 0.07), (0.95, 0.05)):
        covered = (size <= quantiles.at(level)).mean(axis=0)
        np.testing.assert_allclose(covered, level, atol=tolerance)


def test_held_out_errors_stand_where_traits_were_measured() -> None:
    problem = simulated(n_loci=8, n_train=60, n_validation=20)
    problem.Y[::3, 0] = np.nan
    problem.Y[:, 1] = problem.Y_validation[:, 1] = 2.0
    model = fitted(problem)
    assert model.held_out is not None
    measured = ~np.isnan(np.concatenate([problem.Y[:, 0], problem.Y_validation[:, 0]]))
    np.testing.assert_array_equal(~np.isnan(model.held_out[:, 0]), measured)
    assert not model.held_out[:, 1].any()
    np.testing.assert_array_equal(model.predict(problem.X_test)[:, 1], 2.0)


def test_genotypes_unlike_those_learned_from_are_less_sure() -> None:
    problem = simulated(n_loci=10, n_train=200, interaction=0.5)
    problem.X[:, :4] = problem.X_validation[:, :4] = 1
    model = fitted(problem)
    alike, unlike = problem.X_test.copy(), problem.X_test.copy()
    alike[:, :4], unlike[:, :4] = 1, -1
    assert np.all(model.spread(unlike).mean(axis=0) > 1.05 * model.spread(alike).mean(axis=0))


def test_above_the_limit_of_memory_few_genotypes_carry_the_predictions() -> None:
    problem = simulated(n_traits=1, n_loci=10, n_train=600, interaction=0.4)
    exact, bounded = fitted(problem), fitted(problem, exact_up_to=500, inducing=120)
    assert bounded.basis.shape == (120, 10)
    assert exact.basis.shape == (660, 10)
    scores = [r2(problem.Y_test, m.predict(problem.X_test))[0] for m in (exact, bounded)]
    assert scores[1] > scores[0] - 0.03
    assert bounded.held_out is not None
    errors = bounded.held_out[np.isfinite(bounded.held_out)]
    assert len(errors) == 660 - 120  # those that carry the predictions are not left out
    assert 0.8 < np.sqrt((errors**2).mean()) < 1.2
    assert bounded.spread(problem.X_test).shape == (300, 1)


def test_a_saved_model_says_the_same_spread() -> None:
    problem = simulated(n_loci=8, n_train=60)
    model = fitted(problem)
    again = GpConfig(steps=20).build(n_loci=8, n_traits=2)
    state = {name: array.copy() for name, array in model.state().items()}
    for array in (*state.values(), problem.X_test):
        array.flags.writeable = False  # as files mapped into memory are
    again.load_state(state)
    np.testing.assert_array_equal(again.spread(problem.X_test), model.spread(problem.X_test))
    np.testing.assert_array_equal(again.locus_weight, model.locus_weight)
    np.testing.assert_array_equal(again.variance_shares, model.variance_shares)


def test_the_locus_weights_noise_and_shares_tell_the_truth() -> None:
    rng = np.random.default_rng(0)
    X = rng.choice(np.array([-1, 1], dtype=np.float32), size=(400, 10))
    additive, pair = X[:, 4] + X[:, 5], X[:, 0] * X[:, 1]
    Y = np.stack([additive, 0.5 * additive + 2 * pair], axis=1) + 0.5 * rng.normal(size=(400, 2))
    scale = Y.std(axis=0)
    Y = (Y - Y.mean(axis=0)) / scale
    problem = Problem(X=X, Y=Y, X_validation=X[:0], Y_validation=Y[:0], X_test=X[:1], Y_test=Y[:1])
    model = fitted(problem, steps=40)
    assert set(model.locus_weight[1].argsort()[-2:]) == {0, 1}
    np.testing.assert_allclose(model.noise_variance, 0.25 / scale**2, rtol=0.3)
    assert model.variance_shares.shape == (2, 2)
    assert model.variance_shares[0, 1] < 0.1
    assert model.variance_shares[1, 1] > 0.7


def test_two_thousand_lithium_samples_teach_more_than_additive_effects(real_data: Path) -> None:
    table = pd.read_csv(real_data / "bbq_li" / "qtls_li_hq.csv.gz")
    letters = np.array([list(sequence) for sequence in table["seq"]])
    X = np.where(letters == "A", 1, -1).astype(np.float32)
    y = table["y"].to_numpy()[:, None]
    order = np.random.default_rng(10).permutation(len(y))
    train, test = order[:2000], order[15866:]
    y = (y - y[train].mean()) / y[train].std()
    problem = Problem(
        X=X[train],
        Y=y[train],
        X_validation=X[:0],
        Y_validation=y[:0],
        X_test=X[test],
        Y_test=y[test],
    )
    scored = r2(y[test], fitted(problem, subset=700, steps=30).predict(X[test]))[0]
    assert scored > 0.77  # ridge on all 15,866: 0.733


def test_leaving_fewer_samples_out_changes_no_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = simulated(n_loci=8, n_train=150, n_validation=50)
    problem.Y[:30, 1] = np.nan
    every = fitted(problem)
    monkeypatch.setattr("crosstrait.models.gp._MOST_LEFT_OUT", 40)
    some = fitted(problem)
    np.testing.assert_allclose(some.dual, every.dual, rtol=1e-6, atol=1e-9)
    assert some.held_out is not None
    assert every.held_out is not None
    known = ~np.isnan(some.held_out)
    assert known.sum(axis=0).tolist() == [40, 40]
    np.testing.assert_allclose(some.held_out[known], every.held_out[known], rtol=1e-6)
