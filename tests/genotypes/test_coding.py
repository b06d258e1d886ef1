from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from crosstrait.errors import DataError
from crosstrait.genotypes import coding
from crosstrait.genotypes.coding import GenotypeEncoder


def fit(dosage: NDArray, **options: Any) -> GenotypeEncoder:
    n_loci = dosage.shape[1]
    return GenotypeEncoder.fit(
        dosage,
        variant_id=np.array([f'"locus" {i}\n' for i in range(n_loci)]),
        variant_contig=np.array([f"chr{i % 3}" for i in range(n_loci)]),
        variant_position=10 * np.arange(n_loci),
        variant_allele=np.array([["A", f"é{i}"] for i in range(n_loci)]),
        **{"rows": np.arange(len(dosage)), "ploidy": 1, **options},
    )


def dosages(n_samples: int, n_loci: int, *, ploidy: int = 1, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    dosage = rng.integers(0, ploidy + 1, (n_samples, n_loci)).astype(np.float32)
    dosage[rng.random(dosage.shape) < 0.2] = np.nan
    return dosage


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("ploidy", [1, 2, 4])
def test_calls_become_minus_one_to_one_and_holes_the_training_mean(
    ploidy: int, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coding, "_BLOCK_CELLS", 30)
    dosage = dosages(50, 9, ploidy=ploidy).astype(dtype)
    rows, columns = np.arange(40, 10, -1), np.array([1, 4, 8])
    encoder = fit(dosage, rows=rows, columns=columns, ploidy=ploidy)
    mean = np.nanmean(dosage[rows][:, columns].astype(np.float64), axis=0)
    expected = dosage[:, columns].astype(np.float64)
    expected = 2 * np.where(np.isnan(expected), mean, expected) / ploidy - 1
    coded = encoder.encode(dosage)
    assert coded.dtype == np.float32
    np.testing.assert_allclose(coded, expected, atol=1e-6)
    np.testing.assert_array_equal(encoder.encode(dosage, rows=rows), coded[rows])


def test_other_samples_change_nothing() -> None:
    dosage = dosages(50, 9)
    changed = dosage.copy()
    changed[30:] = 1
    rows = np.arange(30)
    np.testing.assert_array_equal(fit(dosage, rows=rows).mean, fit(changed, rows=rows).mean)


def test_a_locus_that_no_training_sample_has_a_call_for_is_coded_as_zero() -> None:
    dosage = dosages(20, 3, ploidy=2)
    dosage[:10, 1] = np.nan
    encoder = fit(dosage, rows=np.arange(10), ploidy=2)
    assert (encoder.encode(dosage)[:10, 1] == 0).all()


def test_holes_of_the_used_loci_are_counted() -> None:
    dosage = dosages(50, 9)
    encoder = fit(dosage, columns=[0, 5])
    assert encoder.n_missing(dosage) == np.isnan(dosage[:, [0, 5]]).sum()
    assert encoder.n_missing(dosage, rows=[3, 4]) == np.isnan(dosage[3:5, [0, 5]]).sum()


def test_a_read_only_panel_is_coded_and_left_alone() -> None:
    dosage = dosages(20, 5).astype(np.float16)
    dosage.flags.writeable = False
    before = dosage.tobytes()
    fit(dosage).encode(dosage)
    assert dosage.tobytes() == before


def test_the_state_survives_a_file_with_its_strings(tmp_path: Path) -> None:
    dosage = dosages(50, 9)
    encoder = fit(dosage, columns=[2, 3, 7])
    save_file(encoder.state(), tmp_path / "encoder.safetensors")
    again = GenotypeEncoder.from_state(load_file(tmp_path / "encoder.safetensors"))
    np.testing.assert_array_equal(again.encode(dosage), encoder.encode(dosage))
    assert (again.n_loci, again.ploidy) == (9, 1)
    for name in ("columns", "variant_id", "variant_contig", "variant_position", "variant_allele"):
        np.testing.assert_array_equal(getattr(again, name), getattr(encoder, name))
    assert again.variant_id.tolist() == ['"locus" 2\n', '"locus" 3\n', '"locus" 7\n']


def test_a_wrong_number_of_loci_is_refused() -> None:
    encoder = fit(dosages(20, 5), columns=[0, 1])
    with pytest.raises(DataError, match=r"\(samples, 5\).* got shape \(20, 2\)"):
        encoder.encode(dosages(20, 2))


def test_a_dosage_out_of_range_is_refused_with_its_place() -> None:
    dosage = dosages(20, 5)
    encoder = fit(dosage, columns=[1, 3])
    dosage[7, 3] = -1
    with pytest.raises(DataError, match=r"row 7 has -1.0 at locus '\"locus\" 3"):
        encoder.encode(dosage)


@pytest.mark.parametrize("columns", [[], [2, 1], [1, 1], [0, 5], [-1, 2]])
def test_columns_that_are_not_ascending_loci_are_refused(columns: list[int]) -> None:
    with pytest.raises(DataError, match=r"ascending numbers in \[0, 5\)"):
        fit(dosages(20, 5), columns=columns)
