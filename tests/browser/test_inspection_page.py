"""A panel's page as it is read: every section, on any screen, without a network or JavaScript."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from crosstrait.panel import from_arrays
from crosstrait.panel.inspect import inspect
from crosstrait.report import write_inspection
from support.browser import DESKTOP, PHONE, faint_texts, visit

SECTIONS = [
    "Warnings",
    "Genotypes",
    "Nearly equal samples",
    "Linkage",
    "Relatedness and structure",
    "Traits",
    "Panel",
]
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a panel that has every section."""
    rng = np.random.default_rng(0)
    switches = rng.random((150, 120)) < 0.1
    dosage = (np.cumsum(switches, axis=1) % 2).astype(float)
    dosage[17] = dosage[4]
    dosage[rng.random(dosage.shape) < 0.02] = np.nan
    traits = rng.normal(size=(150, 12))
    traits[rng.random(traits.shape) < 0.1] = np.nan
    panel = from_arrays(
        dosage,
        trait_value=traits,
        trait_names=[f"a_trait_with_a_long_name_{t}" for t in range(12)],
        variant_contig=np.repeat(["chr1", "chr2"], 60),
        variant_position=np.tile(np.arange(1, 61) * 10_000, 2),
        sample_group=["north", "south", "east"] * 50,
        source="somewhere/with/a/long/path/to/a/panel.zarr",
    )
    out = tmp_path_factory.mktemp("panel") / "panel.html"
    return write_inspection(inspect(panel), out=out, command="crosstrait inspect panel.zarr")


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_is_asked_for_complains_sticks_out_or_is_faint(
    browser: Browser, page: Path, width: int, theme: str
) -> None:
    with visit(browser, page, width=width, theme=theme) as seen:
        seen.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        assert seen.page.evaluate(OVERFLOW) <= 0
        seen.screenshot(f"panel-{width}-{theme}")
        assert seen.requests == [page.resolve().as_uri()]
        assert seen.complaints == []
        assert faint_texts(seen.page) == []


@pytest.mark.parametrize("javascript", [True, False])
def test_every_section_is_painted_with_and_without_javascript(
    browser: Browser, page: Path, javascript: bool
) -> None:
    with visit(browser, page, javascript=javascript) as seen:
        assert seen.page.locator("h2").all_inner_texts() == SECTIONS
        for section in seen.page.locator("main > section").all():
            assert section.bounding_box()["height"] > 80
        assert seen.page.locator("figure svg").count() == 8
        assert (seen.page.locator("th button").count() > 0) == javascript
