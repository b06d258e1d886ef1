from __future__ import annotations

import numpy as np
import pytest

from crosstrait.errors import SettingsError
from crosstrait.panel import simulate_meiosis
from crosstrait.panel.simulate_meiosis import Loci, gametes, place_loci, recombination
from crosstrait.panel.simulate_settings import YEAST, Chromosome

N_GAMETES = 20_000


@pytest.fixture(scope="module")
def loci() -> Loci:
    chromosomes = (
        Chromosome(name="long", length_bp=1_000_000, morgans=3.0),
        Chromosome(name="short", length_bp=200_000, morgans=0.5),
    )
    return place_loci(chromosomes, n_loci=60, rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def coded(loci: Loci) -> np.ndarray:
    rng = np.random.default_rng(1)
    return 2.0 * gametes(recombination(loci), n_gametes=N_GAMETES, rng=rng) - 1


def test_linkage_decays_as_haldane_says(loci: Loci, coded: np.ndarray) -> None:
    """The mean of a product of two codes -1/+1 has expectation exp(-2 d), variance 1 - exp(-4 d).

    Over the 1,770 pairs the largest deviation is below five standard errors, with a chance of
    one in a thousand to fail.
    """
    distance = np.abs(loci.cm[:, None] - loci.cm) / 100
    linked = loci.chromosome[:, None] == loci.chromosome
    expected = np.where(linked, np.exp(-2 * distance), 0.0)
    error = np.sqrt((1 - expected**2) / N_GAMETES) + 1e-12
    z = (coded.T @ coded / N_GAMETES - expected) / error
    assert np.abs(z).max() < 5
    assert np.ptp(expected[linked]) > 0.9


def test_both_parents_give_half_of_every_locus(coded: np.ndarray) -> None:
    assert np.abs(coded.mean(axis=0)).max() < 5 / np.sqrt(N_GAMETES)


def test_crossovers_do_not_interfere(loci: Loci, coded: np.ndarray) -> None:
    """Changes of parent in neighbouring intervals are independent."""
    changed = (coded[:, 1:] != coded[:, :-1]).astype(float)
    chance = recombination(loci)[1:]
    both = (changed[:, 1:] * changed[:, :-1]).mean(axis=0)
    expected = chance[1:] * chance[:-1]
    error = np.sqrt(expected * (1 - expected) / N_GAMETES)
    assert (np.abs(both - expected) < 5 * error + 5 / N_GAMETES).all()


def test_gametes_do_not_depend_on_the_size_of_a_block(
    loci: Loci, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch = recombination(loci)
    whole = gametes(switch, n_gametes=100, rng=np.random.default_rng(2))
    monkeypatch.setattr(simulate_meiosis, "_BLOCK_CELLS", 7 * 60)
    parts = gametes(switch, n_gametes=100, rng=np.random.default_rng(2))
    np.testing.assert_array_equal(whole, parts)


def test_loci_lie_uniformly_on_the_linkage_map() -> None:
    loci = place_loci(YEAST, n_loci=20_000, rng=np.random.default_rng(3))
    morgans = np.array([chromosome.morgans for chromosome in YEAST])
    share = morgans / morgans.sum()
    counts = np.bincount(loci.chromosome, minlength=16)
    assert (np.abs(counts - 20_000 * share) < 5 * np.sqrt(20_000 * share * (1 - share))).all()
    relative = loci.cm / (100 * morgans[loci.chromosome])
    assert abs(relative.mean() - 0.5) < 5 / np.sqrt(12 * 20_000)


def test_loci_are_in_map_order_and_no_two_share_a_base_pair() -> None:
    loci = place_loci(YEAST, n_loci=5000, rng=np.random.default_rng(4))
    same = np.diff(loci.chromosome) == 0
    assert (np.diff(loci.chromosome) >= 0).all()
    assert (np.diff(loci.position)[same] > 0).all()
    assert (np.diff(loci.cm)[same] > 0).all()
    assert loci.position.min() >= 1


def test_more_loci_than_base_pairs_are_refused() -> None:
    tiny = (Chromosome(name="tiny", length_bp=10, morgans=1.0),)
    with pytest.raises(SettingsError, match="11 loci do not fit on tiny, which has 10 base pairs"):
        place_loci(tiny, n_loci=11, rng=np.random.default_rng(0))


def test_the_yeast_map_is_44_morgans_long() -> None:
    assert sum(chromosome.morgans for chromosome in YEAST) == pytest.approx(44, abs=0.5)
    assert sum(chromosome.length_bp for chromosome in YEAST) == 12_071_326
