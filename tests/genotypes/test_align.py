"""New genotypes brought into the loci of a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosstrait.errors import DataError
from crosstrait.genotypes.align import align
from crosstrait.genotypes.table import Genotypes


def genotypes(n_samples: int = 5, n_loci: int = 8, *, ploidy: int = 1, seed: int = 0) -> Genotypes:
    rng = np.random.default_rng(seed)
    dosage = rng.integers(0, ploidy + 1, (n_samples, n_loci)).astype(np.float32)
    dosage[0, 0] = np.nan
    return Genotypes(
        dosage=dosage,
        sample_id=np.array([f"s{i}" for i in range(n_samples)]),
        variant_id=np.array([f"l{j}" for j in range(n_loci)]),
        variant_contig=np.full(n_loci, "chr01"),
        variant_position=np.arange(n_loci),
        variant_allele=np.array([["A", "G"], ["C", "T"]] * (n_loci // 2)),
        ploidy=ploidy,
        source="new.csv",
    )


def columns(data: Genotypes, order: np.ndarray, *, flip: np.ndarray | None = None) -> Genotypes:
    dosage, allele = data.dosage[:, order].copy(), data.variant_allele[order].copy()
    if flip is not None:
        dosage[:, flip] = data.ploidy - dosage[:, flip]
        allele[flip] = allele[flip][:, ::-1]
    return replace(data, dosage=dosage, variant_id=data.variant_id[order], variant_allele=allele)


@settings(deadline=None)
@given(
    seed=st.integers(0, 1000),
    ploidy=st.integers(1, 4),
    flips=st.lists(st.booleans(), min_size=8, max_size=8),
    order=st.permutations(range(8)),
)
def test_order_and_swapped_alleles_do_not_change_what_the_model_sees(
    seed: int, ploidy: int, flips: list[bool], order: list[int]
) -> None:
    known = genotypes(ploidy=ploidy, seed=seed)
    flip = np.array(flips)
    given_now = columns(known, np.array(order), flip=flip)
    aligned = align(
        given_now, variant_id=known.variant_id, variant_allele=known.variant_allele, ploidy=ploidy
    )
    np.testing.assert_array_equal(aligned.dosage, known.dosage)
    assert set(aligned.flipped) == set(given_now.variant_id[flip])
    assert (aligned.missing, aligned.n_unused, aligned.n_unchecked) == ((), 0, 0)


def test_loci_that_the_model_does_not_use_are_counted_and_left_out() -> None:
    data = genotypes()
    aligned = align(
        data,
        variant_id=data.variant_id[[6, 2]],
        variant_allele=data.variant_allele[[6, 2]],
        ploidy=1,
    )
    np.testing.assert_array_equal(aligned.dosage, data.dosage[:, [6, 2]])
    assert aligned.n_unused == 6


def test_a_missing_locus_becomes_a_hole_and_is_named() -> None:
    data = genotypes()
    fewer = columns(data, np.array([0, 1, 2, 4, 5, 6, 7]))
    aligned = align(
        fewer,
        variant_id=data.variant_id,
        variant_allele=data.variant_allele,
        ploidy=1,
        max_missing=0.125,
    )
    assert aligned.missing == ("l3",)
    assert np.isnan(aligned.dosage[:, 3]).all()
    np.testing.assert_array_equal(np.delete(aligned.dosage, 3, 1), fewer.dosage)


def test_too_many_missing_loci_are_refused_with_their_count() -> None:
    data = genotypes()
    fewer = columns(data, np.array([0, 1, 2, 4, 5, 6, 7]))
    with pytest.raises(
        DataError, match=r"new\.csv lacks 1 of the 8 loci .* \(12%; at most 10% .* such as l3"
    ):
        align(fewer, variant_id=data.variant_id, variant_allele=data.variant_allele, ploidy=1)


def test_no_common_locus_is_explained_with_the_likely_cause() -> None:
    data = genotypes()
    upper = replace(data, variant_id=np.char.upper(data.variant_id))
    with pytest.raises(DataError, match=r"lacks 8 of the 8 loci .* ignoring case, 8 of them"):
        align(upper, variant_id=data.variant_id, variant_allele=data.variant_allele, ploidy=1)


def test_loci_named_otherwise_on_one_chromosome_are_explained_too() -> None:
    data = genotypes()
    names = np.array([*data.variant_id[:4], *np.char.upper(data.variant_id[4:])])
    with pytest.raises(
        DataError,
        match=r"lacks 4 of the 8 .* unmatched file loci have 'L4', .* ignoring case, 4 of them",
    ):
        align(
            replace(data, variant_id=names),
            variant_id=data.variant_id,
            variant_allele=data.variant_allele,
            ploidy=1,
        )


def test_other_alleles_are_refused_with_examples() -> None:
    data = genotypes()
    allele = data.variant_allele.copy()
    allele[2] = ["A", "T"]
    with pytest.raises(DataError, match=r"1 loci have other alleles .* l2: A/G where the model"):
        align(data, variant_id=data.variant_id, variant_allele=allele, ploidy=1)


def test_unknown_alleles_on_either_side_are_matched_by_id_and_counted() -> None:
    data = genotypes()
    allele = data.variant_allele.copy()
    allele[[1, 3]] = ""
    aligned = align(data, variant_id=data.variant_id, variant_allele=allele, ploidy=1)
    np.testing.assert_array_equal(aligned.dosage, data.dosage)
    assert aligned.n_unchecked == 2


def test_another_ploidy_is_refused() -> None:
    data = genotypes(ploidy=2)
    with pytest.raises(DataError, match="ploidy 2, the model was trained on ploidy 1"):
        align(data, variant_id=data.variant_id, variant_allele=data.variant_allele, ploidy=1)


@pytest.mark.parametrize(
    ("given", "wanted", "outcome"),
    [
        (("", "G"), ("A", "G"), "same"),
        (("A", "G"), ("", "G"), "same"),
        (("", "G"), ("", "G"), "same"),
        (("", "A"), ("A", "G"), "flipped"),
        (("A", "G"), ("", "A"), "flipped"),
        (("", "A"), ("", "G"), "refused"),
        (("", "C"), ("A", "G"), "refused"),
        (("C", "G"), ("", "A"), "refused"),
        (("", ""), ("A", "G"), "unchecked"),
        (("", ""), ("", "G"), "unchecked"),
    ],
)
def test_the_counted_allele_decides_where_the_other_is_unknown(
    given: tuple[str, str], wanted: tuple[str, str], outcome: str
) -> None:
    known = genotypes(n_loci=2, ploidy=2)
    data = replace(known, variant_allele=np.array([["A", "G"], given]))
    model = {"variant_id": known.variant_id, "variant_allele": np.array([["A", "G"], wanted])}
    if outcome == "refused":
        with pytest.raises(DataError, match=r"1 loci have other alleles .* \? is an|has \?/A"):
            align(data, **model, ploidy=2)
        return
    aligned = align(data, **model, ploidy=2)
    assert aligned.flipped == (("l1",) if outcome == "flipped" else ())
    assert aligned.n_unchecked == (outcome == "unchecked")
    column = 2 - known.dosage[:, 1] if outcome == "flipped" else known.dosage[:, 1]
    np.testing.assert_array_equal(aligned.dosage[:, 1], column)
