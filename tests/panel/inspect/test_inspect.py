"""The whole summary: on clean panels silent, on bad ones naming what is wrong; and its page."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from crosstrait.panel import Panel, from_arrays
from crosstrait.panel.inspect import PanelSummary, inspect, render
from crosstrait.panel.sources import load_panel


def clean(n: int = 300, n_loci: int = 60, n_traits: int = 3, **more: Any) -> Panel:
    rng = np.random.default_rng(0)
    parts: dict[str, Any] = {
        "dosage": rng.integers(0, 2, (n, n_loci)).astype(float),
        "trait_value": rng.normal(size=(n, n_traits)),
        "trait_names": [f"t{t}" for t in range(n_traits)],
        "variant_contig": np.repeat(["chr1", "chr2"], n_loci // 2),
        "variant_position": np.tile(np.arange(1, n_loci // 2 + 1) * 2000, 2),
    } | more
    return from_arrays(parts.pop("dosage"), **parts)


def dosage() -> np.ndarray:
    return np.array(clean()["call_dosage"].values)


def traits() -> np.ndarray:
    return np.array(clean()["trait_value"].values)


def page(summary: PanelSummary, *, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        console.print(render(summary))
    return captured.get()


def warned(panel: Panel) -> str:
    (warning,) = inspect(panel).warnings
    return warning


def test_a_clean_panel_has_no_warning_and_its_sizes_right() -> None:
    panel = clean(source="here")
    summary = inspect(panel)
    assert summary.warnings == ()
    assert (summary.n_samples, summary.n_loci, summary.n_traits) == (300, 60, 3)
    assert (summary.ploidy, summary.n_contigs, summary.source) == (1, 2, "here")
    assert summary.digest == panel.attrs["digest"]
    assert (summary.groups, summary.split) == ({}, {})


def test_groups_and_parts_of_a_split_are_counted() -> None:
    summary = inspect(
        clean(
            sample_group=["f1"] * 100 + ["f2"] * 200,
            sample_split=["train"] * 200 + ["test"] * 90 + [""] * 10,
        )
    )
    assert summary.groups == {"f1": 100, "f2": 200}
    assert summary.split == {"": 10, "test": 90, "train": 200}
    text = page(summary)
    assert "2, of 100 to 200 samples" in text
    assert "10 unused, 90 test, 200 train" in text


def test_samples_and_loci_full_of_holes_are_named() -> None:
    calls = dosage()
    calls[5, :30] = np.nan
    assert re.match(
        r"1 sample with more than 20% of the genotypes missing, .*: sample_5 \(50%\);",
        warned(clean(dosage=calls)),
    )
    calls = dosage()
    calls[:150, 7] = np.nan
    calls[:240, 9] = np.nan
    assert re.match(
        r"2 loci with .*: locus_9 \(80%\), locus_7 \(50%\); .* remove what is mostly holes",
        warned(clean(dosage=calls)),
    )


def test_monomorphic_loci_are_named() -> None:
    calls = dosage()
    calls[:, [3, 4]] = 1
    assert warned(clean(dosage=calls)).startswith(
        "2 loci with the same call in every sample: locus_3, locus_4;"
    )


def test_duplicate_samples_are_named_with_what_to_do() -> None:
    calls = dosage()
    calls[8] = calls[2]
    warning = warned(clean(dosage=calls))
    assert warning.startswith("2 samples have the genotype of another: sample_2 = sample_8;")
    assert "scheme group" in warning


def test_samples_that_differ_by_missing_calls_only_are_named() -> None:
    calls = dosage()
    calls[8] = calls[2]
    calls[8, 5] = calls[2, 9] = np.nan
    assert warned(clean(dosage=calls)).startswith(
        "2 samples have nearly the genotype of another: sample_2 ~ sample_8 (but for missing "
        "calls);"
    )


def test_populations_are_pointed_out() -> None:
    rng = np.random.default_rng(1)
    calls = rng.random((300, 60)) < np.where(np.arange(300)[:, None] < 150, 0.1, 0.9)
    assert re.match(r"the first principal component .* has \d\d% of", warned(clean(dosage=calls)))


def test_samples_lost_to_the_complete_case_rule_are_counted() -> None:
    values = traits()
    values[:100, 1] = np.nan
    assert warned(clean(trait_value=values)).startswith(
        "only 200 of 300 samples have all 3 traits: a method that drops incomplete rows (protocol "
        "complete-cases) loses 33% of the samples;"
    )


def test_samples_without_a_trait_are_named() -> None:
    values = traits()
    values[[4, 9]] = np.nan
    assert warned(clean(trait_value=values)).startswith(
        "2 samples with no trait at all: sample_4, sample_9;"
    )


def test_traits_that_are_the_same_are_named() -> None:
    values = traits()
    values[:, 2] = -3 * values[:, 0] + 1
    assert warned(clean(trait_value=values)).startswith(
        "1 pair of traits nearly the same: t0 and t2 (r = -1.000);"
    )


def test_a_trait_of_few_values_is_pointed_out() -> None:
    values = traits()
    values[40:, 1] = np.nan
    warnings = inspect(clean(trait_value=values)).warnings
    assert "trait 't1' has only 40 measured values: scores on it will be very uncertain" in warnings


def test_outliers_are_named_and_a_tail_is_called_one() -> None:
    values = traits()
    values[[6, 11], 0] = -999
    assert warned(clean(trait_value=values)).startswith(
        "trait 't0' has 2 values more than 6 robust SD from its median: in sample_6, sample_11;"
    )
    values = traits()
    values[:20, 0] += 40
    assert re.match(
        r"trait 't0' has 20 of 300 values more than 6 robust SD .* and 15 more: a heavy tail",
        warned(clean(trait_value=values)),
    )


def test_a_class_is_not_taken_for_a_quantity() -> None:
    values = traits()
    values[:, 2] = values[:, 2] > 0
    assert warned(clean(trait_value=values)).startswith(
        "trait 't2' has only 2 different values: it is a class or a score"
    )


def test_a_value_that_many_samples_share_is_pointed_out() -> None:
    values = traits()
    values[:20, 1] = 0
    assert warned(clean(trait_value=values)).startswith(
        "trait 't1' is 0 in 20 of 300 samples: if that stands for a missing value"
    )


def test_standard_errors_that_cannot_be_are_pointed_out() -> None:
    error = np.full((300, 3), 0.1)
    error[:, 1] = 2
    error[:10, 2] = np.nan
    first, second = inspect(clean(trait_se=error)).warnings
    assert re.match(r"the standard errors of trait 't1' claim \d+% of its variance", first)
    assert second.startswith("trait 't2' lacks a standard error in 10 of its 300 measured samples")


def test_the_page_shows_every_trait_and_every_warning() -> None:
    values = traits()
    values[6, 0] = 500
    summary = inspect(clean(trait_value=values, trait_names=["a[b]", "YPD:15C", "[red]x"]))
    text = page(summary)
    for word in ("a[b]", "YPD:15C", "[red]x", "300 of 300 samples", "chromosomes", "mean r2"):
        assert word in text
    assert re.search(r"1\. trait 'a\[b\]' has 1 value more than 6 robust SD", text)
    assert "none" in page(inspect(clean()))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_page_fits_its_terminal(width: int) -> None:
    assert max(map(len, page(inspect(clean()), width=width).splitlines())) <= width


@pytest.mark.parametrize(
    "panel",
    [
        from_arrays([[0], [1]], trait_value=[[1.0], [2.0]], trait_names=["t"]),
        from_arrays(
            [[2, np.nan], [np.nan, 2], [1, 1]],
            trait_value=[[1.0, np.nan], [2.0, 3], [np.nan, 4]],
            trait_names=["t", "u"],
            ploidy=2,
        ),
    ],
)
def test_the_smallest_panels_have_a_page(panel: Panel) -> None:
    assert "Warnings" in page(inspect(panel))


def test_the_real_cross_is_as_published(real_data: Path) -> None:
    summary = inspect(load_panel(real_data / "byxrm"))
    assert (summary.n_samples, summary.n_loci, summary.n_traits) == (1008, 11623, 46)
    assert summary.n_contigs == 16
    assert summary.joint.n_complete == 303
    assert summary.joint.without_any == ("A09_65",)
    assert summary.genotypes.missing_share == 0
    assert summary.genotypes.n_duplicate_loci == 0
    assert summary.genotypes.duplicate_samples == ()
    assert summary.linkage is not None
    assert summary.linkage.reach(0.5) == 3e4
    assert any("only 303 of 1,008 samples have all 46 traits" in line for line in summary.warnings)


def test_the_real_lithium_set_is_as_published(real_data: Path) -> None:
    summary = inspect(load_panel(real_data / "bbq_li"))
    assert (summary.n_samples, summary.n_loci, summary.n_traits) == (19833, 83, 1)
    assert summary.traits[0].sd ** 2 == pytest.approx(0.0091, abs=5e-5)
    assert summary.traits[0].noise_ceiling == pytest.approx(0.817, abs=0.002)
    same = summary.genotypes.duplicate_samples
    assert sum(len(group) - 1 for group in same) == 19833 - 19830
