from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from crosstrait.report.page import write_report
from crosstrait.report.scopes import gains, scope_gains, scope_plate
from support.run_folder import write_more_tables, write_run_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = write_run_folder(tmp_path_factory.mktemp("run"), n_samples=80, resamples=50)
    return write_more_tables(written)


def a_table() -> pd.DataFrame:
    rows = [
        ("m", "m-single", "mean", 0.5, 0.4, 0.1, 0.05, 0.15, 1.0, 3, 300),
        ("m", "m-single", "a", 0.6, 0.3, 0.3, 0.2, 0.4, 1.0, 1, 100),
        ("m", "m-single", "b", 0.5, 0.5, 0.0, -0.1, 0.1, 0.5, 1, 100),
        ("m", "m-single", "c", 0.4, 0.6, -0.2, -0.3, -0.1, 0.0, 1, 100),
    ]
    names = "model single trait r2_multi r2_single difference ci_low ci_high share_better"
    return pd.DataFrame(rows, columns=[*names.split(), "n_traits", "n_cells"])


def test_traits_are_counted_as_better_or_worse_where_their_intervals_say_so() -> None:
    [gain] = gains(a_table())
    assert (gain.better, gain.worse, gain.mean.difference) == (1, 1, 0.1)


def test_every_trait_is_a_circle_hollow_where_it_may_be_zero() -> None:
    figure = scope_gains(a_table(), colours={"m": "#112233"})
    [axes] = figure.axes
    circles = [line for line in axes.lines if line.get_marker() == "o"]
    hollow = {line.get_xdata()[0] for line in circles if line.get_markerfacecolor() != "#112233"}
    assert {line.get_xdata()[0] for line in circles} == {0.3, 0.0, -0.2}
    assert hollow == {0.0}


def test_the_section_is_there_only_where_a_model_was_fitted_both_ways(folder: Path) -> None:
    page = write_report(folder).read_text()
    assert "Does learning across traits help?" in page
    assert "one trait at a time" in page
    (folder / "single_vs_multi.csv").unlink()
    page = write_report(folder).read_text()
    assert "Does learning across traits help?" not in page
    assert scope_plate(a_table().iloc[:0], colours={}) is None
