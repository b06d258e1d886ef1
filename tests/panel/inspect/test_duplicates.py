"""Nearly equal samples: those that were planted, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from crosstrait.panel import Panel, from_arrays
from crosstrait.panel.inspect.duplicates import DuplicateGroup, nearly_equal, summarise_duplicates
from crosstrait.panel.inspect.genotypes import summarise_genotypes


def strangers(n: int = 400, n_loci: int = 600, *, seed: int = 0, top: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, top, (n, n_loci)).astype(float)


def found(dosage: np.ndarray, *, ploidy: int = 1) -> tuple[DuplicateGroup, ...]:
    panel: Panel = from_arrays(
        dosage,
        trait_value=np.arange(len(dosage), dtype=float)[:, None],
        trait_names=["t"],
        ploidy=ploidy,
    )
    return summarise_duplicates(panel, genotypes=summarise_genotypes(panel))


def test_strangers_are_no_duplicates() -> None:
    assert found(strangers()) == ()


@pytest.mark.parametrize("ploidy", [1, 2])
def test_a_twin_with_genotyping_errors_and_holes_is_found_and_named(ploidy: int) -> None:
    dosage = strangers(top=ploidy + 1)
    dosage[300] = dosage[20]
    dosage[300, 100:104] = np.where(dosage[20, 100:104] == 0, 1, 0)
    dosage[np.random.default_rng(1).random(dosage.shape) < 0.05] = np.nan
    (group,) = found(dosage, ploidy=ploidy)
    assert group.samples == ("sample_20", "sample_300")
    both = ~np.isnan(dosage[[20, 300]]).any(axis=0)
    assert group.share == pytest.approx((dosage[20] == dosage[300])[both].mean())
    assert 0.99 <= group.share < 1


def test_many_clones_are_one_group() -> None:
    dosage = strangers()
    dosage[[5, 80, 200, 399]] = dosage[5]
    assert found(dosage) == (
        DuplicateGroup(samples=("sample_5", "sample_80", "sample_200", "sample_399"), share=1.0),
    )


def test_siblings_are_no_duplicates() -> None:
    dosage = strangers()
    half = np.arange(600) < 570
    dosage[7, half] = dosage[3, half]
    assert found(dosage) == ()


def test_uncertain_calls_count_as_the_nearest_copies() -> None:
    dosage = strangers()
    dosage[9] = np.clip(dosage[1], 0.1, 0.8)
    assert [group.samples for group in found(dosage)] == [("sample_1", "sample_9")]


def test_at_few_loci_only_equal_samples_are_duplicates() -> None:
    dosage = strangers(40, 99)
    dosage[30] = dosage[2]
    dosage[31] = dosage[3]
    dosage[31, 0] = 1 - dosage[31, 0]
    assert found(dosage) == (DuplicateGroup(samples=("sample_2", "sample_30"), share=1.0),)


def test_at_few_loci_a_twin_with_holes_is_found_unless_agreement_means_little() -> None:
    dosage = strangers(40, 60)
    dosage[30] = dosage[2]
    dosage[2, [4, 9, 33]] = dosage[30, [8, 40]] = np.nan
    assert found(dosage) == (DuplicateGroup(samples=("sample_2", "sample_30"), share=1.0),)
    assert found(dosage[:, :29]) == ()


def test_every_pair_that_a_full_comparison_finds_is_connected() -> None:
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 2, (300, 500)).astype(np.int8)
    for twin in range(100, 200):
        codes[twin] = codes[twin - 100]
        flip = rng.choice(500, rng.integers(0, 12), replace=False)
        codes[twin, flip] = 1 - codes[twin, flip]
    first, second, share = nearly_equal(codes)
    same = (codes[:, None] == codes[None]).mean(axis=2)
    expected = np.argwhere(np.triu(same >= 0.99, 1))
    assert np.c_[first, second].tolist() == expected.tolist()
    np.testing.assert_allclose(share, same[first, second])
    assert 30 < len(first) < 90


def test_rows_that_share_few_calls_are_not_compared() -> None:
    codes = np.tile(np.random.default_rng(0).integers(0, 2, 300), (2, 1)).astype(np.int8)
    codes[1, :151] = -1
    assert len(nearly_equal(codes)[0]) == 0
