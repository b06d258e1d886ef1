"""Whatever the documentation tells a reader to do is done, page by page."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.pages import Reader, blocks

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = {"python", "sh", "output", "toml", "csv", "text", "json", "bibtex"}

# What no machine of this size can show in seconds: page -> reasons, in their order.
NOT_RUN: dict[str, list[str]] = {
    "README.md": ["they build an environment and train for minutes"],
    "docs/ablation.md": ["16 networks take minutes"] * 2,
    "docs/figures.md": ["it needs the article's trainings"],
    "docs/index.md": ["they build an environment and train for minutes"],
    "docs/quick-start.md": ["it installs packages"],
    "docs/reproduce.md": [
        "hours of a GPU",
        "the checkpoint and its data are gigabytes",
        "the checkpoint is not in the repository",
    ],
    "docs/scale-out/gpu.md": [
        "it needs four GPUs",
        "it needs four GPUs",
        "it installs packages",
        "it serves until it is stopped",
    ],
    "docs/scale-out/modal.md": [
        "they need an account",
        "it needs an account",
        "it needs an account",
    ],
    "docs/scale-out/ray.md": [
        "it installs packages",
        "it needs several machines",
        "it needs a Ray cluster",
    ],
    "docs/scale-out/slurm.md": ["it needs a Slurm cluster"],
}


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_of_a_page_does_as_the_page_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    Reader().follow(page)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_names_a_language_that_is_checked(page: Path) -> None:
    unknown = [str(block) for block in blocks(page) if block.language not in LANGUAGES]
    assert not unknown


def test_what_is_not_run_is_listed_here_with_its_reason() -> None:
    found = {
        name(page): [block.not_run for block in blocks(page) if block.not_run is not None]
        for page in PAGES
    }
    assert {page: reasons for page, reasons in found.items() if reasons} == NOT_RUN
