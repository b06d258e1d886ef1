"""Colours and settings of figures."""

from __future__ import annotations

import matplotlib as mpl
import pytest

from crosstrait.models.registry import model_names
from crosstrait.report.style import figure_style, model_colours


def test_a_known_model_keeps_its_colour_whatever_its_company() -> None:
    assert model_colours(["ridge", "ours"])["ridge"] == model_colours(["trees", "ridge"])["ridge"]


@pytest.mark.parametrize("extra", [1, 3, 12])
def test_the_models_of_a_usual_report_differ(extra: int) -> None:
    known = ["ridge", "trees", "rijal", "canonical", "transformer", "residual"]
    colours = model_colours([*known, *(f"own_{k}" for k in range(extra))])
    assert len(set(colours.values())) == len(colours)


def test_the_importing_program_keeps_its_own_settings() -> None:
    before = dict(mpl.rcParams)
    with figure_style():
        assert mpl.rcParams["svg.fonttype"] == "none"
        assert mpl.rcParams["pdf.fonttype"] == 42
    assert dict(mpl.rcParams) == before


def test_a_name_of_ones_own_keeps_its_colour_when_models_are_added() -> None:
    alone = model_colours(["ridge", "ours"])["ours"]
    beside = model_colours(["a_name", "lasso", "ours", "ridge", "stack", *model_names()])["ours"]
    assert beside == alone


def test_every_model_of_crosstrait_has_a_colour_of_its_own() -> None:
    colours = model_colours(model_names())
    assert len(set(colours.values())) == len(colours)
    for name, colour in colours.items():
        assert model_colours([name, "another"]) == {name: colour, **model_colours(["another"])}


def test_a_version_of_a_model_has_a_tint_of_its_colour() -> None:
    assert model_colours(["ridge-single"])["ridge-single"] == "#bac0c7"
