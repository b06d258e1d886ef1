"""What is said of intervals where whole groups were tested."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from crosstrait.report.page import write_report
from crosstrait.report.resampling import resampling
from crosstrait.report.table import leaderboard_table
from support.run_folder import write_run_folder


def printed(folder: Path) -> str:
    with (folder / "out.txt").open("w") as file:
        console = Console(width=160, record=True, file=file)
        console.print(leaderboard_table(folder))
    return " ".join(console.export_text().split())


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run_folder(tmp_path_factory.mktemp("grouped"), n_groups=20)


def test_the_terminal_has_r_within_groups_and_says_what_was_resampled(grouped: Path) -> None:
    text = printed(grouped)
    assert " r within groups " in text
    assert "resample whole test groups (20 of them), the same for every model" in text
    assert "r of observed and predicted values among the members of one test group" in text
    assert "too narrow" not in text


def test_the_page_has_r_within_groups_and_says_what_was_resampled(grouped: Path) -> None:
    text = write_report(grouped).read_text(encoding="utf-8")
    assert '<th scope="col" data-numeric>r within groups</th>' in text
    assert "Intervals and differences resample whole test groups (20 of them), the same" in text
    assert "r within groups is the Pearson r" in text
    assert "Intervals tell what other test groups would give" in text
    assert "other test samples would" not in text
    assert "under resampling of the test samples" not in text
    assert "too narrow" not in text


def test_few_groups_are_said_to_make_intervals_too_narrow(tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path, n_groups=6)
    sentence = "Intervals from 6 groups are too narrow"
    assert sentence in printed(folder)
    assert sentence in write_report(folder).read_text(encoding="utf-8")


def test_without_groups_samples_are_resampled_and_nothing_is_said_of_groups(
    tmp_path: Path,
) -> None:
    folder = write_run_folder(tmp_path)
    text = write_report(folder).read_text(encoding="utf-8")
    assert "Intervals and differences resample the test samples, the same" in text
    assert "Intervals tell what other test samples would give" in text
    assert "within groups" not in text + printed(folder)
    content = json.loads((folder / "experiment.json").read_text())
    assert content.pop("resampled") == {"unit": "sample", "n": 200}
    (folder / "experiment.json").write_text(json.dumps(content))  # of an earlier version
    assert write_report(folder).read_text(encoding="utf-8") == text
    assert resampling({}).n_groups is None
