from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from crosstrait.errors import SettingsError
from crosstrait.panel.simulate_architecture import (
    Term,
    draw_interactions,
    scaled_terms,
    sum_of_terms,
)
from crosstrait.panel.simulate_settings import Epistasis

CHROMOSOME = np.repeat(np.arange(5), 20)
CAUSAL = np.arange(0, 100, 2)


def draw(**numbers: int) -> tuple[np.ndarray, ...]:
    config = Epistasis(share=0.2, **numbers)
    rng = np.random.default_rng(0)
    return draw_interactions(config, causal=CAUSAL, chromosome=CHROMOSOME, rng=rng)


def test_a_hub_modulates_more_loci_than_any_other_locus() -> None:
    hubs, pairs, _ = draw(n_hubs=3, hub_partners=15, n_pairs=10)
    degree = np.bincount(pairs.ravel(), minlength=100)
    assert len(pairs) == 55
    assert (degree[hubs] == 15).all()
    assert np.delete(degree, hubs).max() < 15


def test_interactions_are_distinct_and_join_causal_loci_of_different_chromosomes() -> None:
    _, pairs, triples = draw(n_hubs=3, hub_partners=15, n_pairs=60, n_triples=70)
    assert pairs.shape == (105, 2)
    assert triples.shape == (70, 3)
    for sets in (pairs, triples):
        assert len({frozenset(loci) for loci in sets.tolist()}) == len(sets)
        assert np.isin(sets, CAUSAL).all()
        for loci in sets:
            assert len(set(CHROMOSOME[loci])) == len(loci)


def test_every_possible_pair_and_triple_can_be_asked_for() -> None:
    chromosome = np.array([0, 0, 1, 1, 2])
    config = Epistasis(share=0.1, n_hubs=0, n_pairs=8, n_triples=4)
    _, pairs, triples = draw_interactions(
        config, causal=np.arange(5), chromosome=chromosome, rng=np.random.default_rng(0)
    )
    assert {tuple(p) for p in pairs.tolist()} == {
        (i, j) for i, j in product(range(5), repeat=2) if i < j and chromosome[i] != chromosome[j]
    }
    assert {tuple(t) for t in triples.tolist()} == set(product([0, 1], [2, 3], [4]))


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"n_hubs": 51}, "n_hubs = 51 hubs do not fit in 50 causal loci"),
        ({"n_hubs": 1, "hub_partners": 41}, "hub_partners = 41 .* and there are 40"),
        ({"n_hubs": 0, "n_pairs": 1001}, "1001 sets of 2 .* there are 1000"),
        ({"n_hubs": 0, "n_pairs": 0, "n_triples": 10001}, "10001 sets of 3 .* there are 10000"),
    ],
)
def test_more_interactions_than_there_are_is_refused(numbers: dict[str, int], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        draw(**numbers)


@pytest.mark.parametrize("ploidy", [1, 2])
def test_the_values_are_the_sum_that_the_effects_say(ploidy: int) -> None:
    rng = np.random.default_rng(0)
    calls = rng.integers(0, ploidy + 1, (30, 9)).astype(np.uint8)
    sets = [np.array([[0], [4]]), np.array([[1, 2], [3, 8]]), np.array([[5, 6, 7]])]
    values, terms, intercept = scaled_terms(
        calls, sets, ploidy=ploidy, covariance=np.eye(2), rng=rng
    )
    for i, t in product(range(30), range(2)):
        g = [2 * int(call) / ploidy - 1 for call in calls[i]]
        expected = intercept[t]
        for term in terms:
            for loci, effect in zip(term.loci, term.effect, strict=True):
                expected += effect[t] * np.prod([g[locus] for locus in loci])
        assert values[i, t] == pytest.approx(expected, abs=1e-9)


def test_the_covariance_over_the_samples_is_the_one_asked_for() -> None:
    rng = np.random.default_rng(1)
    calls = rng.integers(0, 2, (500, 40)).astype(np.uint8)
    covariance = np.array([[0.5, 0.3, 0.0], [0.3, 0.2, 0.0], [0.0, 0.0, 0.0]])
    covariance[0, 1] = covariance[1, 0] = np.sqrt(0.5 * 0.2)
    values, _, _ = scaled_terms(
        calls, [np.arange(40)[:, None]], ploidy=1, covariance=covariance, rng=rng
    )
    np.testing.assert_allclose(np.cov(values.T, ddof=0), covariance, atol=1e-7)
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-12)


def test_effects_stay_near_a_normal_draw() -> None:
    """Mixing the draws to the exact covariance keeps many small and few large effects."""
    rng = np.random.default_rng(2)
    calls = rng.integers(0, 2, (3000, 400)).astype(np.uint8)
    _, (term,), _ = scaled_terms(
        calls, [np.arange(400)[:, None]], ploidy=1, covariance=np.eye(3), rng=rng
    )
    # 400 independent effects share a variance of 1, so that each is N(0, 1 / 400).
    assert np.abs(term.effect).max() * 20 == pytest.approx(3.2, abs=1)
    assert (term.effect * 20).std() == pytest.approx(1, abs=0.1)


def test_too_few_samples_to_tell_the_traits_apart_are_refused() -> None:
    calls = np.array([[0, 1, 0], [1, 1, 0]], dtype=np.uint8)
    rng = np.random.default_rng(0)
    with pytest.raises(SettingsError, match="2 samples and 3 effects a trait cannot tell 3 traits"):
        scaled_terms(calls, [np.arange(3)[:, None]], ploidy=1, covariance=np.eye(3), rng=rng)


def test_terms_of_several_orders_add_up_across_blocks() -> None:
    rng = np.random.default_rng(3)
    calls = rng.integers(0, 2, (9000, 4)).astype(np.uint8)
    terms = [Term(loci=np.array([[0, 3]]), effect=np.array([[2.0, -1.0]]))]
    g = 2.0 * calls - 1
    expected = np.outer(g[:, 0] * g[:, 3], [2.0, -1.0])
    np.testing.assert_allclose(sum_of_terms(calls, terms, ploidy=1), expected)
