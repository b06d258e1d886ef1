"""What the figures of a panel show."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from crosstrait.panel import Panel, from_arrays
from crosstrait.panel.inspect import PanelSummary, inspect
from crosstrait.report.panel_figures import (
    allele_frequencies,
    components,
    linkage_decay,
    missing_shares,
    relationships,
    trait_histograms,
)
from crosstrait.report.style import MM
from crosstrait.report.svg import TIP


def two_populations(groups: list[str]) -> Panel:
    rng = np.random.default_rng(0)
    frequency = np.where(np.arange(80)[:, None] < 40, 0.1, 0.9)
    dosage = (rng.random((80, 120)) < frequency).astype(float)
    return from_arrays(
        dosage,
        trait_value=rng.normal(size=(80, 11)),
        trait_names=[f"trait {t}" for t in range(11)],
        variant_contig=np.repeat(["a", "b"], 60),
        variant_position=np.tile(np.arange(60) * 1000, 2),
        sample_group=groups,
    )


@pytest.fixture(scope="module")
def summary() -> PanelSummary:
    return inspect(two_populations(["one"] * 40 + ["two"] * 40))


def heights(figure: Figure, axes: int = 0) -> list[float]:
    return [bar.get_height() for bar in figure.axes[axes].patches]


def test_each_locus_is_counted_once_at_its_frequency() -> None:
    shown = heights(allele_frequencies(np.array([0.005, 0.25, 0.251, 0.5])))
    assert (len(shown), sum(shown)) == (50, 4)
    assert [shown[0], shown[25], shown[-1]] == [1, 2, 1]


def test_missing_shares_count_samples_and_loci_apart_and_without_gaps() -> None:
    missing = np.zeros((200, 90), dtype=bool)
    missing[:30, 0] = missing[5, :50] = True
    figure = missing_shares(missing.mean(axis=1), missing.mean(axis=0))
    samples, loci = heights(figure, 0), heights(figure, 1)
    assert (sum(samples), sum(loci)) == (200, 90)
    assert samples[0] == 199  # none or one of 90
    assert samples[-1] == loci[-1] == 1
    assert loci[:2] == [40, 49]  # none and one of 200
    assert len(samples) <= 40


def test_decay_shows_the_mean_of_each_class(summary: PanelSummary) -> None:
    assert summary.linkage is not None
    axes = linkage_decay(summary.linkage).axes[0]
    points = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_ydata()[0] for line in points] == summary.linkage.mean_r2.tolist()
    assert all("pairs" in line.get_gid() for line in points)


def test_groups_have_colours_of_their_own_unless_they_are_many(summary: PanelSummary) -> None:
    figure = components(summary.structure)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]
    first, second = figure.axes[0].lines
    assert first.get_color() != second.get_color()
    assert len(first.get_xdata()) == len(second.get_xdata()) == 40
    many = inspect(two_populations([f"family {i // 4}" for i in range(80)])).structure
    figure = components(many)
    assert figure.legends == []
    (points,) = figure.axes[0].lines
    assert len(points.get_xdata()) == 80


def test_every_pair_is_in_the_histogram_of_relationships(summary: PanelSummary) -> None:
    figure = relationships(summary.structure)
    assert sum(heights(figure)) == 80 * 79 / 2
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[:3] == ["0", "1", "10"]


def test_every_trait_has_a_panel_with_its_numbers(summary: PanelSummary) -> None:
    figure = trait_histograms(summary.traits, width_mm=85)
    titles = [axes.title for axes in figure.axes if axes.get_visible()]
    assert [title.get_text() for title in titles] == [trait.name for trait in summary.traits]
    assert titles[0].get_gid().startswith(f"{TIP}trait 0: 80 samples, mean ")


@pytest.mark.parametrize("width_mm", [85.0, 180.0])
def test_every_figure_is_as_wide_as_it_is_asked_to_be(
    summary: PanelSummary, width_mm: float
) -> None:
    assert summary.linkage is not None
    for figure in (
        allele_frequencies(summary.genotypes.minor_allele_frequency, width_mm=width_mm),
        missing_shares(np.array([0.5, 0]), np.array([0, 0.5]), width_mm=width_mm),
        linkage_decay(summary.linkage, width_mm=width_mm),
        components(summary.structure, width_mm=width_mm),
        relationships(summary.structure, width_mm=width_mm),
        trait_histograms(summary.traits, width_mm=width_mm),
    ):
        assert figure.get_figwidth() / MM == pytest.approx(width_mm)
