"""The sparse attention model: additive effects, attention among loci, networks for the rest."""

from __future__ import annotations

import numpy as np
import pytest

from crosstrait.errors import TrainingError
from crosstrait.models.base import ModelConfig
from crosstrait.models.residual import ResidualConfig
from crosstrait.models.sparse_attention import SparseAttentionConfig, SparseAttentionEstimator
from support.model_contract import ModelContract

SMALL = ResidualConfig(width=32, depth=2)


class TestSparseAttention(ModelContract):
    minimum_r2_of_pairs = 0.95
    traits_are_independent = False
    order_matters = True

    def config(self) -> ModelConfig:
        return SparseAttentionConfig(networks=SMALL)


def cross(n: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two traits of 60 loci: additive loci, and a hub that changes what eight others do."""
    rng = np.random.default_rng(seed)
    X = rng.choice(np.array([-1, 1], dtype=np.float32), size=(n, 60))
    effect = np.random.default_rng(9).uniform(0.3, 0.6, size=(8, 2))
    signal = X[:, :10].sum(axis=1, keepdims=True) * 0.3 + X[:, [0]] * (X[:, 20:28] @ effect)
    return X, signal + rng.normal(size=signal.shape)


def fitted(X: np.ndarray, Y: np.ndarray, *, n_pairs: int = 1000) -> SparseAttentionEstimator:
    config = SparseAttentionConfig(n_pairs=n_pairs, networks=SMALL)
    model = config.build(n_loci=X.shape[1], n_traits=Y.shape[1])
    model.fit(X, Y, X_validation=X[:0], Y_validation=Y[:0], seed=0)
    return model


def r2(observed: np.ndarray, predicted: np.ndarray) -> float:
    return float(1 - ((observed - predicted) ** 2).mean() / observed.var())


def test_attention_finds_the_partners_of_a_hub_and_pays() -> None:
    X, Y = cross(1800, seed=0)
    learn, test = slice(800), slice(800, None)
    attending, without = fitted(X[learn], Y[learn]), fitted(X[learn], Y[learn], n_pairs=0)
    weight = np.abs(attending.attention.weight.mean(axis=0)).sum(axis=0)
    strongest = attending.attention.pairs[np.argsort(-weight)[:8]]
    assert sorted(strongest.tolist()) == [[0, m] for m in range(20, 28)]
    assert without.attention.pairs.shape == (0, 2)
    assert (without.share[0] == 0).all()
    gain = r2(Y[test], attending.predict(X[test])) - r2(Y[test], without.predict(X[test]))
    assert gain > 0.03


def test_held_out_errors_are_those_of_new_samples() -> None:
    X, Y = cross(2800, seed=1)
    model = fitted(X[:800], Y[:800])
    new = Y[800:] - model.predict(X[800:])
    assert model.held_out is not None
    assert model.held_out.std() == pytest.approx(new.std(), rel=0.06)


def test_nothing_has_a_share_in_noise() -> None:
    rng = np.random.default_rng(3)
    X = rng.choice(np.array([-1, 1], dtype=np.float32), size=(500, 40))
    model = fitted(X, rng.normal(size=(500, 2)))
    assert (model.share >= 0).all()
    assert model.predict(X).std() < 0.25


def test_fewer_samples_than_members_are_refused() -> None:
    X, Y = cross(4, seed=0)
    with pytest.raises(TrainingError, match="4 samples cannot be held out in 5 parts"):
        fitted(X, Y)
