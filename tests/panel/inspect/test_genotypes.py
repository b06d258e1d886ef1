"""The genotype summary against its plain definitions, and in blocks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from crosstrait.panel import Panel, from_arrays, schema
from crosstrait.panel.inspect import genotypes as module
from crosstrait.panel.inspect.genotypes import MAF_EDGES, summarise_genotypes


def panel_of(dosage: object, *, ploidy: int = 1) -> Panel:
    calls = np.asarray(dosage)
    return from_arrays(
        calls, trait_value=np.arange(len(calls))[:, None], trait_names=["t"], ploidy=ploidy
    )


def random_panel(*, ploidy: int = 2, dtype: str = "float32") -> Panel:
    rng = np.random.default_rng(3)
    frequency = rng.uniform(0, 0.6, 70)
    dosage = rng.binomial(ploidy, frequency, (50, 70)).astype(dtype)
    dosage[rng.random(dosage.shape) < 0.1] = np.nan
    dosage[0] = dosage[1, 0]
    dosage[:, 5] = 1  # no locus and no sample is all holes
    dosage[30] = dosage[12]
    dosage[41] = dosage[12]
    dosage[44] = dosage[40]
    dosage[:, 60] = dosage[:, 61] = dosage[:, 20]
    dosage[7, 8] = 0.25
    return panel_of(dosage, ploidy=ploidy)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_number_is_that_of_its_definition(dtype: str) -> None:
    panel = random_panel(dtype=dtype)
    calls = panel["call_dosage"].values.astype(float)
    summary = summarise_genotypes(panel)
    np.testing.assert_allclose(summary.sample_missing, np.isnan(calls).mean(axis=1))
    np.testing.assert_allclose(summary.locus_missing, np.isnan(calls).mean(axis=0))
    assert summary.missing_share == pytest.approx(np.isnan(calls).mean())
    frequency = np.nanmean(calls, axis=0) / 2
    expected = np.minimum(frequency, 1 - frequency)
    np.testing.assert_allclose(summary.minor_allele_frequency, expected, atol=1e-12)
    constant = [len(set(column[~np.isnan(column)])) == 1 for column in calls.T]
    assert summary.monomorphic.tolist() == constant
    assert summary.n_monomorphic == sum(constant) >= 1
    assert summary.uncertain_share == pytest.approx(1 / np.count_nonzero(~np.isnan(calls)))


def test_blocks_do_not_change_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = random_panel()
    whole = summarise_genotypes(panel)
    monkeypatch.setattr(schema, "_CHUNK_CELLS", 7 * 70)
    monkeypatch.setattr(module, "_CELLS", 3 * 50)
    pieces = summarise_genotypes(panel)
    assert pieces.duplicate_samples == whole.duplicate_samples
    for name, value in vars(whole).items():
        if name != "duplicate_samples":
            np.testing.assert_array_equal(getattr(pieces, name), value, err_msg=name)


def test_the_order_in_memory_does_not_change_anything() -> None:
    panel = random_panel()
    calls = np.asfortranarray(panel["call_dosage"].values)
    turned = summarise_genotypes(panel_of(calls, ploidy=2))
    assert turned.duplicate_samples == summarise_genotypes(panel).duplicate_samples
    assert turned.n_duplicate_loci == 2


def test_duplicates_are_samples_and_loci_with_the_same_calls_and_holes() -> None:
    summary = summarise_genotypes(random_panel())
    assert summary.duplicate_samples == (
        ("sample_12", "sample_30", "sample_41"),
        ("sample_40", "sample_44"),
    )
    assert summary.n_duplicate_loci == 2


def test_a_hole_is_no_call_and_minus_zero_is_zero() -> None:
    summary = summarise_genotypes(panel_of([[0, 1], [np.nan, 1], [-0.0, 1], [1, 0]]))
    assert summary.duplicate_samples == (("sample_0", "sample_2"),)


def test_classes_of_allele_frequency_hold_their_upper_bound_and_no_monomorphic_locus() -> None:
    n = 200
    copies = [0, 1, 2, 3, 10, 20, 40, 60, 61, 100, 150, 200]  # frequencies 0 to 1
    dosage = np.zeros((n, len(copies) + 1))
    for locus, count in enumerate(copies):
        dosage[:count, locus] = 1
    dosage[:, -1] = np.tile([0, 1], n // 2)
    counts = summarise_genotypes(panel_of(dosage)).maf_counts
    expected = []
    frequency = np.minimum(dosage.mean(axis=0), 1 - dosage.mean(axis=0))
    for low, high in pairwise(MAF_EDGES):
        expected.append(int(np.sum((frequency > low) & (frequency <= high))))
    assert counts.tolist() == expected
    assert counts.sum() == len(copies) - 2 + 1


def test_a_locus_of_one_uncertain_call_is_monomorphic_too() -> None:
    summary = summarise_genotypes(panel_of([[0.5, 0], [0.5, 1], [0.5, 0]]))
    assert summary.monomorphic.tolist() == [True, False]
    assert summary.uncertain_share == 0.5


def test_the_worst_come_first_and_the_whole_are_left_out() -> None:
    nan = np.nan
    summary = summarise_genotypes(panel_of([[0, nan, 1], [nan, nan, 0], [1, 1, 0], [0, 1, 1]]))
    assert summary.worst_samples() == [("sample_1", 2 / 3), ("sample_0", 1 / 3)]
    assert summary.worst_samples(most=1) == [("sample_1", 2 / 3)]
    assert summary.worst_loci() == [("locus_1", 0.5), ("locus_0", 0.25)]
