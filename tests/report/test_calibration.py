from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from crosstrait.report.calibration import (
    PERHAPS_ABOVE,
    SURELY_ABOVE,
    calibration_plate,
    coverages,
    noise_lines,
)
from crosstrait.report.page import write_report
from crosstrait.report.table import leaderboard_table
from support.run_folder import write_more_tables, write_run_folder


def test_the_sections_are_there_only_where_there_is_something_to_say(tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path, n_samples=80, resamples=50, standard_error=1.2)
    assert "Intervals and noise" not in write_report(folder).read_text()
    write_more_tables(folder, standard_error=1.2)
    page = write_report(folder).read_text()
    assert "Intervals and noise" in page
    assert "In 80&nbsp;% intervals" in page
    assert "the standard errors overstate the noise" in page
    assert calibration_plate(pd.DataFrame(), colours={}) is None


def test_the_worst_trait_is_the_one_farthest_from_its_level() -> None:
    rows = [
        ("m", "mean", 0.5, 0.47, float("nan"), 200),
        ("m", "mean", 0.8, 0.75, float("nan"), 200),
        ("m", "a", 0.5, 0.52, 1.0, 100),
        ("m", "a", 0.8, 0.81, 1.0, 100),
        ("m", "b", 0.5, 0.42, 1.0, 100),
        ("m", "b", 0.8, 0.69, 1.0, 100),
    ]
    names = ["model", "trait", "level", "coverage", "mean_width", "n_cells"]
    [line] = coverages(pd.DataFrame(rows, columns=names))
    assert line.by_level == {0.5: 0.47, 0.8: 0.75}
    assert line.worst == (pytest.approx(0.11), "b")


def test_a_trait_says_when_its_standard_errors_overstate_the_noise() -> None:
    names = ["trait", "source", "noise_variance", "noise_share", "ceiling"]
    noise = pd.DataFrame(
        [
            ("a", "standard errors", 0.3, 0.3, 0.7),
            ("a", "gp", 0.4, 0.4, 0.6),
            ("b", "standard errors", 0.3, 0.3, 0.7),
            ("b", "gp", 0.2, 0.2, 0.8),
            ("c", "gp", 0.2, 0.2, 0.8),
        ],
        columns=names,
    )
    board = pd.DataFrame(
        [("gp", "a", "r2_of_ceiling", 1.1, 1.01), ("gp", "b", "r2_of_ceiling", 0.9, 0.8)],
        columns=["model", "trait", "metric", "mean", "ci_low"],
    )
    a, b, c = noise_lines(noise, leaderboard=board)
    assert a.verdict == (
        "gp exceeds the ceiling: the standard errors overstate the noise, or something leaked"
    )
    assert b.verdict.startswith("may overstate the noise: gp finds 20.0")
    assert c.verdict == ""
    board["ci_low"] = 0.9
    a, *_ = noise_lines(noise, leaderboard=board)
    assert a.verdict == (
        "gp exceeds the ceiling, but within what the sampling of the test cells explains"
    )


def test_page_and_terminal_say_the_same_of_a_model_above_the_ceiling(tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path, standard_error=1.2, n_samples=80, resamples=50)
    table = pd.read_csv(folder / "leaderboard.csv")
    share = table["metric"] == "r2_of_ceiling"
    assert (table.loc[share, "mean"] > 1).any()
    for low, said, other in (
        (0.9, PERHAPS_ABOVE, SURELY_ABOVE),
        (1.01, SURELY_ABOVE, PERHAPS_ABOVE),
    ):
        table.loc[share, "ci_low"] = low
        table.to_csv(folder / "leaderboard.csv", index=False)
        write_more_tables(folder, standard_error=1.2)
        page = write_report(folder).read_text()
        console = Console(width=400, record=True, quiet=False, file=io.StringIO())
        console.print(leaderboard_table(folder))
        for text in (page, console.export_text()):
            assert said in text
            assert other not in text
