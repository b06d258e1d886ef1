"""What the report's buttons do, by mouse and by keyboard."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from support.browser import PATIENCE_MS, PHONE, visit

GROUND = "getComputedStyle(document.body).backgroundColor"
LIGHT, DARK = "rgb(255, 255, 255)", "rgb(18, 22, 27)"


def column(table: Locator, k: int) -> list[str]:
    return table.locator(f"tbody tr:visible > :nth-child({k + 1})").all_inner_texts()


def test_a_heading_sorts_by_mouse_and_says_so(browser: Browser, whole: Path) -> None:
    with visit(browser, whole) as seen:
        table = seen.page.locator("#leaderboard table")
        ranked = column(table, 0)
        heading = table.get_by_role("columnheader", name="Model")
        heading.get_by_role("button").click()
        assert heading.get_attribute("aria-sort") == "ascending"
        assert column(table, 0) == sorted(ranked)
        heading.get_by_role("button").click()
        assert heading.get_attribute("aria-sort") == "descending"
        assert column(table, 0) == sorted(ranked, reverse=True)
        score = table.locator("th[aria-sort], thead th").nth(1)
        score.get_by_role("button").click()
        assert column(table, 0) == ranked
        assert table.locator("[aria-sort]").count() == 1


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_heading_sorts_by_keyboard(browser: Browser, large: Path, key: str) -> None:
    with visit(browser, large) as seen:
        table = seen.page.locator("#leaderboard table")
        ranked = column(table, 0)
        button = table.locator("thead th").nth(1).get_by_role("button")
        button.focus()
        seen.page.keyboard.press(key)
        assert column(table, 0) == ranked[::-1]
        assert button.evaluate("node => node === document.activeElement")


def test_rows_without_a_number_stay_last_whichever_way(browser: Browser, whole: Path) -> None:
    with visit(browser, whole) as seen:
        table = seen.page.locator("#leaderboard table")
        seen.page.evaluate(
            "document.querySelector('#leaderboard tbody tr td[data-value]').dataset.value = ''"
        )
        first = column(table, 0)[0]
        button = table.locator("thead th").nth(1).get_by_role("button")
        for _ in range(2):
            button.click()
            assert column(table, 0)[-1] == first


@pytest.mark.parametrize(("system", "ground"), [("light", LIGHT), ("dark", DARK)])
def test_the_theme_follows_the_system(
    browser: Browser, least: Path, system: str, ground: str
) -> None:
    with visit(browser, least, theme=system) as seen:
        assert seen.page.evaluate(GROUND) == ground
        other = "light" if system == "dark" else "dark"
        seen.page.emulate_media(color_scheme=other)
        assert seen.page.evaluate(GROUND) != ground


def test_a_chosen_theme_is_remembered(browser: Browser, least: Path) -> None:
    with visit(browser, least) as seen:
        button = seen.page.get_by_role("button", name="Switch to the dark theme")
        button.click()
        assert seen.page.evaluate(GROUND) == DARK
        seen.page.reload()
        assert seen.page.evaluate(GROUND) == DARK
        seen.page.get_by_role("button", name="Switch to the light theme").click()
        seen.page.reload()
        assert seen.page.evaluate(GROUND) == LIGHT


def test_a_trait_is_found_among_many(browser: Browser, large: Path) -> None:
    with visit(browser, large) as seen:
        fold = seen.page.locator("#traits details").first
        fold.locator("summary").click()
        table, search = fold.locator("table"), fold.get_by_role("searchbox")
        assert len(column(table, 0)) == 46
        search.fill("chLOR")
        names = column(table, 0)
        assert 3 < len(names) < 10
        assert all("chlor" in name.lower() for name in names)
        assert fold.get_by_role("status").inner_text() == f"{len(names)} of 46"
        search.fill("no such trait")
        assert column(table, 0) == []
        search.fill("")
        assert len(column(table, 0)) == 46


def test_headings_of_a_long_table_stay_in_sight(browser: Browser, large: Path) -> None:
    with visit(browser, large) as seen:
        fold = seen.page.locator("#traits details").first
        fold.locator("summary").click()
        box = fold.locator(".scroll")
        box.evaluate("node => { node.scrollTop = node.scrollHeight }")
        heading, frame = fold.locator("thead th").first.bounding_box(), box.bounding_box()
        assert frame["height"] < 900
        assert abs(heading["y"] - frame["y"]) < 2


def test_names_of_rows_stay_in_sight_on_a_phone(browser: Browser, large: Path) -> None:
    with visit(browser, large, width=PHONE) as seen:
        box = seen.page.locator("#leaderboard .scroll")
        assert box.evaluate("node => { node.scrollLeft = 9999; return node.scrollLeft }") > 100
        name, frame = box.locator("tbody th").first.bounding_box(), box.bounding_box()
        assert abs(name["x"] - frame["x"]) < 2


def test_the_command_is_copied(browser: Browser, whole: Path) -> None:
    with visit(browser, whole) as seen:
        seen.page.get_by_role("button", name="Copy").click()
        expect(seen.page.get_by_role("button", name="Copied")).to_be_visible(timeout=PATIENCE_MS)
        copied = seen.page.evaluate("navigator.clipboard.readText()")
        assert copied == seen.page.locator("pre.command").inner_text().strip()


def test_the_command_is_selected_where_the_browser_will_not_copy(
    browser: Browser, whole: Path
) -> None:
    with visit(browser, whole) as seen:
        seen.page.evaluate(
            "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')) }"
        )
        seen.page.get_by_role("button", name="Copy").click()
        expect(seen.page.get_by_role("button", name="Selected")).to_be_visible(timeout=PATIENCE_MS)
        selected = seen.page.evaluate("getSelection().toString()")
        assert selected.strip() == seen.page.locator("pre.command").inner_text().strip()
