"""One line a model."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from crosstrait.report.folder import RunFolder
from crosstrait.report.standings import Standing, standings
from support.run_folder import write_run_folder


def lines(path: Path) -> dict[str, Standing]:
    folder = RunFolder.read(path)
    return {
        line.model: line for line in standings(folder.leaderboard, comparison=folder.comparison)
    }


@pytest.fixture(scope="module")
def partial(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Standing]:
    accuracy = {"ridge": 0.3, "trees": 0.5, "rijal": 0.45}
    path = tmp_path_factory.mktemp("partial")
    return lines(write_run_folder(path, accuracy=accuracy, only={"rijal": ["Lithium"]}))


def test_models_are_ranked_by_mean_r2(partial: dict[str, Standing]) -> None:
    assert [(line.model, line.rank) for line in partial.values()] == [
        ("trees", 1),
        ("ridge", 2),
        ("rijal", None),
    ]


def test_the_best_has_no_distance_to_itself(partial: dict[str, Standing]) -> None:
    assert partial["trees"].to_best is None
    gap = partial["ridge"].to_best
    assert gap is not None
    assert gap.difference == pytest.approx(partial["ridge"].r2 - partial["trees"].r2)
    assert gap.difference < 0


def test_a_model_of_some_traits_is_set_against_the_best_on_those(
    partial: dict[str, Standing],
) -> None:
    rijal = partial["rijal"]
    assert math.isnan(rijal.r2)
    assert rijal.n_traits == 1
    assert rijal.to_best is not None
    assert rijal.to_best.n_traits == 1
    assert rijal.note == "predicts 1 of 3 traits, so it has no mean to be ranked by"


def test_a_model_with_a_lost_run_is_not_ranked(tmp_path: Path) -> None:
    found = lines(write_run_folder(tmp_path, lost=[("transformer", 1, 0)]))
    assert found["transformer"].rank is None
    assert found["transformer"].note.startswith("runs are missing")
    assert [line.rank for line in found.values()] == [1, 2, 3, None]
