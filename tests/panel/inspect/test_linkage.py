"""Linkage decay against what it must be."""

from __future__ import annotations

import numpy as np
import pytest

from crosstrait.panel import Panel, from_arrays
from crosstrait.panel.inspect import linkage as module
from crosstrait.panel.inspect.linkage import summarise_linkage


def cross(
    *, n_samples: int = 1500, per_contig: int = 60, spacing: int = 10_000, rate: float = 0.05
) -> Panel:
    """Two chromosomes of a haploid cross with recombination ``rate`` between neighbours."""
    rng = np.random.default_rng(0)
    contigs = []
    for _ in range(2):
        switches = rng.random((n_samples, per_contig)) < rate
        switches[:, 0] = rng.random(n_samples) < 0.5
        contigs.append(np.cumsum(switches, axis=1) % 2)
    return from_arrays(
        np.hstack(contigs),
        trait_value=rng.normal(size=(n_samples, 1)),
        trait_names=["t"],
        variant_contig=["chr1"] * per_contig + ["chr2"] * per_contig,
        variant_position=np.tile(np.arange(1, per_contig + 1) * spacing, 2),
    )


def plain(panel: Panel) -> tuple[dict[tuple[float, float], list[float]], list[float]]:
    """Return every pair's r2 by distance class, and those across chromosomes."""
    r2 = np.corrcoef(panel["call_dosage"].values.T) ** 2
    contig, position = panel["variant_contig"].values, panel["variant_position"].values
    near: dict[tuple[float, float], list[float]] = {}
    far = []
    for i in range(len(contig)):
        for j in range(len(contig)):
            if contig[i] != contig[j]:
                far.append(r2[i, j])
            elif i != j:
                distance = abs(position[i] - position[j])
                k = int(np.flatnonzero(max(distance, 1) >= module.DISTANCE_EDGES)[-1])
                low = 0.0 if k == 0 else float(module.DISTANCE_EDGES[k])
                near.setdefault((low, float(module.DISTANCE_EDGES[k + 1])), []).append(r2[i, j])
    return near, far


def test_with_all_samples_and_loci_every_class_is_its_plain_mean() -> None:
    panel = cross(n_samples=200)
    summary = summarise_linkage(panel)
    assert summary is not None
    near, far = plain(panel)
    classes = list(zip(summary.distance_from, summary.distance_to, strict=True))
    assert classes == sorted(near)
    assert summary.n_pairs.tolist() == [len(near[key]) for key in classes]
    np.testing.assert_allclose(summary.mean_r2, [np.mean(near[key]) for key in classes], rtol=1e-4)
    for level, found in ((0.1, summary.low_r2), (0.9, summary.high_r2)):
        plainly = [np.quantile(near[key], level, method="inverted_cdf") for key in classes]
        np.testing.assert_allclose(found, plainly, atol=0.5 / 400 + 1e-5)
    assert summary.unlinked_r2 == pytest.approx(np.mean(far), rel=1e-4)
    assert summary.n_samples == 200


def test_a_subset_estimates_the_decay_that_recombination_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MOST_SAMPLES", 1000)
    monkeypatch.setattr(module, "_MOST_ANCHORS", 30)
    summary = summarise_linkage(cross())
    assert summary is not None
    assert summary.n_samples == 1000
    k = summary.distance_from.tolist().index(1e4)  # one or two steps of r = 0.05
    steps = np.array([1, 2])
    expected = ((1 - 2 * 0.05) ** (2 * steps)).mean()
    assert summary.mean_r2[k] == pytest.approx(expected, abs=0.05)
    assert summary.unlinked_r2 == pytest.approx(1 / 1000, abs=1e-3)
    assert summary.reach(0.1) == 1e5  # (1 - 2 * 0.05) ** (2 * 10 steps) = 0.12
    assert summary.reach(0.99) == 0


def test_loci_without_places_have_no_decay() -> None:
    panel = from_arrays(np.eye(4), trait_value=np.arange(4.0)[:, None], trait_names=["t"])
    assert summarise_linkage(panel) is None


@pytest.mark.parametrize(("contigs", "n_pairs"), [(["a", "b", "c", "d"], None), (["a"] * 4, 6)])
def test_places_on_one_chromosome_or_on_as_many_as_loci(
    contigs: list[str], n_pairs: int | None
) -> None:
    panel = from_arrays(
        np.array([[0, 1, 0, 1], [1, 1, 0, 1], [1, 0, 0, 1.0]]),
        trait_value=np.arange(3.0)[:, None],
        trait_names=["t"],
        variant_contig=contigs,
        variant_position=[5, 5, 2000, 1],
    )
    summary = summarise_linkage(panel)
    if n_pairs is None:
        assert summary is None
    else:
        assert summary is not None
        assert summary.n_pairs.sum() == 2  # two loci vary: one pair, seen from either end
        assert np.isnan(summary.unlinked_r2)


def test_holes_are_taken_for_the_mean_of_the_locus() -> None:
    rng = np.random.default_rng(1)
    dosage = rng.integers(0, 2, (300, 2)).astype(float)
    dosage[:, 1] = np.where(rng.random(300) < 0.1, 1 - dosage[:, 0], dosage[:, 0])
    dosage[rng.random(dosage.shape) < 0.2] = np.nan
    panel = from_arrays(
        np.c_[dosage, np.ones(300)],  # no sample is all holes
        trait_value=rng.normal(size=(300, 1)),
        trait_names=["t"],
        variant_contig=["a", "a", "a"],
        variant_position=[1, 2, -1],
    )
    summary = summarise_linkage(panel)
    filled = np.where(np.isnan(dosage), np.nanmean(dosage, axis=0), dosage)
    assert summary is not None
    assert summary.mean_r2[0] == pytest.approx(np.corrcoef(filled.T)[0, 1] ** 2, rel=1e-4)
