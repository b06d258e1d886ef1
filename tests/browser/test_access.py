"""The pages for readers who do not see it, see it poorly, or use no mouse."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from support.browser import PHONE, faint_texts, visit

UNFOLD = "document.querySelectorAll('details').forEach(fold => { fold.open = true })"


@pytest.fixture(params=["whole", "panel"])
def either(request: pytest.FixtureRequest) -> Path:
    """The report of an experiment, and the page of a panel."""
    path: Path = request.getfixturevalue(request.param)
    return path


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(browser: Browser, either: Path, theme: str) -> None:
    with visit(browser, either, theme=theme) as seen:
        seen.page.evaluate(UNFOLD)
        assert faint_texts(seen.page) == []


def test_a_faint_text_would_be_found(browser: Browser, least: Path) -> None:
    with visit(browser, least) as seen:
        seen.page.add_style_tag(content="h1 { color: rgb(130, 130, 130) } h2 { color: #eee }")
        found = faint_texts(seen.page)
        assert len(found) >= seen.page.locator("h2").count()


def test_what_a_screen_reader_says_is_whole(browser: Browser, either: Path) -> None:
    with visit(browser, either) as seen:
        seen.page.evaluate(UNFOLD)
        session = seen.page.context.new_cdp_session(seen.page)
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        said = [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node.get("ignored") and "role" in node
        ]
        roles = [role for role, _ in said]
        for role in ("banner", "navigation", "main", "contentinfo"):
            assert roles.count(role) == 1
        for role in ("image", "img", "button", "link", "region", "searchbox", "figure"):
            assert all(name.strip() for found, name in said if found == role), role
        assert roles.count("image") + roles.count("img") >= 7
        # A figure is read as one picture, not as hundreds of strokes.
        assert "SvgRoot" not in roles
        assert "columnheader" in roles
        assert "rowheader" in roles


def test_headings_go_down_one_level_at_a_time(browser: Browser, either: Path) -> None:
    with visit(browser, either) as seen:
        levels = seen.page.evaluate(
            "[...document.querySelectorAll('h1, h2, h3, h4')].map(node => +node.tagName[1])"
        )
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_stop_of_the_tab_key_can_be_seen(browser: Browser, whole: Path) -> None:
    with visit(browser, whole) as seen:
        page = seen.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        assert page.locator(".skip").bounding_box()["x"] >= 0
        stops = 0
        while True:
            ring = page.evaluate(
                """() => {
                  const node = document.activeElement, style = getComputedStyle(node);
                  return [node.tagName, style.outlineStyle, parseFloat(style.outlineWidth)];
                }"""
            )
            if ring[0] == "BODY":
                break
            assert ring[1] != "none"
            assert ring[2] >= 2
            stops += 1
            assert stops < 200
            page.keyboard.press("Tab")
        assert stops > 20


def test_buttons_are_large_enough_for_a_finger(browser: Browser, whole: Path) -> None:
    with visit(browser, whole, width=PHONE) as seen:
        for button in seen.page.locator("button:visible, summary:visible").all():
            box = button.bounding_box()
            assert min(box["width"], box["height"]) >= 24  # WCAG 2.2, target size (minimum)


def test_the_skip_link_leads_to_the_results(browser: Browser, least: Path) -> None:
    with visit(browser, least) as seen:
        seen.page.keyboard.press("Tab")
        seen.page.keyboard.press("Enter")
        assert seen.page.evaluate("location.hash") == "#main"
        seen.page.keyboard.press("Tab")
        assert seen.page.evaluate("document.activeElement.closest('main') !== null")
