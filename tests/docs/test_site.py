"""The built site: whole, and in need of no network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, sync_playwright

from crosstrait.cli import app
from crosstrait.models.registry import model_names
from support.browser import DESKTOP, PHONE, SCREENSHOTS, chromium_path, start_chromium

ROOT = Path(__file__).parents[2]
FETCHED = re.compile(r"<(?:script|img|iframe|source)[^>]+src=[\"']?(?:https?:)?//")
LINKED = re.compile(
    r"<link[^>]+rel=[\"']?(?:stylesheet|preload|icon|preconnect)[^>]+href=[\"']?http"
)
LEFT_OVER = re.compile(r"(:math:`|^::: |\$\$|class=\"arithmatex\")", re.MULTILINE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors by the first process that asks for it."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own) / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served."""
    handler = partial(QuietHandler, directory=site)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing of each request."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if chromium_path() is None:
        reason = "there is no chromium: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        yield start_chromium(playwright)


def pages(site: Path) -> dict[str, str]:
    return {path.relative_to(site).as_posix(): path.read_text() for path in site.rglob("*.html")}


def test_no_page_or_style_fetches_anything_from_elsewhere(site: Path) -> None:
    fetching = [
        name for name, text in pages(site).items() if FETCHED.search(text) or LINKED.search(text)
    ]
    fetching += [
        path.name for path in site.rglob("*.css") if re.search(r"url\([\"']?http", path.read_text())
    ]
    assert not fetching


def test_nothing_of_the_markup_is_left_over(site: Path) -> None:
    left = {
        name: found[0] for name, text in pages(site).items() if (found := LEFT_OVER.search(text))
    }
    assert not left


def test_every_model_has_a_page_with_equations_and_a_row_in_the_overview(site: Path) -> None:
    overview = (site / "models" / "index.html").read_text()
    for model in model_names():
        page = (site / "models" / f"{model}.html").read_text()
        assert "<math" in page
        assert 'id="settings"' in page
        assert f'href="{model}.html"' in overview


def test_every_command_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "command-line.html").read_text()
    commands = [name for name in app if not name.startswith("-")]
    assert "run" in commands
    assert not [name for name in commands if f"crosstrait {name}</code>" not in page]


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_pages_fit_their_window_without_complaint_or_foreign_request(
    browser: Browser, address: str, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    page.on(
        "request",
        lambda request: wrong.append(request.url) if not request.url.startswith(address) else None,
    )
    for name in ("index", "models/gp", "report", "tutorials/byxrm", "reference/experiment-file"):
        page.goto(f"{address}/{name}.html")
        page.wait_for_load_state("networkidle")
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if overflow > 0:
            wrong.append(f"{name} is {overflow} px wider than its window")
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        shot = SCREENSHOTS / f"docs-{name.replace('/', '-')}-{width}.png"
        page.screenshot(path=shot, full_page=True, animations="disabled")
    page.close()
    assert not wrong


def test_search_finds_a_setting(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": DESKTOP, "height": 900})
    page.goto(f"{address}/index.html")
    page.get_by_placeholder("Search").fill("prune_r")
    page.locator(".md-search-result__item").first.wait_for(timeout=10_000)
    assert "experiment-file" in page.locator(".md-search-result__list").inner_html()
    page.close()
