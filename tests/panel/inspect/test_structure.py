"""Relationships and principal components against what they must be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crosstrait.panel import Panel, from_arrays, load_panel
from crosstrait.panel.inspect import structure as module
from crosstrait.panel.inspect.advice import structure_advice
from crosstrait.panel.inspect.structure import principal_components, summarise_structure
from crosstrait.panel.simulate import SimulationConfig, simulate


def panel_of(dosage: np.ndarray, **more: object) -> Panel:
    traits = np.random.default_rng(9).normal(size=(len(dosage), 1))
    return from_arrays(dosage, trait_value=traits, trait_names=["t"], **more)


def cross(*, n_samples: int = 1500, per_contig: int = 60) -> np.ndarray:
    """Two chromosomes of a haploid cross, 5 % recombination between neighbours."""
    rng = np.random.default_rng(0)
    contigs = []
    for _ in range(2):
        switches = rng.random((n_samples, per_contig)) < 0.05
        switches[:, 0] = rng.random(n_samples) < 0.5
        contigs.append(np.cumsum(switches, axis=1) % 2)
    return np.hstack(contigs)


def apart(n_loci: int = 80) -> np.ndarray:
    """Two populations of 150, with opposite allele frequencies."""
    frequency = np.where(np.arange(300)[:, None] < 150, 0.1, 0.9)
    return (np.random.default_rng(2).random((300, n_loci)) < frequency).astype(float)


def test_components_are_those_of_the_correlation_matrix() -> None:
    panel = panel_of(cross(n_samples=150, per_contig=20))
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(panel["call_dosage"].values.T))[::-1]
    summary = summarise_structure(panel)
    np.testing.assert_allclose(
        summary.variance_share, eigenvalues[:10] / eigenvalues.sum(), rtol=1e-4
    )
    assert (summary.n_samples, summary.n_loci) == (150, 40)


def test_two_populations_stand_out_and_a_cross_does_not() -> None:
    summary = summarise_structure(panel_of(apart(), sample_group=["a"] * 150 + ["b"] * 150))
    assert summary.variance_share[0] > 0.5
    one, other = (summary.scores[summary.sample_group == group, 0] for group in "ab")
    assert one.min() > other.max() or other.min() > one.max()
    assert summarise_structure(panel_of(cross())).variance_share[0] < 0.15


@pytest.mark.parametrize("n_loci", [80, 500])
def test_relationships_and_scores_are_those_of_their_definition(n_loci: int) -> None:
    dosage = apart(n_loci)
    z = (dosage - dosage.mean(axis=0)) / dosage.std(axis=0)
    plain = z @ z.T / n_loci
    summary = summarise_structure(panel_of(dosage))
    first, second = np.triu_indices(300, 1)
    pairs = plain[first, second]
    assert summary.relationship_counts.sum() == len(pairs)
    counts = np.histogram(pairs, bins=summary.relationship_edges)[0]
    assert np.abs(counts - summary.relationship_counts).sum() < 0.01 * len(pairs)
    assert [r for *_, r in summary.closest] == pytest.approx(np.sort(pairs)[::-1][:10], abs=1e-4)
    name, other, _ = summary.closest[0]
    at = [int(n.removeprefix("sample_")) for n in (name, other)]
    assert plain[at[0], at[1]] == pytest.approx(pairs.max(), abs=1e-4)
    scores = summary.scores
    np.testing.assert_allclose(scores.T @ scores, np.diag(300 * summary.variance_share), atol=1e-2)
    np.testing.assert_allclose(
        plain @ scores[:, 0] / scores[:, 0], 300 * summary.variance_share[0], rtol=1e-5
    )


def test_a_twin_is_as_related_as_oneself_and_a_stranger_not() -> None:
    dosage = np.random.default_rng(3).integers(0, 3, (200, 1000)).astype(float)
    dosage[17] = dosage[4]
    summary = summarise_structure(panel_of(dosage, ploidy=2))
    assert summary.closest[0] == ("sample_4", "sample_17", pytest.approx(1, abs=0.1))
    assert summary.closest[1][2] < 0.25


def test_components_do_not_depend_on_which_side_is_longer() -> None:
    unit = np.random.default_rng(0).normal(size=(40, 40)).astype(np.float32)
    tall = principal_components(unit, most=3)
    wide = principal_components(np.c_[unit, np.zeros((40, 40), np.float32)], most=3)
    np.testing.assert_allclose(wide[0], tall[0], rtol=1e-4)
    np.testing.assert_allclose(wide[1] * np.sqrt(2), tall[1], atol=1e-3)


def test_a_subset_is_always_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_LOCI", 50)
    panel = panel_of(cross(n_samples=2100))
    once, again = summarise_structure(panel), summarise_structure(panel)
    assert (once.n_samples, once.n_loci) == (2000, 50)
    assert once.sample_id.tolist() == again.sample_id.tolist()
    np.testing.assert_array_equal(once.scores, again.scores)


def test_a_panel_that_does_not_vary_has_no_components() -> None:
    summary = summarise_structure(panel_of(np.ones((3, 2))))
    assert summary.n_loci == 0
    assert summary.variance_share.tolist() == [0]
    assert summary.closest == ()


def test_pairs_that_are_all_as_related_have_a_histogram() -> None:
    dosage = np.array([[0.0, 0], [0, 2], [1, 1]])  # equal up to rounding
    summary = summarise_structure(panel_of(dosage, ploidy=2))
    assert summary.relationship_counts.sum() == 3
    assert [r for *_, r in summary.closest] == pytest.approx([-0.5] * 3)


def families(n_families: int, size: int, *, n_loci: int = 600, seed: int = 0) -> np.ndarray:
    """Full sibs of unrelated parents, ten chromosomes without crossing over."""
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(0.1, 0.9, n_loci)
    parents = rng.random((2 * n_families, 2, n_loci)) < frequency
    chromosome = np.arange(n_loci) * 10 // n_loci
    rows = []
    for family in range(n_families):
        for _ in range(size):
            strand = rng.integers(2, size=(2, 10))[:, chromosome]
            rows.append(
                sum(
                    np.where(strand[k] == 0, *parents[2 * family + k]).astype(float)
                    for k in range(2)
                )
            )
    return np.array(rows)


@pytest.mark.parametrize(("n_families", "size"), [(12, 25), (40, 5), (3, 40)])
def test_full_sib_families_are_counted(n_families: int, size: int) -> None:
    summary = summarise_structure(panel_of(families(n_families, size), ploidy=2))
    assert summary.clusters == (size,) * n_families
    [warning] = structure_advice(summary)
    assert "crosstrait import --groups" in warning
    if n_families == 12:  # no component tells them
        assert summary.variance_share[0] < 0.15
        assert f"12 clusters of relatives, of {size} to {size} of 300 samples" in warning


def test_named_families_are_to_be_split_by() -> None:
    named = panel_of(families(12, 25), ploidy=2, sample_group=np.repeat(np.arange(12), 25))
    [warning] = structure_advice(summarise_structure(named))
    assert "split by the groups of the panel" in warning
    assert "--groups" not in warning


def one_family() -> Panel:
    return panel_of(families(1, 200), ploidy=2)


def unrelated() -> Panel:
    return panel_of(families(200, 1), ploidy=2)


def rare() -> Panel:
    return panel_of((np.random.default_rng(0).random((300, 200)) < 0.05).astype(float))


@pytest.mark.parametrize(
    "make",
    [
        lambda: panel_of(cross()),
        one_family,
        unrelated,
        rare,
        lambda: simulate(SimulationConfig(n_samples=300, n_loci=100))[0],
    ],
)
def test_one_cross_one_family_and_strangers_are_no_clusters(make: Callable[[], Panel]) -> None:
    summary = summarise_structure(make())
    assert summary.clusters == ()
    assert not list(structure_advice(summary))


@pytest.mark.parametrize("name", ["byxrm", "bbq_li"])
def test_the_real_crosses_are_no_clusters(real_data: Path, name: str) -> None:
    assert summarise_structure(load_panel(name)).clusters == ()
