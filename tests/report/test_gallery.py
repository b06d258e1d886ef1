"""Figures by name: all that a folder has, of chosen models, or what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from crosstrait.errors import DataError, SettingsError
from crosstrait.report import FIGURES, find_plate, write_report
from crosstrait.report.folder import RunFolder
from crosstrait.report.gallery import ENTRIES, Selection
from support.run_folder import write_more_tables, write_run_folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_more_tables(write_run_folder(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def lean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One trait, one model without epochs, no missing cell, no further table."""
    folder = tmp_path_factory.mktemp("lean")
    return write_run_folder(
        folder, accuracy={"ridge": 0.5}, trait_names=["li"], missing=0, replicates=1, folds=1
    )


def test_what_the_page_shows_is_what_a_paper_can_have(run: Path) -> None:
    page = write_report(run).read_text()
    for name in ENTRIES:
        plate = find_plate(name, folders=run)
        assert plate.caption.replace("'", "&#39;") in page


@pytest.mark.parametrize("name", sorted(set(ENTRIES) - {"scores", "observed-predicted"}))
def test_a_figure_without_data_says_what_is_missing_and_what_there_is(
    lean: Path, name: str
) -> None:
    with pytest.raises(DataError) as caught:
        find_plate(name, folders=lean)
    text = str(caught.value)
    assert ENTRIES[name].needs in text
    assert text.endswith("it has those of: scores, observed-predicted")


def test_an_unknown_figure_gives_the_nearest_and_all(run: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        find_plate("corelations", folders=run)
    assert "did you mean 'correlations'?" in str(caught.value)
    assert ", ".join(FIGURES) in str(caught.value)


def test_chosen_models_alone_are_shown_in_their_own_colours(run: Path) -> None:
    figure = find_plate("scores", folders=run, models=["trees", "ridge"]).draw(width_mm=85)
    shown = {text.get_text() for text in figure.legends[0].get_texts()}
    assert shown == {"trees", "ridge"}
    every, some = (
        Selection(folder=RunFolder.read(run), models=models) for models in ((), ("trees",))
    )
    assert some.colours["trees"] == every.colours["trees"]


def test_two_chosen_models_are_the_difference_and_one_is_the_prediction(run: Path) -> None:
    plate = find_plate("differences", folders=run, models=["ridge", "trees"])
    assert plate.title == "trees against ridge"
    assert (
        "predicted by ridge"
        in find_plate("observed-predicted", folders=run, models=["ridge"]).caption
    )
    with pytest.raises(DataError, match="no data of ridge for figure 'differences'"):
        find_plate("differences", folders=run, models=["ridge"])


def test_a_model_of_some_traits_shows_those(tmp_path: Path) -> None:
    folder = write_run_folder(
        tmp_path, accuracy={"ridge": 0.4, "rijal": 0.5}, only={"rijal": ["Lithium"]}
    )
    plate = find_plate("observed-predicted", folders=folder, models=["rijal"])
    titles = [axes.get_title() for axes in plate.draw(width_mm=85).axes]
    assert titles == ["Lithium"]


def test_a_model_that_is_not_there_gives_the_nearest(run: Path) -> None:
    with pytest.raises(SettingsError, match=r"unknown model 'tree'.*did you mean 'trees'"):
        find_plate("scores", folders=run, models=["tree"])


def test_models_of_two_folders_share_no_test_cells(run: Path, lean: Path) -> None:
    with pytest.raises(SettingsError, match="figure 'scores' is of one folder"):
        find_plate("scores", folders=[run, lean])
    with pytest.raises(SettingsError, match="needs the folder"):
        find_plate("scores", folders=[])


@pytest.mark.parametrize("name", ["observed-predicted", "missing", "correlations"])
def test_a_figure_of_one_model_refuses_two(run: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="is of one model; got 2: ridge, trees"):
        find_plate(name, folders=run, models=["ridge", "trees"])
    assert find_plate(name, folders=run, models=["ridge", "ridge"])


def test_a_difference_refuses_three_models(run: Path) -> None:
    with pytest.raises(SettingsError, match="is of 2 models; got 3"):
        find_plate("differences", folders=run, models=["ridge", "trees", "canonical"])
