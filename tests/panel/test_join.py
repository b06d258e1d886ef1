"""Genotypes and traits meet by sample id."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosstrait.errors import DataError
from crosstrait.genotypes.loci import unplaced
from crosstrait.genotypes.table import Genotypes
from crosstrait.panel.join import PartialOverlapWarning, PloidyWarning, UncalledLocusWarning, join
from crosstrait.panel.traits import Traits


def genotypes(samples: list[str], n_loci: int = 3) -> Genotypes:
    """Genotypes whose dosages tell which sample they belong to."""
    dosage = np.array([[int(name[1:]) / 10_000] * n_loci for name in samples], dtype=np.float32)
    loci = unplaced([f"l{j}" for j in range(n_loci)])
    return Genotypes(
        dosage=dosage,
        sample_id=np.array(samples),
        variant_id=loci.variant_id,
        variant_contig=loci.variant_contig,
        variant_position=loci.variant_position,
        variant_allele=loci.variant_allele,
        ploidy=1,
        source="geno.csv",
    )


def traits(samples: list[str]) -> Traits:
    value = np.array([[float(name[1:]), -float(name[1:])] for name in samples])
    return Traits(
        value=value,
        name=np.array(["a", "b"]),
        sample_id=np.array(samples),
        standard_error=np.abs(value) / 10,
        sample_split=np.array(["train" if int(name[1:]) % 2 else "test" for name in samples]),
        source="pheno.csv",
    )


@settings(deadline=None)
@given(order=st.permutations(range(1, 8)))
def test_the_order_of_the_rows_does_not_matter(order: list[int]) -> None:
    samples = [f"s{i}" for i in range(1, 8)]
    panel = join(genotypes(samples), traits([f"s{i}" for i in order]))
    assert panel["sample_id"].values.tolist() == samples
    number = np.arange(1, 8)
    np.testing.assert_array_equal(panel["trait_value"].values, np.stack([number, -number], 1))
    np.testing.assert_array_equal(panel["trait_se"].values[:, 1], number / 10)
    assert panel["sample_split"].values.tolist() == ["train", "test"] * 3 + ["train"]
    np.testing.assert_allclose(panel["call_dosage"].values[:, 0], number / 10_000, rtol=1e-6)


@settings(deadline=None, max_examples=30)
@given(
    left=st.sets(st.integers(1, 5000), min_size=2, max_size=2500),
    right=st.sets(st.integers(1, 5000), min_size=2, max_size=2500),
)
def test_rows_moved_up_in_place_are_those_of_the_samples_in_both(
    left: set[int], right: set[int]
) -> None:
    right = right | set(list(left)[:2])
    if left == right:
        return
    with pytest.warns(PartialOverlapWarning):
        panel = join(genotypes([f"s{i}" for i in left]), traits([f"s{i}" for i in right]))
    number = np.array([int(name[1:]) for name in panel["sample_id"].values])
    assert set(number) == left & right
    np.testing.assert_allclose(panel["call_dosage"].values[:, 2], number / 10_000, rtol=1e-6)
    np.testing.assert_array_equal(panel["trait_value"].values[:, 0], number)


def test_a_partial_overlap_is_counted_on_both_sides() -> None:
    with pytest.warns(PartialOverlapWarning) as caught:
        join(genotypes(["s1", "s2", "s3"]), traits(["s3", "s2", "s8", "s9"]))
    assert str(caught[0].message) == (
        "2 samples are in both files; left out: 1 with genotypes only (s1) and 2 with traits only "
        "(s8, s9)"
    )


def test_a_partial_overlap_says_how_many_more_would_match() -> None:
    with pytest.warns(PartialOverlapWarning, match="ignoring case, 2 more would match"):
        join(genotypes(["s1", "s2", "s3", "s4"]), traits(["s3", "s4", "S1", "S2"]))


@settings(deadline=None, max_examples=30)
@given(empty=st.sets(st.integers(0, 5), max_size=5), lost=st.booleans())
def test_a_locus_without_any_call_is_left_out_and_named(empty: set[int], lost: bool) -> None:
    samples = ["s1", "s2", "s3", "s4"]
    data = genotypes(samples, n_loci=6)
    data.dosage[:] = np.arange(24).reshape(4, 6) / 24
    whole = data.dosage.copy()
    data.dosage[:, sorted(empty)] = np.nan
    if lost:  # the only call is that of a sample without traits
        data.dosage[1, sorted(empty)] = 1
        samples.remove("s2")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        panel = join(data, traits(samples))
    kept = [j for j in range(6) if j not in empty]
    rows = [0, 2, 3] if lost else [0, 1, 2, 3]
    assert panel["variant_id"].values.tolist() == [f"l{j}" for j in kept]
    np.testing.assert_array_equal(panel["call_dosage"].values, whole[np.ix_(rows, kept)])
    told = [str(w.message) for w in caught if w.category is UncalledLocusWarning]
    names = ", ".join(f"l{j}" for j in sorted(empty))
    assert told == (
        [
            f"geno.csv: {len(empty)} of 6 loci have no genotype in any of the {len(samples)} "
            f"samples and were left out: {names}"
        ]
        if empty
        else []
    )


def test_dosages_of_diploids_said_to_be_tetraploid_are_pointed_out() -> None:
    data = replace(genotypes(["s1", "s2"]), ploidy=4)
    data.dosage[:] = [[0, 2, 1], [1, np.nan, 0]]
    with pytest.warns(PloidyWarning, match="highest dosage is 2, although .* 4 copies"):
        join(data, traits(["s1", "s2"]))
    join(replace(data, ploidy=2), traits(["s1", "s2"]))
    data = replace(genotypes(["s1", "s2"]), ploidy=4)
    data.dosage[0, 1] = 3
    join(data, traits(["s1", "s2"]))


def test_a_sample_without_any_trait_value_is_kept() -> None:
    table = traits(["s1", "s2", "s3"])
    table.value[1] = np.nan
    panel = join(genotypes(["s1", "s2", "s3"]), table)
    assert panel["sample_id"].values.tolist() == ["s1", "s2", "s3"]
    assert np.isnan(panel["trait_value"].values[1]).all()


def test_a_trait_that_is_constant_among_the_joined_samples_is_refused() -> None:
    table = traits(["s1", "s2", "s9"])
    table.value[:2, 0] = 7
    with (
        pytest.warns(PartialOverlapWarning),
        pytest.raises(DataError, match=r"geno\.csv with pheno\.csv: trait 'a' is constant"),
    ):
        join(genotypes(["s1", "s2"]), table)


def test_a_table_with_loci_in_rows_is_recognised() -> None:
    with pytest.raises(DataError, match="transpose that table"):
        join(
            genotypes(["s1", "s2"]), replace(traits(["s7", "s8"]), sample_id=np.array(["l0", "x"]))
        )
