"""Reading the folder of an experiment."""

from __future__ import annotations

from pathlib import Path

import pytest

from crosstrait.errors import DataError, StorageError
from crosstrait.report.folder import RunFolder
from support.run_folder import write_run_folder


def test_everything_that_a_run_left_is_read(tmp_path: Path) -> None:
    folder = RunFolder.read(write_run_folder(tmp_path))
    assert set(folder.leaderboard["model"]) == {"ridge", "trees", "canonical", "transformer"}
    assert folder.cells is not None
    assert len(folder.runs) == 2 + 3 * 2 * 2
    ridge = folder.runs[0]
    assert (ridge.model, ridge.fold, ridge.train_seconds) == ("ridge", 0, 0.4)
    assert ridge.metrics == {"test_r2": 0.4}
    assert ridge.history.empty
    assert len(folder.runs[-1].history) == 40


def test_the_leaderboard_alone_is_enough(tmp_path: Path) -> None:
    write_run_folder(tmp_path / "whole")
    (tmp_path / "leaderboard.csv").write_text((tmp_path / "whole/leaderboard.csv").read_text())
    folder = RunFolder.read(tmp_path)
    assert folder.comparison.empty
    assert folder.cells is None
    assert folder.runs == ()
    assert folder.experiment == {}


def test_names_that_look_like_numbers_or_holes_stay_names(tmp_path: Path) -> None:
    names = ("NA", "4e5", "007")
    write_run_folder(tmp_path, trait_names=names, accuracy={"null": 0.4, "1": 0.5})
    folder = RunFolder.read(tmp_path)
    assert set(folder.leaderboard["trait"]) == {"mean", *names}
    assert set(folder.leaderboard["model"]) == {"null", "1"}
    assert set(folder.comparison["trait"]) == {"mean", *names}


def test_a_folder_without_a_leaderboard_is_an_error_that_says_what_it_lacks(
    tmp_path: Path,
) -> None:
    with pytest.raises(StorageError, match=r"holds no leaderboard\.csv.*crosstrait run"):
        RunFolder.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("leaderboard.csv", "model,trait\nridge,mean\n", "lacks the columns metric, mean"),
        ("leaderboard.csv", "", "cannot read"),
        ("experiment.json", "[1]", "must hold a JSON object; got list"),
        ("experiment.json", "{", "cannot read"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_named(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    write_run_folder(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        RunFolder.read(tmp_path)
    assert name in str(caught.value)


def test_a_leaderboard_without_rows_is_refused(tmp_path: Path) -> None:
    write_run_folder(tmp_path)
    header = (tmp_path / "leaderboard.csv").read_text().splitlines()[0]
    (tmp_path / "leaderboard.csv").write_text(header + "\n")
    with pytest.raises(DataError, match="no rows"):
        RunFolder.read(tmp_path)
