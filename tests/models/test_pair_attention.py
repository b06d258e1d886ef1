"""Sparse attention: which pairs are seen, what weight they get, and from which samples."""

from __future__ import annotations

import numpy as np
import pytest

from crosstrait.models.lasso import draw_folds
from crosstrait.models.pair_attention import PairAttention, fit_pair_attention

N, L, K = 600, 25, 3
HUB, PARTNERS = 3, [7, 12, 19]


def genotypes(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random((N, L)) < 0.4, 1, -1).astype(np.float32)


def hub(X: np.ndarray, effect: float = 0.5) -> np.ndarray:
    """What a hub does through its partners."""
    return effect * X[:, HUB] * X[:, PARTNERS].sum(axis=1)


def learned(X: np.ndarray, Y: np.ndarray, *, n_pairs: int = 300) -> PairAttention:
    """Attention to what is left when additive effects are 0."""
    fold = draw_folds(len(X), folds=K, seed=0)
    return fit_pair_attention(
        X, np.stack([Y] * K), fold=fold, importance=np.ones(L), n_pairs=n_pairs
    )


def test_a_hub_attends_to_its_partners_and_to_nobody_else() -> None:
    X = genotypes()
    noise = np.random.default_rng(1).normal(size=N)
    attention = learned(X, (hub(X) + 0.3 * noise)[:, None])
    mean = np.abs(attention.weight.mean(axis=0))[0]
    strongest = attention.pairs[np.argsort(-mean)[:3]]
    assert strongest[np.argsort(strongest[:, 1])].tolist() == [[HUB, m] for m in PARTNERS]
    assert np.sort(mean)[-3:] == pytest.approx([0.5] * 3, abs=0.04)
    assert np.sort(mean)[:-3].max(initial=0) < 0.02


def test_traits_settle_together_which_pairs_there_are() -> None:
    """A trait too noisy to find its pairs alone finds those of another trait."""
    X = genotypes()
    wanted = hub(X) - hub(X).mean()

    def error(attention: PairAttention) -> float:
        return float(((attention.members(X)[:, :, -1].mean(axis=0) - wanted) ** 2).mean())

    together, alone = 0.0, 0.0
    for seed in range(1, 4):
        clear, noisy = np.random.default_rng(seed).normal(size=(2, N)) * [[0.3], [3.0]]
        together += error(learned(X, np.stack([hub(X) + clear, hub(X) + noisy], axis=1)))
        alone += error(learned(X, (hub(X) + noisy)[:, None]))
    assert together < 0.8 * alone


def test_a_member_knows_nothing_of_the_fold_that_it_leaves_out() -> None:
    X = genotypes()
    fold = draw_folds(N, folds=K, seed=0)
    effect = np.where(fold == 0, 1.0, 0.5)
    Y = effect * hub(X, effect=1.0) + 0.1 * np.random.default_rng(1).normal(size=N)
    attention = learned(X, Y[:, None])
    partners = (attention.pairs[:, 0] == HUB) & np.isin(attention.pairs[:, 1], PARTNERS)
    weight = attention.weight[:, 0, partners]
    assert weight.shape == (K, 3)
    assert weight[0] == pytest.approx([0.5] * 3, abs=0.1)
    assert weight[1:].mean() == pytest.approx(0.75, abs=0.1)


def test_members_predict_what_their_weights_say() -> None:
    X = genotypes()
    attention = PairAttention(
        centre=np.full(L, 0.5),
        pairs=np.array([[0, 1], [2, 4]]),
        weight=np.array([[[1.0, 0.0], [0.0, 2.0]], [[0.0, 0.0], [3.0, 0.0]]]),
        intercept=np.array([[0.0, 1.0], [2.0, 0.0]]),
    )
    a, b = (X[:, 0] - 0.5) * (X[:, 1] - 0.5), (X[:, 2] - 0.5) * (X[:, 4] - 0.5)
    expected = np.array([[a, 1 + 2 * b], [2 + 0 * a, 3 * a]]).transpose(0, 2, 1)
    np.testing.assert_allclose(attention.members(X), expected)


def test_noise_gets_next_to_no_attention() -> None:
    X = genotypes()
    Y = np.random.default_rng(5).normal(size=(N, 1))
    assert learned(X, Y).members(X).std() < 0.25


def test_no_pairs_where_there_are_no_two_loci() -> None:
    X = genotypes()[:, :1]
    Y = np.random.default_rng(1).normal(size=(N, 1))
    fold = draw_folds(N, folds=K, seed=0)
    attention = fit_pair_attention(
        X, np.stack([Y] * K), fold=fold, importance=np.ones(1), n_pairs=10
    )
    assert attention.pairs.shape == (0, 2)
    assert attention.members(X).shape == (K, N, 1)
