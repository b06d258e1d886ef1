"""The leaderboard in the terminal."""

from __future__ import annotations

import re
from pathlib import Path

from rich.console import Console

from crosstrait.report.table import leaderboard_table
from support.run_folder import write_run_folder

NARROW = 72


def printed(folder: Path, *, width: int = 140) -> str:
    console = Console(width=width, record=True, file=(folder / "out.txt").open("w"))
    console.print(leaderboard_table(folder))
    console.file.close()
    return console.export_text()


def test_models_stand_in_order_with_interval_and_distance_to_the_best(tmp_path: Path) -> None:
    text = printed(write_run_folder(tmp_path))
    lines = text.splitlines()
    rule = next(k for k, line in enumerate(lines) if line.strip().startswith("─"))
    rows = lines[rule + 1 : rule + 5]
    assert [row.split()[0] for row in rows] == ["transformer", "trees", "canonical", "ridge"]
    assert "best" in rows[0]
    assert " to " in rows[1]
    assert "\u2212" in rows[1]
    assert "±" in rows[1]
    assert "±" not in rows[3]
    assert "transformer" in lines[-1] or "transformer" in lines[-2]


def test_the_ceiling_has_a_column_only_where_there_is_one(tmp_path: Path) -> None:
    with_errors = printed(write_run_folder(tmp_path / "a", standard_error=0.5))
    assert "of ceiling" in with_errors
    assert "%" in with_errors
    assert "of ceiling" not in printed(write_run_folder(tmp_path / "b"))


def test_complete_cases_are_said_above_the_numbers(tmp_path: Path) -> None:
    text = printed(write_run_folder(tmp_path, protocol="complete-cases"))
    assert "complete cases only" in text.splitlines()[0]


def test_a_lost_run_is_said_below(tmp_path: Path) -> None:
    text = printed(write_run_folder(tmp_path, lost=[("trees", 1, 1)]))
    assert "trees: runs are missing" in text


def test_a_narrow_terminal_has_fewer_columns_and_every_number_whole(tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path)
    wide, narrow = printed(folder), printed(folder, width=NARROW)
    assert "RMSE, r, 95\u00a0% interval: in leaderboard.csv" in narrow
    assert "RMSE" not in narrow.splitlines()[2]
    assert "…" not in wide + narrow
    number = re.compile(r"[0-9]+\.[0-9]+")
    table = narrow[: narrow.index("RMSE")]
    assert set(number.findall(table)) <= set(number.findall(wide))
    assert max(map(len, narrow.splitlines())) <= NARROW


def test_where_every_model_misses_a_run_each_is_said_to(tmp_path: Path) -> None:
    lost = [("ridge", 0, 1), ("trees", 1, 0)]
    two = {"ridge": 0.4, "trees": 0.5}
    text = printed(write_run_folder(tmp_path, accuracy=two, lost=lost, resamples=20))
    assert "ridge: runs are missing" in text
    assert "trees: runs are missing" in text
    assert "Every model misses runs, so none has a score" in text
