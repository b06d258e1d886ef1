"""The article's figures of one's own runs."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from crosstrait.errors import DataError, SettingsError
from crosstrait.evaluation import published_r2
from crosstrait.report.article import SOURCE
from crosstrait.report.gallery import find_plate
from crosstrait.report.svg import TIP
from support.run_folder import write_run_folder

TRAITS = list(dict.fromkeys(published_r2()["trait"]))


def write(folder: Path, accuracy: dict[str, float], traits: list[str]) -> Path:
    return write_run_folder(
        folder, accuracy=accuracy, trait_names=traits, n_samples=60, folds=1, resamples=20
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("article")
    return {
        "one": write(base / "one", {"canonical": 0.6, "rijal": 0.5}, [*TRAITS[::-1], "own"]),
        "two": write(base / "two", {"transformer": 0.6, "ridge": 0.5}, TRAITS),
        "other": write(base / "other", {"canonical": 0.6}, ["a", "b"]),
    }


def shown(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def heights(figure: Figure, model: str) -> dict[str, float]:
    found = {}
    for patch in (patch for axes in figure.axes for patch in axes.patches):
        trait, _, rest = (patch.get_gid() or "").removeprefix(TIP).partition(", ")
        if rest.startswith(f"{model}:"):
            found[trait] = patch.get_height()
    return found


@pytest.mark.parametrize(
    ("name", "folder", "models"),
    [
        ("fig1", "one", [SOURCE, "rijal"]),
        ("fig2", "one", [SOURCE, "canonical", "published value"]),
        ("fig3", "two", [SOURCE, "transformer", "published value"]),
    ],
)
def test_each_figure_has_its_models_beside_the_source(
    folders: dict[str, Path], name: str, folder: str, models: list[str]
) -> None:
    figure = find_plate(name, folders=folders[folder]).draw(width_mm=180)
    assert shown(figure) == models


def test_models_may_come_from_several_folders(folders: dict[str, Path]) -> None:
    plate = find_plate("fig3", folders=[folders["two"], folders["one"]])
    assert shown(plate.draw(width_mm=180))[:3] == [SOURCE, "canonical", "transformer"]
    with pytest.raises(DataError, match="model 'canonical' is in"):
        find_plate("fig3", folders=[folders["one"], folders["other"]])


def test_bars_are_the_published_values_and_ones_own_in_the_articles_order(
    folders: dict[str, Path],
) -> None:
    figure = find_plate("fig2", folders=folders["one"]).draw(width_mm=180)
    table = published_r2()
    source = table[table["model"] == "rijal"]
    assert heights(figure, SOURCE) == dict(zip(source["trait"], source["r2"], strict=True))
    board = pd.read_csv(folders["one"] / "leaderboard.csv")
    own = board[(board["model"] == "canonical") & (board["metric"] == "r2")].set_index("trait")
    drawn = heights(figure, "canonical")
    assert drawn == pytest.approx(own["mean"].drop("mean").to_dict())
    names = [label.get_text() for axes in figure.axes for label in axes.get_xticklabels()]
    assert names == [*TRAITS, "own"]


def test_traits_of_ones_own_have_no_source_but_a_figure(folders: dict[str, Path]) -> None:
    plate = find_plate("fig2", folders=folders["other"])
    assert shown(plate.draw(width_mm=85)) == ["canonical"]
    assert SOURCE not in plate.caption


def test_a_model_is_known_by_its_settings_whatever_its_name(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = write(tmp_path, {"mine": 0.5, "ridge": 0.4}, TRAITS)
    path = folder / "experiment.json"
    content = json.loads(path.read_text())
    content["experiment"]["models"] = [
        {"label": "mine", "config": {"type": "canonical"}},
        {"label": "ridge", "config": {"type": "ridge"}},
    ]
    path.write_text(json.dumps(content))
    figure = find_plate("fig2", folders=folder).draw(width_mm=180)
    assert shown(figure) == [SOURCE, "mine", "published value"]


def test_named_models_take_the_place_of_the_articles(folders: dict[str, Path]) -> None:
    figure = find_plate("fig1", folders=folders["two"], models=["ridge"]).draw(width_mm=180)
    assert shown(figure) == [SOURCE, "ridge"]
    with pytest.raises(SettingsError, match=r"unknown model 'rdge' .did you mean 'ridge'"):
        find_plate("fig1", folders=folders["two"], models=["rdge"])


def test_a_folder_without_the_models_says_which_it_has(folders: dict[str, Path]) -> None:
    with pytest.raises(DataError) as caught:
        find_plate("fig1", folders=folders["two"])
    assert "holds no rijal model" in str(caught.value)
    assert "of: transformer, ridge" in str(caught.value)
