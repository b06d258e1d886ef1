"""The residual model: additive effects first, interactions on top, traits together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crosstrait.errors import SettingsError, TrainingError
from crosstrait.models import residual
from crosstrait.models.base import ModelConfig
from crosstrait.models.residual import ResidualConfig, ResidualEstimator
from support.model_contract import ModelContract


class TestResidual(ModelContract):
    minimum_r2_of_pairs = 0.7
    traits_are_independent = False
    order_matters = True

    def config(self) -> ModelConfig:
        return ResidualConfig(width=32, depth=2)


def hubs(n: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two traits of 40 loci: four additive loci, and the product of two of them."""
    rng = np.random.default_rng(seed)
    X = rng.choice(np.array([-1, 1], dtype=np.float32), size=(n, 40))
    signal = X[:, :4] @ rng.uniform(0.4, 0.6, size=(4, 2)) + 0.8 * (X[:, :1] * X[:, 1:2])
    return X, signal + 0.3 * rng.normal(size=signal.shape)


def r2(observed: np.ndarray, predicted: np.ndarray) -> float:
    return float(1 - ((observed - predicted) ** 2).mean() / observed.var())


def test_the_networks_learn_the_interaction_that_the_effects_leave() -> None:
    X, Y = hubs(1500, seed=0)
    model = ResidualConfig(width=32, depth=2).build(n_loci=40, n_traits=2)
    assert isinstance(model, ResidualEstimator)
    model.fit(X[:1000], Y[:1000], X_validation=X[:0], Y_validation=Y[:0], seed=0)
    additive = X[1000:] @ model.coef.T + model.intercept
    assert r2(Y[1000:], additive) < 0.7
    assert r2(Y[1000:], model.predict(X[1000:])) > 0.88


def test_loci_without_an_effect_on_any_trait_get_no_weight() -> None:
    X, Y = hubs(600, seed=2)
    model = ResidualConfig(width=8, depth=1, epochs=1).build(n_loci=40, n_traits=2)
    model.fit(X, Y, X_validation=X[:0], Y_validation=Y[:0], seed=0)
    weight = model.trunks.locus_weight.numpy()
    idle = np.abs(model.coef).sum(axis=0) == 0
    assert idle.any()
    assert (weight[0] == 1).all()  # this member sees all loci alike
    assert (weight[1:, :, idle] == 0).all()
    assert np.allclose((weight**2).mean(axis=2), 1, atol=1e-5)


def fitted(X: np.ndarray, Y: np.ndarray) -> ResidualEstimator:
    model = ResidualConfig(width=16, depth=2).build(n_loci=X.shape[1], n_traits=Y.shape[1])
    assert isinstance(model, ResidualEstimator)
    model.fit(X, Y, X_validation=X[:0], Y_validation=Y[:0], seed=0)
    return model


def test_networks_have_no_share_in_noise() -> None:
    rng = np.random.default_rng(3)
    X = rng.choice(np.array([-1, 1], dtype=np.float32), size=(500, 40))
    model = fitted(X, rng.normal(size=(500, 2)))
    assert (model.share >= 0).all()
    assert model.predict(X).std() < 0.25


def test_fewer_samples_than_members_are_refused() -> None:
    X, Y = hubs(4, seed=0)
    with pytest.raises(TrainingError, match="4 samples cannot be held out in 5 parts"):
        fitted(X, Y)


@pytest.mark.parametrize("focus", [(-1.0, 0.0), (float("nan"), 1.0), (1.0,)])
def test_powers_that_make_no_sense_are_refused(focus: tuple[float, ...]) -> None:
    with pytest.raises(SettingsError, match="focus"):
        ResidualConfig.parse({"focus": focus}, where="model")


def test_a_network_does_not_see_its_own_fold() -> None:
    X, Y = hubs(200, seed=4)
    fold = np.arange(200) % 5
    trained = []
    for moved in (0.0, 3.0):
        left = np.repeat(Y[None], 5, axis=0).astype(np.float32)
        left[2, fold == 2] += moved
        torch.manual_seed(0)
        model = ResidualConfig(width=8, depth=2, epochs=2).build(n_loci=40, n_traits=2)
        model._train(*map(torch.from_numpy, (X, left, fold)), bound=torch.ones(2))
        trained.append(model.trunks(torch.from_numpy(X)))
    assert torch.equal(trained[0][2], trained[1][2])

    left[2, fold == 1] += 3.0
    torch.manual_seed(0)
    model._train(*map(torch.from_numpy, (X, left, fold)), bound=torch.ones(2))
    assert not torch.equal(model.trunks(torch.from_numpy(X))[2], trained[1][2])


def test_outliers_cost_less_than_they_would_by_least_squares(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, Y = hubs(900, seed=5)
    rng = np.random.default_rng(5)
    Y[:600] += 4 * (rng.random((600, 2)) < 0.05) * rng.standard_t(2, size=(600, 2))
    robust = fitted(X[:600], Y[:600]).predict(X[600:])
    monkeypatch.setattr(residual, "_HUBER", 1e6)
    squares = fitted(X[:600], Y[:600]).predict(X[600:])
    assert r2(Y[600:], robust) > r2(Y[600:], squares) + 0.02


def test_where_noise_dominates_the_held_out_errors_foretell_those_of_new_samples() -> None:
    X, Y = hubs(1400, seed=6)
    Y += 2 * np.random.default_rng(6).normal(size=Y.shape)
    model = fitted(X[:700], Y[:700])
    assert model.held_out is not None
    new = Y[700:] - model.predict(X[700:])
    assert 0.95 < np.sqrt(np.nanmean(model.held_out**2) / (new**2).mean()) < 1.1


def test_a_loss_that_explodes_is_reported() -> None:
    X, Y = hubs(100, seed=7)
    model = ResidualConfig(width=8, depth=2, learning_rate=1e30).build(n_loci=40, n_traits=2)
    with pytest.raises(TrainingError, match=r"not finite in epoch \d+ of 25; lower learning_rate"):
        model.fit(X, Y, X_validation=X[:0], Y_validation=Y[:0], seed=0)
