"""The pages as they are read: every section, on any screen, without a network or JavaScript."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from support.browser import DESKTOP, PHONE, visit

SECTIONS = [
    "Can it be believed?",
    "Leaderboard",
    "Accuracy by trait",
    "Does learning across traits help?",
    "Intervals and noise",
    "Accuracy against cost",
    "Observed against predicted",
    "Learning curves",
    "Data",
    "Split and leakage audit",
    "Provenance",
]
LOOKS = [
    *(("whole", width, theme) for width in (PHONE, DESKTOP) for theme in ("light", "dark")),
    ("least", PHONE, "dark"),
    ("large", PHONE, "light"),
    ("large", DESKTOP, "dark"),
    ("panel", PHONE, "dark"),
    ("panel", DESKTOP, "light"),
]
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def test_every_section_of_a_real_experiment_is_painted(browser: Browser, whole: Path) -> None:
    with visit(browser, whole) as seen:
        assert seen.page.locator("h2").all_inner_texts() == SECTIONS
        sections = seen.page.locator("main > section").all()
        assert len(sections) == len(SECTIONS)
        for section in sections:
            assert section.bounding_box()["height"] > 80
        for link in seen.page.locator("nav a").all():
            link.click()
            target = seen.page.locator(link.get_attribute("href"))
            assert -1 <= target.bounding_box()["y"] < 300


@pytest.mark.parametrize(("name", "width", "theme"), LOOKS)
def test_nothing_is_asked_for_and_nothing_complains_or_sticks_out(
    browser: Browser, request: pytest.FixtureRequest, name: str, width: int, theme: str
) -> None:
    path: Path = request.getfixturevalue(name)
    with visit(browser, path, width=width, theme=theme) as seen:
        seen.page.locator("footer").scroll_into_view_if_needed()
        seen.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        assert seen.page.evaluate(OVERFLOW) <= 0
        seen.screenshot(f"{name}-{width}-{theme}")
        assert seen.requests == [path.resolve().as_uri()]
        assert seen.complaints == []


def test_without_javascript_tables_and_figures_are_there(browser: Browser, whole: Path) -> None:
    with visit(browser, whole, javascript=False) as seen:
        assert seen.page.locator("h2").all_inner_texts() == SECTIONS
        figures = seen.page.locator("figure svg")
        assert figures.count() >= 8
        for figure in figures.all():
            assert figure.bounding_box()["height"] > 60
        assert seen.page.locator("#leaderboard tbody tr").count() == 4
        fold = seen.page.locator("#traits details").first
        fold.locator("summary").click()
        assert fold.locator("tbody tr").count() == 4
        assert fold.locator("table").is_visible()
        # What only JavaScript can do is not offered.
        assert seen.page.locator("button:visible, input:visible").count() == 0
        seen.screenshot("whole-without-javascript")


def test_every_section_of_a_panel_is_painted_without_javascript(
    browser: Browser, panel: Path
) -> None:
    with visit(browser, panel, javascript=False) as seen:
        headings = seen.page.locator("h2").all_inner_texts()
        assert {"Warnings", "Genotypes", "Nearly equal samples", "Traits", "Panel"} < set(headings)
        assert {"Linkage", "Relatedness and structure"} < set(headings)
        figures = seen.page.locator("figure svg").all()
        assert len(figures) >= 7
        assert all(figure.bounding_box()["height"] > 60 for figure in figures)


def test_on_paper_all_is_unfolded_and_nothing_floats(browser: Browser, whole: Path) -> None:
    with visit(browser, whole) as seen:
        page = seen.page
        pdf = page.pdf(format="A4")
        assert pdf.startswith(b"%PDF")
        page.emulate_media(media="print", color_scheme="dark")
        assert not page.locator("nav").is_visible()
        assert page.locator(".theme:visible, .search:visible, pre + button:visible").count() == 0
        ground = "getComputedStyle(document.body).backgroundColor"
        assert page.evaluate(ground) == "rgb(255, 255, 255)"
        assert page.locator("details table").count() >= 2
        for table in page.locator("details table").all():
            assert table.bounding_box()["height"] > 40


def test_the_page_for_46_traits_8_models_and_5_replicates_is_small_and_quick(
    browser: Browser, large: Path
) -> None:
    assert large.stat().st_size < 2_000_000
    with visit(browser, large) as seen:
        timing = "performance.getEntriesByType('navigation')[0].loadEventEnd"
        assert 0 < seen.page.evaluate(timing) < 3000
        assert seen.page.locator("#traits figure svg").count() >= 1
        assert seen.page.locator("#traits details tbody tr").count() == 46


def test_a_request_or_a_complaint_would_be_found(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<img src='http://127.0.0.1:9/x.png'><script>missing()</script>")
    with visit(browser, page) as seen:
        assert "http://127.0.0.1:9/x.png" in seen.requests
        assert any("missing is not defined" in complaint for complaint in seen.complaints)
