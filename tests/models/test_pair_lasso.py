"""The lasso on products of loci: its optimality, its scales and its holes."""

from __future__ import annotations

import numpy as np
import pytest

from crosstrait.models.lasso import draw_folds
from crosstrait.models.pair_lasso import Pairs, fit_pair_lasso

N, L, K = 600, 25, 3
ALL = np.stack(np.triu_indices(L, k=1), axis=1)
FOLD = draw_folds(N, folds=K, seed=0)


def cross() -> tuple[np.ndarray, np.ndarray]:
    """Centred genotypes, and a trait that three products make."""
    rng = np.random.default_rng(0)
    rows = np.where(rng.random((N, L)) < 0.4, 1, -1).astype(np.float32)
    rows -= rows.mean(axis=0)
    return rows, 0.5 * rows[:, 3] * rows[:, [7, 12, 19]].sum(axis=1) + rng.normal(size=N)


@pytest.mark.parametrize("scaled", [False, True])
def test_effects_solve_the_lasso(scaled: bool) -> None:
    """A product with an effect has the penalty's slope over its scale; no other has more."""
    rows, trait = cross()
    scale = np.random.default_rng(1).uniform(0.5, 2, size=len(ALL)) if scaled else np.ones(len(ALL))
    pairs = Pairs(loci=ALL, scale=scale)
    found = fit_pair_lasso(rows, np.stack([trait[:, None]] * K), fold=FOLD, pairs=[pairs] * K)
    plain = Pairs(loci=ALL, scale=np.ones(len(ALL)))
    for k, effects in enumerate(found):
        learn = k != FOLD
        terms = plain.products(rows[learn])
        left = trait[learn] - effects.intercept[0] - terms @ effects.weight[0]
        slope = scale * ((terms - terms.mean(axis=0)).T @ left) / learn.sum()
        active = effects.weight[0] != 0
        assert 3 <= active.sum() < 200
        penalty = np.abs(slope[active]).mean()
        assert slope[active] == pytest.approx(
            penalty * np.sign(effects.weight[0, active]), rel=0.03
        )
        assert np.abs(slope[~active]).max() < 1.03 * penalty
        assert left.mean() == pytest.approx(0, abs=1e-5)


def test_a_pair_with_a_larger_scale_is_found_first() -> None:
    rows, trait = cross()
    signal = (ALL[:, 0] == 3) & np.isin(ALL[:, 1], [7, 12, 19])
    found = {}
    for factor in (1.0, 20.0):
        pairs = Pairs(loci=ALL, scale=np.where(signal, factor, 1.0))
        [effects, *_] = fit_pair_lasso(
            rows, np.stack([trait[:, None]] * K), fold=FOLD, pairs=[pairs] * K
        )
        found[factor] = effects.weight[0]
    assert found[20.0][signal] == pytest.approx([0.5] * 3, abs=0.15)
    assert np.abs(found[20.0][~signal]).sum() < 0.2 * np.abs(found[1.0][~signal]).sum()


def test_a_hole_costs_its_cell_alone() -> None:
    rows, trait = cross()
    both = np.stack([trait, trait[::-1]], axis=1)
    holes = both.copy()
    holes[np.random.default_rng(1).random(N) < 0.5, 0] = np.nan
    measured = ~np.isnan(holes[:, 0])
    pairs = [Pairs(loci=ALL, scale=np.ones(len(ALL)))] * K
    whole = fit_pair_lasso(rows, np.stack([both] * K), fold=FOLD, pairs=pairs)
    part = fit_pair_lasso(rows, np.stack([holes] * K), fold=FOLD, pairs=pairs)
    dropped = fit_pair_lasso(
        rows[measured], np.stack([holes[measured]] * K), fold=FOLD[measured], pairs=pairs
    )
    for k in range(K):
        np.testing.assert_array_equal(part[k].weight[1], whole[k].weight[1])
        np.testing.assert_allclose(part[k].weight[0], dropped[k].weight[0], atol=2e-3)


def test_a_fold_may_have_no_pairs() -> None:
    rows, trait = cross()
    some = Pairs(loci=ALL[:20], scale=np.ones(20))
    none = Pairs(loci=ALL[:0], scale=np.ones(0))
    found = fit_pair_lasso(
        rows, np.stack([trait[:, None]] * K), fold=FOLD, pairs=[some, none, some]
    )
    assert [effects.weight.shape for effects in found] == [(1, 20), (1, 0), (1, 20)]
    assert found[1].intercept == pytest.approx(trait[FOLD != 1].mean())
