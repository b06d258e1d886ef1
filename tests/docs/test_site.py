"""The built site: whole, and in need of no network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from crosstrait.cli import app
from crosstrait.models.registry import model_names

ROOT = Path(__file__).parents[2]
FETCHED = re.compile(r"<(?:script|img|iframe|source)[^>]+src=[\"']?(?:https?:)?//")
LINKED = re.compile(
    r"<link[^>]+rel=[\"']?(?:stylesheet|preload|icon|preconnect)[^>]+href=[\"']?http"
)
LEFT_OVER = re.compile(r"(:math:`|^::: |\$\$|class=\"arithmatex\")", re.MULTILINE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


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
