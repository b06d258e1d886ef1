"""The page of a panel: of what is there only, safe, and the same every time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosstrait.cli import run_command
from crosstrait.panel import Panel, from_arrays, save_panel
from crosstrait.panel.inspect import inspect
from crosstrait.report import write_inspection

TRAITS = ["height", "yield", "<script>alert(1)</script>"]


def whole_panel(**more: Any) -> Panel:
    """A diploid panel with places, groups, holes, a twin and a trait's outlier."""
    rng = np.random.default_rng(0)
    dosage = rng.integers(0, 3, (240, 300)).astype(float)
    dosage[17] = dosage[4]
    dosage[17, 0] = 2 - dosage[4, 0] if dosage[4, 0] != 1 else 0
    dosage[rng.random(dosage.shape) < 0.02] = np.nan
    traits = rng.normal(size=(240, 3))
    traits[:, 1] += traits[:, 0]
    traits[rng.random(traits.shape) < 0.1] = np.nan
    traits[8, 0] = 999
    parts: dict[str, Any] = {
        "trait_value": traits,
        "trait_names": TRAITS,
        "ploidy": 2,
        "variant_contig": np.repeat(["chr1", "chr2", "chr3"], 100),
        "variant_position": np.tile(np.arange(1, 101) * 5000, 3),
        "sample_group": ["north"] * 120 + ["south"] * 120,
        "source": "a field & more",
    } | more
    return from_arrays(dosage, **parts)


def least_panel() -> Panel:
    """No places, one whole trait, whole genotypes at few loci that nothing is wrong with."""
    rng = np.random.default_rng(1)
    return from_arrays(
        rng.integers(0, 2, (300, 30)),
        trait_value=rng.normal(size=(300, 1)),
        trait_names=["li"],
    )


def page(panel: Panel, folder: Path) -> str:
    return write_inspection(inspect(panel), out=folder / "panel.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page(whole_panel(), tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def least(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page(least_panel(), tmp_path_factory.mktemp("least"))


def headings(text: str, level: int) -> list[str]:
    return re.findall(rf"<h{level}[^>]*>(.*?)</h{level}>", text)


def test_a_whole_panel_has_every_section(whole: str) -> None:
    assert headings(whole, 2) == [
        "Warnings",
        "Genotypes",
        "Nearly equal samples",
        "Linkage",
        "Relatedness and structure",
        "Traits",
        "Panel",
    ]
    assert headings(whole, 3) == [
        "Allele frequencies",
        "Missing genotypes",
        "Principal components",
        "Relationships",
        "Distributions",
        "Correlations",
        "Missing trait values",
    ]


def test_what_a_panel_lacks_is_absent(least: str) -> None:
    assert headings(least, 1) == ["Nothing in this panel calls for attention."]
    assert headings(least, 2) == ["Genotypes", "Relatedness and structure", "Traits", "Panel"]
    assert headings(least, 3) == [
        "Allele frequencies",
        "Principal components",
        "Relationships",
        "Distributions",
    ]


def test_a_panel_that_does_not_vary_has_a_page(tmp_path: Path) -> None:
    panel = from_arrays(np.ones((3, 2)), trait_value=[[1.0], [2.0], [4.0]], trait_names=["t"])
    found = headings(page(panel, tmp_path), 2)
    assert found == ["Warnings", "Genotypes", "Nearly equal samples", "Traits", "Panel"]


@pytest.mark.parametrize("name", ["whole", "least"])
def test_ids_are_unique_and_every_reference_is_met(
    name: str, request: pytest.FixtureRequest
) -> None:
    text: str = request.getfixturevalue(name)
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    for names in re.findall(r'aria-labelledby="([^"]+)"', text):
        assert set(names.split()) <= set(ids)
    for target in re.findall(r'href="#([^"]+)"', text):
        assert target in ids


def test_every_figure_has_a_name_and_a_description(whole: str) -> None:
    figures = re.findall(r"<svg [^>]*>", whole)
    assert len(figures) == 8
    for figure in figures:
        assert 'role="img"' in figure
        assert "aria-labelledby=" in figure
    assert whole.count("<desc ") == len(figures)


def test_every_warning_is_there_with_its_names(whole: str) -> None:
    items = re.findall(r"<li>(.*)</li>", whole.split('id="warnings"')[1].split("</section>")[0])
    warnings = inspect(whole_panel()).warnings
    assert len(items) == len(warnings) >= 3
    assert any(
        "Trait &#39;height&#39; has 1 value" in item and "sample_8;" in item for item in items
    )
    assert any("sample_4 ~ sample_17 (99." in item for item in items)


def test_twins_are_listed_with_their_share(whole: str) -> None:
    table = whole.split('id="duplicates"')[1].split("</section>")[0]
    assert "sample_4, sample_17" in table
    assert re.search(r"99\.\d\d&nbsp;%", table)


def test_groups_are_coloured_and_named(whole: str) -> None:
    assert "Colours are the panel&#39;s groups." in whole
    assert re.search(r"<text[^>]*>north</text>", whole)


def test_correlations_say_over_how_many_samples(whole: str) -> None:
    shared = inspect(whole_panel()).joint.n_shared
    low = int(shared[np.triu_indices(3, 1)].min())
    assert f"over the samples that have both, {low} to " in whole


def test_nothing_is_loaded_and_no_name_smuggles_markup(whole: str) -> None:
    addresses = set(re.findall(r"https?://[^\"'<> )]+", whole))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "<script>alert" not in whole
    assert "&lt;script&gt;alert(1)" in whole
    assert "a field &amp; more" in whole


def test_the_same_panel_gives_the_same_bytes(whole: str, tmp_path: Path) -> None:
    assert page(whole_panel(), tmp_path) == whole


def test_inspect_writes_the_page_with_the_command_that_makes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_panel(least_panel(), tmp_path / "my panel.zarr")
    out = tmp_path / "panel.html"
    arguments = ["inspect", str(tmp_path / "my panel.zarr"), "--html", str(out)]
    assert run_command(arguments) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"page: {out}"
    text = out.read_text()
    assert f"crosstrait inspect &#39;{tmp_path}/my panel.zarr&#39; --html {out}" in text
