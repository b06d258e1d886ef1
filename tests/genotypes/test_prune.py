from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from crosstrait.errors import DataError, SettingsError
from crosstrait.genotypes import prune
from crosstrait.genotypes.prune import prune_linked


def plain_definition(dosage: NDArray, threshold: float) -> tuple[list[int], NDArray]:
    """Take the first remaining locus, drop all that correlate with it, repeat."""
    filled = np.asarray(dosage, dtype=np.float64)
    filled = np.where(np.isnan(filled), np.nanmean(filled, axis=0), filled)
    constant = np.ptp(filled, axis=0) == 0
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.abs(np.corrcoef(filled, rowvar=False)).reshape(2 * (len(filled.T),))
    correlation[constant] = correlation[:, constant] = 0
    remaining = list(range(len(correlation)))
    kept = []
    while remaining:
        first, *others = remaining
        kept.append(first)
        remaining = [j for j in others if correlation[first, j] <= threshold]
    return kept, correlation


def linked(n_samples: int, n_loci: int, *, switch: float, seed: int) -> NDArray[np.float32]:
    """Draw loci along one chromosome, each a copy of the last but for a few samples."""
    rng = np.random.default_rng(seed)
    switches = rng.random((n_samples, n_loci)) < switch
    return (np.cumsum(switches, axis=1) % 2).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_samples=st.integers(3, 60),
    n_loci=st.integers(1, 40),
    threshold=st.sampled_from([0.0, 0.3, 0.6, 0.94]),
    missing=st.sampled_from([0.0, 0.2]),
    copies=st.booleans(),
)
def test_it_equals_the_plain_definition(
    seed: int, n_samples: int, n_loci: int, threshold: float, missing: float, copies: bool
) -> None:
    rng = np.random.default_rng(seed)
    dosage = linked(n_samples, n_loci, switch=0.15, seed=seed)
    if copies:
        dosage = dosage[:, rng.integers(0, n_loci, n_loci)]
        dosage[:, rng.random(n_loci) < 0.2] = 1.0
    dosage[(rng.random(dosage.shape) < missing) & (np.arange(n_samples) > 0)[:, None]] = np.nan
    kept, correlation = plain_definition(dosage, threshold)
    # Both round the last bit in their own way, so an exact tie may fall either way.
    assume(not (np.abs(correlation - threshold)[correlation > 0] < 1e-12).any())
    assert prune_linked(dosage, threshold=threshold).tolist() == kept


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.float16, np.float32, np.float64])
def test_it_keeps_the_same_across_blocks_and_chunks_for_every_type(
    dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "_BLOCK_LOCI", (16, 16))
    monkeypatch.setattr(prune, "_CHUNK_LOCI", 8)
    monkeypatch.setattr(prune, "_TILE_SAMPLES", 50)
    monkeypatch.setattr(prune, "_READ_BYTES", 8000)
    dosage = linked(333, 200, switch=0.03, seed=1)
    kept, _ = plain_definition(dosage, 0.8)
    assert 8 < len(kept) < 100
    assert prune_linked(dosage.astype(dtype), threshold=0.8).tolist() == kept


def test_a_mapped_file_a_zarr_array_and_either_memory_order_keep_the_same(tmp_path: Path) -> None:
    dosage = linked(200, 300, switch=0.03, seed=2).astype(np.float16)
    kept = prune_linked(dosage, threshold=0.8).tolist()
    np.save(tmp_path / "dosage.npy", dosage)
    mapped = np.load(tmp_path / "dosage.npy", mmap_mode="r")
    stored = zarr.create_array(tmp_path / "z", shape=(200, 300), chunks=(64, 70), dtype="f2")
    stored[:] = dosage
    read_only = np.asfortranarray(dosage)
    read_only.flags.writeable = False
    for source in (mapped, stored, read_only):
        assert prune_linked(source, threshold=0.8).tolist() == kept


def test_only_the_chosen_rows_count() -> None:
    dosage = linked(300, 100, switch=0.03, seed=3)
    rows = np.random.default_rng(0).permutation(300)[:120]
    other = dosage.copy()
    other[np.setdiff1d(np.arange(300), rows)] = np.nan
    kept = prune_linked(dosage, threshold=0.8, rows=rows).tolist()
    assert kept == plain_definition(dosage[rows], 0.8)[0]
    assert kept == prune_linked(other, threshold=0.8, rows=rows).tolist()
    assert kept != prune_linked(dosage, threshold=0.8).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_single_precision_never_decides(seed: int) -> None:
    """Two loci whose r lies 1e-9 to either side of the threshold fall on the right side."""
    dosage = linked(5000, 2, switch=0.02, seed=seed)
    dosage[:, 1] += np.random.default_rng(seed).random(5000).astype(np.float32) * 0.01
    exact = abs(np.corrcoef(dosage.astype(np.float64), rowvar=False)[0, 1])
    assert prune_linked(dosage, threshold=exact - 1e-9).tolist() == [0]
    assert prune_linked(dosage, threshold=exact + 1e-9).tolist() == [0, 1]


def test_a_constant_locus_is_kept_and_drops_nothing() -> None:
    varying = linked(50, 3, switch=0.5, seed=5)
    constant = np.full((50, 1), 0.1, dtype=np.float32)
    dosage = np.hstack([constant, varying, constant])
    assert prune_linked(dosage).tolist() == [0, 1, 2, 3, 4]


def test_a_locus_without_a_call_among_the_rows_counts_as_constant() -> None:
    dosage = linked(50, 3, switch=0.5, seed=6)
    dosage[:, 1] = np.nan
    assert prune_linked(dosage).tolist() == [0, 1, 2]


def test_duplicates_and_mirror_images_are_dropped() -> None:
    locus = linked(50, 1, switch=0.5, seed=7)
    assert prune_linked(np.hstack([locus, locus, 1 - locus])).tolist() == [0]


def test_a_rare_allele_far_from_zero_keeps_its_correlation() -> None:
    """The mean of a locus is taken off in double precision before anything is rounded."""
    rare = np.zeros((4000, 2), dtype=np.float32)
    rare[:3] = 1e-4
    rare[2, 1] = 0
    dosage = (rare + np.float32(1)).astype(np.float32)
    exact = abs(np.corrcoef(dosage.astype(np.float64), rowvar=False)[0, 1])
    assert prune_linked(dosage, threshold=exact - 1e-6).tolist() == [0]
    assert prune_linked(dosage, threshold=exact + 1e-6).tolist() == [0, 1]


def test_negative_integers_are_missing_calls() -> None:
    whole = linked(60, 30, switch=0.1, seed=8)
    holes = np.random.default_rng(8).random(whole.shape) < 0.1
    coded = np.where(holes, -1, whole).astype(np.int8)
    expected = prune_linked(np.where(holes, np.nan, whole), threshold=0.6)
    assert prune_linked(coded, threshold=0.6).tolist() == expected.tolist()


@pytest.mark.parametrize("threshold", [-0.1, 1.0, float("nan")])
def test_a_threshold_out_of_range_is_refused(threshold: float) -> None:
    with pytest.raises(SettingsError, match=r"must lie in \[0, 1\); got"):
        prune_linked(np.zeros((3, 2)), threshold=threshold)


def test_a_single_sample_is_refused() -> None:
    with pytest.raises(DataError, match="at least 2 samples; got 1"):
        prune_linked(np.zeros((3, 2)), rows=[1])


def test_the_yeast_cross_of_2013_keeps_1144_loci(real_data: Path) -> None:
    with gzip.open(real_data / "byxrm" / "BYxRM_GenoData.txt.gz", "rb") as file:
        file.readline()
        loci = [line.split(b"\t", 1)[1].replace(b"\t", b"").rstrip() for line in file]
    calls = np.array([np.frombuffer(locus, dtype=np.uint8) == ord("R") for locus in loci])
    assert calls.shape == (11623, 1008)
    assert len(prune_linked(calls.T.astype(np.int8), threshold=0.94)) == 1144
